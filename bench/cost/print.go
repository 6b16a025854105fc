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
