package engine

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"

	"gabion/userspace/bucket"
	"gabion/userspace/decision"
	"gabion/userspace/event"
	"gabion/userspace/source"
)

// job is a batch on its way through the engine. It belongs to its worker until parsed is closed,
// then to the sequencer; the shards own their parts of it.
type job struct {
	rules  *ruleset
	events []*event.Event
	reload bool // carries no events: the shards end the buckets of scenarios that are gone

	// times is how late it is at the end of the job, by event.Live and event.Replay; zero: not known.
	times [2]time.Time

	after  <-chan struct{} // closed when the job before is parsed; nil when that does not matter
	parsed chan struct{}   // closed when parts is complete
	parts  []part          // by shard
	room   *bucket.Room    // of the matches
	lent   *scratch        // that room and parts are of; nil when they are the job's own
	left   atomic.Int32    // parts that the shards have not finished
	finish func()          // called once, by whoever brings left to zero
	done   func()          // of the batch: no event of it is used any more

	finished chan struct{} // in a replay: closed when the alerts are complete
}

// part is what one shard does for a job.
type part struct {
	pours  []pour   // in input order
	alerts []raised // for a replay
	again  []raised // overflows to be fed back
}

// pour is an event that a scenario counts.
type pour struct {
	rule  *scenarioRule
	id    bucket.ID
	match *bucket.Match
	at    position
}

// position orders what happens within a job as if one goroutine did it all.
type position struct {
	round int // how often the overflow was fed back
	event int
	rule  int
}

func (p position) compare(q position) int {
	return cmp.Or(cmp.Compare(p.round, q.round), cmp.Compare(p.event, q.event), cmp.Compare(p.rule, q.rule))
}

// raised is an overflow, with its alerts when they passed the post-overflow rules.
type raised struct {
	at     position
	tie    string // orders what several shards raise at the same position
	event  *event.Event
	alerts []*decision.Alert
}

func byPosition(a, b raised) int { return cmp.Or(a.at.compare(b.at), cmp.Compare(a.tie, b.tie)) }

func newJob(rules *ruleset, b source.Batch, shards int) *job {
	j := &job{rules: rules, events: b.Events, parsed: make(chan struct{}), parts: make([]part, shards), room: &bucket.Room{}, done: b.Done}
	if j.done == nil {
		j.done = func() {}
	}
	j.finish = j.done
	return j
}

// newReload returns a job that tells every shard about new rules.
func newReload(rules *ruleset, shards int) *job {
	j := newJob(rules, source.Batch{}, shards)
	j.reload = true
	close(j.parsed)
	return j
}

// add puts a match into the part of its shard.
func (j *job) add(p pour) {
	to := &j.parts[p.id.Shard(len(j.parts))]
	to.pours = append(to.pours, p)
}

// alerts returns what the shards raised, in input order.
func (j *job) alerts() []*decision.Alert {
	var all []raised
	for i := range j.parts {
		all = append(all, j.parts[i].alerts...)
	}
	slices.SortStableFunc(all, byPosition)
	var out []*decision.Alert
	for _, r := range all {
		out = append(out, r.alerts...)
	}
	return out
}

// takeAgain returns the overflows to be fed back, in input order, and makes the parts ready for
// another round.
func (j *job) takeAgain() []raised {
	var all []raised
	for i := range j.parts {
		all = append(all, j.parts[i].again...)
		j.parts[i].again, j.parts[i].pours = nil, j.parts[i].pours[:0]
	}
	slices.SortStableFunc(all, byPosition)
	return all
}
