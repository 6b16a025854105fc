package loader

import (
	"flag"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// The full run: go test ./loader -run Stress -stress 60s
var stressFor = flag.Duration("stress", 0, "how long tables are written while they are read; 0: a few hundred operations")

const (
	stressOperations = 200   // of the short run, after one of each kind
	readsPerRun      = 65536 // lookups that one system call makes
)

// A source that is banned throughout must be dropped by every lookup, and one that is never banned by
// none, whatever the writer does in the meantime.
func TestStressLookupsAreRightWhileTheTablesChange(t *testing.T) {
	o := Options{Dir: pinDir(t), MaxBans: 1 << 20, MaxAllows: 1 << 10}
	p := mustOpen(t, o)
	w := newWriter(*fuzzSeed, p)
	if err := w.begin(); err != nil {
		t.Fatal(err)
	}
	targets := w.targets()
	b := mustLoadBatch(t, p, uint32(len(targets)), readsPerRun)
	mustSetTargets(t, b, targets)

	var stop atomic.Bool
	var readers sync.WaitGroup
	errs := make([]error, runtime.NumCPU())
	for cpu := range errs {
		readers.Go(func() { errs[cpu] = runReader(b.objs.TestRead, cpu, &stop) })
	}
	err := w.write(*stressFor)
	stop.Store(true)
	readers.Wait()
	if err != nil {
		t.Errorf("seed %d: %v", *fuzzSeed, err)
	}
	for cpu, err := range errs {
		if err != nil {
			t.Errorf("reader on CPU %d: %v", cpu, err)
		}
	}
	mustHaveNoViolation(t, b, targets)
	t.Logf("operations: %s", w.report())
}

func mustHaveNoViolation(t *testing.T, b *batch, targets []target) {
	t.Helper()
	var perCPU []batchbpfTally
	if err := b.objs.Tallies.Lookup(uint32(0), &perCPU); err != nil {
		t.Fatal(err)
	}
	var sum batchbpfTally
	for cpu, c := range perCPU {
		sum.Lookups4, sum.Lookups6 = sum.Lookups4+c.Lookups4, sum.Lookups6+c.Lookups6
		sum.Missed, sum.Found = sum.Missed+c.Missed, sum.Found+c.Found
		if c.Missed+c.Found > 0 {
			t.Errorf("seed %d: CPU %d missed %d lookups of banned sources and found %d of others; the last one is %v, with outcome %d",
				*fuzzSeed, cpu, c.Missed, c.Found, targets[c.Last], c.LastResult)
		}
	}
	if sum.Lookups4 == 0 || sum.Lookups6 == 0 {
		t.Error("nobody read")
	}
	t.Logf("%d lookups of IPv4 and %d of IPv6 sources: %d violations", sum.Lookups4, sum.Lookups6, sum.Missed+sum.Found)
}

// runReader looks sources up on one CPU, in a thread of its own, until stop is set.
func runReader(prog *ebpf.Program, cpu int, stop *atomic.Bool) error {
	runtime.LockOSThread() // and never unlocked: the thread ends here, it is of no use elsewhere
	var one unix.CPUSet
	one.Set(cpu)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return fmt.Errorf("run on CPU %d: %w", cpu, err)
	}
	for !stop.Load() {
		if _, err := prog.Run(&ebpf.RunOptions{Data: make([]byte, batchIdle), Repeat: 8}); err != nil {
			return fmt.Errorf("look up sources: %w", err)
		}
	}
	return nil
}

// target is a source that the readers look up.
type target struct {
	addr   netip.Addr
	banned bool
}

func (tg target) String() string {
	return fmt.Sprintf("%s (banned throughout: %v)", tg.addr, tg.banned)
}

func mustSetTargets(t testing.TB, b *batch, targets []target) {
	t.Helper()
	keys, values := make([]uint32, len(targets)), make([]batchbpfTarget, len(targets))
	for i, tg := range targets {
		keys[i] = uint32(i)
		values[i].Source.Addr = tg.addr.As16()
		values[i].Family = 6
		if tg.addr.Is4() {
			values[i].Family = 4
		}
		if tg.banned {
			values[i].Banned = 1
		}
	}
	if _, err := b.objs.Targets.BatchUpdate(keys, values, nil); err != nil {
		t.Fatalf("write targets: %v", err)
	}
}
