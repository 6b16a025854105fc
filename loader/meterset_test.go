package loader

import (
	"testing"

	"gabion/userspace/meter"
)

func TestPacketsThatNoMeterCountsAreNotLookedAt(t *testing.T) {
	const noUDP, noSegments = uint8(bpfMeterFlagMETERS_NO_UDP), uint8(bpfMeterFlagMETERS_NO_SEGMENTS)
	of := func(match meter.Match) *meter.Meter {
		return perSecond(1000, func(m *meter.Meter) { m.Name, m.Match = "test/"+match.Protocol.String(), match })
	}
	begins, udp, tcpOnly := newConnections(1000), of(meter.Match{Protocol: meter.UDP}), of(meter.Match{Protocol: meter.TCP})
	for _, tt := range []struct {
		name    string
		meters  []*meter.Meter
		flags   uint8
		matched uint64 // of a UDP datagram, a SYN and an ACK
	}{
		{"new connections", []*meter.Meter{begins}, noUDP | noSegments, 1},
		{"new connections and refusals", []*meter.Meter{begins, of(meter.Match{Answer: meter.Closed})}, noUDP | noSegments, 1},
		{"new connections and pings", []*meter.Meter{begins, of(meter.Match{Protocol: meter.ICMP})}, noUDP | noSegments, 1},
		{"new connections and UDP", []*meter.Meter{begins, udp}, noSegments, 2},
		{"TCP", []*meter.Meter{tcpOnly}, noUDP, 2},
		{"segments that begin nothing", []*meter.Meter{of(meter.Match{Protocol: meter.TCP, NoFlags: meter.SYN})}, noUDP, 1},
		{"all packets", []*meter.Meter{of(meter.Match{})}, 0, 3},
		{"packets to a port", []*meter.Meter{of(meter.Match{Ports: []meter.PortRange{{First: 443, Last: 443}}})}, 0, 3},
	} {
		b := mustLoadMeter(t, 1000, tt.meters...)
		if got := mustMeterSet(t, b).view.Flags & (noUDP | noSegments); got != tt.flags {
			t.Errorf("%s: what is not looked at is %#x, want %#x", tt.name, got, tt.flags)
		}
		for _, f := range [][]byte{
			udpFrom(offender4, 443), synFrom(offender4, 1024), frame(eth(ethIPv4), ipv4(offender4, protoTCP, 0), tcp(1024, 443, ackFlag)),
		} {
			b.send(t, 1, f)
		}
		var matched uint64
		for _, s := range b.meterStats(t) {
			matched += s.Matched
		}
		if matched != tt.matched {
			t.Errorf("%s: the meters counted %d packets, want %d", tt.name, matched, tt.matched)
		}
	}
}
