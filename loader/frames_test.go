package loader

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
)

// Frames for tests are layers put one behind the other; each layer is told what follows it.

const (
	ethIPv4 = 0x0800
	ethIPv6 = 0x86dd
	ethARP  = 0x0806
	ethQ    = 0x8100
	ethAD   = 0x88a8
	ethPPP  = 0x8864

	pppIPv4 = 0x21
	pppIPv6 = 0x57

	extHeaders = 8 // bpf/packet.h: EXT_HEADERS

	protoHop  = 0
	protoICMP = 1
	protoIPIP = 4
	protoTCP  = 6
	protoUDP  = 17
	proto6in  = 41
	protoRt   = 43
	protoFrag = 44
	protoGRE  = 47
	protoESP  = 50
	protoAH   = 51
	protoICM6 = 58
	protoNone = 59
	protoDst  = 60
	protoMH   = 135

	synFlag = 0x02
	ackFlag = 0x10
	finFlag = 0x01
)

func frame(layers ...[]byte) []byte { return slices.Concat(layers...) }

func eth(proto uint16) []byte {
	b := make([]byte, 14)
	binary.BigEndian.PutUint16(b[12:], proto)
	return b
}

func vlan(proto uint16) []byte {
	return binary.BigEndian.AppendUint16([]byte{0, 42}, proto)
}

// pppoe makes a PPPoE session header and the PPP header behind it.
func pppoe(proto uint16) []byte {
	return binary.BigEndian.AppendUint16([]byte{0x11, 0, 0, 7, 0, 0}, proto)
}

// ipv4 makes a header with the given number of option bytes (a multiple of 4).
func ipv4(src string, proto byte, options int) []byte {
	b := make([]byte, 20+options)
	b[0], b[8], b[9] = 0x40|byte(len(b)/4), 64, proto
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)+20))
	copy(b[12:], netip.MustParseAddr(src).AsSlice())
	copy(b[16:], netip.MustParseAddr("192.0.2.254").AsSlice())
	for i := 20; i < len(b); i++ {
		b[i] = 1 // no operation
	}
	return b
}

// fragment sets the fragment fields of an IPv4 header: the offset in units of 8 bytes.
func fragment(header []byte, offset uint16, more bool) []byte {
	if more {
		offset |= 0x2000
	}
	binary.BigEndian.PutUint16(header[6:], offset)
	return header
}

// ipv6 makes a header with room for whatever follows.
func ipv6(src string, next byte) []byte {
	b := make([]byte, 40)
	b[0], b[4], b[6], b[7] = 0x60, 0x40, next, 64
	copy(b[8:], netip.MustParseAddr(src).AsSlice())
	copy(b[24:], netip.MustParseAddr("2001:db8::fe").AsSlice())
	return b
}

// ext makes an extension header of (units+1)*8 bytes.
func ext(next byte, units int) []byte {
	b := make([]byte, (units+1)*8)
	b[0], b[1] = next, byte(units)
	return b
}

// authentication makes an AH of (words+2)*4 bytes.
func authentication(next byte, words int) []byte {
	b := make([]byte, (words+2)*4)
	b[0], b[1] = next, byte(words)
	return b
}

// fragment6 makes a fragment header: the offset in units of 8 bytes.
func fragment6(next byte, offset uint16, more bool) []byte {
	b := make([]byte, 8)
	b[0] = next
	binary.BigEndian.PutUint16(b[2:], offset<<3)
	if more {
		b[3] |= 1
	}
	return b
}

func tcp(sport, dport uint16, flags byte) []byte {
	b := make([]byte, 20)
	binary.BigEndian.PutUint16(b, sport)
	binary.BigEndian.PutUint16(b[2:], dport)
	b[12], b[13] = 5<<4, flags
	return b
}

func udp(sport, dport uint16) []byte {
	b := make([]byte, 8)
	binary.BigEndian.PutUint16(b, sport)
	binary.BigEndian.PutUint16(b[2:], dport)
	return b
}

func icmp(kind byte) []byte { return []byte{kind, 0, 0, 0, 0, 0, 0, 0} }

func contains(err error, want string) bool { return strings.Contains(err.Error(), want) }
