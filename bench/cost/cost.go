// Package cost measures what rules cost on a log: all of them together, as the engine runs them, and
// each on its own.
package cost

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"runtime/pprof"
	"time"

	"gabion/userspace/engine"
	"gabion/userspace/profile"
	"gabion/userspace/rules"
)

// Options says what is measured on what.
type Options struct {
	Rules    *rules.Set
	Profiles *profile.Profiles

	Input io.Reader // the log; it is read as it is used up, and may be larger than memory
	File  string    // its name as rules see it
	Type  string    // the label that selects the parsers

	// Workers is how many cores may work: it sets GOMAXPROCS for the time of the measurement, so
	// that reading, sequencing and collecting garbage share the cores that the workers have. 0 means 1.
	Workers    int
	MaxBuckets int // 0 means that of the engine

	Now      func() time.Time // the wall clock
	Log      *slog.Logger     // nil: silent
	Progress func(p Progress) // may be nil; called every few seconds by whoever reads the log
	CPU      io.Writer        // gets a pprof profile of the measured part; nil: none
	Allocs   io.Writer        // gets a pprof profile of what was allocated since the process began; nil: none
}

// Progress is how far a measurement is.
type Progress struct {
	Bytes   int64 // read
	Elapsed time.Duration
}

// Report is what running a log through the engine took, from the first byte to the last alert.
// Loading the rules is not part of it.
type Report struct {
	Lines         uint64  `json:"lines"`
	Workers       int     `json:"workers"`
	Wall          float64 `json:"wall_s"`
	CPU           float64 `json:"cpu_s"` // of all threads, in user and kernel mode
	LinesPerS     float64 `json:"lines_per_s"`
	LinesPerCPU   float64 `json:"lines_per_cpu_s"`
	AllocsPerLine float64 `json:"allocs_per_line"`
	BytesPerLine  float64 `json:"bytes_per_line"` // allocated
	PeakRSS       int64   `json:"peak_rss_bytes"` // of the process since it began
	LiveBuckets   uint64  `json:"live_buckets"`   // at the end
	Overflows     uint64  `json:"overflows"`
	Parsed        uint64  `json:"parsed"`
	Unparsed      uint64  `json:"unparsed"`
	Whitelisted   uint64  `json:"whitelisted"`
	Alerts        uint64  `json:"alerts"`
	Decisions     uint64  `json:"decisions"`
	CutLines      uint64  `json:"cut_lines"`
}

// Measure runs the log through the rules as a replay does.
func Measure(ctx context.Context, o Options) (*Report, error) {
	o.Workers = max(o.Workers, 1)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(o.Workers))
	in := &meteredReader{r: o.Input, now: o.Now, progress: o.Progress}
	var totals engine.Totals
	opts := engine.ReplayOptions{
		Type: o.Type, File: o.File, Now: o.Now(), Workers: o.Workers, Shards: o.Workers, MaxBuckets: o.MaxBuckets,
		Log: o.Log, Totals: func(t engine.Totals) { totals = t },
	}
	runtime.GC() // what loading the rules left is not to be collected on the way
	before, err := readUsage()
	if err != nil {
		return nil, err
	}
	if o.CPU != nil {
		if err := pprof.StartCPUProfile(o.CPU); err != nil {
			return nil, fmt.Errorf("profile: %w", err)
		}
		defer pprof.StopCPUProfile()
	}
	begin := o.Now()
	in.begin(begin)
	for _, err := range engine.Replay(ctx, o.Rules, o.Profiles, in, opts) {
		if err != nil {
			return nil, err
		}
	}
	wall := o.Now().Sub(begin)
	after, err := readUsage()
	if err != nil {
		return nil, err
	}
	if totals.Lines == 0 {
		return nil, errors.New("the log has no lines")
	}
	if o.Allocs != nil {
		if err := pprof.Lookup("allocs").WriteTo(o.Allocs, 0); err != nil {
			return nil, fmt.Errorf("profile allocations: %w", err)
		}
	}
	return newReport(o.Workers, wall, before, after, totals), nil
}

func newReport(workers int, wall time.Duration, before, after usage, t engine.Totals) *Report {
	r := &Report{
		Lines: t.Lines, Workers: workers, Wall: wall.Seconds(), CPU: (after.cpu - before.cpu).Seconds(), PeakRSS: after.peak,
		LiveBuckets: t.Buckets.Live, Overflows: t.Buckets.Overflows, Parsed: t.Parsed, Unparsed: t.Unparsed,
		Whitelisted: t.Whitelisted, Alerts: t.Alerts, Decisions: t.Decisions, CutLines: t.CutLines,
	}
	n := float64(t.Lines)
	r.LinesPerS, r.LinesPerCPU = per(n, r.Wall), per(n, r.CPU)
	r.AllocsPerLine = per(float64(after.allocs-before.allocs), n)
	r.BytesPerLine = per(float64(after.bytes-before.bytes), n)
	return r
}

// per is a quotient, 0 when there is nothing to divide by: JSON has no infinity.
func per(a, b float64) float64 {
	if b <= 0 {
		return 0
	}
	return a / b
}
