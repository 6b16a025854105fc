package model

import (
	"encoding/binary"
	"net/netip"
)

// Types of Ethernet and PPP frames, and what is known of their headers.
const (
	typeIPv4      = 0x0800
	typeIPv6      = 0x86dd
	typeCTag      = 0x8100 // 802.1Q
	typeSTag      = 0x88a8 // 802.1ad
	typePPPoE     = 0x8864 // sessions; discovery carries no packets
	pppIPv4       = 0x0021
	pppIPv6       = 0x0057
	ethernetBytes = 14
	tagBytes      = 4
	pppoeBytes    = 8 // PPPoE 6, PPP 2
	ipv4Bytes     = 20
	ipv6Bytes     = 40
	maxTags       = 2 // bpf/packet.h: VLAN_TAGS
)

// Source finds the source address of an Ethernet frame. Without one it says why: NonIP, Truncated,
// Malformed or TooManyTags; else the outcome is "".
func Source(frame []byte) (netip.Addr, Outcome) {
	kind, rest, outcome := payload(frame)
	if outcome != "" {
		return netip.Addr{}, outcome
	}
	switch kind {
	case typeIPv4:
		return sourceIPv4(rest)
	case typeIPv6:
		return sourceIPv6(rest)
	}
	return netip.Addr{}, NonIP
}

// payload finds what an Ethernet frame carries, behind tags and PPPoE, as an Ethernet type.
func payload(frame []byte) (kind uint16, rest []byte, _ Outcome) {
	if len(frame) < ethernetBytes {
		return 0, nil, Truncated
	}
	kind, rest = binary.BigEndian.Uint16(frame[ethernetBytes-2:]), frame[ethernetBytes:]
	for tags := 0; kind == typeCTag || kind == typeSTag; tags++ {
		if tags == maxTags {
			return 0, nil, TooManyTags
		}
		if len(rest) < tagBytes {
			return 0, nil, Truncated
		}
		kind, rest = binary.BigEndian.Uint16(rest[tagBytes-2:]), rest[tagBytes:]
	}
	if kind != typePPPoE {
		return kind, rest, ""
	}
	if len(rest) < pppoeBytes {
		return 0, nil, Truncated
	}
	switch binary.BigEndian.Uint16(rest[pppoeBytes-2:]) {
	case pppIPv4:
		kind = typeIPv4
	case pppIPv6:
		kind = typeIPv6
	}
	return kind, rest[pppoeBytes:], ""
}

func sourceIPv4(header []byte) (netip.Addr, Outcome) {
	if len(header) < ipv4Bytes {
		return netip.Addr{}, Truncated
	}
	version, bytes := header[0]>>4, int(header[0]&15)*4
	if version != 4 || bytes < ipv4Bytes {
		return netip.Addr{}, Malformed
	}
	return netip.AddrFrom4([4]byte(header[12:16])), ""
}

func sourceIPv6(header []byte) (netip.Addr, Outcome) {
	if len(header) < ipv6Bytes {
		return netip.Addr{}, Truncated
	}
	addr := netip.AddrFrom16([16]byte(header[8:24]))
	if header[0]>>4 != 6 || addr.Is4In6() {
		return netip.Addr{}, Malformed
	}
	return addr, ""
}
