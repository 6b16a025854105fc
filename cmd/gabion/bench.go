package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"gabion/bench/kernel"
	"gabion/bench/kernel/report"
	"gabion/bench/kernel/traffic"
)

// Sizes of a run that are not asked for: enough for steady medians, and soon over.
const (
	benchRounds  = 1 << 16
	benchPackets = 200_000
)

// benchFlags are the flags of gabion bench kernel, as text.
type benchFlags struct {
	sizes, families, sets, parts []string
	repetitions                  int
	json                         bool
	svg                          string
}

func newBenchCommand(a *app) *cobra.Command {
	return group("bench", "Measure gabion, and what others use, on this machine",
		`  gabion bench kernel                                  what a lookup, a packet and a million bans cost
  gabion bench engine --type syslog --log auth.log     what a log line costs`,
		newBenchKernelCommand(a), newBenchEngineCommand(a))
}

func newBenchKernelCommand(a *app) *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{
		Use:   "kernel",
		Short: "What a lookup, a packet and loading a ban set cost",
		Long: `Measure the kernel data path against what others use, all in one run:

  lookup   the shipped lookup in a loop inside the kernel, an LPM trie, a hash table with
           an LPM trie behind it; the time of an empty loop is subtracted
  receive  frames sent over a veth pair and dropped by the shipped filter, by XDP programs
           (bare: nothing but the drop; lpm: an allow and a deny trie; xdp-filter's own), by
           nftables (ingress and prerouting) and by ipset with iptables (raw). Every frame
           ends in a drop, what is not banned too: by the next rule, or behind the program,
           so that the network stack is not measured. The time of making the frames is
           subtracted
  load     from a list of addresses as text to a set in force, and kernel memory for it

Sources: clean (not banned), banned, hot (one banned source), mix90 (nine banned of ten).
1,000 networks are banned beside the hosts where a layout can hold them.

It works in network namespaces and below a directory of bpffs of its own, touches nothing
else and leaves nothing behind. Missing tools are named with their Debian package and left
out. Medians and ratios stand a busy machine, but a quiet one gives better figures: memory,
above all, is that of the whole kernel. Needs root and Linux 5.18.`,
		Example: `  sudo gabion bench kernel --sizes 0,1k,100k
  sudo gabion bench kernel --only lookup --family ipv4 --sets random,clustered
  sudo gabion bench kernel --json --svg cost.svg >cost.json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.benchKernel(cmd.Context(), f) },
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&f.sizes, "sizes", []string{"0", "1k", "100k", "1M", "10M"}, "numbers of banned hosts")
	flags.StringSliceVar(&f.families, "family", []string{"ipv4", "ipv6"}, "ipv4, ipv6 or both")
	flags.StringSliceVar(&f.parts, "only", []string{kernel.PartLookup, kernel.PartReceive, kernel.PartLoad}, "lookup, receive, load or several of them")
	flags.StringSliceVar(&f.sets, "sets", []string{"random"}, "where banned hosts are: random (all over, the worst case), clustered or both")
	flags.IntVar(&f.repetitions, "repetitions", 5, "how often everything is measured")
	flags.StringVar(&f.svg, "svg", "", "plot cost against size into this file")
	flags.BoolVar(&f.json, "json", false, "print the report as JSON (same as -o json)")
	return cmd
}

func (a *app) benchKernel(ctx context.Context, f benchFlags) error {
	if f.json {
		a.output = outputJSON
	}
	o, err := a.benchOptions(f)
	if err != nil {
		return err
	}
	var svg *os.File
	if f.svg != "" {
		// Now, and not after an hour of measuring.
		if svg, err = os.Create(f.svg); err != nil {
			return fmt.Errorf("bench kernel: %w", err)
		}
		defer svg.Close()
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	rep, err := kernel.Run(ctx, o)
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("bench kernel: interrupted: %w", err)
	}
	if err != nil {
		return fmt.Errorf("bench kernel: %w", err)
	}
	if err := a.show(rep, rep.Print); err != nil {
		return err
	}
	if svg == nil {
		return nil
	}
	return writeBenchPlot(svg, rep)
}

func writeBenchPlot(svg *os.File, rep *report.Report) error {
	if err := errors.Join(rep.WriteSVG(svg), svg.Close()); err != nil {
		return fmt.Errorf("bench kernel: %w", err)
	}
	return nil
}

func (a *app) benchOptions(f benchFlags) (kernel.Options, error) {
	o := kernel.Options{Repetitions: f.repetitions, Rounds: benchRounds, Packets: benchPackets, Now: a.now}
	if f.repetitions < 1 {
		return o, usagef("--repetitions %d: use 1 or more", f.repetitions)
	}
	for _, s := range f.sizes {
		size, err := parseSize(s)
		if err != nil {
			return o, usagef("--sizes: %w", err)
		}
		o.Sizes = append(o.Sizes, size)
	}
	slices.Sort(o.Sizes)
	o.Sizes = slices.Compact(o.Sizes)
	for _, s := range f.families {
		family, err := traffic.ParseFamily(s)
		if err != nil {
			return o, usagef("--family: %w", err)
		}
		o.Families = append(o.Families, family)
	}
	for _, s := range f.sets {
		if s != "random" && s != "clustered" {
			return o, usagef("--sets: unknown kind %q: use random or clustered", s)
		}
		o.Clustered = append(o.Clustered, s == "clustered")
	}
	for _, s := range f.parts {
		if !slices.Contains([]string{kernel.PartLookup, kernel.PartReceive, kernel.PartLoad}, s) {
			return o, usagef("--only: unknown part %q: use lookup, receive or load", s)
		}
		o.Parts = append(o.Parts, s)
	}
	begin := a.now()
	o.Progress = func(text string) {
		fmt.Fprintf(a.stderr, "%7.1fs  %s\n", a.now().Sub(begin).Round(time.Millisecond).Seconds(), printable(text, oneLine))
	}
	return o, nil
}

// maxBenchSize is where the sources that are not banned begin to run out.
const maxBenchSize = 100_000_000

// parseSize reads 1000, 1k or 10M.
func parseSize(s string) (int, error) {
	digits, factor := s, 1
	for suffix, f := range map[string]int{"k": 1000, "K": 1000, "m": 1_000_000, "M": 1_000_000} {
		if rest, ok := strings.CutSuffix(s, suffix); ok {
			digits, factor = rest, f
		}
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n < 0 || n > maxBenchSize/factor {
		return 0, fmt.Errorf("%q is no size: use a number up to 100M, such as 0, 1000, 1k or 10M", s)
	}
	return n * factor, nil
}
