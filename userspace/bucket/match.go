package bucket

import (
	"fmt"
	"math"
	"time"

	"gabion/userspace/event"
	"gabion/userspace/expr"
)

// Match is an event that a scenario counts, with all that the table needs to know of it.
type Match struct {
	Event *event.Event
	Key   string // what groupby gave

	time        int64 // event time, Unix nanoseconds
	distinct    string
	scopeValue  string
	scopeFailed bool
	cancel      bool

	distinctFailed bool // counts as new
}

func (m *Match) replay() bool { return m.Event.ExpectMode == event.Replay }

// Time returns the time that buckets count an event in: its arrival, or in a replay the log's own
// time. A replayed event without one happens at its arrival, where only triggers count it. ok is
// false for an event with a time that cannot be.
func Time(evt *event.Event) (t time.Time, ok bool) {
	t = evt.Time
	if evt.ExpectMode == event.Replay && evt.MarshaledTime != "" {
		var err error
		if t, err = time.Parse(time.RFC3339Nano, evt.MarshaledTime); err != nil {
			return time.Time{}, false
		}
	}
	const margin = 100 * 365 * 24 * time.Hour // so that adding a lifetime stays in range
	first, last := time.Unix(0, math.MinInt64).Add(margin), time.Unix(0, math.MaxInt64).Add(-margin)
	return t, !t.IsZero() && t.After(first) && t.Before(last)
}

// Match evaluates the scenario's expressions on an event of time t, which Time gave. It returns nil
// when the event does not count. An error of the filter or of groupby means that it does not;
// with one of the others the event counts all the same, and both results are set.
func (s *Scenario) Match(evt *event.Event, t time.Time) (*Match, error) {
	if s.kind != kindTrigger && evt.ExpectMode == event.Replay && evt.MarshaledTime == "" {
		return nil, nil // when it happened is not known, so neither is how fast
	}
	if s.writes {
		evt = detached(evt)
	}
	vars := expr.Vars{Event: evt}
	ok, err := s.filter.Bool(vars)
	if !ok || err != nil {
		return nil, err
	}
	m := &Match{Event: evt, time: t.UnixNano()}
	if s.groupby != nil {
		if m.Key, err = s.groupby.String(vars); err != nil {
			return nil, err
		}
	}
	if s.kind != kindTrigger { // a trigger overflows before these are asked
		err = s.matchBucket(m, vars)
	}
	if s.scopeExpr != nil {
		value, scopeErr := s.scopeExpr.String(vars)
		m.scopeValue, m.scopeFailed = value, scopeErr != nil
		if scopeErr != nil {
			err = scopeErr
		}
	}
	return m, err
}

// matchBucket evaluates what a bucket asks of an event. With a failing distinct the event counts as
// new, a failing cancel_on cancels nothing.
func (s *Scenario) matchBucket(m *Match, vars expr.Vars) (err error) {
	if s.distinct != nil {
		if m.distinct, err = s.distinct.String(vars); err != nil {
			m.distinctFailed = true
		}
	}
	if s.cancelOn != nil {
		var cancelErr error
		if m.cancel, cancelErr = s.cancelOn.Bool(vars); cancelErr != nil {
			err = cancelErr
		}
	}
	return err
}

// detached returns a copy of the event whose fields the scenario's expressions may write: what one
// scenario sets is seen by its own alert and by no other scenario.
func detached(evt *event.Event) *event.Event {
	c := *evt
	c.Meta, c.Parsed = evt.Meta.Clone(), evt.Parsed.Clone()
	return &c
}

// met asks the condition after an event was poured. A failing condition is not met.
func (s *Scenario) met(b *bucket, m *Match) (bool, error) {
	queue, leaky := s.view(b, mapkey(s, m.Key))
	ok, err := s.condition.Bool(expr.Vars{Event: queue.Queue[len(queue.Queue)-1], Queue: queue, Leaky: leaky})
	if err != nil {
		return false, fmt.Errorf("condition: %w", err)
	}
	return ok, nil
}

// wanted asks overflow_filter about an overflow. A failing filter refuses nothing.
func (s *Scenario) wanted(b *bucket, run event.RuntimeAlert) (bool, error) {
	if s.overflowFilter == nil {
		return true, nil
	}
	queue, leaky := s.view(b, run.Mapkey)
	leaky.Ovflw_ts = stamp(b.last)
	ok, err := s.overflowFilter.Bool(expr.Vars{Queue: queue, Signal: &run, Leaky: leaky})
	if err != nil {
		return true, fmt.Errorf("overflow_filter: %w", err)
	}
	return ok, nil
}

// view is a bucket as expressions see it.
func (s *Scenario) view(b *bucket, mapkey string) (*expr.Queue, *expr.Leaky) {
	queue := &expr.Queue{L: s.keep}
	for _, r := range b.records() {
		if r.whole != nil {
			queue.Queue = append(queue.Queue, r.whole)
		}
	}
	mode := event.Live
	if b.replay {
		mode = event.Replay
	}
	return queue, &expr.Leaky{
		Name: s.Name, Mapkey: mapkey, Mode: mode, Total_count: int(b.total), Queue: queue, Duration: s.lifetime,
		First_ts: stamp(b.first), Last_ts: stamp(b.last),
	}
}
