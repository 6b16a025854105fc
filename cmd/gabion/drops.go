package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"gabion/loader"
	"gabion/userspace/capture"
	"gabion/userspace/decision"
)

// How much `drops` shows when it is not told to follow.
const (
	lookFor  = time.Second
	lookMost = 100 // samples
)

// toStdout is the --pcap FILE that means standard output.
const toStdout = "-"

// dropFlags are the flags of `drops`.
type dropFlags struct {
	follow bool
	pcap   string
	count  int
	rate   uint32
	source string
	iface  string
	pins   string
}

func newDropsCommand(a *app) *cobra.Command {
	var f dropFlags
	cmd := &cobra.Command{
		Use:   "drops",
		Short: "Show packets that are dropped: from whom, to which port, by which decision",
		Long: `Show packets that are dropped, as they are: from whom, to which port, what dropped them and
the decision behind it. Without flags it looks for one second; --follow goes on until it is
interrupted. --pcap writes the first 96 bytes of each packet to a file that tcpdump and
Wireshark read, until it is interrupted, and shows none unless --follow is there as well.

The kernel samples only while somebody looks, and no more than --rate packets per second on
each CPU of what bans drop, and of what meters do, so that looking never costs what dropping
saves. --source and --interface choose
among these samples. It works with and without a running daemon; only a daemon knows the
scenario behind a decision. One process at a time can look.`,
		Example: `  gabion drops --follow
  gabion drops --follow --source 192.0.2.0/24 -o json
  gabion drops --pcap drops.pcap --count 1000
  gabion drops --pcap - | tcpdump -nn -r -`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.drops(cmd.Context(), f) },
	}
	flags := cmd.Flags()
	flags.BoolVarP(&f.follow, "follow", "f", false, "go on until interrupted")
	flags.StringVar(&f.pcap, "pcap", "", "write packets to this file, or with - to standard output")
	flags.IntVarP(&f.count, "count", "n", 0, "end after so many packets (without --follow and --pcap 100; 0: never)")
	flags.Uint32Var(&f.rate, "rate", 100, "packets sampled per second on each CPU, of each reason")
	flags.StringVarP(&f.source, "source", "s", "", "only packets from this address or prefix")
	flags.StringVarP(&f.iface, "interface", "i", "", "only packets that arrived on this interface")
	pinDirFlag(cmd, &f.pins)
	return cmd
}

// errShown ends the reading of samples when as many as wanted have been shown.
var errShown = errors.New("shown")

func (a *app) drops(ctx context.Context, f dropFlags) error {
	choose, err := a.checkDrops(&f)
	if err != nil {
		return err
	}
	// SIGPIPE: whoever reads may stop reading (gabion drops --follow | head).
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	defer stop()
	c, err := a.client()
	if err != nil {
		return err
	}
	plane, dir, err := a.openPins(f.pins)
	if err != nil {
		return err
	}
	defer plane.Close()
	sampler, err := loader.OpenSampler(dir, f.rate)
	if err != nil {
		return err
	}
	defer sampler.Close()
	view, err := a.newDropView(f, newDecisionFinder(c, plane, a.now, a.stderr))
	if err != nil {
		return err
	}
	before, err := plane.Stats()
	if err != nil {
		return errors.Join(err, view.close())
	}
	err = a.watch(ctx, f, sampler, choose, view)
	if closeErr := view.close(); err == nil {
		err = closeErr
	}
	if errors.Is(err, syscall.EPIPE) {
		return nil
	}
	if err != nil {
		return err
	}
	after, err := plane.Stats()
	if err != nil || a.output == outputJSON {
		return err
	}
	return view.summary(a.stderr, after.Dropped()-before.Dropped())
}

