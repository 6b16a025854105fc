package loader

import (
	"encoding/binary"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
)

// Layout of struct trial in bpf/batch.bpf.c.
const (
	trialCount   = 2048
	trialNow     = 0
	trialLen     = 8
	trialOutcome = 12
	trialData    = 16
	trialSize    = 256
	trialBytes   = trialSize - trialData
)

// batchIdle is what the kernel is given as the packet that the trials are copied into.
const batchIdle = 64

// batch is the filter with the tables of a plane and a clock of its own. It judges many frames in one
// system call.
type batch struct {
	objs     batchbpfObjects
	memory   *ebpf.Memory
	buf      []byte // the trials being collected
	n        int
	outcomes []seen
}

// needBatch skips on kernels that cannot load the batch programs.
func needBatch(t testing.TB) {
	t.Helper()
	needRoot(t)
	for _, fn := range []asm.BuiltinFunc{asm.FnLoop, asm.FnXdpStoreBytes} {
		if features.HaveProgramHelper(ebpf.XDP, fn) != nil {
			t.Skipf("SKIPPED: needs %v (kernel 5.18)", fn)
		}
	}
}

// mustLoadBatch loads the batch programs against the tables of a plane; targets and reads are knobs of
// test_read.
func mustLoadBatch(t testing.TB, p *Plane, targets, reads uint32) *batch {
	t.Helper()
	needBatch(t)
	spec, err := loadBatchbpf()
	if err != nil {
		t.Fatal(err)
	}
	for knob, v := range map[string]uint32{"target_count": targets, "reads": reads} {
		if err := spec.Variables[knob].Set(v); err != nil {
			t.Fatal(err)
		}
	}
	b := &batch{buf: make([]byte, trialCount*trialSize), outcomes: outcomeCounters()}
	err = spec.LoadAndAssign(&b.objs, &ebpf.CollectionOptions{MapReplacements: mustBind(t, p, spec)})
	if err != nil {
		t.Fatalf("load batch object: %+v", err)
	}
	t.Cleanup(func() { b.objs.Close() })
	if b.memory, err = b.objs.Trials.Memory(); err != nil {
		t.Fatal(err)
	}
	return b
}

// mustBind gives the tables that spec is to share with the plane. Counters, meters and rings are its own.
func mustBind(t testing.TB, p *Plane, spec *ebpf.CollectionSpec) map[string]*ebpf.Map {
	t.Helper()
	shared, err := p.Bind(spec)
	if err != nil {
		t.Fatal(err)
	}
	for _, own := range []string{bpfMapStats, bpfMapMeters, bpfMapEvents, bpfMapSamples} {
		delete(shared, own)
	}
	return shared
}

// add collects a frame that arrives at a time in jiffies, and says whether the batch is full then.
func (b *batch) add(frame []byte, now uint64) (full bool) {
	s := b.buf[b.n*trialSize:][:trialSize]
	binary.NativeEndian.PutUint64(s[trialNow:], now)
	binary.NativeEndian.PutUint32(s[trialLen:], uint32(len(frame)))
	copy(s[trialData:], frame)
	b.n++
	return b.n == trialCount
}

// trial is the i-th frame of the batch that was judged last.
func (b *batch) trial(i int) []byte {
	s := b.buf[i*trialSize:][:trialSize]
	return s[trialData:][:binary.NativeEndian.Uint32(s[trialLen:])]
}

// mustJudge runs the program on what was collected, calls f with what became of each, and empties the
// batch.
func (b *batch) mustJudge(t testing.TB, f func(i int, got seen)) {
	t.Helper()
	used := b.buf[:b.n*trialSize]
	if _, err := b.memory.WriteAt(used, 0); err != nil {
		t.Fatal(err)
	}
	if err := b.objs.TrialCount.Set(uint32(b.n)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.objs.TestBatch.Run(&ebpf.RunOptions{Data: make([]byte, batchIdle)}); err != nil {
		t.Fatalf("run batch: %v", err)
	}
	if _, err := b.memory.ReadAt(used, 0); err != nil {
		t.Fatal(err)
	}
	for i := range b.n {
		which := binary.NativeEndian.Uint32(used[i*trialSize+trialOutcome:])
		if int(which) >= len(b.outcomes) {
			t.Fatalf("trial %d of the batch: the program says %d, which is no outcome (bpf/batch.bpf.c)", i, which)
		}
		f(i, b.outcomes[which])
	}
	b.n = 0
}
