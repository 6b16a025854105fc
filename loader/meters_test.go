package loader

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gabion/userspace/meter"
)

const (
	offender4, offender6 = "203.0.113.5", "2001:db8:5::5"
	neighbour4           = "203.0.113.77"
)

func udpFrom(src string, dport uint16) []byte {
	if netip.MustParseAddr(src).Is4() {
		return frame(eth(ethIPv4), ipv4(src, protoUDP, 0), udp(5000, dport))
	}
	return frame(eth(ethIPv6), ipv6(src, protoUDP), udp(5000, dport))
}

func TestAMeterCountsWhatItMatchesForItsKey(t *testing.T) {
	tcpWith := func(src string, dport uint16, flags byte) []byte {
		return frame(eth(ethIPv4), ipv4(src, protoTCP, 0), tcp(4242, dport, flags))
	}
	ping := frame(eth(ethIPv4), ipv4(offender4, protoICMP, 0), icmp(8))
	ping6 := frame(eth(ethIPv6), ipv6(offender6, protoICM6), icmp(128))
	protocol := func(p meter.Protocol) func(*meter.Meter) {
		return func(m *meter.Meter) { m.Match.Protocol = p }
	}
	ports := func(r ...meter.PortRange) func(*meter.Meter) {
		return func(m *meter.Meter) { m.Match.Ports = r }
	}
	flags := func(set, clear uint8) func(*meter.Meter) {
		return func(m *meter.Meter) {
			m.Match.Protocol, m.Match.Flags, m.Match.NoFlags = meter.TCP, set, clear
		}
	}
	types := func(n ...uint8) func(*meter.Meter) {
		return func(m *meter.Meter) { m.Match.Protocol, m.Match.ICMPTypes = meter.ICMP, n }
	}
	per := func(p meter.Per) func(*meter.Meter) { return func(m *meter.Meter) { m.Per = p } }
	for _, tt := range []struct {
		name    string
		change  []func(*meter.Meter)
		counted [][]byte // of one key together
		not     [][]byte
	}{
		{"all packets", nil, [][]byte{udpFrom(offender4, 53), ping, tcpWith(offender4, 80, ackFlag),
			frame(eth(ethIPv4), fragment(ipv4(offender4, protoUDP, 0), 185, true), udp(1, 2))}, [][]byte{udpFrom(neighbour4, 53)}},
		{"UDP", []func(*meter.Meter){protocol(meter.UDP)}, [][]byte{udpFrom(offender4, 53)}, [][]byte{ping, tcpWith(offender4, 53, 0)}},
		{"UDP over IPv6", []func(*meter.Meter){protocol(meter.UDP)}, [][]byte{udpFrom(offender6, 53)}, [][]byte{ping6}},
		{"TCP", []func(*meter.Meter){protocol(meter.TCP)}, [][]byte{tcpWith(offender4, 1, 0)}, [][]byte{udpFrom(offender4, 1)}},
		{"ICMP of both versions", []func(*meter.Meter){protocol(meter.ICMP)}, [][]byte{ping}, [][]byte{udpFrom(offender4, 8)}},
		{"ICMPv6", []func(*meter.Meter){protocol(meter.ICMP)}, [][]byte{ping6}, [][]byte{udpFrom(offender6, 128)}},
		{"ICMP types", []func(*meter.Meter){types(8, 128)}, [][]byte{ping},
			[][]byte{frame(eth(ethIPv4), ipv4(offender4, protoICMP, 0), icmp(0)), udpFrom(offender4, 8)}},
		{"FIN without ACK", []func(*meter.Meter){flags(meter.FIN, meter.ACK)}, [][]byte{tcpWith(offender4, 1, finFlag)},
			[][]byte{tcpWith(offender4, 1, finFlag|ackFlag), tcpWith(offender4, 1, 0)}},
		{"no flag at all", []func(*meter.Meter){flags(0, 0xff)}, [][]byte{tcpWith(offender4, 1, 0)},
			[][]byte{tcpWith(offender4, 1, 0x80), udpFrom(offender4, 1), frame(eth(ethIPv4), ipv4(offender4, protoTCP, 0))}},
		{"ranges of ports", []func(*meter.Meter){ports(meter.PortRange{First: 53, Last: 53}, meter.PortRange{First: 8000, Last: 8010}, meter.PortRange{First: 65535, Last: 65535})},
			[][]byte{udpFrom(offender4, 53), tcpWith(offender4, 8000, ackFlag), udpFrom(offender4, 8010), udpFrom(offender4, 65535)},
			[][]byte{udpFrom(offender4, 52), udpFrom(offender4, 54), udpFrom(offender4, 7999), udpFrom(offender4, 8011), udpFrom(offender4, 0), ping}},
		{"a /24", []func(*meter.Meter){per(meter.Network)}, [][]byte{udpFrom(offender4, 1), udpFrom(neighbour4, 2)}, [][]byte{udpFrom("203.0.112.5", 1)}},
		{"a /64", []func(*meter.Meter){per(meter.Network)}, [][]byte{udpFrom(offender6, 1), udpFrom("2001:db8:5::ffff:1", 2)}, [][]byte{udpFrom("2001:db8:5:1::5", 1)}},
		{"a port, over all sources", []func(*meter.Meter){per(meter.Port)}, [][]byte{udpFrom(offender4, 53), udpFrom(neighbour4, 53), udpFrom(offender6, 53)},
			[][]byte{udpFrom(offender4, 54), tcpWith(offender4, 53, ackFlag), ping}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := mustLoadMeter(t, 1000, perSecond(uint64(10*len(tt.counted)), tt.change...))
			for range 10 {
				for _, f := range tt.counted {
					b.send(t, 1, f)
				}
				for _, f := range tt.not {
					b.send(t, 1, f)
				}
			}
			if got := b.events(t); got != nil {
				t.Fatalf("events at the limit = %q, want none", got)
			}
			for _, f := range tt.not {
				b.send(t, 1, f)
			}
			if got := b.events(t); got != nil {
				t.Errorf("events after packets that do not count = %q, want none", got)
			}
			b.send(t, 1, tt.counted[0])
			if got := b.events(t); len(got) != 1 {
				t.Errorf("events one packet above the limit = %q, want one", got)
			}
			b.send(t, 3, tt.counted[0])
			if got := b.events(t); got != nil {
				t.Errorf("events later in the same window = %q, want none", got)
			}
		})
	}
}

