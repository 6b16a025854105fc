package loader

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"slices"

	"github.com/cilium/ebpf"

	"gabion/loader/table"
	"gabion/userspace/decision"
)

// Bans reads every ban with its hits, IPv4 first, also those that are over or were made by hand (these
// may have no end: a zero Until). What changes meanwhile may come twice or not at all. The moment
// that Until says is computed from the clocks of now, so it moves by as much as the wall clock is set.
//
// What was put into the trie, changed or taken out by hand is in force from this reading on when the Plane
// is open for writing.
func (p *Plane) Bans() iter.Seq2[decision.Rule, error] {
	return func(yield func(decision.Rule, error) bool) {
		now, err := p.startReading()
		if err != nil {
			yield(decision.Rule{}, fmt.Errorf("read bans: %w", err))
			return
		}
		for _, f := range []*family{p.tables.v4, p.tables.v6} {
			for e, err := range p.entries(f) {
				if err != nil {
					err = fmt.Errorf("read bans: %w", err)
				}
				if !yield(ruleOf(e, now), err) {
					return
				}
			}
		}
	}
}

// BanHit returns the ban of exactly this prefix, and whether there is one.
func (p *Plane) BanHit(prefix netip.Prefix) (decision.Rule, bool, error) {
	if err := checkPrefix(prefix); err != nil {
		return decision.Rule{}, false, fmt.Errorf("look up ban: %w", err)
	}
	now, err := p.startReading()
	if err != nil {
		return decision.Rule{}, false, fmt.Errorf("look up ban: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	e, ok, err := p.tables.family(prefix).find(prefix)
	if err != nil || !ok {
		return decision.Rule{}, false, err
	}
	return ruleOf(e, now), true, nil
}

func ruleOf(e entry, now moment) decision.Rule {
	r := decision.Rule{
		Prefix: e.prefix, Class: decision.Class(e.Class), DecisionID: e.ID, Hits: e.Hits, Foreign: e.foreign,
	}
	end, ends := now.until(e.Expiry)
	r.Endless = !ends
	if ends || !e.foreign {
		r.Until = end
	}
	return r
}

// startReading makes the tables of a Plane that only reads those that are in use now.
func (p *Plane) startReading() (moment, error) {
	now, err := p.ticks.now()
	if err != nil || p.lock != nil {
		return now, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &p.tables
	if t.v4 == nil {
		t.v4 = &family{bits: 32, kind: kind4(firstLines), row: row{outer: p.maps.Hosts4}, trie: lpm[bpfPrefix4]{p.maps.Bans4, key4, prefix4}, nets: newNets(nil, p.maps.Nets4)}
		t.v6 = &family{bits: 128, kind: kind6(firstLines), row: row{outer: p.maps.Hosts6}, trie: lpm[bpfPrefix6]{p.maps.Bans6, key6, prefix6}}
	}
	for i, f := range []*family{viewWord4: t.v4, viewWord6: t.v6} {
		f.key = p.abi.HashKey
		if err := errors.Join(p.followView(f, i), f.nets.follow()); err != nil {
			return now, err
		}
	}
	return now, nil
}

// followTries is how often a reader looks for the table in use, which may be gone when it has found it.
const followTries = 100

// errMoved says that a table went out of use while it was opened.
var errMoved = errors.New("the host table moved")

// followView opens the table that the writer shows, if it is another one than the last time.
func (p *Plane) followView(f *family, key int) (err error) {
	for range followTries {
		if err = p.tryView(f, key); err == nil {
			return nil
		}
	}
	return err
}

func (p *Plane) tryView(f *family, key int) error {
	v, err := p.readView(key)
	if err != nil {
		return err
	}
	if f.hosts != nil && f.view.table == v.table && f.view.lines == v.lines {
		if same, err := f.row.holds(f.hosts); err == nil && same {
			return nil
		}
	}
	next, err := f.openHostTable(v, true)
	if err != nil {
		return err
	}
	// While the view and the first chunk stay what they were, all chunks are of one table.
	again, err := p.readView(key)
	same, errHolds := f.row.holds(next)
	if err = errors.Join(err, errHolds); err == nil && (!same || again.table != v.table || again.lines != v.lines) {
		err = errMoved
	}
	if err != nil {
		return errors.Join(err, next.release())
	}
	old := f.hosts
	f.hosts, f.view = next, v
	if old == nil {
		return nil
	}
	return old.release()
}

func (p *Plane) readView(key int) (view, error) {
	control, err := p.readControl()
	v := control.View[key]
	return view{scale: v.Scale, half: v.Half, table: v.Table & 1, flags: v.Flags, lines: v.Lines}, err
}

// holds says whether a table is in place still.
func (r row) holds(t *hostTable) (bool, error) {
	var first *ebpf.Map
	if err := r.outer.Lookup(r.key(t.half, 0), &first); err != nil {
		return false, fmt.Errorf("open the host table: %w", err)
	}
	return sameMap(t.maps[0], first), first.Close()
}

func sameMap(a, b *ebpf.Map) bool {
	infoA, errA := a.Info()
	infoB, errB := b.Info()
	if errA != nil || errB != nil {
		return false
	}
	idA, okA := infoA.ID()
	idB, okB := infoB.ID()
	return okA && okB && idA == idB
}

// entries walks a family's tables. It holds the lock only to read the next few: a walk through a million
// entries must not hold up a ban. The table that it began with stays readable to its end.
func (p *Plane) entries(f *family) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		if !p.walkHosts(f, yield) {
			return
		}
		inTrie, more, err := p.walkTrie(f, yield)
		if !more {
			return
		}
		if err = errors.Join(err, p.miss(f, inTrie)); err != nil {
			yield(entry{}, err)
		}
	}
}

// walkTrie yields the entries of the trie, counts them and says whether to go on.
func (p *Plane) walkTrie(f *family, yield func(entry, error) bool) (n int, more bool, err error) {
	changed := map[netip.Prefix]bool{}
	defer func() { err = p.learn(f, changed) }()
	for e, err := range f.trie.all() {
		if err == nil {
			n++
			hits, isChanged := p.meet(f, e)
			if e.Hits += hits; isChanged {
				changed[e.prefix] = true
			}
		}
		if !yield(e, err) {
			return n, false, nil
		}
	}
	return n, true, nil
}

// meet returns what of an entry of the trie was counted elsewhere, and whether it was put there or changed
// by hand.
func (p *Plane) meet(f *family, e entry) (hits uint64, changed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	have, ok := f.known.in[e.prefix]
	return f.nets.hits(e.prefix), p.lock != nil && (!ok || have != termsOf(e))
}

// learn makes packets look for entries that were put into the trie or changed by hand. It walks through it
// once for all of them: they may be others by now, or gone.
func (p *Plane) learn(f *family, changed map[netip.Prefix]bool) error {
	if len(changed) == 0 {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for e, err := range f.trie.all() {
		if err != nil {
			return err
		}
		if changed[e.prefix] {
			f.learn(e)
		}
	}
	return nil
}

// miss ends what was taken out of the trie by hand, which had so many entries when they were read.
// Without a prefix table it is over anyway.
func (p *Plane) miss(f *family, inTrie int) error {
	p.mu.Lock()
	var known []netip.Prefix
	if p.lock != nil && f.nets.inUse() && inTrie < len(f.known.in) {
		known = slices.Collect(maps.Keys(f.known.in))
	}
	p.mu.Unlock()
	for part := range slices.Chunk(known, missChunk) {
		if err := p.removeMissing(f, part); err != nil {
			return err
		}
	}
	return nil
}

// missChunk is how many prefixes are looked up at a time: longer than that no ban has to wait.
const missChunk = 256

func (p *Plane) removeMissing(f *family, prefixes []netip.Prefix) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, prefix := range prefixes {
		_, ok, err := f.trie.find(prefix)
		if err == nil && !ok {
			err = f.removeTrie(prefix)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// walkHosts yields the hosts and says whether to go on.
func (p *Plane) walkHosts(f *family, yield func(entry, error) bool) bool {
	p.mu.Lock()
	t := f.hosts
	t.users++
	p.mu.Unlock()
	next, stop := iter.Pull2(t.all())
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		stop()
		if err := t.release(); err != nil {
			p.log.Warn("old host table not given back", "err", err)
		}
	}()
	part := make([]entry, 0, chunk)
	for {
		part = p.nextHosts(part[:0], next)
		for _, e := range part {
			if !yield(e, nil) {
				return false
			}
		}
		if len(part) < chunk {
			return true
		}
	}
}

// nextHosts reads the next chunk of hosts.
func (p *Plane) nextHosts(part []entry, next func() (netip.Addr, table.Entry, bool)) []entry {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(part) < chunk {
		addr, e, ok := next()
		if !ok {
			break
		}
		part = append(part, entry{prefix: netip.PrefixFrom(addr, addr.BitLen()), Entry: e})
	}
	return part
}
