package engine

import (
	"sync/atomic"
	"time"

	"gabion/userspace/bucket"
)

// Stats counts what an engine did since it started.
type Stats struct {
	Lines                uint64 // events that came in
	Parsed               uint64 // went on to the scenarios
	Unparsed             uint64 // no parser took them
	Whitelisted          uint64 // a parser's whitelist took them out
	Undated              uint64 // parsed, but without a usable time: only triggers count them, if any
	WhitelistedOverflows uint64
	DroppedOverflows     uint64 // fed back too often
	Alerts               uint64
	Decisions            uint64
	Buckets              bucket.Stats // sum of all shards
	Rules                []RuleStats  // scenarios in order, before them parsers, postoverflows and profiles as a whole
}

// RuleStats counts what one rule did.
type RuleStats struct {
	Name      string
	Events    uint64 // that it was asked about: an index spares it those that it cannot want
	Matches   uint64 // events that its filter took
	Overflows uint64
	Errors    uint64 // expressions that failed, overflows without a source, panics

	// Cost is the mean time that one of Events takes, with what its bucket does. One in sampleEvery is
	// measured; it is 0 before that, and in a replay, which has no clock.
	Cost time.Duration
}

type counters struct {
	lines, parsed, unparsed, whitelisted, undated    atomic.Uint64
	whitelistedOverflows, dropped, alerts, decisions atomic.Uint64
}

func (c *ruleCounters) stats() RuleStats {
	s := RuleStats{Name: c.name, Events: c.events.Load(), Matches: c.matches.Load(), Overflows: c.overflows.Load(), Errors: c.errors.Load()}
	if s.Events > 0 {
		matched := float64(s.Matches) / float64(s.Events)
		s.Cost = time.Duration(c.asking.mean() + matched*c.pouring.mean())
	}
	return s
}

// sampleEvery is how many askings and pours there are for each that is measured: reading the clock for
// every one would cost about as much as what it measures. It is a prime number, so that each of the
// rules that every event is offered to has its turn.
const sampleEvery = 127

// sampler chooses what is measured. It belongs to one goroutine.
type sampler struct{ left int }

// begin returns when what is about to happen begins, or the zero time when it is not measured.
func (s *sampler) begin(now func() time.Time) time.Time {
	if s.left--; s.left >= 0 {
		return time.Time{}
	}
	s.left = sampleEvery - 1
	return now()
}

// samples adds up what was measured.
type samples struct{ number, nanoseconds atomic.Uint64 }

// end takes the time since begin, if it was measured. A clock that was set back counts as no time.
func (s *samples) end(began time.Time, now func() time.Time) {
	if !began.IsZero() {
		s.nanoseconds.Add(uint64(max(0, now().Sub(began))))
		s.number.Add(1)
	}
}

// mean returns nanoseconds.
func (s *samples) mean() float64 {
	return float64(s.nanoseconds.Load()) / float64(max(1, s.number.Load()))
}

// Stats returns the counters. They are read one after the other while the engine runs.
func (e *Engine) Stats() Stats {
	c := &e.count
	s := Stats{
		Lines: c.lines.Load(), Parsed: c.parsed.Load(), Unparsed: c.unparsed.Load(), Whitelisted: c.whitelisted.Load(),
		Undated: c.undated.Load(), WhitelistedOverflows: c.whitelistedOverflows.Load(), DroppedOverflows: c.dropped.Load(),
		Alerts: c.alerts.Load(), Decisions: c.decisions.Load(),
	}
	for _, sh := range e.shards {
		s.Buckets = s.Buckets.Add(sh.table.Stats())
	}
	for _, r := range e.current.Load().counters() {
		s.Rules = append(s.Rules, r.stats())
	}
	return s
}