func TestAnEventNamesItsKey(t *testing.T) {
	for _, tt := range []struct {
		per        meter.Per
		src        string
		prefix     string
		wantSource bool
	}{
		{meter.Source, offender4, offender4 + "/32", true},
		{meter.Source, offender6, offender6 + "/128", true},
		{meter.Network, offender4, "203.0.113.0/24", false},
		{meter.Network, offender6, "2001:db8:5::/64", false},
		{meter.Port, offender4, "", false},
	} {
		b := mustLoadMeter(t, 1000, perSecond(1, func(m *meter.Meter) { m.Per = tt.per }))
		b.send(t, 2, udpFrom(tt.src, 53))
		raw := b.raw(t)
		if len(raw) != 1 {
			t.Fatalf("per %s: %d events, want 1", tt.per, len(raw))
		}
		want := Event{Count: 2, Limit: 1, Window: time.Second, Protocol: "udp", DstPort: 53}
		if tt.prefix != "" {
			want.Prefix = netip.MustParsePrefix(tt.prefix)
		}
		if tt.wantSource {
			want.Source = netip.MustParseAddr(tt.src)
		}
		if diff := cmp.Diff(want, eventOf(&raw[0]), cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
			cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
			t.Errorf("per %s: event (-want +got):\n%s", tt.per, diff)
		}
	}
}

func TestBytesAreCountedInUnitsAndToldInBytes(t *testing.T) {
	big := frame(udpFrom(offender4, 53), make([]byte, 958)) // 1000 bytes
	for _, limit := range []uint64{100_000, 8 << 30} {
		b := mustLoadMeter(t, 1000, perSecond(limit, func(m *meter.Meter) { m.Count = meter.Bytes }))
		if limit > 1<<30 { // nobody sends that here: half of it is there already
			k := mustMeterSet(t, b).places[0]
			if got := uint64(k.Limit) << k.Shift; got < limit || got > limit+1<<k.Shift {
				t.Errorf("a limit of %d bytes is %d units of %d", limit, k.Limit, 1<<k.Shift)
			}
			continue
		}
		b.send(t, 99, big)
		if got := b.events(t); got != nil {
			t.Errorf("events at 99 %% of the limit = %q, want none", got)
		}
		b.send(t, 1, big)
		got := b.raw(t)
		if len(got) != 1 {
			t.Fatalf("%d events at the limit and a little, want 1", len(got))
		}
		if n := eventOf(&got[0]).Count; n < 100_000 || n > 101_000 {
			t.Errorf("the event says %d bytes, want 100,000 and at most 1 %% more", n)
		}
	}
}

