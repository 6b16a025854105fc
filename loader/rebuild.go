package loader

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// rebuilt is the host table and the front that will take over from those in use.
type rebuilt struct {
	*family
	hosts *hostTable
	front front
	mark  func(netip.Addr)      // makes packets look for a host, once all are seated
	moved []netip.Prefix        // hosts of the trie that found a slot
	rest  []entry               // hosts that found none
	left  map[netip.Prefix]bool // those of rest
}

// rebuild moves the family's hosts to a new table with room for more, and its marks to a new front. On
// the way it leaves out what is gone and puts in what is new, hosts of which the kernel sees all at
// once. Packets are judged all the time, and one that is banned before and after is banned in between.
//
// When it fails, what was in use stays in use.
func (f *family) rebuild(more int, put *hostList, gone map[netip.Prefix]struct{}) error {
	if f.late { // packets may look at the other half still
		if err := f.sync(); err != nil {
			return err
		}
	}
	hosts, wide := f.growth(put, gone)
	next, err := f.newTables(more+hosts, more+hosts+wide)
	if err != nil {
		return err
	}
	old := f.hosts
	if err := next.fill(put, gone); err != nil {
		return errors.Join(err, next.abandon())
	}
	if err := f.takeOver(next); err != nil {
		return errors.Join(err, next.abandon())
	}
	return f.retire(old, next)
}

// smallPart: a table this much smaller than another one takes no memory beside that.
const smallPart = 16

// retire gives the old table back once no packet sees it any more. When that cannot be waited for, all
// that packets may look at stays in the kernel, with marks of its own.
func (f *family) retire(old *hostTable, next *rebuilt) error {
	if err := f.sync(); err != nil {
		for _, p := range next.moved {
			f.front.add(p)
		}
		f.takeHits(old)
		return errors.Join(err, old.release())
	}
	f.takeHits(old)
	hits, err := f.trieHits(next.moved)
	errs := []error{err}
	for _, p := range next.moved {
		f.hosts.addHits(p.Addr(), hits[p])
		errs = append(errs, f.forget(p))
	}
	// Giving it back waits for packets once more: that of a small one may wait for the next table.
	if f.left > f.hosts.count/smallPart {
		errs = append(errs, f.vacate(old.half, 0))
	}
	return errors.Join(append(errs, old.release())...)
}

// takeHits adds what a table has counted that is in use no more.
func (f *family) takeHits(old *hostTable) {
	for addr, e := range old.all() {
		if e.Hits > 0 {
			f.hosts.addHits(addr, e.Hits)
		}
	}
}

// vacate gives back what is left in the other half, from a chunk on.
func (f *family) vacate(half uint8, from int) error {
	err := f.row.vacate(half, between(from, f.left))
	if err == nil {
		f.left = min(f.left, from)
	}
	return err
}

// growth is how many more hosts and prefixes there are after a swap, which may be less than none.
func (f *family) growth(put *hostList, gone map[netip.Prefix]struct{}) (hosts, wide int) {
	if put != nil && f.size() < put.n/fewSlots {
		hosts = put.n // it does not matter whether some are there already
	} else {
		for e := range put.all(f.hosts) {
			if !f.has(e.prefix) {
				hosts++
			}
		}
	}
	for p := range gone {
		switch {
		case !f.has(p):
		case p.IsSingleIP():
			hosts--
		default:
			wide--
		}
	}
	return hosts, wide
}

// newTables makes empty ones for as many more hosts, and as many more entries of all kinds.
func (f *family) newTables(hosts, all int) (*rebuilt, error) {
	other := f.half[1-f.view.half]
	front, err := f.newFront(other, f.size()+all)
	if err != nil {
		return nil, err
	}
	table, err := f.newHostTable(f.hostsWith(hosts))
	if err != nil {
		return nil, err
	}
	return &rebuilt{family: f, hosts: table, front: front, left: map[netip.Prefix]bool{}}, nil
}

