package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"gabion/userspace/hub"
	"gabion/userspace/hubtest"
)

// hubtestFlags are the flags that the verbs of gabion hubtest share.
type hubtestFlags struct {
	hub     string
	list    string
	data    []string
	ownData []string
	json    bool
	jobs    int

	compatible, update, verbose bool
	dump                        string
}

func newHubtestCommand(a *app) *cobra.Command {
	return group("hubtest", "Run the tests of a hub of rules, make new ones, find rules without",
		"  gabion hubtest run --hub ./hub",
		newHubtestRun(a), newHubtestCreate(a), newHubtestCoverage(a))
}

// common adds the flags that say where the hub, its tests and their data are.
func (f *hubtestFlags) common(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.hub, "hub", ".", "checkout of a hub")
	flags.StringArrayVar(&f.data, "data", nil, "directory with the data files of rules, may be given again")
	flags.StringArrayVar(&f.ownData, "own-data", nil, "directory searched first by tests with data of their own, may be given again")
	flags.BoolVar(&f.json, "json", false, "print the result as JSON (same as -o json)")
}

// some adds the flags that choose tests.
func (f *hubtestFlags) some(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.list, "tests", "", "file with the names of the tests to run, one a line (default all)")
	flags.IntVar(&f.jobs, "jobs", runtime.GOMAXPROCS(0), "tests run at the same time")
}

func newHubtestRun(a *app) *cobra.Command {
	var f hubtestFlags
	cmd := &cobra.Command{
		Use:   "run [TEST...]",
		Short: "Run tests and print which assertions do not hold",
		Long: `Run the tests in the folder .tests of a hub: each runs its log through the rules that it
lists, in the log's own time, and evaluates its assertions. Nothing is fetched: a test whose
rules need a data file that is in none of the --data directories is not run, and counted as
missing_data.

The hub's own tool does not count every assertion that is false: in scenario.assert it
overlooks those that are no comparison, such as "192.0.2.1" in results[0].Overflow.GetSources(),
and everywhere those with a blank in a key. --cscli-compatible does the same.`,
		Example: `  gabion hubtest run --hub ./hub --data ./data
  gabion hubtest run --hub ./hub --tests names.txt --json
  gabion hubtest run ssh-bf --update      write its assertions from what comes out`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.hubtestRun(cmd.Context(), f, args) },
	}
	f.common(cmd)
	f.some(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&f.compatible, "cscli-compatible", false, "overlook the false assertions that the hub's own tool overlooks")
	flags.BoolVar(&f.update, "update", false, "write the assertions anew, from what comes out")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "show what rules warn of while they run")
	flags.StringVar(&f.dump, "dump", "", "write everything that each test recorded into this directory, as JSON")
	return cmd
}

// options opens the hub and reads the list of tests.
func (a *app) hubtestOptions(f hubtestFlags, names []string) (hubtest.Options, error) {
	if f.json {
		a.output = outputJSON
	}
	o := hubtest.Options{
		Root: f.hub, Tests: names, Data: f.data, OwnData: f.ownData, Compatible: f.compatible, Update: f.update, Now: a.now(), Workers: f.jobs,
	}
	if f.verbose {
		o.Log = slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	for _, dir := range append(f.data, f.ownData...) {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return o, usagef("%s is no directory with data files", dir)
		}
	}
	if f.list != "" {
		listed, err := readNames(f.list)
		if err != nil {
			return o, err
		}
		o.Tests = append(o.Tests, listed...)
	}
	var err error
	o.Hub, err = hub.Open(f.hub)
	return o, err
}

// readNames reads a file of names, one a line; what begins with # is a comment.
func readNames(file string) (names []string, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read names of tests: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if name := strings.TrimSpace(lines.Text()); name != "" && name[0] != '#' {
			names = append(names, name)
		}
	}
	if err = lines.Err(); err == nil && len(names) == 0 {
		err = fmt.Errorf("%s names no test", file)
	}
	return names, err
}

func (a *app) hubtestRun(ctx context.Context, f hubtestFlags, names []string) error {
	o, err := a.hubtestOptions(f, names)
	if err != nil {
		return err
	}
	var dumped error
	if f.dump != "" {
		o.Dump = func(name string, s *hubtest.State) { dumped = errors.Join(dumped, dumpState(f.dump, name, s)) }
	}
	report, err := a.runTests(ctx, o)
	if err = errors.Join(err, dumped); err != nil {
		return err
	}
	if err := a.show(report, func(w io.Writer) error { return printHubtest(w, report) }); err != nil {
		return err
	}
	if report.Passed < report.Tests {
		return errReported
	}
	return nil
}

// runTests runs tests and shows how far they are.
func (a *app) runTests(ctx context.Context, o hubtest.Options) (*hubtest.Report, error) {
	begin, done := a.now(), 0
	if a.terminal && a.output == outputHuman {
		o.Progress = func(hubtest.Result) {
			done++
			fmt.Fprintf(a.stderr, "\r%d tests", done)
		}
		defer fmt.Fprint(a.stderr, "\r\x1b[K")
	}
	report, err := hubtest.Run(ctx, o)
	if err != nil {
		return nil, err
	}
	report.Seconds = a.now().Sub(begin).Seconds()
	return report, nil
}

func dumpState(dir, name string, s *hubtest.State) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("dump results: %w", err)
	}
	f, err := os.Create(filepath.Join(dir, name+".json"))
	if err != nil {
		return fmt.Errorf("dump results: %w", err)
	}
	w := bufio.NewWriter(f)
	return errors.Join(s.Write(w), w.Flush(), f.Close())
}
