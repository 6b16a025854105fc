package loader

import (
	"encoding/binary"
	"fmt"
	"slices"

	"gabion/loader/model"
)

// shape is one combination of headers as real traffic or an attacker has it.
type shape struct {
	name    string
	from    func(src string) []byte // the frame, with that address as the source in its outermost IP header
	family  int                     // of the source: 4 or 6
	outcome model.Outcome           // what becomes of a frame that hides its source; "" when it has one
	known   int                     // bytes by which the source, or that there is none, is certain
	ports   int                     // bytes by which the ports are certain; 0: all
	want    parsed                  // of the whole frame, but for the source and the outcome
}

// source returns an address of documentation for what has to have one.
func (s shape) source() string {
	if s.family == 6 {
		return "2001:db8::7"
	}
	return "198.51.100.7"
}

// traffic is every shape that the filter must know.
func traffic() []shape {
	return slices.Concat(linkShapes(), optionShapes(), fragmentShapes(), extensionShapes(), payloadShapes(), strangeShapes())
}

const (
	v4Known = 14 + 20
	v6Known = 14 + 40
)

func synParsed() parsed {
	return parsed{Proto: protoTCP, Ports: true, Sport: 4242, Dport: 22, Syn: true}
}

func synSegment() []byte { return tcp(4242, 22, synFlag) }

// linkLayer makes an Ethernet header, VLAN tags of the given types, perhaps PPPoE, and says that proto follows.
func linkLayer(tags []uint16, ppp bool, proto uint16) []byte {
	kinds := append(slices.Clone(tags), proto)
	if ppp {
		kinds[len(tags)] = ethPPP
	}
	out := eth(kinds[0])
	for _, k := range kinds[1:] {
		out = append(out, vlan(k)...)
	}
	switch {
	case ppp && proto == ethIPv4:
		out = append(out, pppoe(pppIPv4)...)
	case ppp:
		out = append(out, pppoe(pppIPv6)...)
	}
	return out
}

// tagMixes lists every sequence of n tags of the two types.
func tagMixes(n int) [][]uint16 {
	mixes := [][]uint16{nil}
	for range n {
		var longer [][]uint16
		for _, m := range mixes {
			for _, kind := range []uint16{ethQ, ethAD} {
				longer = append(longer, append(slices.Clone(m), kind))
			}
		}
		mixes = longer
	}
	return mixes
}

func linkShapes() []shape {
	var out []shape
	for n := range 3 {
		for _, tags := range tagMixes(n) {
			for _, ppp := range []bool{false, true} {
				name := fmt.Sprintf("tags %x", tags)
				if ppp {
					name += " and PPPoE"
				}
				at := len(linkLayer(tags, ppp, 0))
				out = append(out,
					shape{name: "IPv4 behind " + name, family: 4, known: at + 20, want: synParsed(), from: func(src string) []byte {
						return frame(linkLayer(tags, ppp, ethIPv4), ipv4(src, protoTCP, 0), synSegment())
					}},
					shape{name: "IPv6 behind " + name, family: 6, known: at + 40, want: synParsed(), from: func(src string) []byte {
						return frame(linkLayer(tags, ppp, ethIPv6), ipv6(src, protoTCP), synSegment())
					}})
			}
		}
	}
	for _, tags := range slices.Concat(tagMixes(3), tagMixes(4)[:2]) {
		for _, ppp := range []bool{false, true} {
			out = append(out, shape{
				name: fmt.Sprintf("a source hidden by tags %x, PPPoE %v", tags, ppp), family: 4, outcome: model.TooManyTags, known: 14 + 2*4,
				from: func(src string) []byte {
					return frame(linkLayer(tags, ppp, ethIPv4), ipv4(src, protoTCP, 0), synSegment())
				},
			})
		}
	}
	return out
}

func optionShapes() []shape {
	var out []shape
	for options := 4; options <= 40; options += 4 {
		out = append(out, shape{
			name: fmt.Sprintf("IPv4 with %d bytes of options", options), family: 4, known: v4Known, want: synParsed(),
			from: func(src string) []byte { return frame(eth(ethIPv4), ipv4(src, protoTCP, options), synSegment()) },
		})
	}
	return out
}

