// Package lists holds imported lists of addresses: compact in memory, as the text that people
// publish, and as snapshots in a directory.
package lists

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"iter"
	"net/netip"
	"slices"
)

// Entries is a set of prefixes in a fixed order: IPv4 networks, IPv6 networks, IPv4 addresses, IPv6
// addresses, each by address. What covers the most comes first, so that the last entries are the
// ones to do without. An IPv4 address takes 4 bytes, an IPv6 address 16. It never changes; the nil
// pointer is the empty set.
type Entries struct {
	nets4  []net4
	nets6  []net6
	hosts4 []uint32
	hosts6 [][16]byte
}

type net4 struct {
	addr uint32
	bits uint8
}

type net6 struct {
	addr [16]byte
	bits uint8
}

// New returns the set of the prefixes, which are masked; what is there twice counts once.
func New(prefixes iter.Seq[netip.Prefix]) *Entries {
	e := &Entries{}
	for p := range prefixes {
		e.add(p)
	}
	e.sort()
	return e
}

func (e *Entries) add(p netip.Prefix) {
	p = p.Masked()
	single, four := p.IsSingleIP(), p.Addr().Is4()
	switch {
	case single && four:
		e.hosts4 = append(e.hosts4, number(p.Addr()))
	case single:
		e.hosts6 = append(e.hosts6, p.Addr().As16())
	case four:
		e.nets4 = append(e.nets4, net4{number(p.Addr()), uint8(p.Bits())})
	default:
		e.nets6 = append(e.nets6, net6{p.Addr().As16(), uint8(p.Bits())})
	}
}

// sort puts what was added in order, and gives back memory that growing left over.
func (e *Entries) sort() {
	e.nets4 = sorted(e.nets4, compareNet4)
	e.nets6 = sorted(e.nets6, compareNet6)
	e.hosts4 = sorted(e.hosts4, cmp.Compare[uint32])
	e.hosts6 = sorted(e.hosts6, compareHost6)
}

func sorted[T comparable](s []T, order func(a, b T) int) []T {
	slices.SortFunc(s, order)
	s = slices.Compact(s)
	if cap(s) > len(s)+len(s)/8 {
		s = slices.Clone(s)
	}
	return slices.Clip(s)
}

// Len returns the number of entries.
func (e *Entries) Len() int {
	if e == nil {
		return 0
	}
	return len(e.nets4) + len(e.nets6) + len(e.hosts4) + len(e.hosts6)
}

// At returns entry i, counted from 0.
func (e *Entries) At(i int) netip.Prefix {
	if i < len(e.nets4) {
		return netip.PrefixFrom(address(e.nets4[i].addr), int(e.nets4[i].bits))
	}
	i -= len(e.nets4)
	if i < len(e.nets6) {
		return netip.PrefixFrom(netip.AddrFrom16(e.nets6[i].addr), int(e.nets6[i].bits))
	}
	i -= len(e.nets6)
	if i < len(e.hosts4) {
		return netip.PrefixFrom(address(e.hosts4[i]), 32)
	}
	return netip.PrefixFrom(netip.AddrFrom16(e.hosts6[i-len(e.hosts4)]), 128)
}

// Index returns where exactly p is.
func (e *Entries) Index(p netip.Prefix) (i int, ok bool) {
	if e == nil || !p.IsValid() {
		return 0, false
	}
	single, four := p.IsSingleIP(), p.Addr().Is4()
	before := 0
	switch {
	case four && !single:
		i, ok = slices.BinarySearchFunc(e.nets4, net4{number(p.Addr()), uint8(p.Bits())}, compareNet4)
	case !single:
		before = len(e.nets4)
		i, ok = slices.BinarySearchFunc(e.nets6, net6{p.Addr().As16(), uint8(p.Bits())}, compareNet6)
	case four:
		before = len(e.nets4) + len(e.nets6)
		i, ok = slices.BinarySearch(e.hosts4, number(p.Addr()))
	default:
		before = len(e.nets4) + len(e.nets6) + len(e.hosts4)
		i, ok = slices.BinarySearchFunc(e.hosts6, p.Addr().As16(), compareHost6)
	}
	return before + i, ok
}

// Has reports whether exactly p is in the set.
func (e *Entries) Has(p netip.Prefix) bool {
	_, ok := e.Index(p)
	return ok
}

// All yields the entries with their numbers.
func (e *Entries) All() iter.Seq2[int, netip.Prefix] {
	return func(yield func(int, netip.Prefix) bool) {
		for i := range e.Len() {
			if !yield(i, e.At(i)) {
				return
			}
		}
	}
}

func number(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

func address(n uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	return netip.AddrFrom4(b)
}

func compareNet4(a, b net4) int {
	return cmp.Or(cmp.Compare(a.addr, b.addr), cmp.Compare(a.bits, b.bits))
}

func compareNet6(a, b net6) int {
	return cmp.Or(bytes.Compare(a.addr[:], b.addr[:]), cmp.Compare(a.bits, b.bits))
}

func compareHost6(a, b [16]byte) int { return bytes.Compare(a[:], b[:]) }
