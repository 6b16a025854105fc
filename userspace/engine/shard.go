package engine

import (
	"errors"
	"time"

	"gabion/userspace/bucket"
	"gabion/userspace/decision"
	"gabion/userspace/event"
	"gabion/userspace/parse"
)

// expireEvery is how often a live shard ends buckets that leaked empty. Pouring looks at the time
// itself, so this is about memory only.
const expireEvery = time.Second

// shard owns the buckets of the keys that fall to it.
type shard struct {
	engine *Engine
	index  int
	in     chan *job
	take   func(*job) // puts a job into in; in a walk it does it at once
	table  *bucket.Table
	saves  chan *saving // each to be served once the one before is over
	saving handover

	sampler sampler

	rules *ruleset      // of the overflow before
	post  *parse.Runner // of their post-overflow rules
}

// run pours the shard's parts of jobs in order. It ends when in is closed and drained. A live shard
// expires buckets by the clock; a replay has no clock but its events.
func (s *shard) run() {
	var tick <-chan time.Time
	if s.engine.deliver == nil {
		t := time.NewTicker(expireEvery)
		defer t.Stop()
		tick = t.C
	}
	defer s.saving.end()
	for {
		pieces, stop := s.saving.offer(s.table)
		saves := s.saves
		if pieces != nil {
			saves = nil
		}
		select {
		case j, ok := <-s.in:
			if !ok {
				return
			}
			s.do(j)
		case <-tick:
			s.table.Expire(s.engine.config.Now())
		case sv := <-saves:
			s.saving.begin(sv)
		case pieces <- s.saving.piece:
			s.saving.sent()
		case <-stop:
			s.saving.end()
		}
	}
}

func (s *shard) do(j *job) {
	if j.reload {
		s.table.Keep(j.rules.numbers)
	}
	to := &j.parts[s.index]
	for i := range to.pours {
		p := &to.pours[i]
		if err := s.pour(j, to, p); err != nil {
			s.engine.failed(p.rule.count, err)
		}
	}
	if j.tells() {
		if err := s.lapse(j, to); err != nil {
			s.engine.failed(j.rules.post, err) // whose fault it was is not known
		}
	}
	if j.left.Add(-1) == 0 {
		j.finish()
	}
}

// pour counts one match and, when its bucket overflows, sees the alert through to the sink.
func (s *shard) pour(j *job, to *part, p *pour) (err error) {
	defer recovered(&err)
	if p.rule.Timed() {
		overflow, err := s.table.Lapse(p.rule.Scenario, p.id, p.match)
		if err := s.raise(j, to, p.rule, raised{at: p.at, event: overflow}, err); err != nil {
			s.engine.failed(p.rule.count, err)
		}
	}
	began := s.sampler.begin(s.engine.config.Now)
	overflow, err := s.table.Pour(p.rule.Scenario, p.id, p.match)
	p.rule.count.pouring.end(began, s.engine.config.Now)
	return s.raise(j, to, p.rule, raised{at: p.at, event: overflow}, err)
}

// raise sees an overflow, if there is one, through to the sink. It returns err and, when the overflow
// could not be concluded, why.
func (s *shard) raise(j *job, to *part, rule *scenarioRule, r raised, err error) (failed error) {
	defer recovered(&failed)
	if r.event == nil {
		return err
	}
	rule.count.overflows.Add(1)
	alerts := s.conclude(j.rules, r.event)
	switch {
	case alerts == nil:
		return err
	case s.engine.deliver != nil:
		to.alerts = append(to.alerts, raised{at: r.at, tie: r.tie, alerts: alerts})
	default:
		for _, a := range alerts {
			s.engine.config.Sink(a)
		}
	}
	if r.event.Overflow.Reprocess && j.rules.feedsBack {
		to.again = append(to.again, r)
	}
	return err
}

// conclude runs an overflow through the post-overflow rules and its alerts through the profiles. It
// returns nil when a rule whitelisted the overflow.
func (s *shard) conclude(r *ruleset, overflow *event.Event) []*decision.Alert {
	e := s.engine
	if s.rules != r {
		s.rules, s.post = r, r.set.PostOverflows.NewRunner(e.steps)
	}
	e.runPipeline(s.post, r.post, overflow)
	s.post.Flush()
	if overflow.Overflow.Whitelisted || overflow.Whitelisted {
		e.count.whitelistedOverflows.Add(1)
		e.concluded(overflow, nil, nil)
		return nil
	}
	alerts := overflow.Overflow.APIAlerts
	var failed error
	for _, a := range alerts {
		at := a.StopAt
		if overflow.ExpectMode == event.Live {
			at = e.config.Now().UTC()
		}
		a.CreatedAt = at
		if err := applyProfiles(r, a, at); err != nil {
			e.failed(r.profile, err)
			failed = errors.Join(failed, err)
		}
		e.count.alerts.Add(1)
		e.count.decisions.Add(uint64(len(a.Decisions)))
	}
	e.concluded(overflow, alerts, failed)
	return alerts
}

// concluded tells the tracer, if there is one, what came of an overflow.
func (e *Engine) concluded(overflow *event.Event, alerts []*decision.Alert, err error) {
	if e.config.tracer != nil {
		e.config.tracer.Concluded(overflow, alerts, err)
	}
}

func applyProfiles(r *ruleset, a *decision.Alert, at time.Time) (err error) {
	defer recovered(&err)
	return r.profiles.Apply(a, at)
}
