package expr

import (
	"net/http"

	"gabion/userspace/decision"
	"gabion/userspace/event"
	"gabion/userspace/expr/closure"
)

// Env is what the place of an expression can see.
type Env int

// Environments and the variables they offer.
const (
	EnvEvent    Env = iota // evt
	EnvQueue               // evt, queue, leaky
	EnvOverflow            // evt, queue, signal, leaky
	EnvProfile             // Alert
	EnvContext             // evt, match, req
)

// Vars are the values of an environment's variables, and what a run needs besides. Those that the
// environment lacks are ignored. A Vars is used by one goroutine at a time and is best used again;
// its owner clears it to let go of the event.
type Vars = closure.Vars

// Relation is how a text and a line relate.
type Relation = closure.Relation

// Relations of a text to a line.
const (
	Equals    = closure.Equals
	Contains  = closure.Contains
	HasPrefix = closure.HasPrefix
	HasSuffix = closure.HasSuffix
	Within    = closure.Within
)

// LineSearch looks for a line that a text relates to without walking the lines.
type LineSearch = closure.LineSearch

// Queue is the variable queue: the events that a bucket retains, oldest first.
type Queue = closure.Queue

// Leaky is the variable leaky: the state of a bucket.
type Leaky = closure.Leaky

type eventEnv struct {
	Event *view `expr:"evt"`
}

type queueEnv struct {
	Event *view      `expr:"evt"`
	Queue *queueView `expr:"queue"`
	Leaky *leakyView `expr:"leaky"`
}

type overflowEnv struct {
	Event  *view               `expr:"evt"`
	Queue  *queueView          `expr:"queue"`
	Signal *event.RuntimeAlert `expr:"signal"`
	Leaky  *leakyView          `expr:"leaky"`
}

type profileEnv struct {
	Alert *decision.Alert
}

type contextEnv struct {
	Event *view          `expr:"evt"`
	Match map[string]any `expr:"match"`
	Req   *http.Request  `expr:"req"`
}

// example returns a value of the type that expressions of the environment are checked against.
func (e Env) example() any {
	switch e {
	case EnvQueue:
		return &queueEnv{}
	case EnvOverflow:
		return &overflowEnv{}
	case EnvProfile:
		return &profileEnv{}
	case EnvContext:
		return &contextEnv{}
	}
	return &eventEnv{}
}

// environments holds one value of each type, so that running an expression allocates none.
type environments struct {
	event    eventEnv
	queue    queueEnv
	overflow overflowEnv
	profile  profileEnv
	context  contextEnv

	view                   view
	parsed, enriched, meta map[string]string // of view
}

// fill sets the variables as far as the program reads them, and returns the value to run it with.
func (s *environments) fill(p *Program, v *Vars) any {
	evt := s.viewOf(&p.reads, v.Event)
	var queue *queueView
	if p.reads.queue {
		queue = newQueueView(v.Queue)
	}
	var leaky *leakyView
	if p.reads.leaky {
		leaky = newLeakyView(v.Leaky, queue)
	}
	switch p.env {
	case EnvQueue:
		s.queue = queueEnv{evt, queue, leaky}
		return &s.queue
	case EnvOverflow:
		s.overflow = overflowEnv{evt, queue, v.Signal, leaky}
		return &s.overflow
	case EnvProfile:
		s.profile = profileEnv{v.Alert}
		return &s.profile
	case EnvContext:
		s.context = contextEnv{evt, v.Match, v.Req}
		if v.Req == nil {
			s.context.Req = &http.Request{}
		}
		return &s.context
	}
	s.event = eventEnv{evt}
	return &s.event
}

// viewOf returns the view of an event, nil of none.
func (s *environments) viewOf(r *reads, e *event.Event) *view {
	if e == nil {
		return nil
	}
	if r.event {
		return newView(e) // it may outlive the run
	}
	s.view.set(e)
	s.view.Parsed = fieldsView(&r.parsed, &e.Parsed, &s.parsed)
	s.view.Enriched = fieldsView(&r.enriched, &e.Enriched, &s.enriched)
	s.view.Meta = fieldsView(&r.meta, &e.Meta, &s.meta)
	return &s.view
}

// fieldsView returns the fields as a map. One that the expression reads by names only cannot outlive
// the run: it is taken from buf.
func fieldsView(r *fieldReads, f *event.Fields, buf *map[string]string) map[string]string {
	switch {
	case r.all:
		return f.Map()
	case len(r.keys) == 0:
		return nil
	case *buf == nil:
		*buf = map[string]string{}
	}
	for _, key := range r.keys {
		if value, ok := f.LookupKey(key); ok {
			(*buf)[key.Name()] = value
		}
	}
	return *buf
}

// release drops the references to events.
func (s *environments) release() {
	clear(s.parsed)
	clear(s.enriched)
	clear(s.meta)
	*s = environments{parsed: s.parsed, enriched: s.enriched, meta: s.meta}
}
