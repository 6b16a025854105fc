package bucket

import (
	"fmt"
	"time"

	"gabion/userspace/event"
)

// Timed reports whether the scenario's buckets overflow when their duration, counted from their first
// event, is over: whoever pours into a table calls Lapse and Lapsed.
func (s *Scenario) Timed() bool { return s.timed }

// Lapse ends the bucket that a match is for, if its duration was over before, and returns what that
// leads to, as Pour does. The match is poured into a new bucket afterwards.
func (t *Table) Lapse(s *Scenario, id ID, m *Match) (*event.Event, error) {
	n, ok := t.index.find(t, id)
	if !ok || !s.timed || m.time <= t.dueOf(n) {
		return nil, nil
	}
	return t.lapse(n)
}

// Lapsed ends all timed buckets whose duration was over before a point in live or replayed time. It
// calls yield with what that leads to, in the order in which it happened.
func (t *Table) Lapsed(at time.Time, replay bool, yield func(*Scenario, *event.Event, error)) {
	for {
		var next *population
		var row uint32
		var first int64
		for _, p := range t.populations {
			if p == nil || p.timed == nil || p.replay != replay {
				continue
			}
			if n, due, ok := p.buckets.first(t, p); ok && due < at.UnixNano() && (next == nil || due < first) {
				next, row, first = p, n, due
			}
		}
		if next == nil {
			return
		}
		s := next.timed
		overflow, err := t.lapse(row)
		yield(s, overflow, err)
	}
}

// lapse overflows a bucket because its time is over.
func (t *Table) lapse(n uint32) (*event.Event, error) {
	r := t.row(n)
	p := t.populations[r.of]
	b := r.tally(p.replay)
	b.end = p.due(r)
	events := t.events(r)
	defer t.remove(n) // the events are in its memory
	if t.muted(p.timed, b, nil) {
		return nil, nil
	}
	// Of the key there is only a hash, which no rule relies on as a name.
	return t.overflow(p.timed, b, events, fmt.Sprintf("%016x%016x", b.id.key, b.id.both), nil)
}