// watch hands samples that are chosen to the view, until it is time or there are enough.
func (a *app) watch(ctx context.Context, f dropFlags, sampler *loader.Sampler, choose func(loader.Sample) bool, view *dropView) error {
	most := f.count
	if !f.follow && f.pcap == "" {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, lookFor)
		defer cancel()
		if most == 0 {
			most = lookMost
		}
	}
	err := sampler.Run(ctx, func(s loader.Sample) error {
		if !choose(s) {
			return nil
		}
		if err := view.add(ctx, s); err != nil {
			return err
		}
		if view.shown == most {
			return errShown
		}
		return nil
	})
	if errors.Is(err, errShown) {
		return nil
	}
	return err
}

// checkDrops looks for mistakes in the flags and returns which samples they choose.
func (a *app) checkDrops(f *dropFlags) (func(loader.Sample) bool, error) {
	var source netip.Prefix
	switch {
	case f.count < 0:
		return nil, usagef("--count %d: give a number of packets, or 0 to go on until interrupted", f.count)
	case f.rate < 1 || f.rate > loader.MaxSampleRate:
		return nil, usagef("--rate %d: give 1 to %d packets per second", f.rate, loader.MaxSampleRate)
	case f.pcap == toStdout && f.follow:
		return nil, usagef("--pcap - takes standard output: leave --follow out, or name a file")
	case f.pcap == toStdout && a.terminal:
		return nil, usagef("--pcap - would write packets to the terminal: name a file, or send them through a pipe to tcpdump -r -")
	}
	if f.source != "" {
		var err error
		if source, err = decision.ParsePrefix(f.source); err != nil {
			return nil, usageError{fmt.Errorf("--source: %w", err)}
		}
	}
	return func(s loader.Sample) bool {
		return (f.source == "" || source.Contains(s.Source)) && (f.iface == "" || s.Interface == f.iface)
	}, nil
}

// dropView is where samples are shown and written.
type dropView struct {
	show  func(dropRecord) error // nil: only written
	end   func() error           // prints what show has kept; may be nil
	find  *decisionFinder
	pcap  *capture.Writer // nil: not written
	file  io.Closer       // under pcap; nil for standard output
	name  string          // of the file
	shown int
}

func (a *app) newDropView(f dropFlags, find *decisionFinder) (*dropView, error) {
	v := &dropView{find: find, name: f.pcap}
	if f.pcap != "" {
		to := a.stdout
		if f.pcap == toStdout {
			v.name = "standard output"
		} else {
			file, err := os.OpenFile(f.pcap, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
			if err != nil {
				return nil, fmt.Errorf("create pcap file: %w", err)
			}
			to, v.file = file, file
		}
		var err error
		if v.pcap, err = capture.NewWriter(to, loader.SampleBytes); err != nil {
			return nil, errors.Join(err, v.close())
		}
	}
	if f.pcap != "" && !f.follow {
		return v, nil
	}
	var err error
	switch {
	case a.output == outputJSON:
		v.show = jsonDrops(a.stdout)
	case f.follow:
		v.show, err = followDrops(a.stdout)
	default:
		v.show, v.end = listDrops(a.stdout)
	}
	if err != nil {
		return nil, errors.Join(err, v.close())
	}
	return v, nil
}

func (v *dropView) add(ctx context.Context, s loader.Sample) error {
	v.shown++
	if v.pcap != nil {
		if err := v.pcap.Write(s.Time, s.Length, s.Data); err != nil {
			return err
		}
	}
	if v.show == nil {
		return nil
	}
	return v.show(recordOf(s, v.find.decision(ctx, s)))
}

func (v *dropView) close() error {
	var errs []error
	if v.end != nil {
		errs = append(errs, v.end())
	}
	if v.file != nil {
		errs = append(errs, v.file.Close())
	}
	return errors.Join(errs...)
}

// summary says how much of what was dropped has been shown: the budget hides the rest.
func (v *dropView) summary(w io.Writer, dropped uint64) error {
	what := "shown"
	if v.pcap != nil {
		what = "written to " + v.name
	}
	_, err := fmt.Fprintf(w, "%s dropped meanwhile, %d %s.\n", count(dropped, "packet"), v.shown, what)
	return err
}
