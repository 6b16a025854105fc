// Package traffic makes the sources of the kernel benchmark: which addresses are banned, and in which
// order sources are looked up or sent.
//
// Every address is a bijective function of a 32-bit index, and banned are those of index 0 to n-1.
// The programs in bench/kernel/bpf compute the same, so no list of addresses lies in memory and
// pushes the tables under measurement out of the cache, and the number of lookups that must find a
// ban is known exactly.
package traffic

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// Networks is how many banned networks lie beside the banned hosts, in layouts that can hold them:
// /24 for IPv4, /48 for IPv6, all over the address space.
const Networks = 1000

// Family is an address family, by the number in its header.
type Family int

// Families.
const (
	IPv4 Family = 4
	IPv6 Family = 6
)

// String returns ipv4 or ipv6.
func (f Family) String() string { return fmt.Sprintf("ipv%d", int(f)) }

// ParseFamily reads ipv4 or ipv6.
func ParseFamily(s string) (Family, error) {
	switch s {
	case "ipv4":
		return IPv4, nil
	case "ipv6":
		return IPv6, nil
	}
	return 0, fmt.Errorf("unknown family %q: use ipv4 or ipv6", s)
}

// Set is a set of banned sources.
type Set struct {
	Family    Family
	Bans      int  // hosts
	Clustered bool // they lie together in networks; otherwise all over, the worst case
}

// Name returns random or clustered.
func (s Set) Name() string {
	if s.Clustered {
		return "clustered"
	}
	return "random"
}

// Host returns the source of an index. It is banned when the index is below Bans.
func (s Set) Host(index uint32) netip.Addr {
	if s.Family == IPv4 {
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], s.place(index))
		return netip.AddrFrom4(a)
	}
	high, low := s.source6(index)
	return addr6(high, low)
}

// Network returns the i-th banned network. Two may be the same.
func (s Set) Network(i int) netip.Prefix {
	at := networkAt(i)
	if s.Family == IPv4 {
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], at&^0xff)
		return netip.PrefixFrom(netip.AddrFrom4(a), 24)
	}
	return netip.PrefixFrom(addr6(prefix6|uint64(at)<<28&^0xffff, 0), 48)
}

// Allows returns the allow entries that layouts with such a table hold: what an operator lists.
func (s Set) Allows() []netip.Prefix {
	texts := []string{"2001:db8::/32", "fc00::/7", "fe80::/10", "2600::/24", "2620:fe::/48", "::1/128", "2a00::/22", "2400::/24"}
	if s.Family == IPv4 {
		texts = []string{"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16"}
	}
	out := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		out[i] = netip.MustParsePrefix(t)
	}
	return out
}

// prefix6 begins every IPv6 source: 2000::/4.
const prefix6 = 2 << 60

func addr6(high, low uint64) netip.Addr {
	var a [16]byte
	binary.BigEndian.PutUint64(a[:8], high)
	binary.BigEndian.PutUint64(a[8:], low)
	return netip.AddrFrom16(a)
}

// networkAt places networks all over, in clustered sets, too.
func networkAt(i int) uint32 { return scatter(1<<31 + uint32(i)) }

// The functions below are those of bench/kernel/bpf/traffic.h.

func (s Set) place(index uint32) uint32 {
	if s.Clustered {
		return cluster(^index)
	}
	return scatter(^index)
}

func (s Set) source6(index uint32) (high, low uint64) {
	place := uint64(s.place(index))
	if s.Clustered {
		return prefix6 | place>>8<<36 | place&15, (place>>4)&15 + 1
	}
	return prefix6 | place<<28 | place&0xffff, place * 0x9e3779b97f4a7c15
}

func scatter(x uint32) uint32 {
	x ^= x >> 16
	x *= 0x9e3779b1
	x ^= x >> 15
	x *= 0xb7e15163
	x ^= x >> 16
	return x
}

func cluster(x uint32) uint32 {
	host := (x & 63) | x>>30<<6
	net := x>>6&15 | (x>>26&15)<<4
	wide := x >> 10 & 0xffff * 0x9e3b & 0xffff
	wide ^= wide >> 7
	return wide<<16 | (net*0x6b&0xff)<<8 | host*0x9d&0xff
}
