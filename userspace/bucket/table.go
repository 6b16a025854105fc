package bucket

import (
	"errors"
	"time"

	"gabion/userspace/bucket/arena"
	"gabion/userspace/event"
)

// TableConfig bounds a Table.
type TableConfig struct {
	MaxBuckets int   // live buckets; 0 means DefaultMaxBuckets
	MaxBytes   int64 // memory of all buckets; 0 means 340 bytes for each of MaxBuckets, but at least 1 MiB
	Hasher     Hasher
	Trace      Trace  // told of every event poured; nil for nobody
	Names      *Names // shared by the tables that offers are poured into; nil: the table's own
}

// Bounds of a table when its configuration does not say.
const (
	DefaultMaxBuckets = 1_000_000

	bytesPerBucket  = 340
	minDefaultBytes = 1 << 20
)

// Table holds the live buckets of one goroutine; only Stats may be called from another.
//
// When a bound is reached, a bucket of the scenario that takes most goes, so that a flood of keys
// for one scenario leaves the others their buckets; of these it is the one that would end soonest,
// which has the least left to say. A table never fails.
type Table struct {
	config TableConfig
	space  *arena.Space
	index  index
	live   int
	bytes  int64
	stats  counters

	rows      arena.Vector[row]
	freeRows  []uint32
	nodes     arena.Vector[node]
	freeNodes link
	blocks    *arena.Blocks
	wholes    map[arena.Ref]whole

	populations []*population // by place; nil for one that is gone
	clocks      [2]clock      // by event.Live, event.Replay: only live time follows the wall clock

	lastText   *string // the packed event that was poured last, and its record
	lastRecord arena.Ref
}

// clock holds what ends in one kind of event time.
type clock struct {
	byScenario map[uint64]*population
	mutes      *population // nil while there are none
}

// NewTable returns an empty table.
func NewTable(config TableConfig) *Table {
	if config.MaxBuckets <= 0 {
		config.MaxBuckets = DefaultMaxBuckets
	}
	if config.MaxBytes <= 0 {
		config.MaxBytes = max(minDefaultBytes, int64(config.MaxBuckets)*bytesPerBucket)
	}
	if config.Names == nil {
		config.Names = NewNames()
	}
	space := arena.NewSpace()
	return &Table{
		config: config, space: space, rows: arena.NewVector[row](space), nodes: arena.NewVector[node](space),
		blocks: arena.NewBlocks(space), wholes: map[arena.Ref]whole{},
	}
}

// Close releases the table's memory. Only Stats may be called afterwards. A table that is forgotten
// is released by the garbage collector some time.
func (t *Table) Close() { t.space.Close() }

// Pour counts a matched event in its bucket, which id names. When the bucket overflows it returns
// the overflow event, otherwise nil. An error says why an overflow went another way than the
// scenario's author meant: a rule's expression failed, or there is no source.
func (t *Table) Pour(s *Scenario, id ID, m *Match) (*event.Event, error) {
	if s.kind == kindTrigger {
		return t.trigger(s, id, m)
	}
	for t.bytes > t.config.MaxBytes && t.live > 0 {
		t.evict(func(p *population) int64 { return p.bytes })
	}
	n, ok := t.index.find(t, id)
	if ok && m.time > t.dueOf(n) {
		t.remove(n)
		t.stats.expired.Add(1)
		ok = false
	}
	distinct := s.distinct != nil && !m.distinctFailed
	var value uint64
	if distinct {
		value = t.config.Hasher.text(m.distinct)
		if ok && t.row(n).seen.has(t.blocks, value) {
			t.stats.repeated.Add(1)
			t.tell(s, m, Repeated, t.row(n).tally(m.replay()))
			return nil, nil
		}
	}
	if m.cancel {
		var ended tally
		if ok {
			ended = t.row(n).tally(m.replay())
			t.remove(n)
			t.stats.cancelled.Add(1)
		}
		t.tell(s, m, Cancelled, ended)
		return nil, nil
	}
	if !ok {
		n = t.add(s, id, m)
	}
	r := t.row(n)
	if distinct {
		t.charge(r.seen.remember(t.blocks, value))
	}
	t.stats.poured.Add(1)
	full := r.count(s, m.time)
	t.retain(r, s, m)
	if s.keeps != nil {
		t.note(r, s.keeps, m)
	}
	var err error
	if !full {
		full, err = s.asked(t, r, m)
	}
	b := r.tally(m.replay())
	if !full {
		t.tell(s, m, Counted, b)
		return nil, err
	}
	defer t.remove(n) // also when a rule's expression panics
	if t.muted(s, b, m) {
		return nil, nil
	}
	out, failed := t.overflow(s, b, t.events(r), mapkey(s, m.Key), m)
	return out, errors.Join(err, failed)
}

// trigger overflows with every event, without a bucket.
func (t *Table) trigger(s *Scenario, id ID, m *Match) (*event.Event, error) {
	t.stats.poured.Add(1)
	b := tally{id: id, first: m.time, last: m.time, end: m.time, total: 1, replay: m.replay()}
	if t.muted(s, b, m) {
		return nil, nil
	}
	e := unpack(*m.offer.pack(t.config.Names), t.config.Names)
	e.scopeValue, e.scopeFailed, e.whole = cut(m.scopeValue, maxValue), m.scopeFailed, s.wholeOf(m)
	return t.overflow(s, b, []retained{e}, mapkey(s, m.Key), m)
}

// Expire ends what is due before now in live time: empty buckets and blackholes, but no timed buckets.
func (t *Table) Expire(now time.Time) {
	t.forgetLast()
	c, at := &t.clocks[event.Live], now.UnixNano()
	for _, p := range c.byScenario {
		for p.timed == nil {
			n, due, ok := p.buckets.first(t, p)
			if !ok || due >= at {
				break
			}
			t.remove(n)
			t.stats.expired.Add(1)
		}
	}
	for c.mutes != nil {
		n, due, _ := c.mutes.buckets.first(t, c.mutes)
		if due > at {
			break
		}
		t.drop(n)
	}
}

// Keep ends the buckets of every scenario whose number is not in the set: those that a reload
// changed or removed.
func (t *Table) Keep(numbers map[uint64]bool) {
	for _, p := range t.populations {
		if p == nil || p.mute || numbers[p.number] {
			continue
		}
		for p.buckets.len() > 0 {
			n, _, _ := p.buckets.first(t, p)
			t.remove(n)
		}
	}
}

// add starts a bucket. Its deadline follows from its last event.
func (t *Table) add(s *Scenario, id ID, m *Match) uint32 {
	for t.live >= t.config.MaxBuckets {
		t.evict(func(p *population) int64 { return int64(p.buckets.len()) })
	}
	p := t.population(s, m.replay())
	n := t.newRow()
	*t.row(n) = row{id: id, first: m.time, last: m.time, of: p.place, limit: newLimiter(s.capacity, m.time)}
	t.enter(n, p)
	return n
}

// remove ends a bucket.
func (t *Table) remove(n uint32) {
	t.live--
	t.stats.live.Add(-1)
	t.drop(n)
}

// charge notes how much more memory is in use.
func (t *Table) charge(n int64) {
	t.bytes += n
	t.stats.bytes.Store(t.bytes)
}
