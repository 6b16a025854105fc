package loader

import (
	"errors"
	"fmt"
	"iter"
	"net/netip"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// chunk is the number of entries that one system call reads or writes.
const chunk = 4096

func key4(p netip.Prefix) bpfPrefix4 {
	return bpfPrefix4{Prefixlen: uint32(p.Bits()), Addr: p.Addr().As4()}
}

func key6(p netip.Prefix) bpfPrefix6 {
	return bpfPrefix6{Prefixlen: uint32(p.Bits()), Addr: p.Addr().As16()}
}

func prefix4(k bpfPrefix4) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4(k.Addr), int(k.Prefixlen))
}

func prefix6(k bpfPrefix6) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom16(k.Addr), int(k.Prefixlen))
}

// checkPrefix refuses what has no single meaning as a key.
func checkPrefix(p netip.Prefix) error {
	switch {
	case !p.IsValid():
		return errors.New("not a prefix")
	case p.Addr().Is4In6():
		return fmt.Errorf("%s is an IPv4-mapped address: write it as IPv4", p)
	case p != p.Masked():
		return fmt.Errorf("%s has host bits set: write %s", p, p.Masked())
	}
	return nil
}

// putAll writes entries in batches where the kernel can (LPM tries from 5.13 on) and one by one where
// it cannot or a batch fails: some kernels fail a batch into a fresh trie for lack of memory they
// would have had. It returns the keys for which the table had no room.
func putAll[K, V any](m *ebpf.Map, keys []K, values []V) (full []K, err error) {
	var errs []error
	batch := len(keys) > 1
	for len(keys) > 0 {
		n := min(len(keys), chunk)
		if batch {
			if _, err := m.BatchUpdate(keys[:n], values[:n], nil); err == nil {
				keys, values = keys[n:], values[n:]
				continue
			}
			batch = false
		}
		for i := range n {
			err := m.Put(&keys[i], &values[i])
			// A full trie of an older kernel refuses to replace an entry, too. Then it has to go first.
			if errors.Is(err, unix.ENOSPC) && m.Delete(&keys[i]) == nil {
				err = m.Put(&keys[i], &values[i])
			}
			switch {
			case errors.Is(err, unix.ENOSPC):
				full = append(full, keys[i])
			case err != nil:
				errs = append(errs, err)
			}
		}
		keys, values = keys[n:], values[n:]
	}
	if len(errs) > 0 {
		return full, fmt.Errorf("write %d entries: %w", len(errs), errs[0])
	}
	return full, nil
}

// all reads a table. An entry that is changed meanwhile may come twice, one that is added or deleted
// meanwhile may or may not come; the others come once.
func all[K, V any](m *ebpf.Map) iter.Seq2[K, result[V]] {
	return func(yield func(K, result[V]) bool) {
		var (
			cursor ebpf.MapBatchCursor
			keys   = make([]K, chunk)
			values = make([]V, chunk)
		)
		for {
			n, err := m.BatchLookup(&cursor, keys, values, nil)
			if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
				allSlowly(m, yield) // no batches here, or the walk lost its place: begin again
				return
			}
			for i := range n {
				if !yield(keys[i], result[V]{value: values[i]}) {
					return
				}
			}
			if err != nil {
				return
			}
		}
	}
}

// result is a value read, or why it could not be.
type result[V any] struct {
	value V
	err   error
}

func allSlowly[K, V any](m *ebpf.Map, yield func(K, result[V]) bool) {
	var (
		key   K
		value V
		walk  = m.Iterate()
	)
	for walk.Next(&key, &value) {
		if !yield(key, result[V]{value: value}) {
			return
		}
	}
	if err := walk.Err(); err != nil {
		yield(key, result[V]{err: err})
	}
}

// prefixes is what packets are made to look for in a trie. It knows the lengths.
type prefixes struct {
	in      map[netip.Prefix]terms
	lengths [129]int
}

// terms are what an entry says to a packet.
type terms struct {
	class  uint8
	expiry uint32 // ticks
}

func termsOf(e entry) terms { return terms{e.Class, e.Expiry} }

func (s *prefixes) has(p netip.Prefix) bool {
	_, ok := s.in[p]
	return ok
}

// put says whether the prefix is new.
func (s *prefixes) put(e entry) bool {
	known := s.has(e.prefix)
	if !known {
		s.lengths[e.prefix.Bits()]++
	}
	s.in[e.prefix] = termsOf(e)
	return !known
}

func (s *prefixes) remove(p netip.Prefix) {
	delete(s.in, p)
	s.lengths[p.Bits()]--
}
