package engine

import (
	"fmt"
	"time"

	"gabion/userspace/bucket"
	"gabion/userspace/event"
	"gabion/userspace/expr"
	"gabion/userspace/parse"
)

// worker parses events and matches them. It counts by itself and adds that up after each job, so
// that workers do not meet at the counters with every event. It belongs to one goroutine.
type worker struct {
	engine  *Engine
	rules   *ruleset // of the job before
	parsers *parse.Runner
	count   tally
	events  []uint64 // that scenarios were asked about, by their place
	matches []uint64
	sampler sampler
	chosen  expr.Selection
}

// tally counts what became of the events of a job.
type tally struct{ lines, parsed, unparsed, whitelisted, undated uint64 }

// runWorker works on jobs. It ends when work is closed and drained.
func (e *Engine) runWorker() {
	w := worker{engine: e}
	for j := range e.work {
		w.process(j)
	}
}

// process parses the events of a job and matches them.
func (w *worker) process(j *job) {
	w.use(j.rules)
	if j.after != nil {
		<-j.after
	}
	for i, evt := range j.events {
		if w.parse(evt) {
			w.offer(j, evt, position{event: i})
		}
	}
	w.flush()
	j.events = nil
	close(j.parsed)
}

func (w *worker) use(r *ruleset) {
	if w.rules != r {
		w.rules, w.parsers, w.matches = r, r.set.Parsers.NewRunner(w.engine.steps), make([]uint64, len(r.rules))
		w.events = make([]uint64, len(r.rules))
	}
}

// flush makes what was counted part of the engine's statistics.
func (w *worker) flush() {
	c := &w.engine.count
	c.lines.Add(w.count.lines)
	c.parsed.Add(w.count.parsed)
	c.unparsed.Add(w.count.unparsed)
	c.whitelisted.Add(w.count.whitelisted)
	c.undated.Add(w.count.undated)
	w.count = tally{}
	for place, n := range w.events {
		if n > 0 {
			c := w.rules.rules[place].count
			c.events.Add(n)
			c.matches.Add(w.matches[place])
			w.events[place], w.matches[place] = 0, 0
		}
	}
	w.parsers.Flush()
}

// parse runs an event through the parsers and reports whether scenarios are to see it.
func (w *worker) parse(evt *event.Event) bool {
	w.count.lines++
	if evt.Time.IsZero() {
		evt.Time = evt.Line.Time
	}
	if evt.Time.IsZero() {
		evt.Time = w.engine.config.Now().UTC()
	}
	ok := w.engine.runPipeline(w.parsers, w.rules.parsers, evt)
	switch {
	case !ok, !evt.Process:
		w.count.unparsed++
		return false
	case evt.Whitelisted:
		w.count.whitelisted++
		return false
	}
	w.count.parsed++
	return true
}

// runPipeline reports whether the event went through the pipeline without an error.
func (e *Engine) runPipeline(x *parse.Runner, c *ruleCounters, evt *event.Event) bool {
	fault, panicked := runGuarded(x, evt)
	if panicked != nil {
		e.failed(c, panicked)
	}
	if fault != nil {
		c.errors.Add(1) // the pipeline logged it
	}
	return panicked == nil && fault == nil
}

func runGuarded(x *parse.Runner, evt *event.Event) (fault, panicked error) {
	defer recovered(&panicked)
	return x.Run(evt), nil
}

// recovered turns a panic into an error: one event that a rule cannot stand must not end the daemon.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("panic: %v", r)
	}
}

// offer matches an event against the scenarios that may want it and adds what counts to the job.
func (w *worker) offer(j *job, evt *event.Event, at position) {
	when, ok := bucket.Time(evt)
	if !ok || evt.ExpectMode == event.Replay && evt.MarshaledTime == "" {
		w.count.undated++
	}
	if !ok {
		return
	}
	if w.rules.timed && evt.ExpectMode == event.Replay && when.After(j.times[event.Replay]) {
		j.times[event.Replay] = when
	}
	w.chosen = w.rules.index.Select(evt, w.chosen)
	place := w.chosen.Next(0)
	if place < 0 {
		return
	}
	e, offer := w.engine, j.room.Offer(evt, when)
	offer.Narrow(w.rules.needs, w.chosen)
	var key string // of the match before
	var hash bucket.KeyHash
	hashed := false
	for place = w.chosen.Next(place); place >= 0; place = w.chosen.Next(place + 1) {
		rule := w.rules.rules[place]
		w.events[place]++
		began := w.sampler.begin(e.config.Now)
		m, err := match(rule, offer)
		rule.count.asking.end(began, e.config.Now)
		if e.config.tracer != nil {
			e.config.tracer.Offered(rule.Scenario, evt, m, err)
		}
		if err != nil {
			e.failed(rule.count, err)
		}
		if m == nil {
			continue
		}
		w.matches[rule.place]++
		at.rule = rule.place
		if !hashed || m.Key != key {
			key, hash, hashed = m.Key, e.hasher.Key(m.Key), true
		}
		j.add(pour{rule: rule, id: hash.ID(rule.Scenario), match: m, at: at})
	}
}

func match(rule *scenarioRule, offer *bucket.Offer) (m *bucket.Match, err error) {
	defer recovered(&err)
	return rule.Offer(offer)
}

// failed counts the failure of a rule and logs it at most once a minute: hostile input can make a
// rule fail on every line.
func (e *Engine) failed(c *ruleCounters, err error) {
	n := c.errors.Add(1)
	now, last := e.config.Now().UnixNano(), c.logged.Load()
	if (last == 0 || now-last >= int64(time.Minute)) && c.logged.CompareAndSwap(last, now) {
		e.config.Log.Warn("rule failed", "rule", c.name, "failures", n, "err", err)
	}
}
