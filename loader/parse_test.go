package loader

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"
)

// Values of enum parsed in bpf/packet.h.
const (
	parsedOK         = 0
	parsedNotIP      = 1
	parsedTruncated  = 2
	parsedMalformed  = 3
	parsedOvertagged = 4
)

// parsed is what bpf/packet.h found in a frame.
type parsed struct {
	Outcome      uint32
	ExtLimit     bool
	Source       string
	Proto        uint8
	Ports        bool
	Sport, Dport uint16
	Syn, Ack     bool
	ICMP         uint8
	Later        bool
}

func mustLoadTest(t testing.TB) *testbpfObjects {
	t.Helper()
	needRoot(t)
	var objs testbpfObjects
	if err := loadTestbpfObjects(&objs, nil); err != nil {
		t.Fatalf("load test object: %+v", err)
	}
	t.Cleanup(func() { objs.Close() })
	return &objs
}

func mustRun(t testing.TB, prog *ebpf.Program, data []byte) uint32 {
	t.Helper()
	ret, err := prog.Run(&ebpf.RunOptions{Data: data})
	if err != nil {
		t.Fatalf("run test packet: %v", err)
	}
	return ret
}

func mustParse(t testing.TB, objs *testbpfObjects, data []byte) parsed {
	t.Helper()
	if ret := mustRun(t, objs.TestParse, data); ret != xdpPass {
		t.Fatalf("parser program returned %d", ret)
	}
	var r testbpfParseResult
	if err := objs.Results.Lookup(uint32(0), &r); err != nil {
		t.Fatal(err)
	}
	got := parsed{
		Outcome: r.Outcome, ExtLimit: r.ExtLimit == 1, Proto: r.Pkt.L4Proto, Ports: r.Pkt.HasPorts == 1,
		Sport: swap(r.Pkt.Sport), Dport: swap(r.Pkt.Dport),
		Syn: r.Pkt.Syn == 1, Ack: r.Pkt.Ack == 1, ICMP: r.Pkt.IcmpType, Later: r.Pkt.LaterFragment == 1,
	}
	switch r.Pkt.Family {
	case 4:
		got.Source = netip.AddrFrom4([4]byte(r.Pkt.Saddr[:4])).String()
	case 6:
		got.Source = netip.AddrFrom16(r.Pkt.Saddr).String()
	}
	return got
}

func swap(v uint16) uint16 { return v<<8 | v>>8 }

func chain(next byte, n int) []byte {
	var out []byte
	for i := range n {
		after := byte(protoDst)
		if i == n-1 {
			after = next
		}
		out = append(out, ext(after, 0)...)
	}
	return out
}