func fragmentShapes() []shape {
	var out []shape
	for _, f := range []struct {
		name   string
		offset uint16 // of 8 bytes
		more   bool
		want   parsed
	}{
		{"first", 0, true, synParsed()},
		{"second", 1, true, parsed{Proto: protoTCP, Later: true}},
		{"later", 185, true, parsed{Proto: protoTCP, Later: true}},
		{"last", 185, false, parsed{Proto: protoTCP, Later: true}},
		{"farthest", 0x1fff, false, parsed{Proto: protoTCP, Later: true}},
	} {
		out = append(out,
			shape{name: f.name + " IPv4 fragment", family: 4, known: v4Known, want: f.want, from: func(src string) []byte {
				return frame(eth(ethIPv4), fragment(ipv4(src, protoTCP, 0), f.offset, f.more), synSegment())
			}},
			shape{name: f.name + " IPv4 fragment with options", family: 4, known: v4Known, want: f.want, from: func(src string) []byte {
				return frame(eth(ethIPv4), fragment(ipv4(src, protoTCP, 8), f.offset, f.more), synSegment())
			}},
			shape{name: f.name + " IPv6 fragment", family: 6, known: v6Known, want: f.want, from: func(src string) []byte {
				return frame(eth(ethIPv6), ipv6(src, protoFrag), fragment6(protoTCP, f.offset, f.more), synSegment())
			}})
	}
	out = append(out, tinyShapes()...)
	return append(out, shape{
		name: "IPv4 that must not be fragmented", family: 4, known: v4Known, want: synParsed(),
		from: func(src string) []byte {
			return frame(eth(ethIPv4), fragment(ipv4(src, protoTCP, 0), 0x4000, false), synSegment())
		},
	})
}

// tinyShapes are first fragments that end before the TCP header does, with padding behind them that says
// otherwise.
func tinyShapes() []shape {
	const pretended = ackFlag | 0x08
	var out []shape
	for _, n := range []int{0, 8, 16, 19} {
		segment := tcp(4242, 22, pretended)
		want := parsed{Proto: protoTCP, Ports: true, Sport: 4242, Dport: 22, Syn: true, Tiny: true}
		for _, options := range []int{0, 40} {
			out = append(out, shape{
				name: fmt.Sprintf("first IPv4 fragment of %d bytes behind %d of options", n, options), family: 4,
				known: v4Known, ports: v4Known + options + 4, want: want, from: func(src string) []byte {
					ip := fragment(ipv4(src, protoTCP, options), 0, true)
					binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)+n))
					return frame(eth(ethIPv4), ip, segment)
				}})
		}
		for _, before := range []int{0, 24} {
			out = append(out, shape{
				name: fmt.Sprintf("first IPv6 fragment of %d bytes behind %d of options", n, before), family: 6,
				known: v6Known, ports: v6Known + 8 + before + 4, want: want, from: func(src string) []byte {
					ip, rest := ipv6(src, protoFrag), frame(fragment6(protoTCP, 0, true), segment)
					if before > 0 {
						rest = frame(fragment6(protoDst, 0, true), ext(protoTCP, before/8-1), segment)
					}
					binary.BigEndian.PutUint16(ip[4:], uint16(8+before+n))
					return frame(eth(ethIPv6), ip, rest)
				}})
		}
	}
	return out
}

// extHeader makes a small extension header of a kind.
func extHeader(kind, next byte) []byte {
	switch kind {
	case protoFrag:
		return fragment6(next, 0, true)
	case protoAH:
		return authentication(next, 4)
	}
	return ext(next, 0)
}

// chain makes n extension headers of one kind in front of next.
func chain(kind, next byte, n int) []byte {
	var out []byte
	for i := range n {
		after := kind
		if i == n-1 {
			after = next
		}
		out = append(out, extHeader(kind, after)...)
	}
	return out
}

func extensionShapes() []shape {
	out := []shape{
		{name: "IPv6 hop-by-hop, routing, fragment, authentication, destination", family: 6, known: v6Known, want: synParsed(),
			from: func(src string) []byte {
				return frame(eth(ethIPv6), ipv6(src, protoHop), ext(protoRt, 0), ext(protoFrag, 2), fragment6(protoAH, 0, true),
					authentication(protoDst, 4), ext(protoTCP, 1), synSegment())
			}},
		{name: "the longest extension header", family: 6, known: v6Known, want: synParsed(), from: func(src string) []byte {
			return frame(eth(ethIPv6), ipv6(src, protoDst), ext(protoTCP, 255), synSegment())
		}},
		{name: "the longest authentication header", family: 6, known: v6Known, want: synParsed(), from: func(src string) []byte {
			return frame(eth(ethIPv6), ipv6(src, protoAH), authentication(protoTCP, 255), synSegment())
		}},
		{name: "a later IPv6 fragment behind other headers", family: 6, known: v6Known, want: parsed{Proto: protoDst, Later: true},
			from: func(src string) []byte {
				return frame(eth(ethIPv6), ipv6(src, protoHop), ext(protoFrag, 0), fragment6(protoDst, 185, false), ext(protoTCP, 0), synSegment())
			}},
	}
	for _, kind := range []struct {
		name  string
		proto byte
	}{
		{"hop-by-hop", protoHop}, {"routing", protoRt}, {"fragment", protoFrag},
		{"authentication", protoAH}, {"destination", protoDst}, {"mobility", protoMH},
	} {
		for n := 1; n <= extHeaders+1; n++ {
			s := shape{name: fmt.Sprintf("IPv6 with %d %s headers", n, kind.name), family: 6, known: v6Known, want: synParsed(),
				from: func(src string) []byte {
					return frame(eth(ethIPv6), ipv6(src, kind.proto), chain(kind.proto, protoTCP, n), synSegment())
				}}
			if n > extHeaders {
				s.want = parsed{Proto: kind.proto, ExtLimit: true}
			}
			out = append(out, s)
		}
	}
	return out
}

