package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gabion/bench/cost"
	"gabion/userspace/config"
	"gabion/userspace/daemon/rulebook"
	"gabion/userspace/hub"
)

// workload is a set of rules and a log to run through it.
type workload struct {
	dir, data, kind, log string
	collections          []string
	json                 bool
}

func (w *workload) flags(flags *pflag.FlagSet) {
	flags.StringVar(&w.dir, "rules", "", "folder of rules, or checkout of a hub (default the rules built in)")
	flags.StringArrayVar(&w.collections, "collection", nil, "of the hub take only this collection, author/name; may be given again")
	flags.StringVar(&w.data, "data", "", "folder of the rules' data files (default that of the daemon)")
	flags.StringVarP(&w.kind, "type", "t", "", "type of the log: syslog, nginx, ...")
	flags.StringVar(&w.log, "log", "", "log file, - for standard input")
	flags.BoolVar(&w.json, "json", false, "print the report as JSON (same as -o json)")
}

// open loads the rules and opens the log; the caller closes it. Rules that cannot be used are named
// and left out.
func (w *workload) open(a *app) (*rulebook.Book, io.ReadCloser, error) {
	switch {
	case w.kind == "":
		return nil, nil, usagef("--type is missing: say what the log is, such as --type syslog or --type nginx")
	case w.log == "":
		return nil, nil, usagef("--log is missing: name a log file, or - for standard input")
	case w.dir == "" && len(w.collections) > 0:
		return nil, nil, usagef("--collection needs --rules with the checkout of a hub")
	}
	if w.json {
		a.output = outputJSON
	}
	book, err := w.load(a)
	if err != nil {
		return nil, nil, err
	}
	if w.log == "-" {
		return book, io.NopCloser(a.stdin), nil
	}
	f, err := os.Open(w.log)
	if err != nil {
		return nil, nil, fmt.Errorf("read log: %w", err)
	}
	return book, f, nil
}

func (w *workload) load(a *app) (*rulebook.Book, error) {
	cfg := config.Default()
	cfg.Rules = config.Rules{Embedded: w.dir == ""}
	deps := rulebook.Deps{Now: a.now, Log: a.warnings(), DataDir: w.data}
	if w.dir != "" {
		source, err := hub.OpenRules(w.dir, w.collections...)
		if err != nil {
			return nil, err
		}
		deps.Sources = append(deps.Sources, source)
	}
	book, err := rulebook.Load(cfg, deps)
	if err != nil {
		return nil, err
	}
	for _, f := range book.Faults {
		fmt.Fprintln(a.stderr, printable(f.Error(), oneLine)+" (left out)")
	}
	return book, nil
}

// warnings returns a logger that writes warnings to standard error.
func (a *app) warnings() *slog.Logger {
	return slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func newBenchEngineCommand(a *app) *cobra.Command {
	var w workload
	var workers int
	var profiles engineProfiles
	cmd := &cobra.Command{
		Use:   "engine --type TYPE --log FILE",
		Short: "What running a log through the rules costs",
		Long: `Run a log through the rules as gabion replay does, and say how long it took: wall clock, CPU
time of all threads, allocations and memory. Loading the rules is not counted. The log is
read as it is used up, so it may be larger than memory. Names of addresses are not looked
up: the network is not measured. To collections that read no raw lines come the hub's
parsers that do.

--workers is how many cores may work, everything included: the same number of overflows
comes out for any of them.`,
		Example: `  gabion bench engine --type syslog --log auth.log
  gabion bench engine --rules ~/hub --collection crowdsecurity/sshd --type syslog --log auth.log --workers 1 --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if workers < 1 {
				return usagef("--workers %d: use 1 or more", workers)
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
			defer stop()
			return a.benchEngine(ctx, &w, workers, &profiles)
		},
	}
	flags := cmd.Flags()
	w.flags(flags)
	flags.IntVar(&workers, "workers", runtime.NumCPU(), "how many cores may work")
	flags.StringVar(&profiles.cpu, "cpu-profile", "", "write a pprof profile of the run into this file")
	flags.StringVar(&profiles.allocs, "alloc-profile", "", "write a pprof profile of what was allocated into this file")
	return cmd
}

// engineProfiles are files for profiles; an empty name is none.
type engineProfiles struct{ cpu, allocs string }

// open makes the files. What it returns closes them.
func (p *engineProfiles) open(o *cost.Options) (closeAll func() error, err error) {
	var files []*os.File
	closeAll = func() (err error) {
		for _, f := range files {
			err = errors.Join(err, f.Close())
		}
		return err
	}
	for _, to := range []struct {
		name string
		w    *io.Writer
	}{{p.cpu, &o.CPU}, {p.allocs, &o.Allocs}} {
		if to.name == "" {
			continue
		}
		f, err := os.Create(to.name)
		if err != nil {
			return closeAll, err
		}
		files = append(files, f)
		*to.w = f
	}
	return closeAll, nil
}

func (a *app) benchEngine(ctx context.Context, w *workload, workers int, profiles *engineProfiles) error {
	book, log, err := w.open(a)
	if err != nil {
		return err
	}
	defer log.Close()
	o := cost.Options{
		Rules: book.Rules, Profiles: book.Profiles, Input: log, File: w.log, Type: w.kind, Workers: workers,
		Now: a.now, Log: a.warnings(), Progress: a.benchProgress,
	}
	closeProfiles, err := profiles.open(&o)
	var report *cost.Report
	if err == nil {
		report, err = cost.Measure(ctx, o)
	}
	if err = errors.Join(err, closeProfiles()); err != nil {
		return fmt.Errorf("bench engine: %w", err)
	}
	return a.show(report, report.Print)
}

func (a *app) benchProgress(p cost.Progress) {
	fmt.Fprintf(a.stderr, "%7.1fs  %d MiB read\n", p.Elapsed.Round(time.Millisecond).Seconds(), p.Bytes>>20)
}