func TestEveryHeaderCombinationIsParsed(t *testing.T) {
	const v4, v6 = "198.51.100.7", "2001:db8::7"
	syn := parsed{Proto: protoTCP, Ports: true, Sport: 4242, Dport: 22, Syn: true}
	from := func(p parsed, src string) parsed { p.Source = src; return p }
	l4 := tcp(4242, 22, synFlag)
	objs := mustLoadTest(t)
	for _, tt := range []struct {
		name  string
		frame []byte
		want  parsed
	}{
		{"TCP over IPv4", frame(eth(ethIPv4), ipv4(v4, protoTCP, 0), l4), from(syn, v4)},
		{"TCP over IPv6", frame(eth(ethIPv6), ipv6(v6, protoTCP), l4), from(syn, v6)},
		{"one VLAN tag", frame(eth(ethQ), vlan(ethIPv4), ipv4(v4, protoTCP, 0), l4), from(syn, v4)},
		{"two VLAN tags", frame(eth(ethAD), vlan(ethQ), vlan(ethIPv6), ipv6(v6, protoTCP), l4), from(syn, v6)},
		{"two equal VLAN tags", frame(eth(ethQ), vlan(ethQ), vlan(ethIPv4), ipv4(v4, protoTCP, 0), l4), from(syn, v4)},
		{"three VLAN tags hide the source", frame(eth(ethQ), vlan(ethQ), vlan(ethQ), vlan(ethIPv4), ipv4(v4, protoTCP, 0), l4), parsed{Outcome: parsedOvertagged}},
		{"IPv4 in PPPoE", frame(eth(ethPPP), pppoe(0x21), ipv4(v4, protoTCP, 0), l4), from(syn, v4)},
		{"IPv6 in PPPoE behind two tags", frame(eth(ethAD), vlan(ethQ), vlan(ethPPP), pppoe(0x57), ipv6(v6, protoTCP), l4), from(syn, v6)},
		{"PPPoE that carries something else", frame(eth(ethPPP), pppoe(0xc021), make([]byte, 40)), parsed{Outcome: parsedNotIP}},
		{"PPPoE cut off", frame(eth(ethPPP), pppoe(0x21)[:7]), parsed{Outcome: parsedTruncated}},
		{"ARP is no IP", frame(eth(ethARP), make([]byte, 28)), parsed{Outcome: parsedNotIP}},
		{"IPv4 with 4 bytes of options", frame(eth(ethIPv4), ipv4(v4, protoTCP, 4), l4), from(syn, v4)},
		{"IPv4 with 40 bytes of options", frame(eth(ethIPv4), ipv4(v4, protoTCP, 40), l4), from(syn, v4)},
		{"UDP", frame(eth(ethIPv4), ipv4(v4, protoUDP, 0), udp(53, 5353)),
			parsed{Source: v4, Proto: protoUDP, Ports: true, Sport: 53, Dport: 5353}},
		{"ICMP", frame(eth(ethIPv4), ipv4(v4, protoICMP, 0), icmp(8)), parsed{Source: v4, Proto: protoICMP, ICMP: 8}},
		{"ICMPv6", frame(eth(ethIPv6), ipv6(v6, protoICM6), icmp(128)), parsed{Source: v6, Proto: protoICM6, ICMP: 128}},
		{"answer to a SYN", frame(eth(ethIPv4), ipv4(v4, protoTCP, 0), tcp(80, 4242, synFlag|ackFlag)),
			parsed{Source: v4, Proto: protoTCP, Ports: true, Sport: 80, Dport: 4242, Syn: true, Ack: true}},
		{"first IPv4 fragment has ports", frame(eth(ethIPv4), fragment(ipv4(v4, protoTCP, 0), 0, true), l4), from(syn, v4)},
		{"later IPv4 fragment keeps its source", frame(eth(ethIPv4), fragment(ipv4(v4, protoTCP, 0), 185, true), l4),
			parsed{Source: v4, Proto: protoTCP, Later: true}},
		{"last IPv4 fragment keeps its source", frame(eth(ethIPv4), fragment(ipv4(v4, protoUDP, 8), 1, false), l4),
			parsed{Source: v4, Proto: protoUDP, Later: true}},
		{"first IPv6 fragment has ports", frame(eth(ethIPv6), ipv6(v6, protoFrag), fragment6(protoTCP, 0), l4), from(syn, v6)},
		{"later IPv6 fragment keeps its source", frame(eth(ethIPv6), ipv6(v6, protoFrag), fragment6(protoTCP, 185), l4),
			parsed{Source: v6, Proto: protoTCP, Later: true}},
		{"IPv6 hop-by-hop, routing, fragment, authentication, destination",
			frame(eth(ethIPv6), ipv6(v6, protoHop), ext(protoRt, 0), ext(protoFrag, 2), fragment6(protoAH, 0),
				authentication(protoDst, 4), ext(protoTCP, 1), l4), from(syn, v6)},
		{"the longest extension header", frame(eth(ethIPv6), ipv6(v6, protoDst), ext(protoTCP, 255), l4), from(syn, v6)},
		{"as many extension headers as are walked", frame(eth(ethIPv6), ipv6(v6, protoDst), chain(protoTCP, 8), l4), from(syn, v6)},
		{"one extension header too many", frame(eth(ethIPv6), ipv6(v6, protoDst), chain(protoTCP, 9), l4),
			parsed{Source: v6, Proto: protoDst, ExtLimit: true}},
		{"encrypted payload", frame(eth(ethIPv6), ipv6(v6, protoESP), make([]byte, 24)), parsed{Source: v6, Proto: protoESP}},
		{"no next header", frame(eth(ethIPv6), ipv6(v6, protoNone)), parsed{Source: v6, Proto: protoNone}},
		{"IPv4 that says it is version 6", frame(eth(ethIPv4), ipv6(v6, protoTCP), l4), parsed{Outcome: parsedMalformed}},
		{"IPv6 that says it is version 4", frame(eth(ethIPv6), ipv4(v4, protoTCP, 20), l4), parsed{Outcome: parsedMalformed}},
		{"IPv4-mapped source in IPv6", frame(eth(ethIPv6), ipv6("::ffff:192.0.2.1", protoTCP), l4), parsed{Outcome: parsedMalformed}},
		{"IPv4 header shorter than itself", frame(eth(ethIPv4), append([]byte{0x44}, ipv4(v4, protoTCP, 0)[1:]...), l4),
			parsed{Outcome: parsedMalformed}},
		{"IPv4 options cut off", frame(eth(ethIPv4), ipv4(v4, protoTCP, 40)[:30]), parsed{Source: v4, Proto: protoTCP}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, mustParse(t, objs, tt.frame)); diff != "" {
				t.Errorf("parsed (-want +got):\n%s", diff)
			}
		})
	}
}

// A frame cut at any byte must be judged by what is left of it: the source once that is complete, the
// ports once the transport header is.
func TestAFrameCutAtAnyByteIsParsedAsFarAsItGoes(t *testing.T) {
	const v4, v6 = "198.51.100.7", "2001:db8::7"
	l4 := tcp(4242, 22, synFlag)
	objs := mustLoadTest(t)
	for _, tt := range []struct {
		name   string
		frame  []byte
		source int // bytes up to which the source is unknown
	}{
		{v4, frame(eth(ethIPv4), ipv4(v4, protoTCP, 0), l4), 34},
		{v4, frame(eth(ethIPv4), ipv4(v4, protoTCP, 40), l4), 34},
		{v4, frame(eth(ethAD), vlan(ethQ), vlan(ethIPv4), ipv4(v4, protoTCP, 8), l4), 42},
		{v6, frame(eth(ethIPv6), ipv6(v6, protoTCP), l4), 54},
		{v6, frame(eth(ethQ), vlan(ethIPv6), ipv6(v6, protoHop), ext(protoAH, 1), authentication(protoFrag, 2),
			fragment6(protoTCP, 0), l4), 58},
	} {
		for n := minFrame; n <= len(tt.frame); n++ {
			t.Run(fmt.Sprintf("%s %d of %d bytes", tt.name, n, len(tt.frame)), func(t *testing.T) {
				got := mustParse(t, objs, tt.frame[:n])
				want := parsed{Outcome: parsedTruncated}
				if n >= tt.source {
					want = parsed{Source: tt.name, Proto: got.Proto}
				}
				if n == len(tt.frame) {
					want.Proto, want.Ports, want.Sport, want.Dport, want.Syn = protoTCP, true, 4242, 22, true
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("parsed (-want +got):\n%s", diff)
				}
			})
		}
	}
}
