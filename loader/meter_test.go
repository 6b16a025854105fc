package loader

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/google/go-cmp/cmp"

	"gabion/userspace/meter"
)

// testHZ is the frequency of the jiffies that tests set: a jiffy is a millisecond.
const testHZ = 1000

// meterBench is the test object with meters, a small ring and clocks that stand.
type meterBench struct {
	*testbpfObjects
	reader *ringbuf.Reader
	plane  *Plane
}

func mustLoadMeter(t *testing.T, budget uint64, meters ...*meter.Meter) meterBench {
	t.Helper()
	b := meterBench{plane: mustOpen(t, small(pinDir(t)))}
	b.plane.abi.Hz = testHZ
	b.testbpfObjects = mustBindTest(t, b.plane, func(spec *ebpf.CollectionSpec, plane map[string]*ebpf.Map) {
		delete(plane, "events")
		spec.Maps["events"].MaxEntries = uint32(os.Getpagesize())
		for _, name := range []string{"events_budget", "unproven_budget"} {
			if err := spec.Variables[name].Set(budget); err != nil {
				t.Fatal(err)
			}
		}
	})
	var err error
	if b.reader, err = ringbuf.NewReader(b.Events); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.reader.Close() })
	b.set(t, meters...)
	b.at(t, 5*time.Second)
	return b
}

func (b meterBench) set(t *testing.T, meters ...*meter.Meter) {
	t.Helper()
	if err := b.plane.SetMeters(meters); err != nil {
		t.Fatal(err)
	}
}

// at sets both clocks.
func (b meterBench) at(t *testing.T, now time.Duration) {
	t.Helper()
	mustSetJiffies(t, b.testbpfObjects, uint64(now/(time.Second/testHZ)))
	mustSetClock(t, b.testbpfObjects, uint64(now))
}

func (b meterBench) connect(t *testing.T, src string, n int) {
	t.Helper()
	for i := range n {
		mustRun(t, b.TestFilter, synFrom(src, uint16(1024+i)))
	}
}

// send runs a frame so many times and returns how often it passed.
func (b meterBench) send(t *testing.T, n int, frame []byte) (passed int) {
	t.Helper()
	for range n {
		if mustRun(t, b.TestFilter, frame) == xdpPass {
			passed++
		}
	}
	return passed
}

