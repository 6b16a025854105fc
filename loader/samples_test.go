package loader

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gabion/userspace/decision"
)

func mustSampler(t *testing.T, p *Plane) *Sampler {
	t.Helper()
	s, err := OpenSampler(p.dir, 1000)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// filters are the programs that drop.
func filters(p *Plane) map[string]*ebpf.Program {
	return map[string]*ebpf.Program{"xdp": p.xdp, "tc": p.tc}
}

// errEnough ends a test's Run.
var errEnough = errors.New("enough samples")

// mustSamples waits for n samples.
func mustSamples(t *testing.T, s *Sampler, n int) []Sample {
	t.Helper()
	var out []Sample
	err := s.Run(t.Context(), func(got Sample) error {
		if out = append(out, got); len(out) == n {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Fatalf("run sampler: %v", err)
	}
	return out
}

func mustBannedPlane(t *testing.T) *Plane {
	t.Helper()
	p := mustOpen(t, small(pinDir(t)))
	mustBan(t, p,
		ban("192.0.2.1/32", decision.ClassBan, inAnHour()),
		ban("192.0.2.2/32", 5, inAnHour()),
		ban("2001:db8:1::/48", decision.ClassBan, inAnHour()),
		ban("192.0.2.3/32", decision.ClassShadow, inAnHour()),
	)
	if err := p.SetClass(5, decision.ModeDrop); err != nil {
		t.Fatal(err)
	}
	return p
}

// long returns a frame of exactly n bytes.
func long(frame []byte, n int) []byte {
	for i := len(frame); i < n; i++ {
		frame = append(frame, byte(i))
	}
	return frame
}

func TestASampleSaysWhatWasDroppedAndWhy(t *testing.T) {
	p := mustBannedPlane(t)
	s := mustSampler(t, p)
	l4 := tcp(4242, 22, synFlag)
	v4 := func() []byte { return frame(eth(ethIPv4), ipv4("192.0.2.1", protoTCP, 0), l4) }
	for _, tt := range []struct {
		name  string
		frame []byte
		want  Sample
	}{
		{"v4", v4(), Sample{Reason: DroppedByBan, Source: netip.MustParseAddr("192.0.2.1")}},
		{"v4 behind tags", frame(eth(ethAD), vlan(ethQ), vlan(ethIPv4), ipv4("192.0.2.1", protoTCP, 0), l4),
			Sample{Reason: DroppedByBan, Source: netip.MustParseAddr("192.0.2.1")}},
		{"class of a list", frame(eth(ethIPv4), ipv4("192.0.2.2", protoTCP, 0), l4),
			Sample{Reason: DroppedByBan, Class: 5, Source: netip.MustParseAddr("192.0.2.2")}},
		{"v6", frame(eth(ethIPv6), ipv6("2001:db8:1::9", protoTCP), l4),
			Sample{Reason: DroppedByBan, Source: netip.MustParseAddr("2001:db8:1::9")}},
		{"too many tags", frame(eth(ethQ), vlan(ethQ), vlan(ethQ), vlan(ethIPv4), ipv4("192.0.2.1", protoTCP, 0), l4),
			Sample{Reason: DroppedForTags}},
		{"cut off behind the IP header", v4()[:34], Sample{Reason: DroppedByBan, Source: netip.MustParseAddr("192.0.2.1")}},
		{"one byte less than a sample holds", long(v4(), 95), Sample{Reason: DroppedByBan, Source: netip.MustParseAddr("192.0.2.1")}},
		{"as much as a sample holds", long(v4(), 96), Sample{Reason: DroppedByBan, Source: netip.MustParseAddr("192.0.2.1")}},
		{"one byte more", long(v4(), 97), Sample{Reason: DroppedByBan, Source: netip.MustParseAddr("192.0.2.1")}},
		{"long", long(v4(), 1400), Sample{Reason: DroppedByBan, Source: netip.MustParseAddr("192.0.2.1")}},
	} {
		tt.want.Length, tt.want.Data = len(tt.frame), tt.frame[:min(len(tt.frame), 96)]
		for name, prog := range filters(p) {
			t.Run(name+" "+tt.name, func(t *testing.T) {
				before := time.Now().Add(-time.Second)
				mustRun(t, prog, bytes.Clone(tt.frame))
				got := mustSamples(t, s, 1)[0]
				if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreFields(Sample{}, "Time", "Ifindex", "Interface"),
					cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
					t.Errorf("sample (-want +got):\n%s", diff)
				}
				if got.Time.Before(before) || got.Time.After(time.Now().Add(time.Second)) {
					t.Errorf("sample is of %s, now is %s", got.Time, time.Now())
				}
			})
		}
	}
}

func TestWithoutAFollowerNothingIsSampled(t *testing.T) {
	p := mustBannedPlane(t)
	for _, prog := range filters(p) {
		mustRun(t, prog, probe(t, "192.0.2.1"))
	}
	st := mustStats(t, p)
	if st.DroppedV4 != 2 || st.Samples+st.SamplesFull+st.SamplesOverBudget != 0 {
		t.Errorf("%d dropped, %d sampled, %d without room, %d over budget; want 2 and no samples",
			st.DroppedV4, st.Samples, st.SamplesFull, st.SamplesOverBudget)
	}
}

func TestOnlyDroppedPacketsAreSampled(t *testing.T) {
	p := mustBannedPlane(t)
	mustSampler(t, p)
	for _, src := range []string{"203.0.113.1", "192.0.2.3", "2001:db8:9::1"} {
		mustVerdict(t, p, probe(t, src))
	}
	if n := mustStats(t, p).Samples; n != 0 {
		t.Errorf("%d samples of packets that passed", n)
	}
}

func TestTheRingHasOneReaderAndEachStartsAfresh(t *testing.T) {
	p := mustBannedPlane(t)
	first := mustSampler(t, p)
	if _, err := OpenSampler(p.dir, 1); !errors.Is(err, ErrFollowed) {
		t.Fatalf("a second follower: %v, want ErrFollowed", err)
	}
	mustVerdict(t, p, probe(t, "192.0.2.1"))
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	mustVerdict(t, p, probe(t, "192.0.2.1"))
	if n := mustStats(t, p).Samples; n != 1 {
		t.Errorf("%d samples after the follower has ended, want the one before", n)
	}
	second := mustSampler(t, p)
	mustVerdict(t, p, probe(t, "192.0.2.2"))
	if got := mustSamples(t, second, 1)[0].Source.String(); got != "192.0.2.2" {
		t.Errorf("the second follower's first sample is of %s, want 192.0.2.2", got)
	}
}

func TestFollowingEndsWithItsContextOrWithThePins(t *testing.T) {
	p := mustBannedPlane(t)
	s := mustSampler(t, p)
	handle := func(Sample) error { return nil }
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx, handle); err != nil {
		t.Errorf("with its context over: %v", err)
	}
	mustClose(t, p)
	if err := Remove(p.dir); err != nil {
		t.Fatal(err)
	}
	s.renewed = 0 // long ago
	if err := s.Run(t.Context(), handle); !errors.Is(err, ErrNotLoaded) {
		t.Errorf("with its pins removed: %v, want ErrNotLoaded", err)
	}
}

func TestOpenSamplerNamesWhatIsWrong(t *testing.T) {
	needRoot(t)
	if _, err := OpenSampler("/sys/fs/bpf/gabion-test-none", 1); !errors.Is(err, ErrNotLoaded) {
		t.Errorf("without pins: %v, want ErrNotLoaded", err)
	}
	for _, rate := range []uint32{0, MaxSampleRate + 1} {
		if _, err := OpenSampler("/sys/fs/bpf/gabion-test-none", rate); err == nil || !contains(err, "samples per second") {
			t.Errorf("rate %d: %v, want an error that says which rates there are", rate, err)
		}
	}
}

// sampleBench is the test object with a small ring of samples and a clock that stands.
type sampleBench struct {
	*testbpfObjects
	reader *ringbuf.Reader
}

func mustLoadSampling(t *testing.T) sampleBench {
	t.Helper()
	needRoot(t)
	spec, err := loadTestbpf()
	if err != nil {
		t.Fatal(err)
	}
	spec.Maps["samples"].MaxEntries = uint32(os.Getpagesize())
	b := sampleBench{testbpfObjects: &testbpfObjects{}}
	if err := spec.LoadAndAssign(b.testbpfObjects, nil); err != nil {
		t.Fatalf("load test object: %+v", err)
	}
	t.Cleanup(func() { b.Close() })
	if b.reader, err = ringbuf.NewReader(b.testbpfObjects.Samples); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.reader.Close() })
	pinCPU(t)
	return b
}

