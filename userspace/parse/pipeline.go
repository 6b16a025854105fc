// Package parse runs events through the parsers of the rules: stages of nodes that match patterns,
// set fields and decide whether a line is understood, and whether it is harmless.
//
// The order in which a node does things, and which failures matter, are part of the rules'
// language; the comments say where it is surprising.
package parse

import (
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"gabion/userspace/event"
	"gabion/userspace/expr"
	"gabion/userspace/grok"
)

// Pipeline is a set of compiled parsers. It is safe for concurrent use: each call of Run works on
// an event of its own.
type Pipeline struct {
	stages  []stage
	nodes   int // in all stages, with those inside others
	defined *grok.Set
	log     *slog.Logger
	now     func() time.Time
	runners sync.Pool
}

// stage is the nodes that run at one stage, in order.
type stage struct {
	name  string
	nodes []*node
	index *expr.Index // of their filters; nil for a few nodes, which are asked one after the other
	needs *expr.Needs
}

// indexedNodes is from how many nodes on a stage has an index.
const indexedNodes = 8

func newPipeline(deps Deps) *Pipeline {
	p := &Pipeline{log: deps.Log, now: deps.Now}
	p.runners.New = func() any { return p.NewRunner(nil) }
	return p
}

// add appends a node; nodes come in the order of their stages.
func (p *Pipeline) add(n *node) {
	if last := len(p.stages) - 1; last < 0 || p.stages[last].name != n.stage {
		p.stages = append(p.stages, stage{name: n.stage})
	}
	s := &p.stages[len(p.stages)-1]
	s.nodes = append(s.nodes, n)
	p.number(n)
}

// prepare makes the indexes, once all nodes are there.
func (p *Pipeline) prepare() {
	for i := range p.stages {
		s := &p.stages[i]
		if len(s.nodes) < indexedNodes {
			continue
		}
		requires, filters := make([][]expr.Condition, len(s.nodes)), make([]*expr.Program, len(s.nodes))
		for k, n := range s.nodes {
			requires[k], filters[k] = n.requires, n.filter
		}
		s.index, s.needs = expr.NewIndex(requires), expr.NewNeeds(filters)
	}
}

// number gives a node and those inside it their places among all nodes.
func (p *Pipeline) number(n *node) {
	n.place = p.nodes
	p.nodes++
	for _, c := range n.children {
		p.number(c)
	}
}

// Patterns returns the named patterns that the documents were compiled with, their own among them.
// The caller must not change it.
func (p *Pipeline) Patterns() *grok.Set { return p.defined }

// Stages returns the names of the stages, in order. A stage without nodes does not exist.
func (p *Pipeline) Stages() []string {
	names := make([]string, len(p.stages))
	for i, s := range p.stages {
		names[i] = s.name
	}
	return names
}

// Run takes the event through the stages and sets evt.Process: whether it was understood. A log
// event must be promoted from each stage to the next by one of its nodes. An overflow goes through
// all stages, because what rules could not enrich must still meet the whitelists.
//
// The error tells why a log event was given up; it is logged already, at most once per node and
// minute.
func (p *Pipeline) Run(evt *event.Event) error { return p.RunTraced(evt, nil) }

// RunTraced is Run with a trace, which may be nil.
func (p *Pipeline) RunTraced(evt *event.Event, trace Trace) error {
	x := p.runners.Get().(*Runner)
	x.trace = trace
	err := x.Run(evt)
	x.Flush()
	p.runners.Put(x)
	return err
}

// Runner runs events through a pipeline as Pipeline.Run does, one after the other. What it counts
// becomes part of the pipeline's Stats with Flush: runners of several goroutines do not meet at the
// counters with every event. It belongs to one goroutine, and may be used after a panic.
type Runner struct{ run }

// NewRunner returns a runner. The trace may be nil.
func (p *Pipeline) NewRunner(trace Trace) *Runner {
	return &Runner{run{p: p, trace: trace, counts: make([]visits, p.nodes)}}
}

// Run runs one event.
func (x *Runner) Run(evt *event.Event) error {
	x.start(evt)
	err := x.stages()
	x.start(nil) // an event that is held here would live as long as the runner
	return err
}

// run is one event on its way through the stages.
type run struct {
	p           *Pipeline
	trace       Trace
	evt         *event.Event
	vars        expr.Vars
	match       grok.Match
	sifted      sifted
	current     int // stage that is being run
	labelsOwned bool
	sources     []netip.Addr   // room for those of the event
	chosen      expr.Selection // of the stage's nodes
	touched     bool           // a node may have changed fields since they were chosen

	counts  []visits // by place of the node
	visited []*node  // those with counts
}

func (r *run) start(evt *event.Event) {
	r.evt, r.current, r.labelsOwned, r.touched = evt, 0, false, false
	r.vars.Renew(evt)
	r.match.Reset()
	r.sifted = sifted{}
	if evt == nil {
		return
	}
	evt.Process = false
	if evt.Time.IsZero() {
		evt.Time = r.p.now().UTC()
	}
	if evt.Stage == "" && len(r.p.stages) > 0 {
		evt.Stage = r.p.stages[0].name
	}
}

func (r *run) stages() error {
	if r.evt.Type == event.Overflow {
		r.allStages()
		return nil
	}
	if len(r.p.stages) == 0 {
		r.evt.Process = true
		return nil
	}
	first, known := slices.BinarySearchFunc(r.p.stages, r.evt.Stage, func(s stage, name string) int {
		return strings.Compare(s.name, name)
	})
	if !known {
		return nil
	}
	for r.current = first; r.current < len(r.p.stages); r.current++ {
		s := &r.p.stages[r.current]
		if r.evt.Stage != s.name {
			return nil // nobody promoted it
		}
		ok, err := r.stage(s)
		if !ok || err != nil {
			return err
		}
	}
	r.evt.Process = true
	return nil
}

// allStages runs every stage whatever happened in the one before.
func (r *run) allStages() {
	for r.current = range r.p.stages {
		s := &r.p.stages[r.current]
		r.evt.Stage = s.name
		for _, n := range s.nodes {
			ok, err := r.process(n)
			if err == nil && ok && n.nextStage {
				break
			}
		}
	}
	r.evt.Process = true
}

// stage runs the nodes of a stage until one promotes the event, and says whether one succeeded.
func (r *run) stage(s *stage) (bool, error) {
	succeeded := false
	for i := r.next(s, 0); i >= 0; i = r.next(s, i+1) {
		n := s.nodes[i]
		ok, err := r.process(n)
		if err != nil {
			return false, err
		}
		succeeded = succeeded || ok
		if ok && n.nextStage || r.evt.Stage != s.name {
			break
		}
	}
	return succeeded, nil
}

// next returns the place of the next node, from one on, that the event may be for: -1 when there is
// none. A trace hears of all nodes.
func (r *run) next(s *stage, from int) int {
	if s.index == nil || r.trace != nil {
		if from < len(s.nodes) {
			return from
		}
		return -1
	}
	if from == 0 || r.touched {
		r.chosen = s.index.Select(r.evt, r.chosen)
		s.needs.Narrow(&r.vars, r.chosen)
		r.touched = false
	}
	return r.chosen.Next(from)
}

// promote moves the event to the stage after the one that is being run: once, however many nodes
// inside each other ask for it.
func (r *run) promote() {
	if next := r.current + 1; next < len(r.p.stages) {
		r.evt.Stage = r.p.stages[next].name
	}
}
