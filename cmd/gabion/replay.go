package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gabion/userspace/decision"
	"gabion/userspace/engine"
	"gabion/userspace/review"
)

// replayed is the result of a replay.
type replayed struct {
	Decisions []replayedDecision `json:"decisions"`
	Totals    replayTotals       `json:"totals"`
	Review    *review.Report     `json:"review"`
	Faults    []string           `json:"rule_faults"`
}

type replayedDecision struct {
	Time      time.Time `json:"time"`
	Type      string    `json:"type"` // "alert" when the profiles decide nothing
	Scope     string    `json:"scope"`
	Value     string    `json:"value"`
	Duration  string    `json:"duration,omitempty"`
	Until     time.Time `json:"until,omitzero"`
	Scenario  string    `json:"scenario"`
	Events    int32     `json:"events_count"`
	Simulated bool      `json:"simulated,omitempty"`
}

type replayTotals struct {
	Lines       uint64 `json:"lines"`
	Parsed      uint64 `json:"parsed"`
	Unparsed    uint64 `json:"unparsed"`
	Whitelisted uint64 `json:"whitelisted"`
	Undated     uint64 `json:"undated"`
	Alerts      uint64 `json:"alerts"`
	Decisions   uint64 `json:"decisions"`
	CutLines    uint64 `json:"cut_lines"`
}

// replayFlags are the flags of gabion replay.
type replayFlags struct {
	ruleFlags
	allowlist string
	top       int
	list      bool
}

