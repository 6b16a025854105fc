package decision

import (
	"encoding/binary"
	"iter"
	"math/bits"
	"net/netip"
)

// PrefixMap maps prefixes to values and answers what covers a prefix and what lies inside one. It
// is a path-compressed binary trie, so both answers cost the depth of the tree and not its size.
// The zero value is empty and ready. It has no lock: its owner has.
//
// Prefixes are kept masked and IPv4-mapped IPv6 counts as IPv4. An invalid prefix is never found
// and never stored. Iteration is in order: IPv4 before IPv6, then by address, the shorter prefix
// first. The map must not be changed while it is iterated.
type PrefixMap[T any] struct {
	v4, v6 *node[T]
	size   int
}

// node is a stored prefix, or (set is false) the point where two stored prefixes part.
type node[T any] struct {
	key   key
	set   bool
	value T
	child [2]*node[T]
}

// Len returns the number of prefixes.
func (m *PrefixMap[T]) Len() int { return m.size }

// Get returns the value stored for exactly p.
func (m *PrefixMap[T]) Get(p netip.Prefix) (T, bool) {
	k, ok := keyOf(p)
	if ok {
		for n := *m.root(k); n != nil && n.key.contains(k); n = n.child[k.bit(n.key.bits)] {
			if n.key.bits == k.bits {
				return n.value, n.set
			}
		}
	}
	var none T
	return none, false
}

// Put stores v for p, in place of what was there.
func (m *PrefixMap[T]) Put(p netip.Prefix, v T) {
	k, ok := keyOf(p)
	if !ok {
		return
	}
	at := m.root(k)
	for *at != nil && (*at).key.contains(k) {
		n := *at
		if n.key.bits == k.bits {
			if !n.set {
				m.size++
			}
			n.set, n.value = true, v
			return
		}
		at = &n.child[k.bit(n.key.bits)]
	}
	m.size++
	leaf := &node[T]{key: k, set: true, value: v}
	if *at == nil {
		*at = leaf
		return
	}
	old := *at
	shared := old.key.common(k)
	if shared == k.bits {
		leaf.child[old.key.bit(shared)] = old
		*at = leaf
		return
	}
	fork := &node[T]{key: k.cut(shared)}
	fork.child[old.key.bit(shared)] = old
	fork.child[k.bit(shared)] = leaf
	*at = fork
}

// Delete removes p and reports whether it was there.
func (m *PrefixMap[T]) Delete(p netip.Prefix) bool {
	k, ok := keyOf(p)
	if !ok {
		return false
	}
	var above **node[T]
	at := m.root(k)
	for *at != nil && (*at).key.contains(k) && (*at).key.bits < k.bits {
		above, at = at, &(*at).child[k.bit((*at).key.bits)]
	}
	n := *at
	if n == nil || n.key != k || !n.set {
		return false
	}
	m.size--
	var none T
	n.set, n.value = false, none
	n.shorten(at)
	if above != nil {
		(*above).shorten(above)
	}
	return true
}

// shorten takes n out of the tree when it holds nothing and joins nothing.
func (n *node[T]) shorten(at **node[T]) {
	switch {
	case n.set || n.child[0] != nil && n.child[1] != nil:
	case n.child[0] != nil:
		*at = n.child[0]
	default:
		*at = n.child[1]
	}
}

// Covering yields p itself, when stored, and every stored prefix that contains it; the shortest first.
func (m *PrefixMap[T]) Covering(p netip.Prefix) iter.Seq2[netip.Prefix, T] {
	return func(yield func(netip.Prefix, T) bool) {
		k, ok := keyOf(p)
		if !ok {
			return
		}
		for n := *m.root(k); n != nil && n.key.contains(k); n = n.child[k.bit(n.key.bits)] {
			if n.set && !yield(n.key.prefix(), n.value) || n.key.bits == k.bits {
				return
			}
		}
	}
}

// Within yields p itself, when stored, and every stored prefix inside it.
func (m *PrefixMap[T]) Within(p netip.Prefix) iter.Seq2[netip.Prefix, T] {
	return func(yield func(netip.Prefix, T) bool) {
		k, ok := keyOf(p)
		if !ok {
			return
		}
		n := *m.root(k)
		for n != nil && n.key.bits < k.bits && n.key.contains(k) {
			n = n.child[k.bit(n.key.bits)]
		}
		if n != nil && k.contains(n.key) {
			n.walk(nil, yield)
		}
	}
}

