package engine

import (
	"fmt"
	"time"

	"gabion/userspace/bucket"
	"gabion/userspace/event"
	"gabion/userspace/parse"
)

// runWorker parses jobs and matches their events. It ends when work is closed and drained.
func (e *Engine) runWorker() {
	for j := range e.work {
		e.process(j)
	}
}

// process parses the events of a job and matches them.
func (e *Engine) process(j *job) {
	for i, evt := range j.events {
		if e.parse(j.rules, evt) {
			e.offer(j, evt, position{event: i})
		}
	}
	j.events = nil
	close(j.parsed)
}

// parse runs an event through the parsers and reports whether scenarios are to see it.
func (e *Engine) parse(r *ruleset, evt *event.Event) bool {
	e.count.lines.Add(1)
	if evt.Time.IsZero() {
		evt.Time = evt.Line.Time
	}
	if evt.Time.IsZero() {
		evt.Time = e.config.Now().UTC()
	}
	ok := e.runPipeline(r.set.Parsers, r.parsers, evt)
	switch {
	case !ok, !evt.Process:
		e.count.unparsed.Add(1)
		return false
	case evt.Whitelisted:
		e.count.whitelisted.Add(1)
		return false
	}
	e.count.parsed.Add(1)
	return true
}

// runPipeline reports whether the event went through the pipeline without an error.
func (e *Engine) runPipeline(p *parse.Pipeline, c *ruleCounters, evt *event.Event) bool {
	var fault error
	panicked := func() (err error) {
		defer recovered(&err)
		fault = p.RunTraced(evt, e.steps)
		return nil
	}()
	if panicked != nil {
		e.failed(c, panicked)
	}
	if fault != nil {
		c.errors.Add(1) // the pipeline logged it
	}
	return panicked == nil && fault == nil
}

// recovered turns a panic into an error: one event that a rule cannot stand must not end the daemon.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("panic: %v", r)
	}
}

// offer matches an event against the scenarios that may want it and adds what counts to the job.
func (e *Engine) offer(j *job, evt *event.Event, at position) {
	when, ok := bucket.Time(evt)
	if !ok || evt.ExpectMode == event.Replay && evt.MarshaledTime == "" {
		e.count.undated.Add(1)
	}
	if !ok {
		return
	}
	var buf [32]*scenarioRule
	offer := bucket.NewOffer(evt, when)
	for _, rule := range j.rules.index.candidates(evt, buf[:0]) {
		m, err := match(rule, offer)
		if e.config.tracer != nil {
			e.config.tracer.Offered(rule.Scenario, evt, m, err)
		}
		if err != nil {
			e.failed(rule.count, err)
		}
		if m == nil {
			continue
		}
		rule.count.matches.Add(1)
		at.rule = rule.place
		j.add(pour{rule: rule, id: e.hasher.ID(rule.Scenario, m.Key), match: m, at: at})
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
