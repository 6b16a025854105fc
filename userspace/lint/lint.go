// Package lint finds what is wrong with rules and what looks wrong: everything that loading them
// refuses, and beyond that filters that can never be true, patterns that cannot match, buckets that
// cannot overflow, fields that nobody sets, data files that nobody reads.
//
// An error is certain: the rule does not load, or can never do anything. A warning is almost
// certainly not what the author meant. A hint is worth a look.
package lint

import (
	"cmp"
	"slices"

	"gabion/userspace/grok"
	"gabion/userspace/rules"
	"gabion/userspace/yamlpos"
)

// Severity says how sure it is that something is wrong.
type Severity string

// Severities, from the worst.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Hint    Severity = "hint"
)

// Finding is one thing that is or looks wrong.
type Finding struct {
	File       string   `json:"file"`
	Line       int      `json:"line"`
	Column     int      `json:"column"`
	Severity   Severity `json:"severity"`
	Check      string   `json:"check"` // the name of the check, such as never-true
	Message    string   `json:"message"`
	Suggestion string   `json:"suggestion,omitempty"`
}

// Pos returns where the finding is.
func (f Finding) Pos() yamlpos.Position {
	return yamlpos.Position{File: f.File, Line: f.Line, Column: f.Column}
}

// Config says what to look at.
type Config struct {
	Sources []rules.Source // whose findings are reported
	Context []rules.Source // rules that they run with
	Deps    rules.Deps     // with which the rules are loaded; a Lib without a folder of data reads none
	Data    []string       // names of data files that are there besides those that rules declare
}

// Report is what was found.
type Report struct {
	Documents int       `json:"documents"`
	Errors    int       `json:"errors"`
	Warnings  int       `json:"warnings"`
	Hints     int       `json:"hints"`
	Findings  []Finding `json:"findings"` // by file and place
}

// Run looks at rules.
func Run(config Config) *Report {
	l := &linter{config: config, reported: map[Finding]bool{}}
	l.read()
	l.load()
	l.collect()
	for _, d := range l.docs {
		if d.context || l.faulty[d.Pos()] {
			continue
		}
		if d.scenario != nil {
			l.checkScenario(d, d.scenario)
			continue
		}
		l.checkParser(d)
	}
	l.checkNames()
	l.checkData()
	l.checkFields()
	return l.report()
}

// linter is one run.
type linter struct {
	config   Config
	docs     []*doc
	foreign  map[string]bool           // files of the context
	faulty   map[yamlpos.Position]bool // documents that do not load
	findings []Finding
	reported map[Finding]bool
	shared   shared
	patterns *grok.Set // all that documents define
}

// read reads the documents of the sources and of their context.
func (l *linter) read() {
	context, err := rules.Read(l.config.Context)
	var unreadable yamlpos.Errors
	unreadable.Add(yamlpos.Position{}, err)
	l.foreign = map[string]bool{}
	for _, e := range unreadable {
		l.foreign[e.File] = true
	}
	docs, err := rules.Read(l.config.Sources)
	l.refuse(err)
	for _, d := range context {
		l.docs = append(l.docs, decode(d, true))
	}
	for _, d := range docs {
		l.docs = append(l.docs, decode(d, false))
	}
	for i, d := range l.docs[:max(len(l.docs)-1, 0)] {
		if next := l.docs[i+1]; next.File() == d.File() && next.context == d.context {
			d.end = next.Pos().Line
		}
	}
}

// load compiles everything as a daemon would; what is refused is an error.
func (l *linter) load() {
	l.faulty = map[yamlpos.Position]bool{}
	_, err := rules.Load(slices.Concat(l.config.Context, l.config.Sources), l.config.Deps)
	l.refuse(err)
}

// refuse reports what reading or loading refuses, once, and remembers the documents.
func (l *linter) refuse(err error) {
	var errs yamlpos.Errors
	errs.Add(yamlpos.Position{}, err)
	for _, d := range l.docs {
		l.foreign[d.File()] = d.context
	}
	for _, e := range errs {
		if l.foreign[e.File] {
			continue
		}
		l.add(yamlpos.Position{File: e.File, Line: e.Line, Column: e.Column}, Error, "load", e.Msg, "")
		for _, d := range l.docs {
			if d.File() == e.File && d.Pos().Line <= e.Line && e.Line < d.end {
				l.faulty[d.Pos()] = true
			}
		}
	}
}

// add reports a finding, once.
func (l *linter) add(at yamlpos.Position, severity Severity, check, message, suggestion string) {
	f := Finding{at.File, at.Line, at.Column, severity, check, message, suggestion}
	if !l.reported[f] {
		l.reported[f] = true
		l.findings = append(l.findings, f)
	}
}

func (l *linter) report() *Report {
	r := &Report{Findings: l.findings}
	if r.Findings == nil {
		r.Findings = []Finding{}
	}
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	for _, d := range l.docs {
		if !d.context {
			r.Documents++
		}
	}
	for _, f := range r.Findings {
		switch f.Severity {
		case Error:
			r.Errors++
		case Warning:
			r.Warnings++
		default:
			r.Hints++
		}
	}
	return r
}
