package loader

import (
	"errors"
	"fmt"
	"iter"
	"net/netip"

	"github.com/cilium/ebpf"

	"gabion/loader/table"
)

// entry is a ban as the kernel holds it: its end in ticks.
type entry struct {
	prefix netip.Prefix
	table.Entry
	foreign bool // read: written by other means than gabion
}

// trie is one of the LPM tries: the prefixes of a family, and its hosts that found no slot.
type trie interface {
	// put writes entries, batched where the kernel can, and returns those it had no room for.
	put([]entry) (full []netip.Prefix, err error)
	// remove takes out the entry of exactly this prefix, if there is one.
	remove(netip.Prefix) error
	// find looks up the entry of exactly this prefix. It walks through the trie where own does not tell.
	find(netip.Prefix) (entry, bool, error)
	// own looks up the entry of exactly this prefix, unless it was made by hand.
	own(netip.Prefix) (entry, bool, error)
	all() iter.Seq2[entry, error]
}

// lpm is a trie with keys of one family.
type lpm[K any] struct {
	m      *ebpf.Map
	key    func(netip.Prefix) K
	prefix func(K) netip.Prefix
}

func (t lpm[K]) put(entries []entry) ([]netip.Prefix, error) {
	keys, values := make([]K, len(entries)), make([]bpfBan, len(entries))
	for i, e := range entries {
		keys[i] = t.key(e.prefix)
		values[i] = bpfBan{Expiry: uint64(e.Expiry), DecisionId: e.ID, Hits: e.Hits, Class: e.Class}
		if !e.foreign {
			values[i].Prefixlen = uint8(e.prefix.Bits())
		}
	}
	full, err := putAll(t.m, keys, values)
	out := make([]netip.Prefix, len(full))
	for i, k := range full {
		out[i] = t.prefix(k)
	}
	return out, err
}

func (t lpm[K]) remove(p netip.Prefix) error {
	k := t.key(p)
	if err := t.m.Delete(&k); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("take %s out of %s: %w", p, t.m, err)
	}
	return nil
}

// find asks the kernel, which answers with the longest match. That tells its own length, unless it was
// made by hand: then only the keys themselves say.
func (t lpm[K]) find(p netip.Prefix) (entry, bool, error) {
	e, match, err := t.longest(p)
	if err != nil || match != byHand {
		return e, match == exact, err
	}
	for e, err := range t.all() {
		if err != nil || e.prefix == p {
			return e, err == nil, err
		}
	}
	return entry{}, false, nil
}

func (t lpm[K]) own(p netip.Prefix) (entry, bool, error) {
	e, match, err := t.longest(p)
	return e, match == exact && !e.foreign, err
}

// match is what the longest match of a prefix is.
type match uint8

const (
	none   match = iota // or a shorter prefix
	exact               // the prefix itself
	byHand              // no telling
)

// longest reads the longest match of a prefix.
func (t lpm[K]) longest(p netip.Prefix) (entry, match, error) {
	k, v := t.key(p), bpfBan{}
	err := t.m.Lookup(&k, &v)
	switch {
	case errors.Is(err, ebpf.ErrKeyNotExist):
		return entry{}, none, nil
	case err != nil:
		return entry{}, none, fmt.Errorf("look up %s: %w", p, err)
	case v.Prefixlen == 0 && p.Bits() > 0:
		return entry{}, byHand, nil
	case int(v.Prefixlen) == p.Bits():
		return entryOf(p, v), exact, nil
	}
	return entry{}, none, nil
}

func (t lpm[K]) all() iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		for k, r := range all[K, bpfBan](t.m) {
			err := r.err
			if err != nil {
				err = fmt.Errorf("read %s: %w", t.m, err)
			}
			if !yield(entryOf(t.prefix(k), r.value), err) {
				return
			}
		}
	}
}

// entryOf reads a value. gabion writes the length of every prefix, nobody else does.
func entryOf(p netip.Prefix, v bpfBan) entry {
	e := entry{
		prefix:  p,
		Entry:   table.Entry{Class: v.Class, Expiry: uint32(min(v.Expiry, table.NoEnd)), ID: v.DecisionId, Hits: v.Hits},
		foreign: int(v.Prefixlen) != p.Bits() || p.Bits() == 0 && v.DecisionId == 0,
	}
	if e.Expiry == 0 {
		e.Expiry = table.NoEnd
	}
	return e
}
