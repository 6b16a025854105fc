// Package explain says what rules make of the lines of a log: which nodes of the parsers take a line
// and what they set, which scenarios count it and why the others do not, and what follows.
//
// It watches the engine that a daemon runs and does nothing of its own, but for taking the filters
// that were false apart.
package explain

import (
	"fmt"
	"io"
	"iter"
	"log/slog"
	"slices"
	"time"

	"gabion/userspace/bucket"
	"gabion/userspace/engine"
	"gabion/userspace/event"
	"gabion/userspace/expr"
	"gabion/userspace/parse"
	"gabion/userspace/profile"
	"gabion/userspace/rules"
)

// Config says what to explain. Rules, Compiler and Now are required.
type Config struct {
	Rules    *rules.Set
	Profiles *profile.Profiles // nil: nothing is decided
	Compiler *expr.Compiler    // that compiled the rules
	Now      func() time.Time
	Log      *slog.Logger // nil: silent

	Labels map[string]string // of every line; "type" selects the parsers
	File   string            // evt.Line.Src
	Module string            // evt.Line.Module, "" for file
	Live   bool              // lines happen when they arrive, which is Now, and not at the time they say
	Stuck  bool              // also how far patterns come that do not match, of lines that are parsed too
	All    bool              // also the parsers and scenarios that a line is not for, with the reason
}

// Explainer runs lines through the rules one after the other, so that buckets fill as in a daemon.
// It belongs to one goroutine.
type Explainer struct {
	config   Config
	walk     *engine.Walk
	recorder *recorder
	lines    int
	asking   int // documents of parsers
	prefixes prefixes
}

// New returns an Explainer, which must be closed.
func New(config Config) *Explainer {
	x := &Explainer{
		config:   config,
		recorder: &recorder{why: expr.NewExplainer(config.Compiler), all: config.All},
		asking:   len(config.Rules.Parsers.Nodes()),
		prefixes: prefixes{set: config.Rules.Parsers.Patterns(), known: map[string][]prefix{}},
	}
	if x.config.Module == "" {
		x.config.Module = "file"
	}
	x.walk = engine.NewWalk(engine.Config{Rules: config.Rules, Profiles: config.Profiles, Now: config.Now, Log: config.Log}, x.recorder)
	return x
}

// Close ends what the Explainer runs.
func (x *Explainer) Close() { x.walk.Close() }

// Line says what becomes of a line.
func (x *Explainer) Line(raw string) (*Line, error) {
	x.lines++
	now := x.config.Now()
	evt := &event.Event{
		ExpectMode: event.Replay, Process: true, Time: now,
		Line: event.Line{Raw: raw, Src: x.config.File, Time: now, Labels: x.config.Labels, Process: true, Module: x.config.Module},
	}
	if x.config.Live {
		evt.ExpectMode = event.Live
	}
	line := &Line{Number: x.lines, Raw: raw, Nodes: []*Node{}, Scenarios: []*Scenario{}, Overflows: []*Overflow{}}
	x.recorder.begin(line, evt)
	if _, err := x.walk.Event(evt); err != nil {
		return nil, fmt.Errorf("explain line %d: %w", x.lines, err)
	}
	x.conclude(line, evt)
	return line, nil
}

// conclude adds what the engine did not tell: the parsers and scenarios that it did not ask.
func (x *Explainer) conclude(line *Line, evt *event.Event) {
	r := x.recorder
	line.Passed = x.asking - len(line.Nodes)
	switch {
	case !evt.Process || r.failed != "":
		line.Outcome, line.Reason = Unparsed, x.unparsed(evt)
		line.Near = x.near(evt)
		x.stick(line.Nodes)
	case evt.Whitelisted:
		line.Outcome, line.Reason = Whitelisted, evt.WhitelistReason
	default:
		line.Outcome = Parsed
	}
	if x.config.Stuck && line.Outcome != Unparsed {
		x.stick(line.Nodes)
	}
	if line.Outcome != Parsed {
		return
	}
	if at, ok := bucket.Time(evt); ok {
		line.Time = at.UTC()
	}
	for _, s := range x.config.Rules.Scenarios {
		if r.asked[s] {
			continue
		}
		if !x.config.All {
			line.Unmoved++
			continue
		}
		out := newScenario(s)
		out.Why = r.refused(s, evt)
		line.Scenarios = append(line.Scenarios, out)
	}
}

// unparsed says where a line got stuck.
func (x *Explainer) unparsed(evt *event.Event) string {
	stages := x.config.Rules.Parsers.Stages()
	switch {
	case x.recorder.failed != "":
		return x.recorder.failed
	case len(stages) == 0:
		return "there are no parsers"
	case !slices.Contains(stages, evt.Stage):
		return fmt.Sprintf("there is no stage %s", evt.Stage)
	case x.recorder.stages[evt.Stage]:
		return fmt.Sprintf("no parser of %s sends it on to the next stage: one of them needs onsuccess: next_stage", evt.Stage)
	}
	return fmt.Sprintf("no parser of %s takes it", evt.Stage)
}

// Lines says what becomes of each line of a log that is not empty.
func (x *Explainer) Lines(r io.Reader) iter.Seq2[*Line, error] {
	return func(yield func(*Line, error) bool) {
		for raw, err := range engine.Lines(r) {
			var line *Line
			if err == nil {
				line, err = x.Line(raw)
			}
			if !yield(line, err) || err != nil {
				return
			}
		}
	}
}

// Has reports whether a document of a parser or a scenario is called name.
func (x *Explainer) Has(name string) bool {
	set := x.config.Rules
	named := func(n parse.Node) bool { return n.Name() == name }
	return slices.ContainsFunc(set.Scenarios, func(s *bucket.Scenario) bool { return s.Name == name }) ||
		slices.ContainsFunc(set.Parsers.Nodes(), named) || slices.ContainsFunc(set.PostOverflows.Nodes(), named)
}

// Only leaves of the explanation what the rule of a name did.
func (l *Line) Only(name string) {
	other := func(n *Node) bool { return n.Name != name }
	l.Nodes = slices.DeleteFunc(l.Nodes, other)
	l.Scenarios = slices.DeleteFunc(l.Scenarios, func(s *Scenario) bool { return s.Name != name })
	l.Overflows = slices.DeleteFunc(l.Overflows, func(o *Overflow) bool {
		return o.Scenario != name && !slices.ContainsFunc(o.Nodes, func(n *Node) bool { return n.Name == name })
	})
	l.Unmoved, l.Passed = 0, 0
}