func (f *family) newFront(half []uint64, n int) (front, error) {
	if f.bits == 32 {
		return newFront4(half, n, f.key)
	}
	return newFront6(half, n, f.key)
}

// fill copies what stays and puts in what is new.
func (r *rebuilt) fill(put *hostList, gone map[netip.Prefix]struct{}) error {
	n := r.family.hosts.size()
	if put != nil {
		n += put.n
	}
	mark, done := r.front.marking(n)
	r.mark = mark
	replaced := map[netip.Prefix]bool{} // in the trie
	for e := range put.all(r.hosts) {
		r.seat(e)
		if r.known.has(e.prefix) {
			replaced[e.prefix] = true
		}
	}
	for addr, e := range r.family.hosts.all() {
		p := netip.PrefixFrom(addr, addr.BitLen())
		if _, ok := gone[p]; ok {
			continue
		}
		e := entry{prefix: p, Entry: e}
		if put != nil {
			r.place(e)
		} else {
			r.seat(e)
		}
	}
	done()
	for p := range r.known.in {
		if _, ok := gone[p]; ok {
			continue
		}
		if err := r.carry(p, replaced[p]); err != nil {
			return err
		}
	}
	return r.settle()
}

// placed says whether a host was given a place already, which is then a newer entry.
func (r *rebuilt) placed(p netip.Prefix) bool {
	_, ok := r.hosts.find(p.Addr())
	return ok || r.left[p]
}

// place gives a host a slot, unless it has a place.
func (r *rebuilt) place(e entry) {
	if !r.placed(e.prefix) {
		r.seat(e)
	}
}

// seat gives a host a slot. Of entries for the same host the last one counts.
func (r *rebuilt) seat(e entry) {
	e.Hits = 0 // they come once the old table counts no more
	before := r.hosts.size()
	switch {
	case r.hosts.put(e.prefix.Addr(), e.Entry):
		if r.hosts.size() > before {
			r.mark(e.prefix.Addr())
		}
	case r.left[e.prefix]:
		i := slices.IndexFunc(r.rest, func(one entry) bool { return one.prefix == e.prefix })
		e.Hits = r.rest[i].Hits
		r.rest[i] = e
	default:
		if old, ok := r.family.hosts.find(e.prefix.Addr()); ok {
			e.Hits = old.Hits
		} else if hits, err := r.trieHits([]netip.Prefix{e.prefix}); err == nil {
			e.Hits = hits[e.prefix]
		}
		r.rest = append(r.rest, e)
		r.left[e.prefix] = true
	}
}

// carry takes an entry of the trie along: a host that finds a slot now leaves it. One that was put in by
// hand stays what it is, until it is replaced.
func (r *rebuilt) carry(p netip.Prefix, replaced bool) error {
	if !p.IsSingleIP() {
		r.front.add(p)
		return nil
	}
	if r.left[p] {
		return nil
	}
	e, own, err := r.trie.own(p)
	if err != nil {
		return err
	}
	switch e.Hits = 0; {
	case replaced || own && r.placed(p):
		r.moved = append(r.moved, p)
		return nil
	case own && r.hosts.put(p.Addr(), e.Entry):
		r.moved = append(r.moved, p)
	}
	r.front.add(p)
	return nil
}

// settle puts what found no slot into the trie, before the table it was in goes out of use.
func (r *rebuilt) settle() error {
	full, err := r.trie.put(r.rest)
	if err != nil {
		return err
	}
	if len(full) > 0 {
		return fmt.Errorf("no room in the trie for %d hosts that found none in the table", len(full))
	}
	for _, e := range r.rest {
		r.learn(e)
		r.front.add(e.prefix)
	}
	return nil
}