// drop sends n packets that are dropped for their tags and returns the times of the samples taken.
func (b sampleBench) drop(t *testing.T, n int) []uint64 {
	t.Helper()
	for range n {
		mustRun(t, b.TestFilter, frame(eth(ethQ), vlan(ethQ), vlan(ethQ), vlan(ethIPv4)))
	}
	b.reader.SetDeadline(time.Unix(1, 0))
	var out []uint64
	for {
		rec, err := b.reader.Read()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		var s bpfDropSample
		if _, err := binary.Decode(rec.RawSample, binary.NativeEndian, &s); err != nil {
			t.Fatal(err)
		}
		out = append(out, s.Time)
	}
}

func (b sampleBench) ask(t *testing.T, until uint64, budget uint32) {
	t.Helper()
	if err := b.Sampling.Put(uint32(0), &testbpfSampling{Until: until, Budget: budget}); err != nil {
		t.Fatal(err)
	}
}

func TestTheBudgetIsPerSecond(t *testing.T) {
	b := mustLoadSampling(t)
	const second = uint64(time.Second)
	b.ask(t, 100*second, 2)
	for _, tt := range []struct {
		now  uint64
		want int
	}{
		{10 * second, 2}, {11*second - 1, 0}, {11 * second, 2}, {11*second + 1, 0}, {90 * second, 2},
	} {
		mustSetClock(t, b.testbpfObjects, tt.now)
		got := b.drop(t, 5)
		if len(got) != tt.want || len(got) > 0 && got[0] != tt.now {
			t.Errorf("at %d ns: samples of %d, want %d of now", tt.now, got, tt.want)
		}
	}
	p := Plane{maps: planeMaps{bpfMaps: bpfMaps{Stats: b.Stats}}}
	if st := mustStats(t, &p); st.Samples != 6 || st.SamplesOverBudget != 19 {
		t.Errorf("counted %d samples and %d over budget, want 6 and 19", st.Samples, st.SamplesOverBudget)
	}
}

