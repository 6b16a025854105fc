package kernel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"

	"gabion/bench/kernel/report"
	"gabion/bench/kernel/traffic"
)

// Parts of the benchmark.
const (
	PartLookup  = "lookup"
	PartReceive = "receive"
	PartLoad    = "load"
)

// Options says what to measure.
type Options struct {
	Parts       []string // PartLookup, PartReceive, PartLoad
	Sizes       []int    // banned hosts
	Families    []traffic.Family
	Clustered   []bool // one round of everything for each: sets of that kind
	Repetitions int
	Rounds      int // lookups of one loop
	Packets     int // frames of one run
	Now         func() time.Time
	Progress    func(string) // is told what happens; nil: nobody
}

// bench is one run of the benchmark.
type bench struct {
	Options
	report *report.Report
}

// Run measures. It needs root and Linux 5.18, works in network namespaces and below a directory of
// bpffs of its own, and removes them at the end, whatever the error. When ctx ends it stops within
// about a second, except while a tool reads a large file.
func Run(ctx context.Context, o Options) (*report.Report, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("needs root to load programs and make network namespaces: run it with sudo")
	}
	if err := checkKernel(); err != nil {
		return nil, err
	}
	if err := removeStalePlanes(); err != nil {
		return nil, err
	}
	machine, err := thisMachine()
	if err != nil {
		return nil, err
	}
	b := &bench{Options: o, report: report.New(machine)}
	for _, part := range []struct {
		name string
		run  func(context.Context, traffic.Set) error
	}{{PartLookup, b.lookups}, {PartReceive, b.receives}, {PartLoad, b.loads}} {
		if !slices.Contains(o.Parts, part.name) {
			continue
		}
		for _, set := range b.sets() {
			if err := part.run(ctx, set); err != nil {
				return nil, fmt.Errorf("%s, %s, %d %s bans: %w", part.name, set.Family, set.Bans, set.Name(), err)
			}
		}
	}
	return b.report, nil
}

// checkKernel refuses kernels that cannot measure, before anything is made.
func checkKernel() error {
	if err := features.HaveProgramHelper(ebpf.XDP, asm.FnLoop); err != nil {
		return fmt.Errorf("the loop around lookups needs Linux 5.17 (bpf_loop): %w", err)
	}
	// As old as live frames, which cannot be asked for without sending some.
	if err := features.HaveProgramHelper(ebpf.XDP, asm.FnXdpGetBuffLen); err != nil {
		return fmt.Errorf("sending frames through BPF_PROG_TEST_RUN needs Linux 5.18: %w", err)
	}
	return nil
}

// sets returns what to measure on, the families outermost.
func (b *bench) sets() []traffic.Set {
	var out []traffic.Set
	for _, f := range b.Families {
		for _, clustered := range b.Clustered {
			for _, size := range b.Sizes {
				out = append(out, traffic.Set{Family: f, Bans: size, Clustered: clustered})
			}
		}
	}
	return out
}

// until is an end for bans that the benchmark does not live to see.
func (b *bench) until() time.Time { return b.Now().Add(30 * 24 * time.Hour) }

func (b *bench) progress(format string, args ...any) {
	if b.Progress != nil {
		b.Progress(fmt.Sprintf(format, args...))
	}
}

// note says, once, what is not in the results.
func (b *bench) note(text string) {
	if !slices.Contains(b.report.Notes, text) {
		b.report.Notes = append(b.report.Notes, text)
		b.progress("%s", text)
	}
}
