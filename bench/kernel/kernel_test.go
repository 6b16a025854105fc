package kernel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"gabion/bench/kernel/report"
	"gabion/bench/kernel/traffic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root to load BPF programs and make network namespaces")
	}
	if err := checkKernel(); err != nil {
		t.Skip("SKIPPED: ", err)
	}
}

// small is a run that is soon over: its figures mean nothing, its answers are checked all the same.
func small(t *testing.T, part string) Options {
	t.Helper()
	needRoot(t)
	return Options{
		Parts: []string{part}, Sizes: []int{0, 1000}, Families: []traffic.Family{traffic.IPv4, traffic.IPv6},
		Clustered: []bool{false}, Repetitions: 2, Rounds: 2000, Packets: 2000, Now: time.Now,
	}
}

// mustRun also makes sure that nothing is left behind.
func mustRun(t *testing.T, o Options) *report.Report {
	t.Helper()
	rep, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	mustBeClean(t)
	return rep
}

func mustBeClean(t *testing.T) {
	t.Helper()
	for _, pattern := range []string{"/run/netns/gabion-lab-%d-*", "/sys/fs/bpf/gabion-bench-%d*"} {
		left, err := filepath.Glob(fmt.Sprintf(pattern, os.Getpid()))
		if err != nil || len(left) > 0 {
			t.Errorf("left behind: %v %v", left, err)
		}
	}
}

func ordered(lowest, median, highest float64) bool { return lowest <= median && median <= highest }

func TestLookupsAreMeasuredForEveryLayoutAndMix(t *testing.T) {
	o := small(t, PartLookup)
	o.Clustered = []bool{false, true}
	rep := mustRun(t, o)
	// Without bans there is only the clean mix.
	if want := 2 * 2 * 3 * (1 + 4); len(rep.Lookup) != want {
		t.Errorf("%d lookups, want %d", len(rep.Lookup), want)
	}
	seen := map[string]bool{}
	for _, l := range rep.Lookup {
		key := fmt.Sprint(l.Family, l.Set, l.Bans, l.Mix, l.Layout)
		if seen[key] || !ordered(l.Min, l.NS, l.Max) {
			t.Errorf("lookup %+v: seen before: %v", l, seen[key])
		}
		seen[key] = true
		if l.Layout == "lpm" && l.NS < 5 {
			t.Errorf("lookup %+v: no trie answers so fast", l)
		}
	}
}

// The figures of a lookup that does not find what it should are thrown away; this is how.
func TestALookupThatMissesABanIsAnErrorAndNoFigure(t *testing.T) {
	needRoot(t)
	set := traffic.Set{Family: traffic.IPv4, Bans: 500}
	peers, err := loadPeersFor(set)
	if err != nil {
		t.Fatal(err)
	}
	defer peers.Close()
	thread, err := newPinned("")
	if err != nil {
		t.Fatal(err)
	}
	defer thread.close()
	less := set
	less.Bans--
	if err := fillTrie(t.Context(), peers.Deny4, set.Family, all(less)); err != nil {
		t.Fatal(err)
	}
	mixes := mixesOf(set)
	run := &lookupRun{thread: thread, jobs: peers.Jobs, set: set, rounds: 5000, oracle: set.Oracle(true, nil), empty: peers.LookupEmpty4}
	for _, tt := range []struct {
		mix  traffic.Mix
		want bool
	}{{mixes[0], true}, {mixes[1], false}} {
		_, err := run.sample(layout{"lpm", peers.LookupLpm4}, tt.mix, 1)
		if ok := err == nil; ok != tt.want {
			t.Errorf("mix %s: error %v", tt.mix.Name, err)
		}
	}
}

