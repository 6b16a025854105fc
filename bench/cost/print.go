package cost

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Print writes the report as a table.
func (r *Report) Print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(tw, "%s:\t"+format+"\n", append([]any{name}, args...)...)
	}
	row("Lines", "%d: %d parsed, %d not, %d whitelisted", r.Lines, r.Parsed, r.Unparsed, r.Whitelisted)
	if r.CutLines > 0 {
		row("Cut lines", "%d", r.CutLines)
	}
	row("Wall clock", "%.2f s on %d cores, %.0f lines/s", r.Wall, r.Workers, r.LinesPerS)
	row("CPU time", "%.2f s, %.0f lines/s, %.2f µs/line", r.CPU, r.LinesPerCPU, 1e6*per(r.CPU, float64(r.Lines)))
	row("Allocations", "%.1f/line, %.0f bytes/line", r.AllocsPerLine, r.BytesPerLine)
	row("Peak memory", "%.1f MiB", float64(r.PeakRSS)/(1<<20))
	row("Live buckets", "%d", r.LiveBuckets)
	row("Overflows", "%d, %d alerts, %d decisions", r.Overflows, r.Alerts, r.Decisions)
	return tw.Flush()
}

// Print writes the worst rules as a table, most of them 0 for all.
func (r *RulesReport) Print(w io.Writer, most int) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "SHARE\tNS/LINE\tNS/EVENT\tEVENTS\tTAKEN\tIN BUCKETS\t  RULE")
	var total float64
	for i, c := range r.Rules {
		total += c.PerLine
		if most > 0 && i >= most {
			continue
		}
		buckets := "-"
		if c.Kind == KindScenario {
			buckets = fmt.Sprintf("%.0f%%", 100*c.Buckets)
		}
		fmt.Fprintf(tw, "%.1f%%\t%.0f\t%.0f\t%d\t%d\t%s\t  %s\n", 100*c.Share, c.PerLine, c.PerEvent, c.Events, c.Taken, buckets, c.title())
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	if most > 0 && len(r.Rules) > most {
		fmt.Fprintf(w, "and %d more\n", len(r.Rules)-most)
	}
	_, err := fmt.Fprintf(w, "\n%d lines; all rules together %.0f ns a line.\n", r.Lines, total)
	return err
}

// title names what costs, and where it is.
func (c *RuleCost) title() string {
	text := c.Name
	if c.Stage != "" {
		text = c.Stage + " " + text
	}
	if c.File != "" {
		text += fmt.Sprintf(" (%s:%d)", c.File, c.Line)
	}
	return text
}
