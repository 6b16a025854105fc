package bucket

import (
	"errors"
	"fmt"

	"gabion/userspace/event"
	"gabion/userspace/expr"
)

// asked asks the scenario's expressions after an event was poured whether the bucket overflows.
func (s *Scenario) asked(t *Table, r *row, m *Match) (ok bool, err error) {
	if s.condition != nil {
		ok, err = s.met(t, r, m)
	}
	if ok || s.belief == nil {
		return ok, err
	}
	ok, failed := s.convinced(t, r, m)
	return ok, errors.Join(err, failed)
}

// met asks the condition after an event was poured. A failing condition is not met.
func (s *Scenario) met(t *Table, r *row, m *Match) (bool, error) {
	var err error
	var ok bool
	if s.keeps != nil {
		ok, err = s.metByKept(t, r, m)
	} else {
		ok, err = s.metByQueue(t, r, m)
	}
	if err != nil {
		return false, fmt.Errorf("condition: %w", err)
	}
	return ok, nil
}

// metByKept asks what is left of the condition about what the bucket kept of its queue.
func (s *Scenario) metByKept(t *Table, r *row, m *Match) (bool, error) {
	k := t.keptOf(r, s.keeps)
	for _, l := range s.keeps.Least {
		if k.Count(l.Slot) < l.Count {
			return false, nil
		}
	}
	queue, leaky := s.view(r.tally(m.replay()), nil, s.nameOf(m))
	queue.Kept = k
	return s.keeps.Rest.Bool(&expr.Vars{Event: m.Event, Queue: queue, Leaky: leaky})
}

// metByQueue asks the condition about every event in the queue.
func (s *Scenario) metByQueue(t *Table, r *row, m *Match) (bool, error) {
	events := wholes(t.events(r))
	queue, leaky := s.view(r.tally(m.replay()), events, s.nameOf(m))
	return s.condition.Bool(&expr.Vars{Event: events[len(events)-1], Queue: queue, Leaky: leaky})
}

// nameOf returns the bucket's name when the condition may read it.
func (s *Scenario) nameOf(m *Match) string {
	if !s.keyed {
		return ""
	}
	return mapkey(s, m.Key)
}

// wanted asks overflow_filter about an overflow. A failing filter refuses nothing.
func (s *Scenario) wanted(b tally, events []retained, run event.RuntimeAlert) (bool, error) {
	if s.overflowFilter == nil {
		return true, nil
	}
	queue, leaky := s.view(b, wholes(events), run.Mapkey)
	leaky.Ovflw_ts = stamp(b.end)
	ok, err := s.overflowFilter.Bool(&expr.Vars{Queue: queue, Signal: &run, Leaky: leaky})
	if err != nil {
		return true, fmt.Errorf("overflow_filter: %w", err)
	}
	return ok, nil
}

func wholes(events []retained) (out []*event.Event) {
	for i := range events {
		if events[i].whole != nil {
			out = append(out, events[i].whole)
		}
	}
	return out
}

// view is a bucket as expressions see it.
func (s *Scenario) view(b tally, events []*event.Event, mapkey string) (*expr.Queue, *expr.Leaky) {
	queue := &expr.Queue{L: s.keep, Queue: events}
	mode := event.Live
	if b.replay {
		mode = event.Replay
	}
	return queue, &expr.Leaky{
		Name: s.Name, Mapkey: mapkey, Mode: mode, Total_count: int(b.total), Queue: queue, Duration: s.lifetime,
		First_ts: stamp(b.first), Last_ts: stamp(b.last),
	}
}