// raw reads what waits in the ring.
func (b meterBench) raw(t *testing.T) (out []bpfMeterEvent) {
	t.Helper()
	b.reader.SetDeadline(time.Unix(1, 0))
	for {
		rec, err := b.reader.Read()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		e, err := parseEvent(rec.RawSample)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
}

// events reads what waits in the ring, a line each.
func (b meterBench) events(t *testing.T) (out []string) {
	t.Helper()
	for _, e := range b.raw(t) {
		ev := eventOf(&e)
		key := ev.Prefix.String()
		if !ev.Prefix.IsValid() {
			key = "any"
		}
		out = append(out, fmt.Sprintf("%s count %d of %d port %d established %t at %s",
			key, ev.Count, ev.Limit, ev.DstPort, ev.Established, time.Duration(e.Time)))
	}
	return out
}

// perSecond returns a meter of the packets per source and second, which a test makes another.
func perSecond(limit uint64, change ...func(*meter.Meter)) *meter.Meter {
	m := &meter.Meter{Name: "test/meter", Per: meter.Source, Limit: limit, Window: time.Second}
	for _, f := range change {
		f(m)
	}
	return m
}

func newConnections(limit uint64) *meter.Meter {
	return perSecond(limit, func(m *meter.Meter) {
		m.Match.Protocol, m.Count = meter.TCP, meter.Connections
	})
}

func synFrom(src string, sport uint16) []byte {
	if netip.MustParseAddr(src).Is4() {
		return frame(eth(ethIPv4), ipv4(src, protoTCP, 0), tcp(sport, 443, synFlag))
	}
	return frame(eth(ethIPv6), ipv6(src, protoTCP), tcp(sport, 443, synFlag))
}

func TestASourceThatIsNotProvenIsReportedOncePerWindowAboveTwiceTheLimit(t *testing.T) {
	for _, src := range []string{"203.0.113.5", "2001:db8:5::5"} {
		addr := netip.MustParseAddr(src)
		want := func(now time.Duration) []string {
			return []string{fmt.Sprintf("%s/%d count 21 of 10 port 443 established false at %s", src, addr.BitLen(), now)}
		}
		t.Run(src, func(t *testing.T) {
			b := mustLoadMeter(t, 1000, newConnections(10))
			now := 5 * time.Second
			b.connect(t, src, 20)
			if got := b.events(t); got != nil {
				t.Errorf("events at twice the limit = %q, want none", got)
			}
			b.connect(t, src, 100)
			if diff := cmp.Diff(want(now), b.events(t)); diff != "" {
				t.Errorf("events above twice the limit (-want +got):\n%s", diff)
			}
			b.at(t, now+time.Second-time.Millisecond)
			b.connect(t, src, 100)
			if got := b.events(t); got != nil {
				t.Errorf("events later in the same window = %q, want none", got)
			}
			now += time.Second
			b.at(t, now)
			b.connect(t, src, 100)
			if diff := cmp.Diff(want(now), b.events(t)); diff != "" {
				t.Errorf("events of the next window (-want +got):\n%s", diff)
			}
		})
	}
}

// A source far away sends a whole burst before the server's answers are back: proof comes late.
func TestABurstThatIsProvenLaterIsReportedAgainAsEstablished(t *testing.T) {
	m := newConnections(10)
	b := mustLoadMeter(t, 1000, m)
	const src = "203.0.113.5"
	b.connect(t, src, 30)
	if got := b.events(t); len(got) != 1 || !strings.Contains(got[0], "established false") {
		t.Fatalf("events of the burst = %q, want one that is not established", got)
	}
	b.complete(t, src, m)
	b.connect(t, src, 10)
	if got := b.events(t); len(got) != 1 || !strings.Contains(got[0], "count 31 of 10") || !strings.Contains(got[0], "established true") {
		t.Errorf("events once it is proven = %q, want one at the next connection", got)
	}
}

// complete proves the sample of a source that is above a meter's limit.
func (b meterBench) complete(t *testing.T, src string, m *meter.Meter) {
	t.Helper()
	source := testbpfSource{Addr: netip.MustParseAddr(src).As16(), Meter: mustMeterID(t, m)}
	var conn testbpfConn
	if err := b.Conns.Lookup(&source, &conn); err != nil {
		t.Fatal(err)
	}
	conn.Proven = 1<<proofNeeded - 1
	if err := b.Conns.Put(&source, &conn); err != nil {
		t.Fatal(err)
	}
}

func TestConnectionsBetweenHalfTheLimitAndTheLimitAreDrawnEvenly(t *testing.T) {
	const limit, windows = 40, 400
	m := newConnections(limit)
	b := mustLoadMeter(t, 1000, m)
	src := testbpfSource{Addr: netip.MustParseAddr("203.0.113.5").As16(), Meter: mustMeterID(t, m)}
	drawn := map[uint16]int{}
	for w := range windows {
		b.at(t, time.Duration(5+w)*time.Second)
		b.connect(t, "203.0.113.5", 2*limit)
		var conn testbpfConn
		if err := b.Conns.Lookup(&src, &conn); err != nil {
			t.Fatal(err)
		}
		for _, f := range conn.Flow {
			drawn[swap(f.Sport)-1024]++
		}
	}
	const each = windows * 8 / (limit / 2) // on average, of a binomial distribution: 3 in 1,000,000,000 are outside
	for nth := range uint16(2 * limit) {
		n := drawn[nth]
		switch inside := nth >= limit/2 && nth < limit; {
		case inside && (n < each-6*10 || n > each+6*10):
			t.Errorf("connection %d was drawn %d times, want about %d", nth+1, n, each)
		case !inside && n > 0:
			t.Errorf("connection %d was drawn %d times, want 0", nth+1, n)
		}
	}
}

func TestOnlyNewConnectionsOfOneSourceCount(t *testing.T) {
	b := mustLoadMeter(t, 1000, newConnections(10))
	const src = "203.0.113.5"
	for i := range 50 {
		for _, f := range [][]byte{
			frame(eth(ethIPv4), ipv4(src, protoTCP, 0), tcp(80, uint16(i), synFlag|ackFlag)),
			frame(eth(ethIPv4), ipv4(src, protoTCP, 0), tcp(uint16(i), 80, ackFlag)),
			frame(eth(ethIPv4), ipv4(src, protoTCP, 0), tcp(uint16(i), 80, finFlag|ackFlag)),
			frame(eth(ethIPv4), ipv4(src, protoUDP, 0), udp(uint16(i), 53)),
			frame(eth(ethIPv4), fragment(ipv4(src, protoTCP, 0), 7, false), tcp(uint16(i), 80, synFlag)),
			synFrom(fmt.Sprintf("203.0.113.%d", i+100), 1024),
		} {
			mustRun(t, b.TestFilter, f)
		}
	}
	if got := b.events(t); got != nil {
		t.Errorf("events = %q, want none", got)
	}
}

func TestAllowedAndBannedSourcesAreNotReported(t *testing.T) {
	b := mustLoadMeter(t, 1000, newConnections(10))
	mustAllow(t, b.plane, "203.0.113.5/32")
	mustBan(t, b.plane, ban("203.0.113.6/32", 0, inAnHour()))
	b.connect(t, "203.0.113.5", 100)
	b.connect(t, "203.0.113.6", 100)
	if got := b.events(t); got != nil {
		t.Errorf("events = %q, want none", got)
	}
}

func TestWithoutMetersNothingIsCounted(t *testing.T) {
	b := mustLoadMeter(t, 1000, newConnections(10))
	b.set(t)
	b.connect(t, "203.0.113.5", 100)
	b.set(t, newConnections(10))
	if got := b.meterStats(t); got[0].Matched != 0 {
		t.Errorf("packets counted = %d, want 0", got[0].Matched)
	}
}

func (b meterBench) meterStats(t *testing.T) []MeterStats {
	t.Helper()
	s, err := b.plane.MeterStats()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (b meterBench) stats(t *testing.T) Stats {
	t.Helper()
	s, err := b.plane.Stats()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustMeterID(t *testing.T, m *meter.Meter) uint32 {
	t.Helper()
	k, err := compileMeter(m, testHZ)
	if err != nil {
		t.Fatal(err)
	}
	return k.Id
}

// What cannot be written is counted and comes with a later connection.
func TestAFullRingAndABudgetPutReportsOff(t *testing.T) {
	for _, tt := range []struct {
		name   string
		budget uint64
		lost   func(Stats) uint64
	}{
		{"ring", 1 << 40, func(s Stats) uint64 { return s.EventsFull }},
		{"budget", 3, func(s Stats) uint64 { return s.EventsOverBudget }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := mustLoadMeter(t, tt.budget, newConnections(1))
			pinCPU(t)
			const sources = 200
			for i := range sources {
				b.connect(t, fmt.Sprintf("203.0.113.%d", i), 3)
			}
			first := len(b.events(t))
			if got := int(b.stats(t).Events); got != first || first == sources {
				t.Fatalf("%d events counted, %d read, of %d sources", got, first, sources)
			}
			if got := int(tt.lost(b.stats(t))); got != sources-first {
				t.Errorf("%d reports counted as put off, want %d", got, sources-first)
			}
			if tt.name == "budget" {
				b.at(t, 6*time.Second) // a new second, and a new window
				b.connect(t, fmt.Sprintf("203.0.113.%d", sources-1), 2)
			}
			b.connect(t, fmt.Sprintf("203.0.113.%d", sources-1), 1)
			if got := len(b.events(t)); got != 1 {
				t.Errorf("%d events of the source once there is room, want 1", got)
			}
		})
	}
}
