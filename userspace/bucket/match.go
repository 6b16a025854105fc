package bucket

import (
	"errors"
	"math"
	"sync/atomic"
	"time"

	"gabion/userspace/alertcontext"
	"gabion/userspace/decision"
	"gabion/userspace/event"
	"gabion/userspace/expr"
)

// Match is an event that a scenario counts, with all that the table needs to know of it.
type Match struct {
	Event *event.Event
	Key   string // what groupby gave

	offer       *Offer
	time        int64 // event time, Unix nanoseconds
	distinct    string
	scopeValue  string
	scopeFailed bool
	cancel      bool
	accepted    uint64 // slots of the condition that take the event

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

// Offer is an event that is offered to scenarios. What buckets keep of it is made once for all of
// them.
type Offer struct {
	event  *event.Event
	time   time.Time
	packed atomic.Pointer[string]
	vars   *expr.Vars // of the goroutine that offers
	room   *Room      // nil: matches are allocated

	context   []decision.Meta // values that only the event itself has
	contextOf *alertcontext.Context
}

// NewOffer returns an offer of an event of time t, which Time gave. Nobody may change the event
// until the tables have its matches.
func NewOffer(evt *event.Event, t time.Time) *Offer {
	return &Offer{event: evt, time: t, vars: &expr.Vars{Event: evt}}
}

// Narrow takes those scenarios out of a selection whose filters need a word that the event does not
// have.
func (o *Offer) Narrow(x *expr.Needs, s expr.Selection) { x.Narrow(o.vars, s) }

// pack returns what records keep of the event. Several shards may ask at once: they get the same
// text.
func (o *Offer) pack(names *Names) *string {
	if p := o.packed.Load(); p != nil {
		return p
	}
	text := pack(o.event, o.event.Time.UnixNano(), o.context, names)
	o.packed.CompareAndSwap(nil, &text)
	return o.packed.Load()
}

// compute evaluates what an alert's context reads of the event, once for all scenarios.
func (o *Offer) compute(c *alertcontext.Context) (err error) {
	if c != o.contextOf {
		o.contextOf = c
		o.context, err = c.Early(o.vars)
	}
	return err
}

// Match is Offer for one scenario.
func (s *Scenario) Match(evt *event.Event, t time.Time) (*Match, error) {
	return s.Offer(NewOffer(evt, t))
}

// Offer evaluates the scenario's expressions on an event. It returns nil when the event does not
// count. An error of the filter or of groupby means that it does not; with one of the others the
// event counts all the same, and both results are set.
func (s *Scenario) Offer(o *Offer) (*Match, error) {
	evt := o.event
	if s.kind != kindTrigger && evt.ExpectMode == event.Replay && evt.MarshaledTime == "" {
		return nil, nil // when it happened is not known, so neither is how fast
	}
	if s.writes {
		o = o.detached()
		evt = o.event
	}
	vars := o.vars
	vars.Event = evt
	ok, err := s.passes(o)
	if !ok || err != nil {
		if s.writes {
			o.discard()
		}
		return nil, err
	}
	m := o.newMatch()
	m.Event, m.offer, m.time = evt, o, o.time.UnixNano()
	if s.groupby != nil {
		if m.Key, err = s.groupby.String(vars); err != nil {
			return nil, err
		}
	}
	err = o.compute(s.context)
	if s.kind != kindTrigger { // a trigger overflows before these are asked
		err = errors.Join(err, s.matchBucket(m, vars))
	}
	if s.scopeExpr != nil {
		value, scopeErr := textOf(s.scopeExpr, vars)
		m.scopeValue, m.scopeFailed = value, scopeErr != nil
		if scopeErr != nil {
			err = errors.Join(err, scopeErr)
		}
	}
	return m, err
}

// passes evaluates the filter, unless it says no more than the index did that chose the scenario.
func (s *Scenario) passes(o *Offer) (bool, error) {
	if o.room != nil && s.filter.Complete() {
		return true, nil
	}
	return s.filter.Bool(o.vars)
}

// textOf evaluates an expression that names something: a value that is no text is an empty name.
func textOf(p *expr.Program, vars *expr.Vars) (string, error) {
	text, err := p.String(vars)
	if err == nil {
		return text, nil
	}
	if v, again := p.Value(vars); again == nil {
		text, _ = v.(string)
		return text, nil
	}
	return "", err
}

// matchBucket evaluates what a bucket asks of an event. With a failing distinct the event counts as
// new, a failing cancel_on cancels nothing.
func (s *Scenario) matchBucket(m *Match, vars *expr.Vars) (err error) {
	if s.keeps != nil {
		m.accepted = accepted(s.keeps, vars)
	}
	if s.distinct != nil {
		if m.distinct, err = textOf(s.distinct, vars); err != nil {
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

// detached returns an offer of a copy of the event whose fields the scenario's expressions may write:
// what one scenario sets is seen by its own alert and by no other scenario.
func (o *Offer) detached() *Offer {
	c := &detachedOffer{}
	if o.room != nil {
		c = o.room.copies.next()
	}
	meta, parsed := c.event.Meta, c.event.Parsed
	c.event = *o.event
	meta.Assign(&o.event.Meta)
	parsed.Assign(&o.event.Parsed)
	c.event.Meta, c.event.Parsed = meta, parsed
	c.offer.event, c.offer.time, c.offer.vars, c.offer.room = &c.event, o.time, o.vars, o.room
	return &c.offer
}

// discard gives the room of the offer that was detached last back: nobody matched it.
func (o *Offer) discard() {
	if o.room != nil {
		o.room.copies.used--
	}
}
