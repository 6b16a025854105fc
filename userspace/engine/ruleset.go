package engine

import (
	"cmp"
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
	index     index
	numbers   map[uint64]bool // of the scenarios' definitions
	feedsBack bool            // some overflow is fed back and some scenario may want it
	parsers   *ruleCounters
	post      *ruleCounters
	profile   *ruleCounters
}

// scenarioRule is a scenario in its place.
type scenarioRule struct {
	*bucket.Scenario
	place    int
	requires []expr.Condition
	count    *ruleCounters
}

// ruleCounters counts what a rule did. They outlive a reload.
type ruleCounters struct {
	name                       string
	matches, overflows, errors atomic.Uint64
	logged                     atomic.Int64 // when a failure was logged last, Unix nanoseconds
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
		set: set, profiles: profiles, numbers: map[uint64]bool{},
		parsers: counters("parsers"), post: counters("postoverflows"), profile: counters("profiles"),
	}
	feeds, wants := false, false
	for i, s := range set.Scenarios {
		rule := &scenarioRule{Scenario: s, place: i, requires: s.Requires(), count: counters(s.Name)}
		r.rules = append(r.rules, rule)
		r.numbers[s.Number()] = true
		feeds = feeds || s.Reprocess
		wants = wants || allowed(&event.Event{}, rule.requires) // an overflow has no fields of its own
	}
	r.feedsBack = feeds && wants
	r.index = newIndex(r.rules)
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

// index finds the scenarios that may want an event by the constants their filters compare with, so
// that only those filters are evaluated.
type index struct {
	always []*scenarioRule
	fields []indexedField
}

type indexedField struct {
	in, key string
	rules   map[string][]*scenarioRule // by value
}

func newIndex(list []*scenarioRule) index {
	var x index
	for _, rule := range list {
		if len(rule.requires) == 0 {
			x.always = append(x.always, rule)
			continue
		}
		c := slices.MinFunc(rule.requires, func(a, b expr.Condition) int { return cmp.Compare(len(a.Values), len(b.Values)) })
		f := x.field(c)
		for _, value := range c.Values {
			f.rules[value] = append(f.rules[value], rule)
		}
	}
	return x
}

// field returns the entry for the field of a condition.
func (x *index) field(c expr.Condition) *indexedField {
	for i := range x.fields {
		if f := &x.fields[i]; f.in == c.Map && f.key == c.Key {
			return f
		}
	}
	x.fields = append(x.fields, indexedField{c.Map, c.Key, map[string][]*scenarioRule{}})
	return &x.fields[len(x.fields)-1]
}

// candidates appends to buf the scenarios that may want the event, in their order.
func (x *index) candidates(evt *event.Event, buf []*scenarioRule) []*scenarioRule {
	start, from := len(buf), 0
	if len(x.always) > 0 {
		buf, from = append(buf, x.always...), 1
	}
	for i := range x.fields {
		f := &x.fields[i]
		if found := f.rules[fieldOf(evt, f.in, f.key)]; len(found) > 0 {
			buf = append(buf, found...)
			from++
		}
	}
	if from > 1 {
		slices.SortFunc(buf[start:], func(a, b *scenarioRule) int { return cmp.Compare(a.place, b.place) })
	}
	return slices.DeleteFunc(buf, func(r *scenarioRule) bool { return !allowed(evt, r.requires) })
}

// allowed reports whether the event fulfils all conditions.
func allowed(evt *event.Event, conditions []expr.Condition) bool {
	for _, c := range conditions {
		if !c.Allows(fieldOf(evt, c.Map, c.Key)) {
			return false
		}
	}
	return true
}

func fieldOf(evt *event.Event, in, key string) string {
	if in == "Meta" {
		return evt.Meta.Get(key)
	}
	return evt.Parsed.Get(key)
}