func mustMeterSet(t *testing.T, b meterBench) *meterSet {
	t.Helper()
	s, err := b.plane.readMeters()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func shed(m *meter.Meter) { m.Shed = true }

func TestWhatIsAboveTheLimitIsShedForTheRestOfTheWindow(t *testing.T) {
	for _, src := range []string{offender4, offender6} {
		b := mustLoadMeter(t, 1000, perSecond(10, shed))
		if got := b.send(t, 100, udpFrom(src, 53)); got != 10 {
			t.Errorf("%s: %d packets of 100 passed, want the limit of 10", src, got)
		}
		if got := b.events(t); len(got) != 1 {
			t.Errorf("%s: events = %q, want one", src, got)
		}
		if got := b.send(t, 5, udpFrom("198.51.100.9", 53)); got != 5 {
			t.Errorf("%s: %d packets of another source passed, want 5", src, got)
		}
		b.at(t, 6*time.Second-time.Millisecond)
		if got := b.send(t, 5, udpFrom(src, 53)); got != 0 {
			t.Errorf("%s: %d packets passed at the end of the window, want 0", src, got)
		}
		b.at(t, 6*time.Second)
		if got := b.send(t, 5, udpFrom(src, 53)); got != 5 {
			t.Errorf("%s: %d packets passed in the next window, want 5", src, got)
		}
		st := b.stats(t)
		if got := st.ShedV4 + st.ShedV6; got != 95 || st.Dropped() != 95 {
			t.Errorf("%s: %d packets counted as shed, %d as dropped; want 95", src, got, st.Dropped())
		}
		want := []MeterStats{{Name: "test/meter", Matched: 115, Shed: 95, Events: 1}}
		if diff := cmp.Diff(want, b.meterStats(t)); diff != "" {
			t.Errorf("%s: counts of the meter (-want +got):\n%s", src, diff)
		}
	}
}

func TestAllowedSourcesAreNeitherShedNorReported(t *testing.T) {
	b := mustLoadMeter(t, 1000, perSecond(10, shed))
	mustAllow(t, b.plane, offender4+"/32", offender6+"/128")
	for _, src := range []string{offender4, offender6} {
		if got := b.send(t, 100, udpFrom(src, 53)); got != 100 {
			t.Errorf("%s: %d packets of 100 passed, want all", src, got)
		}
	}
	if got := b.events(t); got != nil {
		t.Errorf("events = %q, want none", got)
	}
}

// A meter per port sheds a flood from everywhere and spares who has proven that its address is real.
func TestProvenSourcesAreSparedByMetersThatSaySo(t *testing.T) {
	m := perSecond(10, shed, func(m *meter.Meter) { m.Per, m.SpareProven = meter.Port, true })
	b := mustLoadMeter(t, 1000, m)
	b.prove(t, offender4)
	tick := time.Second * (1 << b.plane.abi.TickShift) / testHZ
	for i := range 50 {
		b.send(t, 1, udpFrom(fmt.Sprintf("198.18.%d.1", i), 53))
	}
	for _, tt := range []struct {
		now  time.Duration
		src  string
		want int
	}{
		{5 * time.Second, offender4, 20},
		{5 * time.Second, neighbour4, 0},
		{5*time.Second + 550*tick, offender4, 20},
		{5*time.Second + 650*tick, offender4, 10}, // no longer: what the limit lets through
	} {
		b.at(t, tt.now)
		if got := b.send(t, 20, udpFrom(tt.src, 53)); got != tt.want {
			t.Errorf("after %s %d of 20 packets of %s passed, want %d", tt.now, got, tt.src, tt.want)
		}
	}
	if got := b.stats(t).Spared; got != 20+10 {
		t.Errorf("%d packets counted as spared, want 30", got)
	}
}

func TestDistinctPortsAreCountedPerSource(t *testing.T) {
	m := perSecond(100, func(m *meter.Meter) { m.Count = meter.Ports })
	b := mustLoadMeter(t, 1000, m)
	for range 20 { // the same few ports, often, and both protocols
		for port := range uint16(50) {
			b.send(t, 1, udpFrom(offender4, port))
			b.send(t, 1, synFrom(offender4, 1024+port))
		}
	}
	if got := b.events(t); got != nil {
		t.Fatalf("events of 51 ports = %q, want none", got)
	}
	for port := range uint16(400) {
		b.send(t, 1, udpFrom(neighbour4, 1000+port))
	}
	got := b.raw(t)
	if len(got) != 1 {
		t.Fatalf("%d events of a scan, want 1", len(got))
	}
	e := eventOf(&got[0])
	if last := int(e.DstPort) - 1000; e.Count <= 95 || last < 85 || last > 120 {
		t.Errorf("the scan is reported at its port %d with a count of %d, want about 101", last+1, e.Count)
	}
}

func TestTheEstimateOfPortsIsWithinItsError(t *testing.T) {
	b := mustLoadMeter(t, 1000, perSecond(maxScan, func(m *meter.Meter) { m.Count = meter.Ports }))
	for ports, allowed := range map[int]float64{10: 0.3, 100: 0.15, 400: 0.16, 1000: 0.22} { // four standard errors
		src := netip.AddrFrom4([4]byte{198, 18, byte(ports >> 8), byte(ports)})
		for i := range ports {
			b.send(t, 1, udpFrom(src.String(), uint16(i*7+1)))
		}
		key := src.As16()
		estimate := portsOfBits(uint64(b.count(t, 0, key)))
		if off := float64(estimate)/float64(ports) - 1; off > allowed || off < -allowed {
			t.Errorf("%d ports are estimated as %d, more than %.0f %% off", ports, estimate, 100*allowed)
		}
	}
}

// count returns what the slots of a place hold in sum; there must be one key in the line of key.
func (b meterBench) count(t *testing.T, place uint32, key [16]byte) uint64 {
	t.Helper()
	set := mustMeterSet(t, b)
	k := &set.places[place]
	hash := slotHash(b.plane.abi.HashKey, key, k.Id)
	var line testbpfMeterLine
	if err := b.MeterSlots.Lookup(place*meterLines+uint32(hash)&k.Lines, &line); err != nil {
		t.Fatal(err)
	}
	for _, slot := range line.Slot {
		if slot<<1>>40 == hash<<1>>40 {
			return slot & (1<<28 - 1)
		}
	}
	return 0
}

func TestUnchangedMetersGoOnCounting(t *testing.T) {
	a := perSecond(10)
	b := mustLoadMeter(t, 1000, a)
	b.send(t, 10, udpFrom(offender4, 53))
	other := perSecond(5, func(m *meter.Meter) { m.Name = "test/other" })
	b.set(t, other, a)
	b.send(t, 1, udpFrom(offender4, 53))
	if got := b.events(t); len(got) != 1 || !strings.Contains(got[0], "count 11 of 10") {
		t.Errorf("events = %q, want one of the unchanged meter", got)
	}
	want := []MeterStats{{Name: "test/meter", Matched: 11, Events: 1}, {Name: "test/other", Matched: 1}}
	if diff := cmp.Diff(want, b.meterStats(t)); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	changed := perSecond(11)
	b.set(t, changed)
	b.send(t, 11, udpFrom(offender4, 53))
	if got := b.events(t); got != nil {
		t.Errorf("events of a meter that begins anew = %q, want none", got)
	}
}

func TestMetersThatTheKernelCannotRunAreRefused(t *testing.T) {
	many := make([]*meter.Meter, meterPlaces+1)
	for i := range many {
		many[i] = perSecond(1, func(m *meter.Meter) { m.Name = fmt.Sprint("m", i) })
	}
	scans := make([]*meter.Meter, scanPlaces+1)
	for i := range scans {
		scans[i] = perSecond(1, func(m *meter.Meter) { m.Name, m.Count = fmt.Sprint("m", i), meter.Ports })
	}
	one := func(change func(*meter.Meter)) []*meter.Meter { return []*meter.Meter{perSecond(1, change)} }
	for _, tt := range []struct {
		meters []*meter.Meter
		want   string
	}{
		{many, "at most 16"},
		{scans, "4 meters that count ports"},
		{[]*meter.Meter{perSecond(1), perSecond(2)}, "two of that name"},
		{one(func(m *meter.Meter) { m.Name = "" }), "a name has"},
		{one(func(m *meter.Meter) { m.Limit = 0 }), "between 1 and"},
		{one(func(m *meter.Meter) { m.Limit = 1 << 40 }), "between 1 and"},
		{one(func(m *meter.Meter) { m.Window = 0 }), "between 1ms and 24h"},
		{one(func(m *meter.Meter) { m.Count, m.Limit = meter.Ports, 5000 }), "up to 1500"},
		{one(func(m *meter.Meter) { m.Match.Ports = []meter.PortRange{{First: 2, Last: 1}} }), "must not be above the last"},
		{one(func(m *meter.Meter) { m.Match.Flags, m.Match.NoFlags = meter.SYN, meter.SYN }), "nothing matches"},
		{one(func(m *meter.Meter) { m.Match.Answer, m.Shed = meter.Closed, true }), "not shed"},
		{one(func(m *meter.Meter) { m.SpareProven = true }), "needs shedding"},
	} {
		set, err := newMeterSet(tt.meters, testHZ, &meterSet{})
		if err == nil || !contains(err, tt.want) {
			t.Errorf("set %+v, error = %v, want one that says %q", set, err, tt.want)
		}
	}
}
