package engine

import (
	"slices"
	"sync/atomic"

	"gabion/userspace/bucket"
	"gabion/userspace/event"
	"gabion/userspace/expr"
	"gabion/userspace/profile"
	"gabion/userspace/rules"
)

// ruleset is the rules and profiles that one batch runs through. It is immutable, but for counters.
type ruleset struct {
	set       *rules.Set
	profiles  *profile.Profiles
	rules     []*scenarioRule
	index     *expr.Index // of rules
	needs     *expr.Needs
	numbers   map[uint64]bool // of the scenarios' definitions
	serial    bool            // parsers remember events: batches are parsed one after the other
	timed     bool            // some bucket overflows when its time is over
	feedsBack bool            // some overflow is fed back and some scenario may want it
	parsers   *ruleCounters
	post      *ruleCounters
	profile   *ruleCounters
}

// scenarioRule is a scenario in its place.
type scenarioRule struct {
	*bucket.Scenario
	place int
	count *ruleCounters
}

// ruleCounters counts what a rule did. They outlive a reload.
type ruleCounters struct {
	name                               string
	events, matches, overflows, errors atomic.Uint64
	asking, pouring                    samples
	logged                             atomic.Int64 // when a failure was logged last, Unix nanoseconds
}

// newRuleset prepares rules for use; counters are taken over from old, which may be nil.
func newRuleset(set *rules.Set, profiles *profile.Profiles, old *ruleset) *ruleset {
	known := map[string]*ruleCounters{}
	if old != nil {
		for _, c := range old.counters() {
			known[c.name] = c
		}
	}
	counters := func(name string) *ruleCounters {
		if known[name] == nil {
			known[name] = &ruleCounters{name: name}
		}
		return known[name]
	}
	r := &ruleset{
		set: set, profiles: profiles, numbers: map[uint64]bool{}, serial: set.Parsers.Remembers(),
		parsers: counters("parsers"), post: counters("postoverflows"), profile: counters("profiles"),
	}
	var requires [][]expr.Condition
	var filters []*expr.Program
	feeds := false
	for i, s := range set.Scenarios {
		r.rules = append(r.rules, &scenarioRule{Scenario: s, place: i, count: counters(s.Name)})
		requires, filters = append(requires, s.Requires()), append(filters, s.Filter())
		r.numbers[s.Number()] = true
		r.timed = r.timed || s.Timed()
		feeds = feeds || s.Reprocess
	}
	r.index, r.needs = expr.NewIndex(requires), expr.NewNeeds(filters)
	wants := r.index.Select(&event.Event{}, nil).Next(0) >= 0 // an overflow has no fields of its own
	r.feedsBack = feeds && wants
	return r
}

// counters returns the counters of all rules, each once.
func (r *ruleset) counters() []*ruleCounters {
	out := []*ruleCounters{r.parsers, r.post, r.profile}
	for _, rule := range r.rules {
		if !slices.Contains(out, rule.count) {
			out = append(out, rule.count)
		}
	}
	return out
}
