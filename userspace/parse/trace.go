package parse

import (
	"slices"

	"gabion/userspace/event"
	"gabion/userspace/expr"
	"gabion/userspace/grok"
	"gabion/userspace/yamlpos"
)

// Trace is told every step of a run as soon as it is done, on the goroutine of the run: the event
// is then as the step left it. It must not write the event. A run without a trace pays one
// comparison with nil for each step.
type Trace func(Step)

// Step is one thing that a node did with an event. The steps of a node begin with StepFilter and end
// with StepDone; those of the nodes inside it lie in between. A StepFault stands in front of the
// step that it belongs to.
type Step struct {
	Event *event.Event
	Kind  StepKind
	Node  Node
	OK    bool
	Name  string
	Text  string
	Err   error
}

// StepKind says what a step is about, and what its fields mean.
type StepKind int

// The kinds, in the order in which a node takes them.
const (
	StepFilter    StepKind = iota // OK: the node is for this event; only StepDone follows if not
	StepWhitelist                 // OK: the event is harmless, for the reason Text
	StepGrok                      // OK: the pattern matches Text, the value of Name
	StepStash                     // OK: Text was kept in the stash Name
	StepStatic                    // OK: Text was stored as Name, such as evt.Meta.source_ip, or given to a method
	StepFault                     // Err: what failed, and Text: at what
	StepDone                      // OK: the node succeeded; Err: it ended the event
)

// Node is a look at a compiled node. Two are equal when they are the same node.
type Node struct{ n *node }

// Name returns the node's name, which for one inside another is made of the outer's.
func (n Node) Name() string { return n.n.name }

// Stage returns the stage in which the node's document runs.
func (n Node) Stage() string { return n.n.stage }

// Pos returns where the node begins in its file.
func (n Node) Pos() yamlpos.Position { return n.n.pos }

// Depth returns how many nodes the node lies in: 0 for that of a document.
func (n Node) Depth() int { return n.n.depth }

// Filter returns the node's filter, nil when it takes every event.
func (n Node) Filter() *expr.Program { return n.n.filter }

// Requires returns what must hold of an event for the filter to be true: see expr.Program.
func (n Node) Requires() []expr.Condition { return n.n.requires }

// Pattern returns the node's pattern, nil when it has none.
func (n Node) Pattern() *grok.Pattern {
	if n.n.grok == nil {
		return nil
	}
	return n.n.grok.pattern
}

// Expressions returns the expressions of the node, the filter first, without those of the nodes
// inside it.
func (n Node) Expressions() (out []expr.Keyed) {
	add := func(key string, p *expr.Program) {
		if p != nil {
			out = append(out, expr.Keyed{Key: key, Program: p})
		}
	}
	add("filter", n.n.filter)
	statics := n.n.statics
	if g := n.n.grok; g != nil {
		add("grok", g.expression)
		statics = slices.Concat(g.statics, statics)
	}
	for _, s := range n.n.stashes {
		add("stash", s.key)
		add("stash", s.value)
	}
	for _, s := range statics {
		add("statics", s.expression)
	}
	if w := n.n.whitelist; w != nil {
		for _, p := range w.expressions {
			add("whitelist", p)
		}
	}
	return out
}

// PromotesOnSuccess reports whether the event goes to the next stage once the node succeeded.
func (n Node) PromotesOnSuccess() bool { return n.n.nextStage }

// PatternSource returns the pattern as the file writes it, or its name; it is empty without one.
func (n Node) PatternSource() yamlpos.Text {
	if n.n.grok == nil {
		return yamlpos.Text{}
	}
	return n.n.grok.source
}

// Children returns the nodes inside the node, in the order in which they run.
func (n Node) Children() []Node {
	var out []Node
	for _, c := range n.n.children {
		out = append(out, Node{c})
	}
	return out
}

// Nodes returns the nodes of all documents, in the order in which they run.
func (p *Pipeline) Nodes() []Node {
	var out []Node
	for _, s := range p.stages {
		for _, n := range s.nodes {
			out = append(out, Node{n})
		}
	}
	return out
}

// tell tells the trace, if there is one, of a step.
func (r *run) tell(n *node, kind StepKind, ok bool, name, text string, err error) {
	if r.trace != nil {
		r.report(n, kind, ok, name, text, err)
	}
}

func (r *run) report(n *node, kind StepKind, ok bool, name, text string, err error) {
	r.trace(Step{r.evt, kind, Node{n}, ok, name, text, err})
}
