package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"gabion/userspace/config"
	"gabion/userspace/daemon/rulebook"
	"gabion/userspace/decision"
	"gabion/userspace/engine"
)

// replayed is the result of a replay.
type replayed struct {
	Decisions []replayedDecision `json:"decisions"`
	Totals    replayTotals       `json:"totals"`
	Faults    []string           `json:"rule_faults"`
}

type replayedDecision struct {
	Time     time.Time `json:"time"`
	Type     string    `json:"type"` // "alert" when the profiles decide nothing
	Scope    string    `json:"scope"`
	Value    string    `json:"value"`
	Duration string    `json:"duration,omitempty"`
	Until    time.Time `json:"until,omitzero"`
	Scenario string    `json:"scenario"`
	Events   int32     `json:"events_count"`
}

type replayTotals struct {
	Lines       uint64 `json:"lines"`
	Parsed      uint64 `json:"parsed"`
	Unparsed    uint64 `json:"unparsed"`
	Whitelisted uint64 `json:"whitelisted"`
	Alerts      uint64 `json:"alerts"`
	Decisions   uint64 `json:"decisions"`
	CutLines    uint64 `json:"cut_lines"`
}

func newReplayCommand(a *app) *cobra.Command {
	var dirs []string
	var profiles, kind string
	cmd := &cobra.Command{
		Use:   "replay --type TYPE FILE|-",
		Short: "Run a log file through the rules in its own time and print the decisions",
		Long: `Run a log file through the rules in its own time and print the decisions that a daemon
would have taken. Nothing is banned and no daemon is needed.

--type is the label that selects the parsers: syslog for /var/log/auth.log, nginx for
access logs.`,
		Example: `  gabion replay --type syslog /var/log/auth.log
  gabion replay --type nginx --rules /etc/gabion/rules access.log -o json
  zcat auth.log.2.gz | gabion replay --type syslog -`,
		Args: oneArg("a log file, or - for standard input"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if kind == "" {
				return usagef("--type is missing: say what the log is, such as --type syslog or --type nginx")
			}
			cfg := config.Default()
			cfg.Rules = config.Rules{Embedded: len(dirs) == 0, Dirs: dirs}
			cfg.Profiles = profiles
			return a.replay(cmd.Context(), cfg, kind, args[0])
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&kind, "type", "t", "", "type of the log: syslog, nginx, ...")
	flags.StringArrayVar(&dirs, "rules", nil, "folder of parsers and scenarios, may be given again (default those built in)")
	flags.StringVar(&profiles, "profiles", "", "profiles file (default the built-in profiles)")
	return cmd
}

func (a *app) replay(ctx context.Context, cfg *config.Config, kind, file string) error {
	log := slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	book, err := rulebook.Load(cfg, rulebook.Deps{Now: a.now, Log: log})
	if err != nil {
		return err
	}
	out := replayed{Decisions: []replayedDecision{}, Faults: []string{}}
	for _, f := range book.Faults {
		fmt.Fprintln(a.stderr, printable(f.Error(), oneLine)+" (left out)")
		out.Faults = append(out.Faults, f.Error())
	}
	in := a.stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return fmt.Errorf("read log: %w", err)
		}
		defer f.Close()
		in = f
	}
	opts := engine.ReplayOptions{
		Type: kind, File: file, Now: a.now(), Log: log, Workers: runtime.GOMAXPROCS(0), Shards: runtime.GOMAXPROCS(0),
		Totals: func(t engine.Totals) {
			out.Totals = replayTotals{t.Lines, t.Parsed, t.Unparsed, t.Whitelisted, t.Alerts, t.Decisions, t.CutLines}
		},
	}
	for alert, err := range engine.Replay(ctx, book.Rules, book.Profiles, in, opts) {
		if err != nil {
			return err
		}
		out.add(alert)
	}
	return a.show(out, func(w io.Writer) error { return printReplay(w, &out) })
}

func (r *replayed) add(a *decision.Alert) {
	row := replayedDecision{
		Time: a.StopAt.UTC(), Type: "alert", Value: a.GetValue(), Scope: a.GetScope(), Scenario: a.Scenario, Events: a.EventsCount,
	}
	if len(a.Decisions) == 0 {
		r.Decisions = append(r.Decisions, row)
	}
	for _, d := range a.Decisions {
		row.Type, row.Scope, row.Value = d.Type, d.Scope, d.Value
		row.Duration, row.Until = d.Duration.String(), d.Until.UTC()
		r.Decisions = append(r.Decisions, row)
	}
}

func printReplay(w io.Writer, r *replayed) error {
	var rows [][]string
	for _, d := range r.Decisions {
		rows = append(rows, []string{
			d.Time.Format("2006-01-02 15:04:05"), d.Type, d.Value, orText(d.Duration, "-"), d.Scenario, strconv.Itoa(int(d.Events)),
		})
	}
	if err := table(w, "No decisions.", []string{"TIME (UTC)", "TYPE", "VALUE", "FOR", "SCENARIO", "EVENTS"}, rows); err != nil {
		return err
	}
	t := r.Totals
	_, err := fmt.Fprintf(w, "\n%s: %d parsed, %d not, %d whitelisted; %s, %s.\n", count(t.Lines, "line"),
		t.Parsed, t.Unparsed, t.Whitelisted, count(t.Alerts, "alert"), count(t.Decisions, "decision"))
	return err
}
