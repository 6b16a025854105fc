package loader

import (
	"errors"
	"iter"
	"net/netip"

	"gabion/loader/table"
)

// hosts is a table of banned hosts, of either family.
type hosts interface {
	touch(netip.Addr) uint64 // see table.Hosts
	warm(part, parts int) uint64
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
func (h hosted[K]) warm(part, parts int) uint64            { return h.t.Warm(part, parts) }
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

// hostTable is a hosts in kernel maps. Its memory stays as long as somebody reads it: a walk through a
// million entries must not hold up a ban, which may replace the table.
type hostTable struct {
	hosts
	*chunks
	half  uint8 // of the row that the table is in, or will be
	lines int
	users int // the family, and walks
}

// hostKind is what the tables of the two families do differently.
type hostKind struct {
	least   int                 // lines of the smallest table
	lines   func(n int) int     // for n entries
	room    func(lines int) int // entries from which on it is crowded
	hash    func(a netip.Addr, key [2]uint64) uint32
	open    func(words []uint64, lines int, key [2]uint64) (hosts, error)
	salvage func(words []uint64, lines int, key [2]uint64) (iter.Seq2[netip.Addr, table.Entry], error)
}

// firstLines is the number of lines of the first IPv4 table. One that holds a few thousand hosts from the
// beginning takes no memory to speak of, and the first bans wait for no growth.
const firstLines = 2048

// kind4 is the kind of IPv4 tables.
func kind4(least int) hostKind {
	return hostKind{
		least: least,
		lines: table.Lines4,
		room:  table.Room4,
		hash:  func(a netip.Addr, key [2]uint64) uint32 { return table.Hash4(table.Key4Of(a), key) },
		open: func(words []uint64, lines int, key [2]uint64) (hosts, error) {
			t, err := table.NewHosts4(words, lines, key)
			return hosted[uint32]{t, table.Key4Of, table.Addr4}, err
		},
		salvage: func(words []uint64, lines int, key [2]uint64) (iter.Seq2[netip.Addr, table.Entry], error) {
			all, err := table.Salvage4(words, lines, key)
			return addressed(all, table.Addr4), err
		},
	}
}

// kind6 is the same for IPv6, whose lines hold fewer hosts.
func kind6(least int) hostKind {
	return hostKind{
		least: 2 * least,
		lines: table.Lines6,
		room:  table.Room6,
		hash:  func(a netip.Addr, key [2]uint64) uint32 { return table.Hash6(table.Key6Of(a), key) },
		open: func(words []uint64, lines int, key [2]uint64) (hosts, error) {
			t, err := table.NewHosts6(words, lines, key)
			return hosted[table.Key6]{t, table.Key6Of, table.Key6.Addr}, err
		},
		salvage: func(words []uint64, lines int, key [2]uint64) (iter.Seq2[netip.Addr, table.Entry], error) {
			all, err := table.Salvage6(words, lines, key)
			return addressed(all, table.Key6.Addr), err
		},
	}
}

// linesFor is the size of a table for so many hosts.
func (f *family) linesFor(hosts int) int {
	return f.row.round(max(f.kind.lines(hosts), f.kind.least))
}

// newHostTable makes an empty table for so many hosts that the kernel does not know of yet. Its place will
// be the half that is not in use.
func (f *family) newHostTable(hosts int) (*hostTable, error) {
	lines := f.linesFor(hosts)
	c, err := f.row.make(lines)
	if err != nil {
		return nil, err
	}
	return f.newHostTableIn(c, 1-f.view.table, lines)
}

// openHostTable takes over the table that a view shows.
func (f *family) openHostTable(v view, readOnly bool) (*hostTable, error) {
	c, err := f.row.open(v.table, int(v.lines), readOnly)
	if err != nil {
		return nil, err
	}
	return f.newHostTableIn(c, v.table, int(v.lines))
}

func (f *family) newHostTableIn(c *chunks, half uint8, lines int) (*hostTable, error) {
	h, err := f.kind.open(c.words, lines, f.key)
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	return &hostTable{hosts: h, chunks: c, half: half, lines: lines, users: 1}, nil
}

// release gives up one use of the table; the last one gives its memory back.
func (t *hostTable) release() error {
	t.users--
	if t.users > 0 {
		return nil
	}
	return t.chunks.close()
}
