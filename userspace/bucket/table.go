package bucket

import (
	"cmp"
	"sync/atomic"
	"time"

	"gabion/userspace/event"
)

// TableConfig bounds a Table.
type TableConfig struct {
	MaxBuckets int   // live buckets; 0 means DefaultMaxBuckets
	MaxBytes   int64 // estimated memory of all buckets; 0 means 1 KiB for each of MaxBuckets
	Hasher     Hasher
	Trace      Trace // told of every event poured; nil for nobody
}

// DefaultMaxBuckets is the number of live buckets that a table holds when its configuration does
// not say.
const DefaultMaxBuckets = 1_000_000

// Table holds the live buckets of one goroutine; only Stats may be called from another.
//
// When a bound is reached, a bucket of the scenario that takes most goes, so that a flood of keys
// for one scenario leaves the others their buckets; of these it is the one that would end soonest,
// which has the least left to say. A table never fails.
type Table struct {
	config TableConfig
	byID   map[ID]*bucket
	clocks [2]clock // by event.Live, event.Replay: only live time follows the wall clock
	bytes  int64
	names  dictionary
	stats  counters
}

// clock holds what ends in one kind of event time.
type clock struct {
	byScenario map[uint64]*population
	mutes      mutes
}

// population is the live buckets of one scenario.
type population struct {
	buckets deadlines[*bucket]
	bytes   int64
}

// Stats counts what a table did. Live and Bytes are gauges.
type Stats struct {
	Live      uint64 // buckets
	Bytes     uint64 // estimated memory of the buckets
	Poured    uint64 // events that a bucket counted
	Overflows uint64
	Muted     uint64 // overflows during a blackhole
	Filtered  uint64 // overflows that overflow_filter refused
	Lost      uint64 // overflows whose events name no valid source
	Repeated  uint64 // events that distinct left out
	Cancelled uint64 // buckets that cancel_on ended
	Expired   uint64 // buckets that leaked empty
	Evicted   uint64 // buckets that ended early because the table was full
}

// counters is Stats as its owner writes it and others read it.
type counters struct {
	live, bytes                              atomic.Int64
	poured, overflows, muted, filtered, lost atomic.Uint64
	repeated, cancelled, expired, evicted    atomic.Uint64
}

// NewTable returns an empty table.
func NewTable(config TableConfig) *Table {
	if config.MaxBuckets <= 0 {
		config.MaxBuckets = DefaultMaxBuckets
	}
	if config.MaxBytes <= 0 {
		config.MaxBytes = int64(config.MaxBuckets) * 1024
	}
	return &Table{config: config, byID: map[ID]*bucket{}}
}

// Stats returns the counters; it may be called from any goroutine.
func (t *Table) Stats() Stats {
	c := &t.stats
	return Stats{
		Live: uint64(c.live.Load()), Bytes: uint64(c.bytes.Load()), Poured: c.poured.Load(),
		Overflows: c.overflows.Load(), Muted: c.muted.Load(), Filtered: c.filtered.Load(), Lost: c.lost.Load(),
		Repeated: c.repeated.Load(), Cancelled: c.cancelled.Load(), Expired: c.expired.Load(), Evicted: c.evicted.Load(),
	}
}

// Pour counts a matched event in its bucket, which id names. When the bucket overflows it returns
// the overflow event, otherwise nil. An error says why an overflow went another way than the
// scenario's author meant: a rule's expression failed, or there is no source.
func (t *Table) Pour(s *Scenario, id ID, m *Match) (*event.Event, error) {
	if s.kind == kindTrigger {
		return t.trigger(s, id, m)
	}
	for t.bytes > t.config.MaxBytes && len(t.byID) > 0 {
		t.evict(func(p *population) int64 { return p.bytes })
	}
	b := t.byID[id]
	if b != nil && m.time > b.until {
		t.remove(b)
		t.stats.expired.Add(1)
		b = nil
	}
	distinct := s.distinct != nil && !m.distinctFailed
	if b != nil && distinct && b.has(t.config.Hasher.text(m.distinct)) {
		t.stats.repeated.Add(1)
		t.tell(s, m, Repeated, b)
		return nil, nil
	}
	if m.cancel {
		if b != nil {
			t.remove(b)
			t.stats.cancelled.Add(1)
		}
		t.tell(s, m, Cancelled, b)
		return nil, nil
	}
	if b == nil {
		b = t.add(s, id, m)
	}
	if distinct {
		t.grow(b, b.remember(t.config.Hasher.text(m.distinct)))
	}
	t.stats.poured.Add(1)
	full := b.pour(s, m.time)
	t.grow(b, b.retain(newRecord(m, s.whole, &t.names), s.keep))
	var err error
	if !full && s.condition != nil {
		full, err = s.met(b, m)
	}
	if !full {
		t.tell(s, m, Counted, b)
		return nil, err
	}
	t.remove(b)
	if t.muted(s, b, m) {
		return nil, nil
	}
	return t.overflow(s, b, m)
}

