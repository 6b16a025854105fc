package loader

import (
	"math/bits"
	"net/netip"

	"gabion/loader/table"
)

// front is the filter that says of most addresses that no ban touches them.
type front interface {
	// touch reads the memory that add will change for a host, and returns something of it.
	touch(netip.Addr) uint64
	// add is called after the entry is in force, and makes packets look for it.
	add(netip.Prefix)
	// marking returns what adds many hosts, about n, which is only done when done was called.
	marking(n int) (mark func(netip.Addr), done func())
	// remove is called after the entry is gone.
	remove(netip.Prefix)
	// worn says that a new one would serve better: for n entries it has the wrong size, or too many
	// bits stand for nothing.
	worn(n int) bool
	scale() uint8
}

// front4 knows each address, and networks by their place.
type front4 struct {
	*table.Filter4
	log2 int
}

func newFront4(half []uint64, n int, key [2]uint64) (front, error) {
	log2 := log2For4(n)
	filter, err := table.NewFilter4(half, log2, key)
	if err != nil {
		return nil, err
	}
	return &front4{Filter4: filter, log2: log2}, nil
}

func log2For4(n int) int {
	return table.BloomLog2For(n, table.MinFilterLog2, table.MaxFilterLog2)
}

func (f *front4) touch(a netip.Addr) uint64 { return f.Touch(table.Key4Of(a)) }
func (f *front4) add(p netip.Prefix)        { f.Add(range4(p)) }

// marking spreads the hosts by address, in whose order the memory is.
func (f *front4) marking(n int) (mark func(netip.Addr), done func()) {
	marks := newSpread[uint32](n)
	mark = func(a netip.Addr) {
		key := table.Key4Of(a)
		marks.add(table.Share(key, parts), key)
	}
	return mark, func() {
		for _, part := range marks.parts {
			for _, key := range part {
				f.Add(key, key)
			}
		}
		marks.release()
	}
}

func (f *front4) remove(p netip.Prefix) { f.Remove(range4(p)) }
func (f *front4) scale() uint8          { return uint8(f.log2) }

// worn allows for a quarter of the entries, so that a set that stays at one size does not go to and fro.
func (f *front4) worn(n int) bool {
	want := log2For4(n)
	return want > f.log2 || want < f.log2-2
}

// range4 returns the first and the last address of a prefix.
func range4(p netip.Prefix) (first, last uint32) {
	first = table.Key4Of(p.Addr())
	return first, first | uint32(1<<(32-p.Bits())-1)
}

// front6 is a Bloom filter, so what is removed leaves its bits behind.
type front6 struct {
	*table.Bloom
	log2    int
	most    int // log2 of the words there are
	added   int
	removed int
}

// Words of the IPv6 filter, as log2. The most is that of the map.
const (
	leastWords6 = 10
	usualWords6 = 18
	mostWords6  = 20
)

func newFront6(half []uint64, n int, key [2]uint64) (front, error) {
	most := bits.Len(uint(len(half))) - 1
	log2 := table.BloomLog2For(n, leastWords6, most)
	bloom, err := table.NewBloom(half, log2, key)
	if err != nil {
		return nil, err
	}
	bloom.Reset()
	return &front6{Bloom: bloom, log2: log2, most: most}, nil
}

// touch does nothing: setting a bit waits for nothing that comes after it.
func (f *front6) touch(netip.Addr) uint64 { return 0 }

func (f *front6) add(p netip.Prefix) {
	f.added++
	high := table.Key6Of(p.Addr()).Hi
	switch {
	case p.Bits() >= 48:
		f.Add(table.Item48(high))
	case p.Bits() >= 32:
		f.Add(table.Item32(high))
	}
}

func (f *front6) marking(int) (mark func(netip.Addr), done func()) {
	return func(a netip.Addr) { f.add(netip.PrefixFrom(a, a.BitLen())) }, func() {}
}

func (f *front6) remove(netip.Prefix) { f.removed++ }
func (f *front6) scale() uint8        { return uint8(f.log2) }

func (f *front6) worn(n int) bool {
	want := table.BloomLog2For(n, leastWords6, f.most)
	return want > f.log2 || want < f.log2-2 || f.removed > 1024 && f.removed > f.added/2
}
