package loader

import (
	"errors"
	"iter"
	"log/slog"
	"net/netip"

	"gabion/loader/table"
)

// family is the ban tables of one address family, and their only writer. Its owner serialises calls.
//
// The order of writes is what readers rely on, who take no lock: an entry is in force with its bit in
// front, which is set last, and cleared only after the entry is gone; entries do not move within a
// table; a new table or a new front is filled completely and then shown by one store; and what was
// shown before is only touched again when every packet that may have seen it is done (sync).
type family struct {
	bits  int // of an address
	key   [2]uint64
	kind  hostKind
	row   row         // the host tables
	shown *uint64     // the family's view
	half  [2][]uint64 // of the front's map
	limit int         // entries
	log   *slog.Logger

	view  view
	hosts *hostTable
	front front
	trie  trie
	cidr  *table.Cells // the /24s that the trie touches; nil for IPv6
	nets  *nets        // nil for IPv6
	known prefixes     // what is in the trie
	fresh bool         // something was put since the last sync

	// late: packets that began before the last takeOver may not be done.
	late bool
	wait func() error // for packets: waitForPackets
	left int          // chunks in the other half, of the table before

	planned int    // hosts that will be in the table when the running Ban is done
	touched uint64 // see touch
}

// flags says what the packet path must reckon with.
func (f *family) flags() uint8 {
	flags := f.view.flags & viewAllowWide
	if len(f.known.in) > 0 {
		flags |= viewPrefixes
	}
	if f.bits == 32 {
		return flags
	}
	for bits, n := range f.known.lengths[:48] {
		switch {
		case n > 0 && bits < 32:
			flags |= viewWide
		case n > 0:
			flags |= viewMiddle
		}
	}
	return flags
}

func (f *family) show(v view) {
	if v != f.view {
		f.view = v
		show(f.shown, v)
	}
}

func (f *family) showFlags() {
	v := f.view
	v.flags = f.flags()
	f.show(v)
}

// size is the number of entries.
func (f *family) size() int { return f.hosts.size() + len(f.known.in) }

// put writes entries, each over the one of the same prefix, whose hits it keeps. It returns those for
// which there was no room; all others are in force.
func (f *family) put(entries []entry) (full []netip.Prefix, err error) {
	few := len(entries) <= f.hosts.slots()/fewSlots
	if !few {
		f.expect(len(entries), func(yield func(netip.Prefix) bool) {
			for i := range entries {
				if !yield(entries[i].prefix) {
					return
				}
			}
		})
	}
	var rest []entry
	var beside []netip.Prefix // entries of the trie, made by hand, that the slot replaces
	for i, e := range entries {
		if i%together == 0 {
			f.touch(entries[i:min(i+together, len(entries))])
		}
		switch placed, room := f.putHost(e); {
		case !room:
			full = append(full, e.prefix)
		case !placed:
			rest = append(rest, e)
		case f.known.has(e.prefix):
			beside = append(beside, e.prefix)
		}
	}
	var errs []error
	for _, p := range beside {
		errs = append(errs, f.removeTrie(p))
	}
	noRoom, err := f.putTrie(rest, f.limit-f.size())
	if few {
		f.resize(0)
	}
	return append(full, noRoom...), errors.Join(append(errs, err)...)
}

// fewSlots is the part of a table's slots that few entries take: these are in force before the table
// grows for them, which takes some tenths of a second when there are a million.
const fewSlots = 16

// resize makes room for more hosts if it can. What finds none goes to the trie.
func (f *family) resize(more int) {
	if err := f.fit(more); err != nil {
		f.log.Warn("host table not resized, the trie takes what it cannot hold", "entries", f.size(), "err", err)
	}
}

// together is how many entries' memory is fetched at once: about as much as a processor can wait for.
const together = 16

// touch fetches the memory that putting entries will change, most of which is in no cache when the
// tables are large. The sum keeps the compiler from leaving the reads out.
func (f *family) touch(entries []entry) {
	for i := range entries {
		if p := entries[i].prefix; p.IsSingleIP() {
			f.touched += f.hosts.touch(p.Addr()) + f.front.touch(p.Addr())
		}
	}
}

// expect makes room for prefixes that are about to be put, of which there are n, and returns how many of
// them may need a slot.
func (f *family) expect(n int, all iter.Seq[netip.Prefix]) int {
	most := min(n, max(f.limit-f.size(), 0))
	if f.crowded(most) || f.front.worn(f.size()+most) {
		look := f.hosts.size() > n/fewSlots // else it does not matter whether some are there already
		hosts := 0
		for p := range all {
			if !p.IsSingleIP() {
				continue
			}
			in := false
			if look {
				_, in = f.hosts.find(p.Addr())
			}
			if !in {
				hosts++
			}
		}
		most = min(most, hosts)
	}
	f.resize(most)
	return most
}

// putHost puts an entry into the host table when it belongs there.
func (f *family) putHost(e entry) (placed, room bool) {
	if !e.prefix.IsSingleIP() {
		return false, true
	}
	inTrie := f.known.has(e.prefix)
	addr, before := e.prefix.Addr(), f.hosts.size()
	if inTrie || f.size() >= f.limit {
		if _, had := f.hosts.find(addr); !had {
			return false, inTrie
		}
	}
	if !f.hosts.put(addr, e.Entry) {
		return false, true
	}
	f.fresh = true
	if f.hosts.size() > before {
		f.front.add(e.prefix)
	}
	return true, true
}