// trigger overflows with every event.
func (t *Table) trigger(s *Scenario, id ID, m *Match) (*event.Event, error) {
	t.stats.poured.Add(1)
	b := &bucket{id: id, first: m.time, last: m.time, total: 1, replay: m.replay()}
	if t.muted(s, b, m) {
		return nil, nil
	}
	b.queue = []record{newRecord(m, s.whole, &t.names)}
	return t.overflow(s, b, m)
}

// Expire ends what is due before now in live time: empty buckets and blackholes.
func (t *Table) Expire(now time.Time) {
	c, at := &t.clocks[event.Live], now.UnixNano()
	for _, p := range c.byScenario {
		for {
			b, due, ok := p.buckets.first()
			if !ok || due >= at {
				break
			}
			t.remove(b)
			t.stats.expired.Add(1)
		}
	}
	c.mutes.expire(at)
}

// Keep ends the buckets of every scenario whose number is not in the set: those that a reload
// changed or removed.
func (t *Table) Keep(numbers map[uint64]bool) {
	for _, b := range t.byID {
		if !numbers[b.scenario] {
			t.remove(b)
		}
	}
}

func (t *Table) add(s *Scenario, id ID, m *Match) *bucket {
	for len(t.byID) >= t.config.MaxBuckets {
		t.evict(func(p *population) int64 { return int64(p.buckets.len()) })
	}
	b := &bucket{
		id: id, scenario: s.number, first: m.time, replay: m.replay(),
		limit: newLimiter(s.capacity, m.time), bytes: emptySize, until: addTime(m.time, s.lifetime),
	}
	t.byID[id] = b
	t.population(b).buckets.push(b)
	t.stats.live.Add(1)
	t.grow(b, emptySize)
	return b
}

func (t *Table) remove(b *bucket) {
	delete(t.byID, b.id)
	p := t.population(b)
	p.buckets.remove(b)
	t.stats.live.Add(-1)
	t.grow(b, -b.bytes)
	if p.buckets.len() == 0 {
		delete(t.clock(b.replay).byScenario, b.scenario)
	}
}

func (t *Table) grow(b *bucket, n int64) {
	t.population(b).bytes += n
	t.bytes += n
	t.stats.bytes.Store(t.bytes)
}

// population returns the buckets of b's scenario and kind of time.
func (t *Table) population(b *bucket) *population {
	c := t.clock(b.replay)
	p := c.byScenario[b.scenario]
	if p == nil {
		if c.byScenario == nil {
			c.byScenario = map[uint64]*population{}
		}
		p = &population{}
		c.byScenario[b.scenario] = p
	}
	return p
}

// evict ends the bucket that is due soonest among those of the scenario that takes most.
func (t *Table) evict(takes func(*population) int64) {
	var largest *population
	var id uint64
	for i := range t.clocks {
		for scenario, p := range t.clocks[i].byScenario {
			if largest == nil || cmp.Or(cmp.Compare(takes(p), takes(largest)), cmp.Compare(scenario, id)) > 0 {
				largest, id = p, scenario
			}
		}
	}
	b, _, _ := largest.buckets.first()
	t.remove(b)
	t.stats.evicted.Add(1)
}

func (t *Table) clock(replay bool) *clock {
	if replay {
		return &t.clocks[event.Replay]
	}
	return &t.clocks[event.Live]
}

// has reports whether a distinct value was counted before.
func (b *bucket) has(value uint64) bool {
	_, ok := b.seen[value]
	return ok
}

// remember keeps a distinct value and returns the memory that it takes.
func (b *bucket) remember(value uint64) (grown int64) {
	if len(b.seen) >= maxDistinct {
		return 0
	}
	if b.seen == nil {
		b.seen = map[uint64]struct{}{}
		grown = 64
	}
	b.seen[value] = struct{}{}
	b.bytes += grown + 16
	return grown + 16
}

// Add returns the sum of two tables' counters.
func (s Stats) Add(o Stats) Stats {
	return Stats{
		Live: s.Live + o.Live, Bytes: s.Bytes + o.Bytes, Poured: s.Poured + o.Poured, Overflows: s.Overflows + o.Overflows,
		Muted: s.Muted + o.Muted, Filtered: s.Filtered + o.Filtered, Lost: s.Lost + o.Lost, Repeated: s.Repeated + o.Repeated,
		Cancelled: s.Cancelled + o.Cancelled, Expired: s.Expired + o.Expired, Evicted: s.Evicted + o.Evicted,
	}
}
