package loader

import (
	"errors"
	"maps"
	"net/netip"

	"github.com/cilium/ebpf"

	"gabion/loader/table"
)

// tables is the memory that the ban lookup reads, mapped, and the families that write it.
type tables struct {
	control, any4, any6, cidr4, allow memory
	v4, v6                            *family
}

// openTables maps the ban tables and makes them ready for writing. What is in them stays in force all
// the time. It makes good what a writer left that died in the middle: the marks in front are made
// anew, and tables that nobody sees are given back.
func (p *Plane) openTables() error {
	t := &p.tables
	for m, mem := range map[*ebpf.Map]*memory{
		p.maps.Control: &t.control, p.maps.Any4: &t.any4, p.maps.Any6: &t.any6,
		p.maps.CidrBits4: &t.cidr4, p.maps.AllowBits: &t.allow,
	} {
		var err error
		if *mem, err = mapMemory(m, false); err != nil {
			return err
		}
	}
	spec, err := newSpec(Options{})
	if err != nil {
		return err
	}
	half4, half6 := len(t.any4.words)/2, len(t.any6.words)/2
	cidr, err := table.NewCells(t.cidr4.words, table.MinShift)
	if err != nil {
		return err
	}
	t.v4 = &family{
		bits: 32, kind: kind4(p.firstLines), row: row{p.maps.Hosts4, spec.Maps[bpfMapHosts4].InnerMap},
		shown: &t.control.words[viewWord4], half: [2][]uint64{t.any4.words[:half4], t.any4.words[half4:]}, cidr: cidr,
		trie: lpm[bpfPrefix4]{p.maps.Bans4, key4, prefix4}, nets: newNets(spec.Maps[bpfMapNets4].InnerMap, p.maps.Nets4),
	}
	t.v6 = &family{
		bits: 128, kind: kind6(p.firstLines), row: row{p.maps.Hosts6, spec.Maps[bpfMapHosts6].InnerMap},
		shown: &t.control.words[viewWord6], half: [2][]uint64{t.any6.words[:half6], t.any6.words[half6:]},
		trie: lpm[bpfPrefix6]{p.maps.Bans6, key6, prefix6},
	}
	for _, f := range []*family{t.v4, t.v6} {
		f.key, f.limit, f.log = p.abi.HashKey, p.maxBans, p.log
		f.known.in = map[netip.Prefix]terms{}
		f.wait = f.waitForPackets
		if err := f.open(); err != nil {
			return err
		}
	}
	return p.markAllows()
}

// open takes over the table in use, or makes the first one.
func (f *family) open() (err error) {
	f.view = shown(f.shown)
	if f.view.lines > 0 {
		f.hosts, err = f.openHostTable(f.view, false)
	} else {
		f.hosts, err = f.newHostTable(0)
	}
	if errors.Is(err, table.ErrDamaged) {
		f.log.Warn("host table damaged: what can be read of it moves to a new one", "err", err)
		f.hosts, err = f.salvage()
	}
	if err != nil {
		return err
	}
	if f.hosts.half != f.view.table { // a new one
		if err := f.hosts.place(f.row, f.hosts.half); err != nil {
			return err
		}
	}
	if err := f.sync(); err != nil {
		return err
	}
	if err := errors.Join(f.mark(), f.openNets()); err != nil {
		return err
	}
	for half, from := range map[uint8]int{f.hosts.half: f.hosts.count, 1 - f.hosts.half: 0} {
		old, err := f.row.there(half, from)
		if err := errors.Join(err, f.row.vacate(half, old)); err != nil {
			return err
		}
	}
	return nil
}

// mark fills a new front with what is in the tables, and shows it.
func (f *family) mark() error {
	trie, moved := map[netip.Prefix]entry{}, map[netip.Prefix]bool{} // an entry may come twice
	for e, err := range f.trie.all() {
		if err != nil {
			return err
		}
		_, has := f.hosts.find(e.prefix.Addr())
		if has && e.prefix.IsSingleIP() && !e.foreign {
			moved[e.prefix] = true
		} else {
			trie[e.prefix] = e
		}
	}
	next, err := f.newFront(f.half[1-f.view.half], f.hosts.size()+len(trie))
	if err != nil {
		return err
	}
	f.front = next
	for addr := range f.hosts.all() {
		f.front.add(netip.PrefixFrom(addr, addr.BitLen()))
	}
	for _, e := range trie {
		f.known.put(e)
		f.front.add(e.prefix)
		if f.cidr != nil {
			f.cidr.Add(range4(e.prefix))
		}
	}
	f.showTables(1 - f.view.half)
	if err := f.sync(); err != nil {
		return err
	}
	// A writer that died while it moved a host has left two entries. They go now that every packet looks
	// for the other one.
	for p := range moved {
		if err := f.trie.remove(p); err != nil {
			return err
		}
	}
	if f.cidr != nil {
		f.cidr.Trim()
	}
	return nil
}

// salvage moves what can be read of a damaged host table to a new one: packets look at the old one until
// a view shows the new one.
func (f *family) salvage() (*hostTable, error) {
	found, err := f.readDamaged()
	if err != nil {
		return nil, err
	}
	next, err := f.newHostTable(len(found))
	if err != nil {
		return nil, err
	}
	var rest []entry
	for addr, e := range found {
		if !next.put(addr, e) {
			rest = append(rest, entry{prefix: netip.PrefixFrom(addr, addr.BitLen()), Entry: e})
		}
	}
	if full, err := f.trie.put(rest); err != nil || len(full) > 0 {
		f.log.Warn("no room for all hosts of a damaged table", "hosts", len(rest), "full", len(full), "err", err)
	}
	return next, nil
}

// readDamaged reads the host table in use, which is damaged.
func (f *family) readDamaged() (map[netip.Addr]table.Entry, error) {
	c, err := f.row.open(f.view.table, int(f.view.lines), true)
	if err != nil {
		return nil, err
	}
	all, err := f.kind.salvage(c.words, int(f.view.lines), f.key)
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	found := maps.Collect(all)
	// The next table comes to the other half, where packets may look that began before the last change.
	return found, errors.Join(c.wait(f.row, f.view.table), c.close())
}

func (t *tables) close() error {
	var errs []error
	for _, f := range []*family{t.v4, t.v6} {
		if f == nil {
			continue
		}
		if f.hosts != nil {
			errs = append(errs, f.hosts.release())
		}
		errs = append(errs, f.nets.close())
	}
	for _, m := range []*memory{&t.control, &t.any4, &t.any6, &t.cidr4, &t.allow} {
		errs = append(errs, m.unmap())
	}
	return errors.Join(errs...)
}

// family returns the tables that hold a prefix.
func (t *tables) family(p netip.Prefix) *family {
	if p.Addr().Is4() {
		return t.v4
	}
	return t.v6
}
