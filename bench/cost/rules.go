package cost

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gabion/userspace/bucket"
	"gabion/userspace/decision"
	"gabion/userspace/engine"
	"gabion/userspace/event"
	"gabion/userspace/parse"
)

// Kinds of what costs.
const (
	KindNode     = "node"     // of a parser or a post-overflow rule, without the nodes inside it
	KindScenario = "scenario" // its expressions and its buckets
	KindProfiles = "profiles" // all of them
)

// RuleCost is what one node or scenario took.
type RuleCost struct {
	Kind     string  `json:"kind"`
	Name     string  `json:"name"`
	Stage    string  `json:"stage,omitempty"`
	File     string  `json:"file,omitempty"`
	Line     int     `json:"line,omitempty"` // where it begins
	Events   uint64  `json:"events"`         // it was asked about
	Taken    uint64  `json:"taken"`          // of these: the node succeeded, the scenario counted
	Seconds  float64 `json:"s"`
	PerEvent float64 `json:"ns_per_event"`
	PerLine  float64 `json:"ns_per_line"`  // of all lines of the log
	Buckets  float64 `json:"bucket_share"` // of a scenario's time, what counting and overflowing took
	Share    float64 `json:"share"`        // of the time of all
	time     time.Duration
	counting time.Duration
}

// RulesReport is what each rule took on a log, worst first.
type RulesReport struct {
	Lines uint64      `json:"lines"`
	Wall  float64     `json:"wall_s"` // measuring included, which takes a multiple of what is measured
	Rules []*RuleCost `json:"rules"`
}

// MeasureRules runs a log through the rules, one line after the other on one core, and looks at the
// clock after every step of every rule. What looking takes is subtracted, so that the figures are
// those of rules that run hot; those of steps shorter than that are rough. Workers and CPU of the
// options do not count.
func MeasureRules(ctx context.Context, o Options) (*RulesReport, error) {
	in := &meteredReader{r: o.Input, now: o.Now, progress: o.Progress}
	t := newTimer(o)
	walk := engine.NewWalk(engine.Config{
		Rules: o.Rules, Profiles: o.Profiles, MaxBuckets: o.MaxBuckets, Now: func() time.Time { return t.start }, Log: o.Log,
	}, t)
	defer walk.Close()
	in.begin(t.start)
	labels := map[string]string{"type": o.Type}
	var lines uint64
	for raw, err := range engine.Lines(in) {
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return nil, fmt.Errorf("read log: %w", err)
		}
		lines++
		evt := &event.Event{
			ExpectMode: event.Replay, Process: true, Time: t.start,
			Line: event.Line{Raw: raw, Src: o.File, Time: t.start, Labels: labels, Process: true, Module: "file"},
		}
		t.last = o.Now()
		if _, err := walk.Event(evt); err != nil {
			return nil, fmt.Errorf("run line: %w", err)
		}
	}
	if lines == 0 {
		return nil, errors.New("the log has no lines")
	}
	return t.report(lines, o.Now().Sub(t.start)), nil
}

// timer is a tracer that charges the time since the last step to whoever made the step.
type timer struct {
	now   func() time.Time
	start time.Time
	last  time.Time
	look  time.Duration // what looking at the clock takes

	nodes     map[parse.Node]*RuleCost
	scenarios map[*bucket.Scenario]*RuleCost
	profiles  *RuleCost
}

func newTimer(o Options) *timer {
	t := &timer{
		now: o.Now, start: o.Now(), nodes: map[parse.Node]*RuleCost{}, scenarios: map[*bucket.Scenario]*RuleCost{},
		profiles: &RuleCost{Kind: KindProfiles, Name: "profiles"},
	}
	const looks = 1001
	var took [looks]time.Duration
	for i := range took {
		a := t.now()
		took[i] = t.now().Sub(a)
	}
	slices.Sort(took[:])
	t.look = took[looks/2]
	return t
}

// lap returns the time since the last step.
func (t *timer) lap() time.Duration { return max(0, t.now().Sub(t.last)-t.look) }

// Step is part of engine.Tracer.
func (t *timer) Step(s parse.Step) {
	took := t.lap()
	c := t.nodes[s.Node]
	if c == nil {
		pos := s.Node.Pos()
		c = &RuleCost{Kind: KindNode, Name: s.Node.Name(), Stage: s.Node.Stage(), File: pos.File, Line: pos.Line}
		t.nodes[s.Node] = c
	}
	c.time += took
	if s.Kind == parse.StepDone {
		c.count(s.OK)
	}
	t.last = t.now()
}

// Offered is part of engine.Tracer.
func (t *timer) Offered(s *bucket.Scenario, _ *event.Event, m *bucket.Match, _ error) {
	took := t.lap()
	c := t.scenario(s)
	c.time += took
	c.count(m != nil)
	t.last = t.now()
}

// Poured is part of engine.Tracer.
func (t *timer) Poured(p bucket.Poured) {
	took := t.lap()
	c := t.scenario(p.Scenario)
	c.time += took
	c.counting += took
	t.last = t.now()
}

// Concluded is part of engine.Tracer.
func (t *timer) Concluded(_ *event.Event, alerts []*decision.Alert, _ error) {
	t.profiles.time += t.lap()
	t.profiles.count(len(alerts) > 0)
	t.last = t.now()
}

func (t *timer) scenario(s *bucket.Scenario) *RuleCost {
	c := t.scenarios[s]
	if c == nil {
		c = &RuleCost{Kind: KindScenario, Name: s.Name, File: s.Pos.File, Line: s.Pos.Line}
		t.scenarios[s] = c
	}
	return c
}

func (c *RuleCost) count(taken bool) {
	c.Events++
	if taken {
		c.Taken++
	}
}

func (t *timer) report(lines uint64, wall time.Duration) *RulesReport {
	r := &RulesReport{Lines: lines, Wall: wall.Seconds()}
	for _, c := range t.nodes {
		r.Rules = append(r.Rules, c)
	}
	for _, c := range t.scenarios {
		r.Rules = append(r.Rules, c)
	}
	if t.profiles.Events > 0 {
		r.Rules = append(r.Rules, t.profiles)
	}
	var all time.Duration
	for _, c := range r.Rules {
		all += c.time
	}
	for _, c := range r.Rules {
		c.Seconds = c.time.Seconds()
		c.PerEvent = per(float64(c.time), float64(c.Events))
		c.PerLine = per(float64(c.time), float64(lines))
		c.Buckets = per(float64(c.counting), float64(c.time))
		c.Share = per(float64(c.time), float64(all))
	}
	slices.SortFunc(r.Rules, func(a, b *RuleCost) int {
		return cmp.Or(cmp.Compare(b.time, a.time), cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Name, b.Name))
	})
	return r
}
