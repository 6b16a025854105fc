package bucket

import (
	"cmp"
	"slices"
	"time"

	"gabion/userspace/bucket/arena"
	"gabion/userspace/event"
	"gabion/userspace/expr"
)

// population is the live buckets of one scenario in one kind of event time, or its blackholes.
type population struct {
	number   uint64 // of the scenario's definition, see Scenario.Number
	replay   bool
	mute     bool
	lifetime time.Duration // of a bucket after its last event, or its first when it is timed
	keeps    *expr.QueueCondition
	timed    *Scenario // when its buckets overflow at the end of their time, else nil
	place    uint32    // in the table's list
	buckets  deadlines
	bytes    int64
}

// due is the last moment at which a row counts.
func (p *population) due(r *row) int64 {
	if p.timed != nil {
		return addTime(r.first, p.lifetime)
	}
	return addTime(r.last, p.lifetime)
}

func (t *Table) dueOf(n uint32) int64 {
	r := t.row(n)
	return t.populations[r.of].due(r)
}

func (t *Table) clock(replay bool) *clock {
	if replay {
		return &t.clocks[event.Replay]
	}
	return &t.clocks[event.Live]
}

// population returns the buckets of a scenario in one kind of time.
func (t *Table) population(s *Scenario, replay bool) *population {
	c := t.clock(replay)
	p := c.byScenario[s.number]
	if p == nil {
		if c.byScenario == nil {
			c.byScenario = map[uint64]*population{}
		}
		p = t.newPopulation(population{number: s.number, replay: replay, lifetime: s.lifetime, keeps: s.keeps})
		c.byScenario[s.number] = p
	}
	if s.timed {
		p.timed = s // of the rules in force
	}
	return p
}

// mutesOf returns the blackholes in one kind of time.
func (t *Table) mutesOf(replay bool) *population {
	c := t.clock(replay)
	if c.mutes == nil {
		c.mutes = t.newPopulation(population{mute: true, replay: replay})
	}
	return c.mutes
}

func (t *Table) newPopulation(p population) *population {
	p.buckets = deadlines{arena.NewVector[uint32](t.space)}
	i := slices.Index(t.populations, nil)
	if i < 0 {
		i = len(t.populations)
		t.populations = append(t.populations, nil)
	}
	p.place = uint32(i)
	t.populations[i] = &p
	return &p
}

// enter puts a row in its place everywhere.
func (t *Table) enter(n uint32, p *population) {
	if !p.mute {
		t.live++
		t.stats.live.Add(1)
	}
	p.bytes += rowSize
	t.charge(rowSize)
	t.row(n).used = true
	t.index.add(t, n)
	p.buckets.push(t, n, p.due(t.row(n)))
}

// drop takes a row out everywhere, with what it holds.
func (t *Table) drop(n uint32) {
	r := t.row(n)
	p := t.populations[r.of]
	for r.retained > 0 {
		t.dropOldest(r)
	}
	t.forget(r, p.keeps)
	t.charge(-r.seen.size())
	r.seen.free(t.blocks)
	p.bytes -= rowSize
	t.charge(-rowSize)
	t.index.remove(t, n)
	p.buckets.remove(t, n)
	t.freeRows = append(t.freeRows, n)
	*r = row{}
	if p.buckets.len() > 0 {
		return
	}
	p.buckets.rows.Reset()
	t.populations[p.place] = nil
	if c := t.clock(p.replay); p.mute {
		c.mutes = nil
	} else {
		delete(c.byScenario, p.number)
	}
}

// evict ends the bucket that is due soonest among those of the scenario that takes most.
func (t *Table) evict(takes func(*population) int64) {
	var largest *population
	for _, p := range t.populations {
		if p == nil || p.mute {
			continue
		}
		if largest == nil || cmp.Or(cmp.Compare(takes(p), takes(largest)), cmp.Compare(p.number, largest.number)) > 0 {
			largest = p
		}
	}
	n, _, _ := largest.buckets.first(t, largest)
	t.remove(n)
	t.stats.evicted.Add(1)
}
