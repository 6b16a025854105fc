package engine

import (
	"gabion/userspace/bucket"
	"gabion/userspace/decision"
	"gabion/userspace/event"
	"gabion/userspace/parse"
	"gabion/userspace/source"
)

// Tracer is told what becomes of an event. Its methods are called by one goroutine after the other,
// in the order in which things happen; they must not write what they are given.
type Tracer interface {
	// Step tells what a node of the parsers did, or for an overflow one of the post-overflow rules.
	Step(parse.Step)

	// Offered tells that a scenario was asked; m is nil when the event does not count for it. The
	// scenarios that are not asked are those whose Requires do not hold.
	Offered(s *bucket.Scenario, evt *event.Event, m *bucket.Match, err error)

	// Poured tells what a bucket made of a match.
	Poured(bucket.Poured)

	// Concluded gives the alerts of an overflow as the profiles left them, none when a rule
	// whitelisted it; err is what failed in the profiles.
	Concluded(overflow *event.Event, alerts []*decision.Alert, err error)
}

// Walk runs events through the rules of a configuration one at a time, each to its end before the
// next begins, and lets somebody watch. It is the engine with one worker and one shard, all of it on
// the goroutine of the caller, to which it belongs.
type Walk struct {
	engine *Engine
	worker worker
}

// NewWalk returns a walk. Workers, Shards and Sink of the configuration do not count.
func NewWalk(config Config, tracer Tracer) *Walk {
	config.Workers, config.Shards, config.tracer = 1, 1, tracer
	e := newEngine(config, make(chan *job))
	for _, s := range e.shards {
		s.take = s.do
	}
	return &Walk{engine: e, worker: worker{engine: e}}
}

// Event runs one event and returns the alerts it led to, with their decisions. Once the walk is
// closed the error is ErrClosed.
func (w *Walk) Event(evt *event.Event) ([]*decision.Alert, error) {
	e := w.engine
	if e.closed {
		return nil, ErrClosed
	}
	j := newJob(e.rules, source.Batch{Events: []*event.Event{evt}}, len(e.shards))
	w.worker.process(j)
	e.conduct(&w.worker, j)
	return j.alerts(), nil
}

// Close ends the walk.
func (w *Walk) Close() { w.engine.closed = true }
