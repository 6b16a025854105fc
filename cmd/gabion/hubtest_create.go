package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"gabion/userspace/hubtest"
)

func newHubtestCreate(a *app) *cobra.Command {
	var f hubtestFlags
	var n hubtest.NewTest
	var log string
	cmd := &cobra.Command{
		Use:   "create NAME --type TYPE --log FILE --parsers NAME,...",
		Short: "Make a test of a log: its folder, its configuration and its assertions",
		Long: `Make the folder of a test, with a copy of the log, run the log through the rules and write
assertions for what comes out: read them before they are kept. An item is named as in the
hub, or by a path below its root.`,
		Example: `  gabion hubtest create shop-bf --hub ./hub --log auth.log --type syslog \
    --parsers crowdsecurity/syslog-logs,me/shop-logs,crowdsecurity/dateparse-enrich --scenarios me/shop-bf`,
		Args: oneArg("the name of the test"),
		RunE: func(cmd *cobra.Command, args []string) error {
			n.Name = args[0]
			return a.hubtestCreate(cmd.Context(), f, n, log)
		},
	}
	f.common(cmd)
	flags := cmd.Flags()
	flags.StringVar(&log, "log", "", "log file, or - for standard input")
	flags.StringVarP(&n.Type, "type", "t", "", "type of the log: syslog, nginx, ...")
	flags.StringSliceVar(&n.Parsers, "parsers", nil, "parsers")
	flags.StringSliceVar(&n.Scenarios, "scenarios", nil, "scenarios")
	flags.StringSliceVar(&n.PostOverflows, "postoverflows", nil, "post-overflow rules")
	flags.StringToStringVar(&n.Labels, "label", nil, "further labels of the lines, such as program=envoy")
	flags.BoolVar(&n.IgnoreParsers, "ignore-parsers", false, "assert nothing about what parsers did")
	return cmd
}

func (a *app) hubtestCreate(ctx context.Context, f hubtestFlags, n hubtest.NewTest, log string) error {
	switch {
	case log == "":
		return usagef("--log is missing: name the log to make the test of")
	case n.Type == "":
		return usagef("--type is missing: say what the log is, such as --type syslog or --type nginx")
	}
	o, err := a.hubtestOptions(f, nil)
	if err != nil {
		return err
	}
	n.Log = a.stdin
	if log != "-" {
		file, err := os.Open(log)
		if err != nil {
			return fmt.Errorf("read log: %w", err)
		}
		defer file.Close()
		n.Log = file
	}
	result, err := hubtest.Create(ctx, o, n)
	if err != nil {
		return err
	}
	return a.show(result, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s: %s.\n", filepath.Join(f.hub, hubtest.Dir, n.Name), count(uint64(result.Assertions), "assertion"))
		return err
	})
}

func newHubtestCoverage(a *app) *cobra.Command {
	var f hubtestFlags
	cmd := &cobra.Command{
		Use:   "coverage [TEST...]",
		Short: "List the rules of a hub that no test reaches",
		Long: `Run tests and list the rules of the hub that none of them reaches: parsers and post-overflow
rules that never succeed on an event, scenarios that never overflow. Whether the assertions
hold does not matter.`,
		Example: "  gabion hubtest coverage --hub ./hub --data ./data --json",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.hubtestCoverage(cmd.Context(), f, args) },
	}
	f.common(cmd)
	f.some(cmd)
	return cmd
}

// coverageReport is what gabion hubtest coverage prints.
type coverageReport struct {
	Tests   int                `json:"tests"`
	Kinds   []hubtest.Coverage `json:"kinds"`
	Missed  []ruleItem         `json:"missed"`
	Without []hubtest.Result   `json:"not_run"` // tests that could not be run
}

func (a *app) hubtestCoverage(ctx context.Context, f hubtestFlags, names []string) error {
	o, err := a.hubtestOptions(f, names)
	if err != nil {
		return err
	}
	items, err := hubtest.Rules(o.Hub)
	if err != nil {
		return err
	}
	report, err := a.runTests(ctx, o)
	if err != nil {
		return err
	}
	out := coverageReport{Tests: report.Tests, Kinds: report.Coverage(items), Missed: []ruleItem{}, Without: []hubtest.Result{}}
	for _, k := range out.Kinds {
		for _, i := range k.Missed {
			out.Missed = append(out.Missed, ruleItem{Kind: string(i.Kind), Name: i.Name, Stage: i.Stage, File: i.Pos.File})
		}
	}
	for _, t := range report.NotPassed {
		if t.Assertions == 0 {
			out.Without = append(out.Without, t)
		}
	}
	return a.show(out, func(w io.Writer) error { return printCoverage(w, &out) })
}

func printCoverage(w io.Writer, r *coverageReport) error {
	var rows [][]string
	for _, i := range r.Missed {
		rows = append(rows, []string{i.Kind, i.Name, orText(i.Stage, "-"), i.File})
	}
	if err := table(w, "Every rule is reached.", []string{"KIND", "NAME", "STAGE", "FILE"}, rows); err != nil {
		return err
	}
	var reached []string
	for _, k := range r.Kinds {
		reached = append(reached, fmt.Sprintf("%d of %s", k.Reached, count(uint64(k.Rules), string(k.Kind))))
	}
	_, err := fmt.Fprintf(w, "\n%s: %s reached.\n", count(uint64(r.Tests), "test"), strings.Join(reached, ", "))
	if err == nil && len(r.Without) > 0 {
		_, err = fmt.Fprintf(w, "%s not run: see gabion hubtest run.\n", count(uint64(len(r.Without)), "test"))
	}
	return err
}
