package loader

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gabion/userspace/meter"
)

// tinyFragments cuts a TCP segment behind its first 8 bytes, which hold the ports and no flags, and makes a
// frame of each piece. The first is padded, as on Ethernet, with what looks like the rest of another
// segment.
func tinyFragments(segment []byte, id uint16) (first, second []byte) {
	const ethernet, cut = 14, 8
	padding := []byte{0, 0, 0, 0, 5 << 4, ackFlag, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	head := segment[:ethernet]
	if binary.BigEndian.Uint16(head[12:]) == ethIPv4 {
		ip, tcp := segment[ethernet:][:20], segment[ethernet+20:][:20]
		piece := func(offset uint16, more bool, data []byte) []byte {
			h := fragment(append([]byte(nil), ip...), offset, more)
			binary.BigEndian.PutUint16(h[2:], uint16(len(h)+len(data)))
			binary.BigEndian.PutUint16(h[4:], id)
			binary.BigEndian.PutUint16(h[10:], 0)
			binary.BigEndian.PutUint16(h[10:], checksum(h))
			return frame(head, h, data)
		}
		return append(piece(0, true, tcp[:cut]), padding...), piece(cut/8, false, tcp[cut:])
	}
	ip, tcp := segment[ethernet:][:40], segment[ethernet+40:][:20]
	piece := func(offset uint16, more bool, data []byte) []byte {
		h, f := append([]byte(nil), ip...), fragment6(protoTCP, offset, more)
		h[6] = protoFrag
		binary.BigEndian.PutUint16(h[4:], uint16(len(f)+len(data)))
		binary.BigEndian.PutUint32(f[4:], uint32(id))
		return frame(head, h, f, data)
	}
	return append(piece(0, true, tcp[:cut]), padding...), piece(cut/8, false, tcp[cut:])
}

// checksum is that of the Internet (RFC 1071).
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// A SYN cut into fragments so small that none holds its flags begins a connection all the same.
func TestSYNsInTinyFragmentsAreNewConnections(t *testing.T) {
	const limit, sent = 10, 2*10 + 1
	for _, tt := range families {
		t.Run(tt.name, func(t *testing.T) {
			n := mustNetwork(t)
			l := mustListen(t, n, tt.server)
			answers := daily(1000, halfOpen, func(m *meter.Meter) { m.Name = "test/answers" })
			p, events := attachedServer(t, n, connections(limit), answers)
			port := uint16(l.Addr().(*net.TCPAddr).Port)
			send := mustRawSender(t, n)
			for i := range uint16(sent) {
				first, second := tinyFragments(forgedSYN(t, n, tt.client, tt.server, 1024+i, port), i)
				send(first)
				send(second)
			}
			if e := <-events; e.Established || e.Count != sent || e.DstPort != port || e.Source != netip.MustParseAddr(tt.client) {
				t.Errorf("event = %+v, want one of %s at its connection %d to port %d", e, tt.client, sent, port)
			}
			if got := mustStats(t, p).TinyFragments; got != sent {
				t.Errorf("%d tiny fragments counted, want %d", got, sent)
			}
			// The stack answers them, which is why they count. What it does with IPv6 depends on its version.
			for tt.client == client4 && t.Context().Err() == nil {
				stats, err := p.MeterStats()
				if err != nil {
					t.Fatal(err)
				}
				if stats[1].Matched > 0 {
					break
				}
			}
		})
	}
}

func TestATinyFragmentIsWhatItsIPHeaderSays(t *testing.T) {
	syn := frame(eth(ethIPv4), ipv4(offender4, protoTCP, 0), tcp(4242, 443, synFlag))
	syn6 := frame(eth(ethIPv6), ipv6(offender6, protoTCP), tcp(4242, 443, synFlag))
	tiny, rest := tinyFragments(syn, 1)
	tiny6, rest6 := tinyFragments(syn6, 1)
	whole := frame(eth(ethIPv4), fragment(ipv4(offender4, protoTCP, 0), 0, true), tcp(4242, 443, ackFlag))
	other := frame(eth(ethIPv4), fragment(ipv4(offender4, protoUDP, 0), 0, true), udp(4242, 443))
	b := mustLoadMeter(t, 1000, newConnections(100), perSecond(100, func(m *meter.Meter) {
		m.Name, m.Match.Ports = "test/port", []meter.PortRange{{First: 443, Last: 443}}
	}))
	for _, tt := range []struct {
		name              string
		frame             []byte
		connections, port uint64
		tiny              uint64
	}{
		{"v4", tiny, 1, 1, 1},
		{"v6", tiny6, 1, 1, 1},
		{"v4, without padding", tiny[:14+20+8], 1, 1, 1},
		{"v4, cut in the ports", tiny[:14+20+3], 0, 0, 0},
		{"the rest of v4", rest, 0, 0, 0},
		{"the rest of v6", rest6, 0, 0, 0},
		{"a first fragment with all of the header", whole, 0, 1, 0},
		{"a first fragment of a datagram", other, 0, 1, 0},
	} {
		before, stats := b.meterStats(t), b.stats(t)
		b.send(t, 1, tt.frame)
		after := b.meterStats(t)
		got := []uint64{
			after[0].Matched - before[0].Matched, after[1].Matched - before[1].Matched, b.stats(t).TinyFragments - stats.TinyFragments,
		}
		if diff := cmp.Diff([]uint64{tt.connections, tt.port, tt.tiny}, got); diff != "" {
			t.Errorf("%s: connections, packets to the port, tiny fragments (-want +got):\n%s", tt.name, diff)
		}
	}
}