func TestAFollowerThatNoLongerRenewsStopsCosting(t *testing.T) {
	b := mustLoadSampling(t)
	const until = 5_000_000_000
	b.ask(t, until, 1000)
	mustSetClock(t, b.testbpfObjects, until-1)
	if got := b.drop(t, 3); len(got) != 3 {
		t.Errorf("%d samples one ns before the end, want 3", len(got))
	}
	mustSetClock(t, b.testbpfObjects, until)
	if got := b.drop(t, 3); len(got) != 0 {
		t.Errorf("%d samples at the end, want none", len(got))
	}
	var left testbpfSampling
	if err := b.Sampling.Lookup(uint32(0), &left); err != nil {
		t.Fatal(err)
	}
	if left.Until != 0 {
		t.Errorf("sampling is still asked for until %d", left.Until)
	}
}

func TestSamplesWithoutRoomAreCounted(t *testing.T) {
	b := mustLoadSampling(t)
	b.ask(t, 1<<62, 1000)
	mustSetClock(t, b.testbpfObjects, 1)
	const packets = 100
	got := len(b.drop(t, packets))
	p := Plane{maps: planeMaps{bpfMaps: bpfMaps{Stats: b.Stats}}}
	st := mustStats(t, &p)
	if got == 0 || got == packets || int(st.Samples) != got || int(st.SamplesFull) != packets-got {
		t.Errorf("%d of %d packets sampled; counted: %d samples, %d without room", got, packets, st.Samples, st.SamplesFull)
	}
}

func TestPacketsDroppedOnAnInterfaceAreSampledThere(t *testing.T) {
	for _, mode := range []Mode{ModeNative, ModeGeneric, ModeTC} {
		t.Run(string(mode), func(t *testing.T) {
			n := mustNetwork(t)
			p := mustOpen(t, small(pinDir(t)))
			mustAttach(t, n, p, mode)
			mustBan(t, p, ban(client4+"/32", decision.ClassBan, inAnHour()))
			s := mustSampler(t, p)
			in(t, n.client, func() {
				c, err := net.Dial("udp", net.JoinHostPort(server4, "9"))
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				if _, err := c.Write(make([]byte, 200)); err != nil {
					t.Fatal(err)
				}
			})
			var got Sample
			in(t, n.server, func() { got = mustSamples(t, s, 1)[0] })
			const length = 14 + 20 + 8 + 200
			if got.Interface != serverIf || got.Source.String() != client4 || got.Length != length || len(got.Data) != SampleBytes {
				t.Errorf("sample = %+v, want one of %d bytes from %s on %s", got, length, client4, serverIf)
			}
		})
	}
}
