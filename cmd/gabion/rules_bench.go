package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"gabion/bench/cost"
)

func newRulesBench(a *app) *cobra.Command {
	var w workload
	var most int
	cmd := &cobra.Command{
		Use:   "bench --type TYPE --log FILE",
		Short: "What each rule costs on a log, worst first",
		Long: `Run a log through the rules, one line after the other, and say what each node of the parsers
and each scenario took: its share of the time of all, nanoseconds for each line of the log
and for each event that it was asked about, and how many of these it took. What a node took
is without the nodes inside it; a scenario's buckets are part of it, IN BUCKETS says how
much. Scenarios that the index kept an event from are not asked and cost nothing.

What looking at the clock takes is subtracted. The sum is what rules take, not what a line
takes: gabion bench engine measures that.`,
		Example: `  gabion rules bench --type syslog --log auth.log
  gabion rules bench --rules ~/hub --collection crowdsecurity/nginx --type nginx --log access.log --top 10`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if most < 0 {
				return usagef("--top %d: use 0 for all, or more", most)
			}
			book, log, err := w.open(a)
			if err != nil {
				return err
			}
			defer log.Close()
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
			defer stop()
			report, err := cost.MeasureRules(ctx, cost.Options{
				Rules: book.Rules, Profiles: book.Profiles, Input: log, File: w.log, Type: w.kind,
				Now: a.now, Log: a.warnings(), Progress: a.benchProgress,
			})
			if err != nil {
				return fmt.Errorf("rules bench: %w", err)
			}
			return a.show(report, func(out io.Writer) error {
				var text bytes.Buffer // rule files name what is printed
				if err := report.Print(&text, most); err != nil {
					return err
				}
				_, err := fmt.Fprint(out, printable(text.String(), keepLines))
				return err
			})
		},
	}
	w.flags(cmd.Flags())
	cmd.Flags().IntVar(&most, "top", 30, "how many rules to print, 0 for all; JSON has all")
	return cmd
}
