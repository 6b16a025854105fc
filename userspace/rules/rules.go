// Package rules loads folders of rule files into a compiled set: parsers, post-overflow rules,
// scenarios, contexts of alerts and meters.
//
// It reads the hub's layout, where the path says what a document is, and gabion's own, where rules
// stand together by service. A bad document is left out and reported; the others run.
package rules

import (
	"log/slog"
	"time"

	"gabion/userspace/alertcontext"
	"gabion/userspace/bucket"
	"gabion/userspace/enrich"
	"gabion/userspace/expr"
	"gabion/userspace/exprlib"
	"gabion/userspace/grok"
	"gabion/userspace/meter"
	"gabion/userspace/parse"
	"gabion/userspace/yamlpos"
)

// Deps are what compiling rules needs.
type Deps struct {
	Expr      *expr.Compiler
	Lib       *exprlib.Lib // whose functions Expr was made with
	Patterns  *grok.Set
	Methods   map[string]enrich.Method
	Now       func() time.Time           // wall clock
	Simulated func(scenario string) bool // nil: no scenario is simulated
	Log       *slog.Logger
}

// Set is a compiled set of rules. It is immutable and safe for concurrent use.
type Set struct {
	Parsers       *parse.Pipeline
	PostOverflows *parse.Pipeline
	Scenarios     []*bucket.Scenario // in the order of their files
	Meters        []*meter.Meter     // in the order of their files; at most meter.MaxInForce, no two of a name
	Context       *alertcontext.Context
	Items         []Item // everything that was loaded: by kind, then in the order of the files
}

// Kind says what a rule is.
type Kind string

// Kinds of rules.
const (
	Parser       Kind = "parser"
	PostOverflow Kind = "postoverflow"
	Scenario     Kind = "scenario"
	Meter        Kind = "meter"
	Context      Kind = "context"
)

// Item describes a loaded rule.
type Item struct {
	Kind  Kind
	Name  string
	Stage string // of a parser or post-overflow rule
	Pos   yamlpos.Position
}

// Load reads and compiles the rules of all sources. Where two sources have a rule of the same kind
// and name, the later source's replaces the earlier's. The error is yamlpos.Errors with everything
// that is wrong in all files; the set holds the rest and works.
func Load(sources []Source, deps Deps) (*Set, error) {
	if deps.Now == nil {
		deps.Now = func() time.Time { return time.Unix(0, 0).UTC() }
	}
	docs, errs := read(sources)
	s := &Set{}
	s.Parsers = s.pipeline(docs, Parser, deps, &errs)
	s.PostOverflows = s.pipeline(docs, PostOverflow, deps, &errs)
	s.loadContexts(docs, deps, &errs)
	for _, d := range docs {
		if d.kind != Scenario {
			continue
		}
		sc, err := bucket.Compile(d.doc, bucket.Deps{
			Expr: deps.Expr, Lib: deps.Lib, Simulated: deps.Simulated, Context: s.Context, Log: deps.Log,
		})
		if err != nil {
			errs.Add(d.doc.Pos(), err)
			continue
		}
		sc.Hash, sc.Version = d.hash, d.version
		s.Scenarios = append(s.Scenarios, sc)
		s.Items = append(s.Items, Item{Kind: Scenario, Name: sc.Name, Pos: d.doc.Pos()})
	}
	s.loadMeters(docs, &errs)
	return s, errs.Err()
}

// loadContexts compiles the contexts of alerts into one.
func (s *Set) loadContexts(docs []*document, deps Deps, errs *yamlpos.Errors) {
	var chosen []*yamlpos.Document
	for _, d := range docs {
		if d.kind == Context {
			chosen = append(chosen, d.doc)
			s.Items = append(s.Items, Item{Kind: Context, Name: d.name, Pos: d.doc.Pos()})
		}
	}
	context, err := alertcontext.Compile(chosen, deps.Expr)
	errs.Add(yamlpos.Position{}, err)
	s.Context = context
}

// loadMeters compiles the meters. The kernel counts under their names, so that a second one of a
// name is left out, and has room for so many.
func (s *Set) loadMeters(docs []*document, errs *yamlpos.Errors) {
	first := map[string]yamlpos.Position{}
	ports := 0 // meters that count them
	for _, d := range docs {
		if d.kind != Meter {
			continue
		}
		m, err := meter.Compile(d.doc)
		if err != nil {
			errs.Add(d.doc.Pos(), err)
			continue
		}
		other, twice := first[m.Name]
		switch {
		case twice:
			*errs = append(*errs, d.doc.Pos().Errorf("meter %s is defined at %s already", m.Name, other))
			continue
		case len(s.Meters) == meter.MaxInForce:
			*errs = append(*errs, d.doc.Pos().Errorf("meter %s is one too many: the kernel runs at most %d", m.Name, meter.MaxInForce))
			continue
		case m.Count == meter.Ports && ports == meter.MaxOfPorts:
			*errs = append(*errs, d.doc.Pos().Errorf("meter %s is one too many: the kernel runs at most %d that count ports", m.Name, meter.MaxOfPorts))
			continue
		}
		if m.Count == meter.Ports {
			ports++
		}
		first[m.Name] = d.doc.Pos()
		s.Meters = append(s.Meters, m)
		s.Items = append(s.Items, Item{Kind: Meter, Name: m.Name, Pos: d.doc.Pos()})
	}
}