// abandon undoes what fill has done to the trie: hosts of rest have an entry of their own, and the trie
// may have taken some of them and failed then.
func (r *rebuilt) abandon() error {
	r.family.left = max(r.family.left, r.hosts.count)
	errs := []error{r.vacate(r.hosts.half, 0), r.hosts.release()}
	for _, e := range r.rest {
		if _, ok := r.family.hosts.find(e.prefix.Addr()); ok || !r.known.has(e.prefix) {
			errs = append(errs, r.removeTrie(e.prefix))
		}
	}
	return errors.Join(errs...)
}

// takeOver shows the new tables. Who sees the new host table must see the marks of what found no slot in
// it, so packets are waited for before. Those that began before it is shown may still look at the old
// ones. When it fails, nothing has changed.
func (f *family) takeOver(next *rebuilt) error {
	if err := next.hosts.place(f.row, next.hosts.half); err != nil {
		return err
	}
	if err := f.vacate(next.hosts.half, next.hosts.count); err != nil {
		return err
	}
	if len(next.rest) > 0 {
		if err := f.wait(); err != nil {
			return err
		}
	}
	f.left = f.hosts.count
	f.hosts, f.front, f.late = next.hosts, next.front, true
	f.showTables(1 - f.view.half)
	return nil
}

// showTables shows the host table and the front in use, which is in the given half.
func (f *family) showTables(half uint8) {
	f.show(view{
		scale: f.front.scale(), half: half, table: f.hosts.half, flags: f.flags(), lines: uint32(f.hosts.lines),
	})
}

// swap puts hosts and prefixes in and takes others out, the hosts all at once.
func (f *family) swap(hosts *hostList, wide []entry, gone map[netip.Prefix]struct{}) (full []netip.Prefix, err error) {
	if f.size()+hosts.n+len(wide) > f.limit {
		wide, full = f.cut(hosts, wide, gone)
	}
	if len(gone) > 0 {
		for e := range hosts.all(f.hosts) {
			delete(gone, e.prefix)
		}
	}
	for _, e := range wide {
		delete(gone, e.prefix)
	}
	noRoom, err := f.putTrie(wide, len(wide)) // there is room, or will be
	full = append(full, noRoom...)
	if err != nil {
		return full, err
	}
	if err := f.rebuild(0, hosts, gone); err != nil {
		return full, err
	}
	var errs []error
	for p := range gone {
		if f.known.has(p) {
			errs = append(errs, f.forget(p))
		}
	}
	return full, errors.Join(errs...)
}

// cut leaves out the new entries for which there will be no room: of the hosts the last ones, in place, and
// of the prefixes, which it returns, those for which even then there is none.
func (f *family) cut(hosts *hostList, wide []entry, gone map[netip.Prefix]struct{}) (fits []entry, full []netip.Prefix) {
	room := f.limit - f.size()
	for p := range gone {
		if f.has(p) {
			room++
		}
	}
	isNew := func(p netip.Prefix) bool {
		has := f.has(p)
		if _, leaves := gone[p]; has && leaves {
			room-- // it stays after all
		}
		return !has
	}
	newHosts := hosts.which(isNew)
	var newWide []entry
	for _, e := range wide {
		if isNew(e.prefix) {
			newWide = append(newWide, e)
		} else {
			fits = append(fits, e)
		}
	}
	room = max(room, 0)
	n := min(room, len(newWide))
	for _, e := range newWide[n:] {
		full = append(full, e.prefix)
	}
	return append(fits, newWide[:n]...), append(full, hosts.cut(newHosts, room-n)...)
}

func (f *family) has(p netip.Prefix) bool {
	if p.IsSingleIP() {
		if _, ok := f.hosts.find(p.Addr()); ok {
			return true
		}
	}
	return f.known.has(p)
}

// sync returns when every packet that began before is done.
func (f *family) sync() error {
	if err := f.wait(); err != nil {
		return err
	}
	f.fresh, f.late = false, false
	return nil
}

func (f *family) waitForPackets() error { return f.hosts.chunks.wait(f.row, f.hosts.half) }
