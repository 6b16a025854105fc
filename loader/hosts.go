package loader

import (
	"errors"
	"fmt"
	"iter"
	"net/netip"

	"github.com/cilium/ebpf"

	"gabion/loader/table"
)

// hosts is a table of banned hosts, of either family.
type hosts interface {
	touch(netip.Addr) uint64 // see table.Hosts
	warm(part, log2 int) uint64
	find(netip.Addr) (table.Entry, bool)
	put(netip.Addr, table.Entry) bool
	remove(netip.Addr) bool
	addHits(netip.Addr, uint64) bool
	all() iter.Seq2[netip.Addr, table.Entry]
	size() int
	slots() int
	tombstones() int
}

// hosted is a table.Hosts with addresses for keys.
type hosted[K comparable] struct {
	t    table.Hosts[K]
	key  func(netip.Addr) K
	addr func(K) netip.Addr
}

func (h hosted[K]) touch(a netip.Addr) uint64              { return h.t.Touch(h.key(a)) }
func (h hosted[K]) warm(part, log2 int) uint64             { return h.t.Warm(part, log2) }
func (h hosted[K]) find(a netip.Addr) (table.Entry, bool)  { return h.t.Find(h.key(a)) }
func (h hosted[K]) put(a netip.Addr, e table.Entry) bool   { return h.t.Put(h.key(a), e) }
func (h hosted[K]) remove(a netip.Addr) bool               { return h.t.Remove(h.key(a)) }
func (h hosted[K]) addHits(a netip.Addr, hits uint64) bool { return h.t.AddHits(h.key(a), hits) }
func (h hosted[K]) size() int                              { return h.t.Len() }
func (h hosted[K]) slots() int                             { return h.t.Slots() }
func (h hosted[K]) tombstones() int                        { return h.t.Tombstones() }
func (h hosted[K]) all() iter.Seq2[netip.Addr, table.Entry] {
	return addressed(h.t.All(), h.addr)
}

func addressed[K any](all iter.Seq2[K, table.Entry], addr func(K) netip.Addr) iter.Seq2[netip.Addr, table.Entry] {
	return func(yield func(netip.Addr, table.Entry) bool) {
		for k, e := range all {
			if !yield(addr(k), e) {
				return
			}
		}
	}
}

// hostTable is a hosts in a kernel map. Its memory stays as long as somebody reads it: a walk through a
// million entries must not hold up a ban, which may replace the table.
type hostTable struct {
	hosts
	log2  int // of its lines
	m     *ebpf.Map
	mem   memory
	users int // the family, and walks
}

// hostKind is what the tables of the two families do differently.
type hostKind struct {
	least   int                                   // log2 of the lines of the smallest table
	keys    func(log2 int) int                    // of the map, for a table of 2^log2 lines
	log2For func(n int) int                       // for n entries
	part    func(a netip.Addr, key [2]uint64) int // of those that a long list is spread over
	open    func(words []uint64, log2 int, key [2]uint64) (hosts, error)
	salvage func(words []uint64, log2 int, key [2]uint64) (iter.Seq2[netip.Addr, table.Entry], error)
}

// Sizes of a host table, as log2 of its lines.
const (
	firstLog2 = 10
	mostLog2  = 26
)

// kind4 is the kind of IPv4 tables, which have 2^least lines or more. One that holds a few thousand hosts
// from the beginning takes no memory to speak of, and the first bans wait for no growth.
func kind4(least int) hostKind {
	return hostKind{
		least:   least,
		keys:    func(log2 int) int { return table.Lines4(log2) / 3 }, // two lines and their hits
		log2For: func(n int) int { return table.Log2For4(n, least, mostLog2) },
		part:    func(a netip.Addr, key [2]uint64) int { return table.Hash4(table.Key4Of(a), key, partsLog2) },
		open: func(words []uint64, log2 int, key [2]uint64) (hosts, error) {
			t, err := table.NewHosts4(words, log2, key)
			return hosted[uint32]{t, table.Key4Of, table.Addr4}, err
		},
		salvage: func(words []uint64, log2 int, key [2]uint64) (iter.Seq2[netip.Addr, table.Entry], error) {
			all, err := table.Salvage4(words, log2, key)
			return addressed(all, table.Addr4), err
		},
	}
}

// kind6 is the same for IPv6, whose lines hold a quarter of the hosts.
func kind6(least int) hostKind {
	least += 2
	return hostKind{
		least:   least,
		keys:    table.Lines6,
		log2For: func(n int) int { return table.Log2For6(n, least, mostLog2) },
		part:    func(a netip.Addr, key [2]uint64) int { return table.Hash6(table.Key6Of(a), key, partsLog2) },
		open: func(words []uint64, log2 int, key [2]uint64) (hosts, error) {
			t, err := table.NewHosts6(words, log2, key)
			return hosted[table.Key6]{t, table.Key6Of, table.Key6.Addr}, err
		},
		salvage: func(words []uint64, log2 int, key [2]uint64) (iter.Seq2[netip.Addr, table.Entry], error) {
			all, err := table.Salvage6(words, log2, key)
			return addressed(all, table.Key6.Addr), err
		},
	}
}

// newHostTable makes an empty table that the kernel does not know of yet.
func (k hostKind) newHostTable(spec *ebpf.MapSpec, log2 int, key [2]uint64) (*hostTable, error) {
	spec = spec.Copy()
	spec.MaxEntries = uint32(k.keys(log2))
	m, err := ebpf.NewMap(spec)
	if err != nil {
		return nil, fmt.Errorf("make a host table of 2^%d lines: %w", log2, err)
	}
	return k.openHostTable(m, log2, key, false)
}

// openHostTable takes over a table of the kernel, and its handle.
func (k hostKind) openHostTable(m *ebpf.Map, log2 int, key [2]uint64, readOnly bool) (*hostTable, error) {
	mem, err := mapMemory(m, readOnly)
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	h, err := k.open(mem.words, log2, key)
	if err != nil {
		return nil, errors.Join(err, mem.unmap(), m.Close())
	}
	return &hostTable{hosts: h, log2: log2, m: m, mem: mem, users: 1}, nil
}

// release gives up one use of the table; the last one gives its memory back.
func (t *hostTable) release() error {
	t.users--
	if t.users > 0 {
		return nil
	}
	return errors.Join(t.mem.unmap(), t.m.Close())
}
