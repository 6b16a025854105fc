package engine

import (
	"fmt"
	"math"
	"time"

	"gabion/userspace/bucket"
	"gabion/userspace/event"
	"gabion/userspace/source"
)

// Buckets that overflow when their time is over need somebody to tell them the time. In a live engine
// that is the sequencer, every tick; a replayed log tells it by its own events.

// tick is how often timed buckets of live events are told the time.
const tick = time.Second

// newTick returns a job that carries nothing but the time.
func newTick(rules *ruleset, now time.Time, shards int) *job {
	j := newJob(rules, source.Batch{}, shards)
	j.times[event.Live] = now
	close(j.parsed)
	return j
}

// advance notes in a job how late it is in replayed logs: as late as in the jobs before at least.
func (e *Engine) advance(j *job) {
	if latest := j.times[event.Replay]; latest.After(e.latest) {
		e.latest = latest
	}
	j.times[event.Replay] = e.latest
}

// tells reports whether shards are to look what time the job tells.
func (j *job) tells() bool {
	return j.rules.timed && (!j.times[event.Live].IsZero() || !j.times[event.Replay].IsZero())
}

// lapse overflows the timed buckets whose time was over when the job ended. The error is a panic.
func (s *shard) lapse(j *job, to *part) (panicked error) {
	defer recovered(&panicked)
	for mode, at := range j.times {
		if at.IsZero() {
			continue
		}
		s.table.Lapsed(at, mode == event.Replay, func(sc *bucket.Scenario, overflow *event.Event, err error) {
			rule := j.rules.byNumber(sc.Number())
			if rule == nil {
				return // a reload took the scenario away
			}
			r := raised{at: position{event: math.MaxInt, rule: rule.place}, event: overflow}
			if overflow != nil {
				r.tie = tieOf(overflow)
			}
			if err := s.raise(j, to, rule, r, err); err != nil {
				s.engine.failed(rule.count, err)
			}
		})
	}
	return nil
}

// tieOf orders overflows that are due at once. Their keys are not known any more, and their hashes are
// other ones in each run: what differs between two alerts decides, and when nothing does, it does not
// matter.
func tieOf(overflow *event.Event) string {
	a := overflow.Overflow.Alert
	return fmt.Sprintf("%020d %s %s %v %v", overflow.Time.UnixNano(), a.GetValue(), a.Message, a.Events, a.Meta)
}

// byNumber returns the scenario with a definition, nil when there is none.
func (r *ruleset) byNumber(number uint64) *scenarioRule {
	for _, rule := range r.rules {
		if rule.Number() == number {
			return rule
		}
	}
	return nil
}
