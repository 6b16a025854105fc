package loader

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"

	"gabion/loader/table"
)

// nets is the table that answers for the IPv4 trie while that holds many prefixes. The trie stays complete,
// and gets each entry first: without a table, or where that is short of room, packets ask the trie. A
// nil *nets, that of IPv6, has no table.
type nets struct {
	spec    *ebpf.MapSpec // of a table
	outer   *ebpf.Map     // at key 0 the table in use
	above   int           // with more prefixes there is a table
	below   int           // with fewer there is none any more
	refused int           // prefixes when none could be made; 0: the last one could
	current *netTable     // nil: none
}

// netTable is a table in a kernel map.
type netTable struct {
	*table.NetRules
	writer *table.Nets4 // of the same; nil: to be read only
	m      *ebpf.Map
	mem    memory
}

// With 60,000 scattered /24s, a lookup for a source in one of them takes 680 ns by the trie and 280 ns by
// the table, which takes 50 MB then: blocks of 1 KiB, one for each /16 that they touch.
const (
	netsAbove = 10_000
	netsBelow = 5_000
)

func newNets(spec *ebpf.MapSpec, outer *ebpf.Map) *nets {
	return &nets{spec: spec, outer: outer, above: netsAbove, below: netsBelow}
}

func net4(p netip.Prefix) table.Net4 {
	return table.Net4{Addr: table.Key4Of(p.Addr()), Bits: uint8(p.Bits())}
}

func prefixOf(n table.Net4) netip.Prefix {
	return netip.PrefixFrom(table.Addr4(n.Addr), int(n.Bits))
}

func (n *nets) inUse() bool { return n != nil && n.current != nil }

// put follows an entry of the trie, which is there already.
func (n *nets) put(e entry) {
	if n.inUse() {
		n.current.writer.Put(net4(e.prefix), e.Entry)
	}
}

// remove follows an entry that is gone from the trie.
func (n *nets) remove(p netip.Prefix) {
	if n.inUse() {
		n.current.writer.Remove(net4(p))
	}
}

// hits returns the packets that were dropped by way of the table. The others are counted in the trie.
func (n *nets) hits(p netip.Prefix) uint64 {
	if !n.inUse() {
		return 0
	}
	return n.current.Hits(net4(p))
}

// openNets takes over what another process left: the hits, and nothing else. The table itself is made
// anew from what is in the trie, or given back.
func (f *family) openNets() error {
	if err := f.nets.follow(); err != nil || f.nets == nil {
		return err
	}
	f.fitNets()
	if c := f.nets.current; c != nil && c.writer == nil {
		return f.dropNets()
	}
	return nil
}

// follow opens the table in use for reading, if it is another one than the last time.
func (n *nets) follow() error {
	if n == nil {
		return nil
	}
	var m *ebpf.Map
	err := n.outer.Lookup(uint32(0), &m)
	switch {
	case errors.Is(err, ebpf.ErrKeyNotExist):
		return n.close()
	case err != nil:
		return fmt.Errorf("open the prefix table: %w", err)
	case n.current != nil && sameMap(n.current.m, m):
		return m.Close()
	}
	mem, err := mapMemory(m, true)
	if err != nil {
		return errors.Join(err, m.Close())
	}
	err = n.close()
	n.current = &netTable{NetRules: table.ReadNetRules(mem.words), m: m, mem: mem}
	return err
}

func (n *nets) close() error {
	if !n.inUse() {
		return nil
	}
	old := n.current
	n.current = nil
	return old.release()
}

func (t *netTable) release() error { return errors.Join(t.mem.unmap(), t.m.Close()) }

// fitNets makes a table, a new one, or none, as the number of prefixes wants it. Where that fails,
// packets are judged as before, only more slowly.
func (f *family) fitNets() {
	n := f.nets
	if n == nil {
		return
	}
	var err error
	count := f.known.upTo(table.MaxNetBits)
	switch c := n.current; {
	case c == nil && count <= n.above:
		return
	case c != nil && count < n.below:
		err = f.dropNets()
	case c != nil && c.writer != nil && !c.writer.Worn():
		return
	case n.refused > 0 && count > n.refused/2 && count < 2*n.refused:
		return // it would be refused again
	default:
		err = f.renewNets()
		n.refused = 0
		if err != nil {
			n.refused = count
		}
	}
	if err != nil {
		f.log.Warn("prefix table not fitted, the trie takes what it cannot hold", "entries", count, "err", err)
	}
}

// upTo returns the number of prefixes that are no longer than that.
func (s *prefixes) upTo(bits int) int {
	sum := 0
	for _, n := range s.lengths[:bits+1] {
		sum += n
	}
	return sum
}

// renewNets puts a table in place that holds what is in the trie. When it fails, what was in use stays.
func (f *family) renewNets() error {
	n := f.nets
	next, err := f.makeNets()
	if err != nil {
		return err
	}
	// This waits until every packet that saw the old table is done (see sync).
	if err := n.outer.Put(uint32(0), next.m); err != nil {
		return errors.Join(fmt.Errorf("put a prefix table in place: %w", err), next.release())
	}
	old := n.current
	n.current = next
	if old == nil {
		return nil
	}
	for net, hits := range old.All() {
		next.AddHits(net, hits)
	}
	return old.release()
}

// makeNets makes a table that the kernel does not know of yet.
func (f *family) makeNets() (*netTable, error) {
	spec := f.nets.spec.Copy()
	spec.MaxEntries = uint32(table.NetLines(func(yield func(table.Net4) bool) {
		for p := range f.known.in {
			if !yield(net4(p)) {
				return
			}
		}
	}))
	m, err := ebpf.NewMap(spec)
	if err != nil {
		return nil, fmt.Errorf("make a prefix table of %d lines: %w", spec.MaxEntries, err)
	}
	mem, err := mapMemory(m, false)
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	t := &netTable{m: m, mem: mem}
	if t.writer, err = table.NewNets4(mem.words); err != nil {
		return nil, errors.Join(err, t.release())
	}
	t.NetRules = t.writer.NetRules
	for p, terms := range f.known.in {
		t.writer.Put(net4(p), table.Entry{Class: terms.class, Expiry: terms.expiry})
	}
	return t, nil
}

// dropNets leaves everything to the trie again, also the hits.
func (f *family) dropNets() error {
	n := f.nets
	// This waits like Put.
	if err := n.outer.Delete(uint32(0)); err != nil {
		return fmt.Errorf("give the prefix table back: %w", err)
	}
	var counted []entry
	for net, hits := range n.current.All() {
		if hits == 0 {
			continue
		}
		e, ok, err := f.trie.find(prefixOf(net))
		if err != nil {
			return errors.Join(err, n.close())
		}
		if ok {
			e.Hits += hits
			counted = append(counted, e)
		}
	}
	_, err := f.trie.put(counted)
	return errors.Join(err, n.close())
}
