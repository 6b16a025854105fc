// Package capture reads the headers of captured Ethernet frames and writes frames into pcap files.
//
// Frames come from attackers and are cut off somewhere. What is missing is left out, never an error,
// and reading takes no longer than the frame is long.
package capture

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
)

// Protocol numbers of IPv4 and IPv6 headers.
const (
	protoHop      = 0
	protoICMP     = 1
	protoTCP      = 6
	protoUDP      = 17
	protoRouting  = 43
	protoFragment = 44
	protoAuth     = 51
	protoICMPv6   = 58
	protoDest     = 60
	protoMobility = 135
)

// Types of what follows an Ethernet header, a VLAN tag or a PPP header.
const (
	etherIPv4 = 0x0800
	etherIPv6 = 0x86dd
	etherVLAN = 0x8100
	etherQinQ = 0x88a8
	etherPPP  = 0x8864

	pppIPv4 = 0x0021
	pppIPv6 = 0x0057
)

// Headers is what the headers of a frame say, as far as they are there. Outer headers only: what a
// tunnel carries is not looked at.
type Headers struct {
	Source      netip.Addr // the zero Addr when there is none
	Destination netip.Addr
	Tags        int    // VLAN tags
	Protocol    string // such as "tcp"; a number without a name is "ip-99". Empty without an IP header
	Fragment    bool   // not the first of its packet: nothing but the protocol is known
	Ports       bool   // SourcePort and DestPort are there
	SourcePort  uint16
	DestPort    uint16
	Flags       TCPFlags
	ICMP        bool // Type is there
	Type        uint8
}

// TCPFlags are the flags of a TCP header as on the wire.
type TCPFlags uint8

// String names the flags that are set, such as "syn,ack".
func (f TCPFlags) String() string {
	var set []string
	for i, name := range [...]string{"fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"} {
		if f>>i&1 == 1 {
			set = append(set, name)
		}
	}
	return strings.Join(set, ",")
}

// String says it in a few words: "tcp 4242 > 22 syn", "udp 53 > 4242", "icmp type 8". It is empty when
// there is no IP header.
func (h Headers) String() string {
	switch {
	case h.Fragment:
		return h.Protocol + " fragment"
	case h.Ports && h.Flags != 0:
		return fmt.Sprintf("%s %d > %d %s", h.Protocol, h.SourcePort, h.DestPort, h.Flags)
	case h.Ports:
		return fmt.Sprintf("%s %d > %d", h.Protocol, h.SourcePort, h.DestPort)
	case h.ICMP:
		return fmt.Sprintf("%s type %d", h.Protocol, h.Type)
	}
	return h.Protocol
}

// Read reads a frame from its Ethernet header on.
func Read(frame []byte) Headers {
	var h Headers
	rest := cursor(frame)
	eth, ok := rest.take(14)
	if !ok {
		return h
	}
	kind := binary.BigEndian.Uint16(eth[12:])
	for kind == etherVLAN || kind == etherQinQ {
		tag, ok := rest.take(4)
		if !ok {
			return h
		}
		h.Tags++
		kind = binary.BigEndian.Uint16(tag[2:])
	}
	if kind == etherPPP {
		ppp, ok := rest.take(8)
		if !ok {
			return h
		}
		kind = map[uint16]uint16{pppIPv4: etherIPv4, pppIPv6: etherIPv6}[binary.BigEndian.Uint16(ppp[6:])]
	}
	switch kind {
	case etherIPv4:
		h.readIPv4(rest)
	case etherIPv6:
		h.readIPv6(rest)
	}
	return h
}

func (h *Headers) readIPv4(rest cursor) {
	ip, ok := rest.take(20)
	if !ok || ip[0]>>4 != 4 || ip[0]&15 < 5 {
		return
	}
	h.Source = netip.AddrFrom4([4]byte(ip[12:]))
	h.Destination = netip.AddrFrom4([4]byte(ip[16:]))
	h.Fragment = binary.BigEndian.Uint16(ip[6:])&0x1fff != 0
	_, ok = rest.take(int(ip[0]&15)*4 - 20)
	h.readTransport(ip[9], rest, ok)
}

func (h *Headers) readIPv6(rest cursor) {
	ip, ok := rest.take(40)
	if !ok || ip[0]>>4 != 6 {
		return
	}
	h.Source = netip.AddrFrom16([16]byte(ip[8:]))
	h.Destination = netip.AddrFrom16([16]byte(ip[24:]))
	proto := ip[6]
	for {
		switch proto {
		case protoHop, protoRouting, protoDest, protoMobility, protoAuth, protoFragment:
		default:
			h.readTransport(proto, rest, true)
			return
		}
		first, ok := rest.take(8)
		if !ok {
			h.readTransport(proto, rest, false)
			return
		}
		more := int(first[1]) * 8
		switch proto {
		case protoFragment:
			more, h.Fragment = 0, binary.BigEndian.Uint16(first[2:])&0xfff8 != 0
		case protoAuth:
			more = int(first[1]) * 4
		}
		proto = first[0]
		if _, ok = rest.take(more); !ok || h.Fragment {
			h.readTransport(proto, rest, false)
			return
		}
	}
}

// readTransport reads the header behind IP; when it is not here, only its protocol is known.
func (h *Headers) readTransport(proto uint8, rest cursor, here bool) {
	h.Protocol = protocolName(proto)
	if !here || h.Fragment {
		return
	}
	switch proto {
	case protoTCP, protoUDP:
		ports, ok := rest.take(4)
		if !ok {
			return
		}
		h.Ports = true
		h.SourcePort, h.DestPort = binary.BigEndian.Uint16(ports), binary.BigEndian.Uint16(ports[2:])
		if tcp, ok := rest.take(10); ok && proto == protoTCP {
			h.Flags = TCPFlags(tcp[9])
		}
	case protoICMP, protoICMPv6:
		if kind, ok := rest.take(1); ok {
			h.ICMP, h.Type = true, kind[0]
		}
	}
}

func protocolName(proto uint8) string {
	switch proto {
	case protoICMP:
		return "icmp"
	case protoTCP:
		return "tcp"
	case protoUDP:
		return "udp"
	case protoICMPv6:
		return "icmpv6"
	case 2:
		return "igmp"
	case 47:
		return "gre"
	case 50:
		return "esp"
	case 132:
		return "sctp"
	}
	return fmt.Sprintf("ip-%d", proto)
}

// cursor is what is left of a frame.
type cursor []byte

// take returns the next n bytes and moves behind them, unless there are fewer.
func (c *cursor) take(n int) ([]byte, bool) {
	if len(*c) < n {
		return nil, false
	}
	taken := (*c)[:n]
	*c = (*c)[n:]
	return taken, true
}