// putTrie puts entries into the trie, of which so many may be new.
func (f *family) putTrie(entries []entry, room int) (full []netip.Prefix, err error) {
	prefixes := make([]netip.Prefix, len(entries))
	for i, e := range entries {
		prefixes[i] = e.prefix
	}
	hits, errHits := f.trieHits(prefixes) // without them the entries are in force all the same
	fits := entries[:0]
	for _, e := range entries {
		switch e.Hits = hits[e.prefix]; {
		case f.known.has(e.prefix):
		case room <= 0:
			full = append(full, e.prefix)
			continue
		default:
			room--
		}
		fits = append(fits, e)
	}
	if len(fits) == 0 {
		return full, errHits
	}
	noRoom, err := f.trie.put(fits)
	f.fresh = true
	refused := map[netip.Prefix]bool{}
	for _, p := range noRoom {
		refused[p] = true
	}
	for _, e := range fits {
		if in, ok := f.written(e, err); ok && !refused[e.prefix] {
			f.learn(in)
		}
	}
	return append(full, noRoom...), errors.Join(errHits, err)
}

// trieHits returns the hits of those that are in the trie, walking through it once at most.
func (f *family) trieHits(prefixes []netip.Prefix) (map[netip.Prefix]uint64, error) {
	hits, rest := map[netip.Prefix]uint64{}, map[netip.Prefix]bool{}
	for _, p := range prefixes {
		if !f.known.has(p) {
			continue
		}
		e, own, err := f.trie.own(p)
		switch {
		case err != nil:
			return hits, err
		case own:
			hits[p] = e.Hits
		default:
			rest[p] = true
		}
	}
	if len(rest) == 0 {
		return hits, nil
	}
	for e, err := range f.trie.all() {
		if err != nil {
			return hits, err
		}
		if rest[e.prefix] {
			hits[e.prefix] = e.Hits
		}
	}
	return hits, nil
}

// written returns what is in the trie where an entry was to be put, which may be another one: after a
// failure it is not known what was left undone.
func (f *family) written(e entry, err error) (entry, bool) {
	if err == nil {
		return e, true
	}
	in, ok, err := f.trie.find(e.prefix)
	if err != nil {
		return e, true
	}
	return in, ok
}

// learn makes packets look for an entry that is in the trie, as it is there now.
func (f *family) learn(e entry) {
	isNew := f.known.put(e)
	f.nets.put(e)
	if !isNew {
		return
	}
	if f.cidr != nil {
		f.cidr.Add(range4(e.prefix))
	}
	f.showFlags()
	f.front.add(e.prefix)
}

// remove takes out the entry of exactly this prefix, if there is one.
func (f *family) remove(p netip.Prefix) error {
	if p.IsSingleIP() && f.hosts.remove(p.Addr()) {
		f.front.remove(p)
		if !f.known.has(p) {
			return nil
		}
	}
	return f.removeTrie(p)
}

func (f *family) removeTrie(p netip.Prefix) error {
	known := f.known.has(p)
	// A packet may have looked for what takes over from the prefix before that was put.
	if known && f.fresh {
		if err := f.sync(); err != nil {
			return err
		}
	}
	// Also one that is not known: it may have been put in by hand.
	if err := f.forget(p); err != nil || !known {
		return err
	}
	f.front.remove(p)
	return nil
}

// forget takes an entry out of the trie, but leaves its mark in front: that of another entry for the
// same place, or of none when the front is new.
func (f *family) forget(p netip.Prefix) error {
	if err := f.trie.remove(p); err != nil || !f.known.has(p) {
		return err
	}
	f.known.remove(p)
	f.nets.remove(p)
	if f.cidr != nil {
		f.cidr.Remove(range4(p))
	}
	f.showFlags()
	return nil
}

// find returns the entry of exactly this prefix.
func (f *family) find(p netip.Prefix) (entry, bool, error) {
	if p.IsSingleIP() {
		if e, ok := f.hosts.find(p.Addr()); ok {
			return entry{prefix: p, Entry: e}, true, nil
		}
	}
	e, ok, err := f.trie.find(p)
	e.Hits += f.nets.hits(p)
	return e, ok, err
}

// hostsWith is the number of hosts that there will be with so many more. Prefixes do not count: a long list
// of them needs no slots.
func (f *family) hostsWith(more int) int {
	return f.hosts.size() + f.known.lengths[f.bits] + more
}

// crowded says whether the table is too small for so many more hosts. A new one is made larger than it
// has to be, so that there is room for some more after a list.
func (f *family) crowded(more int) bool {
	return f.hostsWith(more) > f.kind.room(f.hosts.lines) && f.hosts.lines < f.row.most()
}

// fit makes room for more hosts, or gives some back, when that is worth it.
func (f *family) fit(more int) error {
	more = max(more, f.planned-f.hosts.size())
	n := f.hostsWith(more)
	switch {
	case f.crowded(more) || 4*f.linesFor(n) <= f.hosts.lines:
	case f.front.worn(f.size() + more):
	case f.hosts.tombstones() > f.hosts.lines/4: // who looks for what is not there goes too far
	default:
		return nil
	}
	if more < n/4 && f.crowded(more) { // it grows by small steps: so that these stay cheap, make larger ones
		more += n / 4
	}
	return f.rebuild(more, nil, nil)
}
