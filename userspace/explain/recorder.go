package explain

import (
	"gabion/userspace/bucket"
	"gabion/userspace/decision"
	"gabion/userspace/event"
	"gabion/userspace/expr"
	"gabion/userspace/parse"
	"gabion/userspace/yamlpos"
)

// recorder writes down what an engine tells of one line. It is an engine.Tracer.
type recorder struct {
	why *expr.Explainer
	all bool // also what did not take the line

	line     *Line
	asked    map[*bucket.Scenario]bool
	matches  map[*bucket.Match]*Scenario
	stages   map[string]bool // that a document succeeded in
	failed   string          // what ended the event
	overflow *Overflow       // between the overflow and what came of it
	of       map[*event.Event]string

	open   []*openNode
	before snapshot
	stage  string // of the event at the last step
}

// openNode is a node that is not done.
type openNode struct {
	node parse.Node
	out  *Node
}

// begin makes the recorder ready for a line.
func (r *recorder) begin(line *Line, evt *event.Event) {
	*r = recorder{
		why: r.why, all: r.all, line: line, before: take(evt),
		asked: map[*bucket.Scenario]bool{}, matches: map[*bucket.Match]*Scenario{}, stages: map[string]bool{}, of: map[*event.Event]string{},
	}
}

// Step implements engine.Tracer.
func (r *recorder) Step(s parse.Step) {
	n := r.current(s.Node)
	now := take(s.Event)
	if r.before == nil { // the first step of an overflow
		r.before = now
	}
	changes := now.since(r.before)
	r.before = now
	by := s.Name
	switch s.Kind {
	case parse.StepFilter:
		by = "filter"
		r.filter(n, s)
	case parse.StepWhitelist:
		n.Whitelist = &Whitelist{OK: s.OK, Reason: s.Text}
	case parse.StepGrok:
		by = "grok"
		n.Grok = &Grok{Pattern: s.Node.PatternSource().Text, Input: s.Name, Text: s.Text, OK: s.OK}
	case parse.StepStash:
		n.Stash = append(n.Stash, Stash{s.Name, s.Text})
	case parse.StepFault:
		n.Faults = append(n.Faults, s.Text+": "+s.Err.Error())
	case parse.StepDone:
		defer r.done(n, s)
	}
	for _, c := range changes {
		c.By = by
		n.Set = append(n.Set, c)
	}
}

// current returns the record of a node, and begins it with the node's first step.
func (r *recorder) current(node parse.Node) *Node {
	if len(r.open) > 0 && r.open[len(r.open)-1].node == node {
		return r.open[len(r.open)-1].out
	}
	if len(r.open) == 0 {
		r.stage = node.Stage()
	}
	n := &Node{Stage: node.Stage(), Name: node.Name(), At: at(node.Pos())}
	if f := node.Filter(); f != nil {
		n.Filter = &Filter{Source: f.Source()}
	}
	r.open = append(r.open, &openNode{node, n})
	return n
}

func (r *recorder) filter(n *Node, s parse.Step) {
	if n.Filter == nil {
		return
	}
	n.Filter.OK = s.OK
	if !s.OK && r.all {
		n.Filter.Why = r.reason(s.Node.Filter(), s.Event)
	}
}

// reason says why an expression is not true of an event.
func (r *recorder) reason(p *expr.Program, evt *event.Event) string {
	why, ok := r.why.Why(p, &expr.Vars{Event: detached(evt)})
	if !ok {
		return ""
	}
	return why.String()
}

// done files the record of a node: in the node around it, or in the line or overflow.
func (r *recorder) done(n *Node, s parse.Step) {
	n.OK = s.OK
	if s.Err != nil {
		r.failed = s.Err.Error()
	}
	if s.Event.Stage != r.stage {
		n.Next, r.stage = s.Event.Stage, s.Event.Stage
	}
	r.open = r.open[:len(r.open)-1]
	passed := n.Filter != nil && !n.Filter.OK
	switch {
	case passed && !r.all && len(n.Faults)+len(n.Set) == 0: // of no interest
	case len(r.open) > 0:
		outer := r.open[len(r.open)-1].out
		outer.Children = append(outer.Children, n)
	case r.overflow != nil:
		r.overflow.Nodes = append(r.overflow.Nodes, n)
	default:
		r.line.Nodes = append(r.line.Nodes, n)
	}
	if s.OK && s.Node.Depth() == 0 {
		r.stages[n.Stage] = true
	}
}

// Offered implements engine.Tracer.
func (r *recorder) Offered(s *bucket.Scenario, evt *event.Event, m *bucket.Match, err error) {
	out := newScenario(s)
	out.Of, out.Asked, out.Counts = r.of[evt], true, m != nil
	if evt.Type == event.Log {
		r.asked[s] = true
	}
	if err != nil {
		out.Error = err.Error()
	}
	if m == nil && err == nil {
		out.Why = r.refused(s, evt)
	}
	if m != nil {
		out.Key = m.Key
		r.matches[m] = out
	}
	r.line.Scenarios = append(r.line.Scenarios, out)
}

// refused says why a scenario does not count an event.
func (r *recorder) refused(s *bucket.Scenario, evt *event.Event) string {
	if why := r.reason(s.Filter(), evt); why != "" {
		return why
	}
	if evt.ExpectMode == event.Replay && evt.MarshaledTime == "" {
		return "no parser found the time of the line (evt.MarshaledTime is empty), so only triggers count it"
	}
	return ""
}

func newScenario(s *bucket.Scenario) *Scenario {
	return &Scenario{Name: s.Name, At: at(s.Pos)}
}

// at writes a place as file:line.
func at(p yamlpos.Position) string { return yamlpos.Position{File: p.File, Line: p.Line}.String() }

// Poured implements engine.Tracer.
func (r *recorder) Poured(p bucket.Poured) {
	out := r.matches[p.Match]
	if p.Match == nil && p.Outcome == bucket.Overflowed {
		out = &Scenario{Name: p.Scenario.Name}
	}
	if out == nil {
		return
	}
	out.Outcome, out.Events, out.Level, out.Opened = p.Outcome.String(), p.Events, p.Level, p.Opened
	out.Capacity = p.Scenario.Capacity()
	if p.Outcome != bucket.Overflowed {
		return
	}
	r.overflow = &Overflow{
		Scenario: out.Name, Key: out.Key, Events: p.Events, Nodes: []*Node{}, Decisions: []Decision{},
		Remediation: p.Scenario.Remediation, Simulated: p.Scenario.Simulated,
	}
	r.before = nil
}

// Concluded implements engine.Tracer.
func (r *recorder) Concluded(overflow *event.Event, alerts []*decision.Alert, err error) {
	o := r.overflow
	if o == nil {
		return
	}
	r.overflow, r.of[overflow] = nil, o.Scenario
	o.Whitelisted, o.Reason = overflow.Whitelisted || overflow.Overflow.Whitelisted, overflow.WhitelistReason
	if a := overflow.Overflow.Alert; a != nil {
		o.Message = a.Message
	}
	for _, a := range alerts {
		o.Notifications = a.Notifications
		for _, d := range a.Decisions {
			o.Decisions = append(o.Decisions, Decision{d.Type, d.Scope, d.Value, d.Duration.String(), d.Simulated})
		}
	}
	if err != nil {
		o.Error = err.Error()
	}
	r.line.Overflows = append(r.line.Overflows, o)
}