// payloadShapes are what IP carries besides a TCP segment; of a tunnel only the outer header counts.
func payloadShapes() []shape {
	const inner4, inner6 = "203.0.113.77", "2001:db8:77::7"
	inside4 := frame(ipv4(inner4, protoTCP, 0), synSegment())
	inside6 := frame(ipv6(inner6, protoTCP), synSegment())
	vxlan := frame(udp(50000, 4789), []byte{8, 0, 0, 0, 0, 0, 1, 0}, eth(ethIPv4), inside4)
	var out []shape
	for _, p := range []struct {
		name    string
		proto   byte
		payload []byte
		want    parsed
		ports   int // bytes of the payload that they take
	}{
		{"an answer to a SYN", protoTCP, tcp(80, 4242, synFlag|ackFlag),
			parsed{Ports: true, Sport: 80, Dport: 4242, Syn: true, Ack: true}, 20},
		{"a datagram", protoUDP, udp(53, 5353), parsed{Ports: true, Sport: 53, Dport: 5353}, 8},
		{"ICMP", protoICMP, icmp(8), parsed{ICMP: 8}, 0},
		{"ICMPv6", protoICM6, icmp(128), parsed{ICMP: 128}, 0},
		{"ESP", protoESP, make([]byte, 24), parsed{}, 0},
		{"nothing", protoNone, nil, parsed{}, 0},
		{"an unknown protocol", 253, make([]byte, 24), parsed{}, 0},
		{"GRE of IPv4", protoGRE, frame([]byte{0, 0, 8, 0}, inside4), parsed{}, 0},
		{"GRE of IPv6", protoGRE, frame([]byte{0, 0, 0x86, 0xdd}, inside6), parsed{}, 0},
		{"IPv4", protoIPIP, inside4, parsed{}, 0},
		{"IPv6", proto6in, inside6, parsed{}, 0},
		{"VXLAN", protoUDP, vxlan, parsed{Ports: true, Sport: 50000, Dport: 4789}, 8},
	} {
		p.want.Proto = p.proto
		s4 := shape{name: p.name + " in IPv4", family: 4, known: v4Known, want: p.want, from: func(src string) []byte {
			return frame(eth(ethIPv4), ipv4(src, p.proto, 0), p.payload)
		}}
		s6 := shape{name: p.name + " in IPv6", family: 6, known: v6Known, want: p.want, from: func(src string) []byte {
			return frame(eth(ethIPv6), ipv6(src, p.proto), p.payload)
		}}
		if p.ports > 0 {
			s4.ports, s6.ports = v4Known+p.ports, v6Known+p.ports
		}
		out = append(out, s4, s6)
	}
	return out
}

// strangeShapes are frames without a source: not IP, or broken.
func strangeShapes() []shape {
	out := []shape{
		{name: "PPPoE that carries something else", family: 4, outcome: model.NonIP, known: 14 + 8, from: func(src string) []byte {
			return frame(eth(ethPPP), pppoe(0xc021), ipv4(src, protoTCP, 0), synSegment())
		}},
		{name: "IPv4 that says it is version 6", family: 6, outcome: model.Malformed, known: v4Known, from: func(src string) []byte {
			return frame(eth(ethIPv4), ipv6(src, protoTCP), synSegment())
		}},
		{name: "IPv6 that says it is version 4", family: 4, outcome: model.Malformed, known: v6Known, from: func(src string) []byte {
			return frame(eth(ethIPv6), ipv4(src, protoTCP, 20), synSegment())
		}},
		{name: "IPv4-mapped source in IPv6", family: 4, outcome: model.Malformed, known: v6Known, from: func(src string) []byte {
			return frame(eth(ethIPv6), ipv6("::ffff:"+src, protoTCP), synSegment())
		}},
	}
	for words := range byte(5) {
		out = append(out, shape{
			name: fmt.Sprintf("an IPv4 header of %d bytes", words*4), family: 4, outcome: model.Malformed, known: v4Known,
			from: func(src string) []byte {
				ip := ipv4(src, protoTCP, 0)
				ip[0] = 0x40 | words
				return frame(eth(ethIPv4), ip, synSegment())
			},
		})
	}
	for _, proto := range []uint16{0, 60, 1500, ethARP, 0x8035, 0x8137, 0x8863, 0x8847, 0x888e, 0x88cc, 0x88e5, 0x9100, 0xffff} {
		out = append(out, shape{
			name: fmt.Sprintf("Ethernet type %#04x", proto), family: 4, outcome: model.NonIP, known: 14,
			from: func(src string) []byte { return frame(eth(proto), ipv4(src, protoTCP, 0), synSegment()) },
		})
	}
	return out
}