// All yields every prefix.
func (m *PrefixMap[T]) All() iter.Seq2[netip.Prefix, T] { return m.After(netip.Prefix{}) }

// After yields the prefixes that follow p in the map's order, so that a long walk can be done in
// pieces while the map changes in between. The zero prefix comes before all others.
func (m *PrefixMap[T]) After(p netip.Prefix) iter.Seq2[netip.Prefix, T] {
	return func(yield func(netip.Prefix, T) bool) {
		k, ok := keyOf(p)
		switch {
		case !ok:
			_ = m.v4.walk(nil, yield) && m.v6.walk(nil, yield)
		case !k.is6:
			_ = m.v4.walk(&k, yield) && m.v6.walk(nil, yield)
		default:
			m.v6.walk(&k, yield)
		}
	}
}

// walk visits the tree below n in order, leaving out what does not follow after. It reports
// whether the consumer wants more.
func (n *node[T]) walk(after *key, yield func(netip.Prefix, T) bool) bool {
	if n == nil {
		return true
	}
	if after != nil {
		if n.key.less(*after) && !n.key.contains(*after) {
			return true // everything below n is smaller as well
		}
		if after.less(n.key) {
			after = nil // everything below n is larger as well
		}
	}
	if n.set && after == nil && !yield(n.key.prefix(), n.value) {
		return false
	}
	return n.child[0].walk(after, yield) && n.child[1].walk(after, yield)
}

func (m *PrefixMap[T]) root(k key) **node[T] {
	if k.is6 {
		return &m.v6
	}
	return &m.v4
}

// key is a prefix as bits from the left; an IPv4 address fills the upper half of hi.
type key struct {
	hi, lo uint64
	bits   uint8
	is6    bool
}

func keyOf(p netip.Prefix) (key, bool) {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	if !p.IsValid() {
		return key{}, false
	}
	k := key{bits: uint8(p.Bits()), is6: p.Addr().Is6()}
	if k.is6 {
		a := p.Addr().As16()
		k.hi, k.lo = binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(a[8:])
	} else {
		a := p.Addr().As4()
		k.hi = uint64(binary.BigEndian.Uint32(a[:])) << 32
	}
	return k.cut(k.bits), true
}

func (k key) prefix() netip.Prefix {
	if k.is6 {
		var a [16]byte
		binary.BigEndian.PutUint64(a[:8], k.hi)
		binary.BigEndian.PutUint64(a[8:], k.lo)
		return netip.PrefixFrom(netip.AddrFrom16(a), int(k.bits))
	}
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], uint32(k.hi>>32))
	return netip.PrefixFrom(netip.AddrFrom4(a), int(k.bits))
}

// cut returns the first n bits of k. Go shifts by the word size or more give 0, as wanted here.
func (k key) cut(n uint8) key {
	k.bits = n
	if n < 64 {
		k.hi &^= ^uint64(0) >> n
		k.lo = 0
		return k
	}
	k.lo &^= ^uint64(0) >> (n - 64)
	return k
}

// bit returns bit i from the left. For i beyond the address it is 0 and never used.
func (k key) bit(i uint8) uint8 {
	if i < 64 {
		return uint8(k.hi >> (63 - i) & 1)
	}
	return uint8(k.lo >> (127 - i) & 1)
}

// common returns the number of leading bits that k and o share.
func (k key) common(o key) uint8 {
	n := bits.LeadingZeros64(k.hi ^ o.hi)
	if n == 64 {
		n += bits.LeadingZeros64(k.lo ^ o.lo)
	}
	return uint8(min(n, int(k.bits), int(o.bits)))
}

func (k key) contains(o key) bool { return k.bits <= o.bits && k.common(o) == k.bits }

func (k key) less(o key) bool {
	if k.hi != o.hi {
		return k.hi < o.hi
	}
	if k.lo != o.lo {
		return k.lo < o.lo
	}
	return k.bits < o.bits
}
