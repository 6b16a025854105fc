package engine

import (
	"sync/atomic"

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
	Matches   uint64 // events that its filter took
	Overflows uint64
	Errors    uint64 // expressions that failed, overflows without a source, panics
}

type counters struct {
	lines, parsed, unparsed, whitelisted, undated    atomic.Uint64
	whitelistedOverflows, dropped, alerts, decisions atomic.Uint64
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
		s.Rules = append(s.Rules, RuleStats{r.name, r.matches.Load(), r.overflows.Load(), r.errors.Load()})
	}
	return s
}
