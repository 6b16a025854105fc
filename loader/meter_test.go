package loader

import (
	"encoding/binary"
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
)

const testWindow = uint64(time.Second)

// meterBench is the test object with a connection limit, a small ring and a clock that stands.
type meterBench struct {
	*testbpfObjects
	plane  *Plane
	reader *ringbuf.Reader
}

func mustLoadMeter(t *testing.T, limit uint32, budget uint64) meterBench {
	t.Helper()
	needRoot(t)
	b := meterBench{plane: mustOpen(t, small(pinDir(t)))}
	b.testbpfObjects = mustBindTest(t, b.plane, func(spec *ebpf.CollectionSpec, plane map[string]*ebpf.Map) {
		delete(plane, "events")
		spec.Maps["events"].MaxEntries = uint32(os.Getpagesize())
		if err := spec.Variables["events_budget"].Set(budget); err != nil {
			t.Fatal(err)
		}
	})
	var err error
	if err := b.Meters.Put(uint32(0), &testbpfMeter{Window: testWindow, Limit: limit}); err != nil {
		t.Fatal(err)
	}
	if b.reader, err = ringbuf.NewReader(b.Events); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.reader.Close() })
	return b
}

func (b meterBench) connect(t *testing.T, src string, n int) {
	t.Helper()
	for i := range n {
		mustRun(t, b.TestFilter, synFrom(src, uint16(1024+i)))
	}
}

// events reads what waits in the ring.
func (b meterBench) events(t *testing.T) []string {
	t.Helper()
	b.reader.SetDeadline(time.Unix(1, 0))
	var out []string
	for {
		rec, err := b.reader.Read()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		var e bpfConnEvent
		if _, err := binary.Decode(rec.RawSample, binary.NativeEndian, &e); err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%s count %d of %d port %d family %d established %d at %d",
			netip.AddrFrom16(e.Source).Unmap(), e.Count, e.Limit, e.DstPort, e.Family, e.Established, e.Time))
	}
}

func synFrom(src string, sport uint16) []byte {
	if netip.MustParseAddr(src).Is4() {
		return frame(eth(ethIPv4), ipv4(src, protoTCP, 0), tcp(sport, 443, synFlag))
	}
	return frame(eth(ethIPv6), ipv6(src, protoTCP), tcp(sport, 443, synFlag))
}

func TestASourceThatIsNotProvenIsReportedOncePerWindowAboveTwiceTheLimit(t *testing.T) {
	for _, src := range []string{"203.0.113.5", "2001:db8:5::5"} {
		family := 6
		if netip.MustParseAddr(src).Is4() {
			family = 4
		}
		want := func(now uint64) []string {
			return []string{fmt.Sprintf("%s count 21 of 10 port 443 family %d established 0 at %d", src, family, now)}
		}
		t.Run(src, func(t *testing.T) {
			b := mustLoadMeter(t, 10, 1000)
			now := uint64(5e9)
			mustSetClock(t, b.testbpfObjects, now)
			b.connect(t, src, 20)
			if got := b.events(t); got != nil {
				t.Errorf("events at twice the limit = %q, want none", got)
			}
			b.connect(t, src, 100)
			if diff := cmp.Diff(want(now), b.events(t)); diff != "" {
				t.Errorf("events above twice the limit (-want +got):\n%s", diff)
			}
			mustSetClock(t, b.testbpfObjects, now+testWindow-1)
			b.connect(t, src, 100)
			if got := b.events(t); got != nil {
				t.Errorf("events later in the same window = %q, want none", got)
			}
			now += testWindow
			mustSetClock(t, b.testbpfObjects, now)
			b.connect(t, src, 100)
			if diff := cmp.Diff(want(now), b.events(t)); diff != "" {
				t.Errorf("events of the next window (-want +got):\n%s", diff)
			}
		})
	}
}

// A source far away sends a whole burst before the server's answers are back: proof comes late.
func TestABurstThatIsProvenLaterIsReportedAgainAsEstablished(t *testing.T) {
	b := mustLoadMeter(t, 10, 1000)
	const src = "203.0.113.5"
	mustSetClock(t, b.testbpfObjects, 5e9)
	b.connect(t, src, 30)
	if got := b.events(t); len(got) != 1 || !strings.Contains(got[0], "established 0") {
		t.Fatalf("events of the burst = %q, want one that is not established", got)
	}
	source := testbpfSource{Addr: netip.MustParseAddr(src).As16()}
	var conn testbpfConn
	if err := b.Conns.Lookup(&source, &conn); err != nil {
		t.Fatal(err)
	}
	conn.Proven = conn.Sampled
	if err := b.Conns.Put(&source, &conn); err != nil {
		t.Fatal(err)
	}
	b.connect(t, src, 10)
	if got := b.events(t); len(got) != 1 || !strings.Contains(got[0], "count 31 of 10") || !strings.Contains(got[0], "established 1") {
		t.Errorf("events once it is proven = %q, want one at the next connection", got)
	}
}

func TestConnectionsBetweenHalfTheLimitAndTheLimitAreDrawnEvenly(t *testing.T) {
	const limit, windows = 40, 400
	b := mustLoadMeter(t, limit, 1000)
	src := testbpfSource{Addr: netip.MustParseAddr("203.0.113.5").As16()}
	drawn := map[uint16]int{}
	for w := range windows {
		mustSetClock(t, b.testbpfObjects, 5e9+uint64(w)*testWindow)
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
	b := mustLoadMeter(t, 10, 1000)
	mustSetClock(t, b.testbpfObjects, 5e9)
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
	b := mustLoadMeter(t, 10, 1000)
	mustSetClock(t, b.testbpfObjects, 5e9)
	mustAllow(t, b.plane, "203.0.113.5/32")
	mustBan(t, b.plane, ban("203.0.113.6/32", 0, inAnHour()))
	b.connect(t, "203.0.113.5", 100)
	b.connect(t, "203.0.113.6", 100)
	if got := b.events(t); got != nil {
		t.Errorf("events = %q, want none", got)
	}
}

func TestALimitOfZeroCountsNothing(t *testing.T) {
	b := mustLoadMeter(t, 0, 1000)
	b.connect(t, "203.0.113.5", 100)
	if got := b.stats(t).Connections; got != 0 {
		t.Errorf("connections counted = %d, want 0", got)
	}
}

func (b meterBench) stats(t *testing.T) Stats {
	t.Helper()
	p := Plane{maps: bpfMaps{Stats: b.Stats}}
	s, err := p.Stats()
	if err != nil {
		t.Fatal(err)
	}
	return s
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
			b := mustLoadMeter(t, 1, tt.budget)
			mustSetClock(t, b.testbpfObjects, 5e9)
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
				mustSetClock(t, b.testbpfObjects, 5e9+uint64(time.Second)) // a new second, and a new window
				b.connect(t, fmt.Sprintf("203.0.113.%d", sources-1), 2)
			}
			b.connect(t, fmt.Sprintf("203.0.113.%d", sources-1), 1)
			if got := len(b.events(t)); got != 1 {
				t.Errorf("%d events of the source once there is room, want 1", got)
			}
		})
	}
}