func newReplayCommand(a *app) *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use:   "replay --type TYPE LOG...",
		Short: "Run logs through the rules in their own time: decisions, sources, who would be hit wrongly",
		Long: `Run logs through the rules in their own time and say what a daemon would have done: which
decisions, when, about whom, and because of which scenarios. Nothing is banned and no daemon
is needed.

--type is the label that selects the parsers: syslog for /var/log/auth.log, nginx for
access logs. Logs are read in the order given, the oldest first; gzip is unpacked; - is
standard input.

With --allowlist, a file of addresses and prefixes, one on each line with comments behind #,
it says who of them would have been hit, with the lines that led there. The exit code is 1
then.`,
		Example: `  gabion replay --type syslog /var/log/auth.log
  gabion replay --type syslog auth.log.2.gz auth.log.1 auth.log
  gabion replay --type nginx --rules ./my-rules --allowlist customers.txt access.log
  gabion replay --type nginx --rules ./my-rules access.log -o json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("expected log files, or - for standard input")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.replay(cmd.Context(), &f, args) },
	}
	f.register(a, cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.allowlist, "allowlist", "", "file of addresses and prefixes that must not be hit")
	flags.IntVar(&f.top, "top", 10, "number of sources in each ranking")
	flags.BoolVar(&f.list, "list", false, fmt.Sprintf("list all alerts and decisions (default when there are at most %d)", fewDecisions))
	return cmd
}

// fewDecisions is how many decisions are listed without being asked for.
const fewDecisions = 30

func (a *app) replay(ctx context.Context, f *replayFlags, files []string) error {
	if f.top < 0 {
		return usagef("--top %d: use 0 or more", f.top)
	}
	log := slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	book, labels, err := f.load(a, log)
	if err != nil {
		return err
	}
	allow, err := readAllowlist(f.allowlist)
	if err != nil {
		return err
	}
	in, err := newLogInput(a, files)
	if err != nil {
		return err
	}
	defer in.Close()
	out := replayed{Decisions: []replayedDecision{}, Faults: []string{}}
	for _, fault := range book.Faults {
		out.Faults = append(out.Faults, fault.Error())
	}
	opts := engine.ReplayOptions{
		Type: f.kind, Labels: labels, File: files[0], Now: a.now(), Log: log,
		Workers: runtime.GOMAXPROCS(0), Shards: runtime.GOMAXPROCS(0),
		Totals: func(t engine.Totals) {
			out.Totals = replayTotals{t.Lines, t.Parsed, t.Unparsed, t.Whitelisted, t.Undated, t.Alerts, t.Decisions, t.CutLines}
		},
	}
	sum := review.New(allow)
	for alert, err := range engine.Replay(ctx, book.Rules, book.Profiles, in, opts) {
		if err != nil {
			return err
		}
		out.add(alert)
		sum.Add(alert)
	}
	in.clear()
	out.Review = sum.Report(f.top)
	err = a.show(out, func(w io.Writer) error { return printReplay(w, &out, allow, f.list) })
	if err == nil && len(out.Review.Wrong) > 0 {
		err = errReported
	}
	return err
}

// readAllowlist returns nil without a file.
func readAllowlist(file string) (*review.Allowlist, error) {
	if file == "" {
		return nil, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read allowlist: %w", err)
	}
	defer f.Close()
	return review.ReadAllowlist(f, file)
}

func (r *replayed) add(a *decision.Alert) {
	row := replayedDecision{
		Time: a.StopAt.UTC(), Type: "alert", Value: a.GetValue(), Scope: a.GetScope(), Scenario: a.Scenario, Events: a.EventsCount,
	}
	if len(a.Decisions) == 0 {
		r.Decisions = append(r.Decisions, row)
	}
	for _, d := range a.Decisions {
		row.Type, row.Scope, row.Value, row.Simulated = d.Type, d.Scope, d.Value, d.Simulated
		row.Duration, row.Until = d.Duration.String(), d.Until.UTC()
		r.Decisions = append(r.Decisions, row)
	}
}

func printReplay(w io.Writer, r *replayed, allow *review.Allowlist, list bool) error {
	p := &replayPrinter{w: w}
	if list || len(r.Decisions) <= fewDecisions {
		p.decisions(r.Decisions)
	} else {
		fmt.Fprintf(w, "%s and %s: --list lists them.\n", count(r.Totals.Alerts, "alert"), count(r.Totals.Decisions, "decision"))
	}
	if len(r.Decisions) > 1 {
		p.timeline(r.Review)
		p.rankings(r.Review)
	}
	p.wrong(r.Review, allow)
	t := r.Totals
	fmt.Fprintf(w, "\n%s: %d parsed, %d not, %d whitelisted; %s, %s", count(t.Lines, "line"),
		t.Parsed, t.Unparsed, t.Whitelisted, count(t.Alerts, "alert"), count(t.Decisions, "decision"))
	if r.Review.Repeated > 0 {
		fmt.Fprintf(w, ", %d of them about who was banned already and would have been dropped", r.Review.Repeated)
	}
	fmt.Fprintln(w, ".")
	if t.Undated > 0 {
		fmt.Fprintf(w, "%s without a time that a parser found, so that only triggers count them: is a parser of dates among the rules?\n",
			count(t.Undated, "line"))
	}
	return p.err
}

// replayPrinter prints the tables of a replay and keeps the first error.
type replayPrinter struct {
	w   io.Writer
	err error
}

func (p *replayPrinter) table(title, empty string, header []string, rows [][]string) {
	if p.err != nil {
		return
	}
	if title != "" {
		fmt.Fprintf(p.w, "\n%s\n", title)
	}
	p.err = table(p.w, empty, header, rows)
}

func (p *replayPrinter) decisions(list []replayedDecision) {
	var rows [][]string
	for _, d := range list {
		typ := d.Type
		if d.Simulated {
			typ += " (simulated)"
		}
		rows = append(rows, []string{
			d.Time.Format(time.DateTime), typ, d.Value, orText(d.Duration, "-"), d.Scenario, strconv.Itoa(int(d.Events)),
		})
	}
	p.table("", "No decisions.", []string{"TIME (UTC)", "TYPE", "VALUE", "FOR", "SCENARIO", "EVENTS"}, rows)
}

// barWidth is the width of the longest bar of the time line.
const barWidth = 40

func (p *replayPrinter) timeline(r *review.Report) {
	most := 1
	for _, row := range r.Timeline {
		most = max(most, row.Alerts)
	}
	var rows [][]string
	for _, row := range r.Timeline {
		rows = append(rows, []string{
			row.Time.Format("2006-01-02 15:04"), strconv.Itoa(row.Alerts), strconv.Itoa(row.Decisions), strconv.Itoa(row.Sources),
			strings.Repeat("#", (row.Alerts*barWidth+most-1)/most),
		})
	}
	p.table("Every "+r.Step, "", []string{"FROM (UTC)", "ALERTS", "DECISIONS", "NEW SOURCES", " "}, rows)
}

func (p *replayPrinter) rankings(r *review.Report) {
	var rows [][]string
	for _, s := range r.Scenarios {
		rows = append(rows, []string{s.Name, strconv.Itoa(s.Alerts), strconv.Itoa(s.Decisions), strconv.Itoa(s.Sources)})
	}
	p.table("By scenario", "", []string{"SCENARIO", "ALERTS", "DECISIONS", "SOURCES"}, rows)
	p.sources("Most alerts", r.Top)
	p.sources("Longest at it", r.Longest)
}

func (p *replayPrinter) sources(title string, list []*review.Source) {
	if len(list) == 0 {
		return
	}
	var rows [][]string
	for _, s := range list {
		rows = append(rows, []string{
			s.Value, strconv.Itoa(s.Alerts), strconv.Itoa(s.Events), s.First.Format(time.DateTime), s.Active().Round(time.Second).String(),
			strings.Join(s.Scenarios, " "),
		})
	}
	p.table(title, "", []string{"SOURCE", "ALERTS", "EVENTS", "FIRST (UTC)", "ACTIVE", "SCENARIOS"}, rows)
}

func (p *replayPrinter) wrong(r *review.Report, allow *review.Allowlist) {
	if allow == nil {
		return
	}
	if len(r.Wrong) == 0 {
		fmt.Fprintf(p.w, "\nNobody on the allowlist would have been hit (addresses and prefixes on it: %d).\n", allow.Len())
		return
	}
	fmt.Fprintf(p.w, "\nHit wrongly: %d of %d on the allowlist\n", len(r.Wrong), allow.Len())
	for _, h := range r.Wrong {
		name := h.Allowed
		if h.Comment != "" {
			name += " (" + h.Comment + ")"
		}
		fmt.Fprintf(p.w, "  %s: %s\n", printable(name, oneLine), plural(h.Hits, "decision"))
		for _, hit := range h.First {
			fmt.Fprintf(p.w, "    %s %s %s for %s by %s\n", hit.Time.Format(time.DateTime), hit.Type, printable(hit.Value, oneLine), hit.Duration,
				printable(hit.Scenario, oneLine))
			for _, line := range hit.Lines {
				fmt.Fprintf(p.w, "      %s\n", printable(line, oneLine))
			}
		}
	}
}