func TestFramesAreReceivedAndDroppedByEveryReceiver(t *testing.T) {
	o := small(t, PartReceive)
	o.Repetitions = 1
	rep := mustRun(t, o)
	rows := map[string]int{}
	for _, r := range rep.Receive {
		rows[r.Receiver]++
		if !ordered(r.Min, r.NS, r.Max) {
			t.Errorf("receive %+v", r)
		}
	}
	for _, name := range []string{"bare", "gabion", "lpm", "xdp-filter", "nft-ingress", "nft-prerouting", "ipset-raw"} {
		t.Run(name, func(t *testing.T) {
			skipWhenLeftOut(t, rep, name)
			if want := 2 * (1 + 4); rows[name] != want {
				t.Errorf("%d rows, want %d", rows[name], want)
			}
		})
	}
}

func skipWhenLeftOut(t *testing.T, rep *report.Report, name string) {
	t.Helper()
	for _, n := range rep.Notes {
		if strings.Contains(n, name+" is left out") {
			t.Skip("SKIPPED: ", n)
		}
	}
}

// A receiver that drops more or fewer than it should makes the run fail.
func TestAReceiverThatMissesABanIsAnErrorAndNoFigure(t *testing.T) {
	o := small(t, PartReceive)
	b := &bench{Options: o, report: report.New(report.Machine{})}
	set := traffic.Set{Family: traffic.IPv4, Bans: 100}
	bed, err := b.newBed(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := bed.close(); err != nil {
			t.Error(err)
		}
	}()
	for _, r := range bed.receivers {
		t.Run(r.name, func(t *testing.T) {
			if _, err := bed.sample(r, mixesOf(set)[3], 1); err != nil {
				t.Fatal(err)
			}
			if err := r.check(t.Context()); err != nil {
				t.Error(err)
			}
			r.banned++
			if err := r.check(t.Context()); err == nil && r.name != "bare" {
				t.Error("a packet that was not dropped is not noticed")
			}
		})
	}
}

func TestLoadingIsMeasuredForEveryStructure(t *testing.T) {
	o := small(t, PartLoad)
	o.Families = o.Families[:1]
	rep := mustRun(t, o)
	rows := map[string]report.Load{}
	for _, l := range rep.Load {
		rows[l.Structure] = l
	}
	for _, name := range []string{"gabion", "lpm", "hash", "ipset", "nft"} {
		t.Run(name, func(t *testing.T) {
			skipWhenLeftOut(t, rep, name)
			if l := rows[name]; l.Entries != 1000 || l.Seconds <= 0 || !ordered(l.Min, l.Seconds, l.Max) {
				t.Errorf("load %+v", l)
			}
		})
	}
}

func TestAnInterruptedRunLeavesNothingBehind(t *testing.T) {
	for _, part := range []string{PartLookup, PartReceive, PartLoad} {
		ctx, cancel := context.WithCancel(t.Context())
		o := small(t, part)
		o.Sizes = []int{1000}
		o.Progress = func(text string) {
			if strings.Contains(text, "repetition 2") {
				cancel()
			}
		}
		if _, err := Run(ctx, o); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error %v, want that it was cancelled", part, err)
		}
		mustBeClean(t)
	}
}

func TestTheMeasuringThreadIsAsBeforeAfterwards(t *testing.T) {
	needRoot(t)
	var before, during, after unix.CPUSet
	var policy uint32
	done := make(chan error, 1)
	go func() { // on a thread of its own
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		done <- func() error {
			if err := unix.SchedGetaffinity(0, &before); err != nil {
				return err
			}
			restore, err := prepareThread("")
			if err != nil {
				return errors.Join(err, restore())
			}
			if err := unix.SchedGetaffinity(0, &during); err != nil {
				return err
			}
			if err := restore(); err != nil {
				return err
			}
			attr, err := unix.SchedGetAttr(0, 0)
			if err != nil {
				return err
			}
			policy = attr.Policy
			return unix.SchedGetaffinity(0, &after)
		}()
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if during.Count() != 1 || after != before || policy != unix.SCHED_NORMAL {
		t.Errorf("CPUs before %d, during %d, after %d; policy %d", before.Count(), during.Count(), after.Count(), policy)
	}
}
