package enforce

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"gabion/userspace/decision"
)

// swap is the exchange of one list for another while it goes on.
type swap struct {
	lists   []*list // those that have a say in the entries that are exchanged
	late    map[netip.Prefix]struct{}
	running bool // the table is at it: who would write one of the prefixes waits
}

// holds reports whether the exchange may write the entry of p.
func (s *swap) holds(p netip.Prefix) bool {
	return slices.ContainsFunc(s.lists, func(l *list) bool { _, ok := l.index(p); return ok })
}

// exchange puts next in place of the list of a class. First what is wanted changes, in one step; then
// the difference is worked out, a few entries at a time so that bans go on meanwhile; then the table
// takes it: all at once, or a small difference like bans. The caller holds reconciling.
func (e *Enforcer) exchange(class decision.Class, next *list, now time.Time) error {
	before, cut, gave := e.install(class, next)
	if old := before[class]; old != nil {
		gave = append(gave, span{old, 0, old.cut})
	}
	return e.transfer(&before, span{next, 0, cut}, gave, now)
}

// fill writes a list at once of which much is missing in the kernel, as after a reboot. The caller
// holds reconciling.
func (e *Enforcer) fill(l *list, now time.Time) error {
	before, cut, gave := e.install(l.Class, l)
	before[l.Class] = nil
	return e.transfer(&before, span{l, 0, cut}, gave, now)
}

// transfer has the table take what differs from before: first in the entries of next, then in others
// that are not among these.
func (e *Enforcer) transfer(before *[decision.Classes]*list, next span, others []span, now time.Time) error {
	d := difference{next: next.list, own: make([]int32, 0, next.to)} // a new end is a change of every entry
	d.visit(e, next, before, nil)
	for _, s := range others {
		d.visit(e, s, before, next.list)
	}
	if d.len()+len(d.remove) <= e.bulk {
		e.end()
		return e.writeParts(d.prefixes(), now)
	}
	for late := e.begin(); late != nil; late = e.begin() {
		d.leave(late)
	}
	full, err := notInForce(e.table.Swap(d.len(), d.put, d.remove))
	e.end()
	rest := e.writeParts(full, now) // lists give way there
	e.mu.Lock()
	defer e.mu.Unlock()
	return errors.Join(e.failed(err, now), rest)
}

// writeParts is write for many prefixes: others get their turn in between.
func (e *Enforcer) writeParts(prefixes []netip.Prefix, now time.Time) error {
	var errs []error
	for part := range slices.Chunk(prefixes, step) {
		e.mu.Lock()
		errs = append(errs, e.write(part, now))
		e.mu.Unlock()
	}
	return errors.Join(errs...)
}

// install makes next the list that is wanted, and has the lists above it give way. It returns the lists
// as they were, how many entries of next there is room for, and what the others gave way.
func (e *Enforcer) install(class decision.Class, next *list) (before [decision.Classes]*list, cut int, gave []span) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, l := range e.lists {
		if l != nil {
			old := *l // with the cut of before
			before[i] = &old
		}
	}
	e.lists[class] = next
	for _, s := range e.shrink(e.used() - e.room) {
		if s.list != next {
			gave = append(gave, s)
		}
	}
	e.swap = &swap{late: map[netip.Prefix]struct{}{}, lists: slices.DeleteFunc(
		append([]*list{before[class]}, e.lists[:]...), func(l *list) bool { return l == nil })}
	return before, next.cut, gave
}

// difference is what an exchange changes in the table. Most of it is a list's own entries as the list has
// them, of which it keeps the numbers only.
type difference struct {
	next   *list
	own    []int32 // entries of next
	others []decision.Rule
	remove []netip.Prefix
}

// len is the number of entries to put.
func (d *difference) len() int { return len(d.own) + len(d.others) }

// put yields the entries to put. Those of next come last: should there be no room after all, the table
// leaves out the last ones.
func (d *difference) put(yield func(decision.Rule) bool) {
	for _, r := range d.others {
		if !yield(r) {
			return
		}
	}
	for _, i := range d.own {
		if !yield(d.next.rule(d.next.Entries.At(int(i)))) {
			return
		}
	}
}

// prefixes returns what changes, new entries first.
func (d *difference) prefixes() []netip.Prefix {
	out := make([]netip.Prefix, 0, d.len()+len(d.remove))
	for r := range d.put {
		out = append(out, r.Prefix)
	}
	return append(out, d.remove...)
}

// visit adds the entries of a span as far as they were others before, without those of a list that has
// been visited.
func (d *difference) visit(e *Enforcer, s span, before *[decision.Classes]*list, visited *list) {
	for from := s.from; from < s.to; from += step {
		d.add(e, span{s.list, from, min(from+step, s.to)}, before, visited)
	}
}

func (d *difference) add(e *Enforcer, s span, before *[decision.Classes]*list, visited *list) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := s.from; i < s.to; i++ {
		p := s.list.Entries.At(i)
		if visited.claims(p) {
			continue
		}
		was, had := e.effectiveIn(p, before)
		is, has := e.effective(p)
		switch {
		case has && was == is && had:
		case has && s.list == d.next && is == s.list.rule(p):
			d.own = append(d.own, int32(i))
		case has:
			d.others = append(d.others, is)
		case had:
			d.remove = append(d.remove, p)
		}
	}
}

// begin gives the word for the table to change, unless entries were written by others meanwhile: then
// it returns these.
func (e *Enforcer) begin() (late map[netip.Prefix]struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.swap.late) == 0 {
		e.swap.running = true
		return nil
	}
	late = e.swap.late
	e.swap.late = map[netip.Prefix]struct{}{}
	return late
}

// leave takes out what others have written.
func (d *difference) leave(late map[netip.Prefix]struct{}) {
	d.own = slices.DeleteFunc(d.own, func(i int32) bool { _, ok := late[d.next.Entries.At(int(i))]; return ok })
	d.others = slices.DeleteFunc(d.others, func(r decision.Rule) bool { _, ok := late[r.Prefix]; return ok })
	d.remove = slices.DeleteFunc(d.remove, func(p netip.Prefix) bool { _, ok := late[p]; return ok })
}

// end has those who wait for the table write, and returns when they have: Reconcile would take what they
// are about to write for drift.
func (e *Enforcer) end() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.swap = nil
	e.swapped.Broadcast()
	for e.waiting > 0 {
		e.swapped.Wait()
	}
}

// await waits for the end of an exchange as long as something is blocked by it. The caller holds mu,
// and goes on holding it until it has written.
func (e *Enforcer) await(blocked func() bool) {
	if !blocked() {
		return
	}
	e.waiting++
	for blocked() {
		e.swapped.Wait()
	}
	e.waiting--
	e.swapped.Broadcast()
}
