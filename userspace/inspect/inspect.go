// Package inspect says how rules are run: which expressions an index of constants settles, which run
// compiled and which are left to the virtual machine, and how patterns match.
package inspect

import (
	"fmt"
	"strings"

	"gabion/userspace/bucket"
	"gabion/userspace/expr"
	"gabion/userspace/parse"
	"gabion/userspace/rules"
)

// Report is how a set of rules is run.
type Report struct {
	Rules   []*Rule `json:"rules"`
	Summary Summary `json:"summary"`
}

// Rule is how one rule is run.
type Rule struct {
	Kind        rules.Kind   `json:"kind"`
	Name        string       `json:"name"`
	At          string       `json:"at"` // file:line
	Expressions []Expression `json:"expressions"`
	Patterns    []Pattern    `json:"patterns"`
}

// Expression is how one expression is run.
type Expression struct {
	Key      string   `json:"key"`
	At       string   `json:"at"` // file:line:column
	Source   string   `json:"source"`
	Index    []string `json:"index,omitempty"`   // of a filter: what an event must hold for it to be evaluated at all
	Words    []string `json:"words,omitempty"`   // of a filter: one of these must occur for it to be evaluated
	Compiled bool     `json:"compiled"`          // else the virtual machine runs it
	Because  string   `json:"because,omitempty"` // of the construct that is not compiled
	Depth    int      `json:"depth,omitempty"`   // of a node: how many nodes it lies in

	// WholeQueue says of a bucket's condition that it looks at every event in the queue each time: what
	// an event costs grows with the queue.
	WholeQueue bool `json:"whole_queue,omitempty"`
}

// Pattern is how one pattern matches.
type Pattern struct {
	At       string   `json:"at"` // file:line:column
	Source   string   `json:"source"`
	Fields   int      `json:"fields"`
	How      string   `json:"how"`      // one-pass, backtracking or memoised
	Anchored bool     `json:"anchored"` // at the beginning of the text
	Literals []string `json:"literals"` // that a text must hold to be tried at all
	Automata int      `json:"automata"` // parts that are one table each
	Nodes    int      `json:"nodes"`    // steps of the program
}

// How a pattern matches.
const (
	OnePass      = "one-pass"     // the next byte always decides
	Backtracking = "backtracking" // alternatives are tried one after the other, each place once
	Memoised     = "memoised"     // too involved for the fast program: all is noted
)

// Summary counts.
type Summary struct {
	Rules    map[rules.Kind]int `json:"rules"`
	Filters  Counts             `json:"filters"`
	Others   Counts             `json:"other_expressions"`
	Left     map[string]int     `json:"left_to_vm"` // by construct
	Patterns Patterns           `json:"patterns"`
}

// Counts counts expressions. Those that are indexed are compiled or interpreted besides.
type Counts struct {
	All         int `json:"all"`
	Indexed     int `json:"indexed"`  // by the value of a field
	Searched    int `json:"searched"` // for words that must occur, all of them in one pass
	Compiled    int `json:"compiled"`
	Interpreted int `json:"interpreted"`
}

// Patterns counts patterns.
type Patterns struct {
	All          int `json:"all"`
	OnePass      int `json:"one_pass"`
	Backtracking int `json:"backtracking"`
	Memoised     int `json:"memoised"`
	Anchored     int `json:"anchored"`
	Literal      int `json:"with_literals"`
}

// Look returns how rules are run: those of a name, or all when it is empty.
func Look(set *rules.Set, name string) *Report {
	r := &Report{Rules: []*Rule{}, Summary: Summary{Rules: map[rules.Kind]int{}, Left: map[string]int{}}}
	for _, n := range set.Parsers.Nodes() {
		r.parser(rules.Parser, n, name)
	}
	for _, n := range set.PostOverflows.Nodes() {
		r.parser(rules.PostOverflow, n, name)
	}
	for _, s := range set.Scenarios {
		if name == "" || s.Name == name {
			r.scenario(s)
		}
	}
	return r
}

func (r *Report) parser(kind rules.Kind, n parse.Node, name string) {
	if name != "" && n.Name() != name {
		return
	}
	rule := &Rule{Kind: kind, Name: n.Name(), At: place(n.Pos().File, n.Pos().Line), Expressions: []Expression{}, Patterns: []Pattern{}}
	r.node(rule, n)
	r.add(rule)
}

func (r *Report) node(rule *Rule, n parse.Node) {
	for _, k := range n.Expressions() {
		e := look(k)
		e.Depth = n.Depth()
		rule.Expressions = append(rule.Expressions, e)
	}
	if p := n.Pattern(); p != nil {
		info := p.Info()
		how := Backtracking
		switch {
		case info.Exact:
			how = Memoised
		case info.OnePass:
			how = OnePass
		}
		rule.Patterns = append(rule.Patterns, Pattern{
			At: n.PatternSource().Pos.String(), Source: n.PatternSource().Text, Fields: len(p.Names()), How: how,
			Anchored: info.Anchored, Literals: append([]string{}, info.Literals...), Automata: info.Automata, Nodes: info.Nodes,
		})
	}
	for _, c := range n.Children() {
		r.node(rule, c)
	}
}

func (r *Report) scenario(s *bucket.Scenario) {
	rule := &Rule{Kind: rules.Scenario, Name: s.Name, At: place(s.Pos.File, s.Pos.Line), Expressions: []Expression{}, Patterns: []Pattern{}}
	for _, k := range s.Expressions() {
		e := look(k)
		e.WholeQueue = strings.Contains(k.Key, "condition") && !s.Incremental()
		rule.Expressions = append(rule.Expressions, e)
	}
	r.add(rule)
}

func place(file string, line int) string { return fmt.Sprintf("%s:%d", file, line) }

// look says how an expression is run. Only filters are asked for by an index.
func look(k expr.Keyed) Expression {
	e := Expression{Key: k.Key, At: k.Program.Pos().String(), Source: k.Program.Source()}
	construct, interpreted := k.Program.Interpreted()
	e.Compiled, e.Because = !interpreted, construct
	if k.Key != "filter" {
		return e
	}
	for _, c := range k.Program.Requires() {
		e.Index = append(e.Index, condition(c))
	}
	e.Words = k.Program.Words()
	return e
}

// condition writes a condition as a rule would.
func condition(c expr.Condition) string {
	var values []string
	for _, v := range c.Values {
		values = append(values, fmt.Sprintf("%q", v))
	}
	name := "evt." + c.Map + "." + c.Key
	if len(values) == 1 {
		return name + " == " + values[0]
	}
	return name + " in [" + strings.Join(values, ", ") + "]"
}

// add files a rule and counts what is in it.
func (r *Report) add(rule *Rule) {
	r.Rules = append(r.Rules, rule)
	s := &r.Summary
	s.Rules[rule.Kind]++
	for _, e := range rule.Expressions {
		to := &s.Others
		if e.Key == "filter" {
			to = &s.Filters
		}
		to.All++
		if len(e.Index) > 0 {
			to.Indexed++
		}
		if len(e.Words) > 0 {
			to.Searched++
		}
		if e.Compiled {
			to.Compiled++
			continue
		}
		to.Interpreted++
		s.Left[e.Because]++
	}
	for _, p := range rule.Patterns {
		s.Patterns.add(p)
	}
}

func (s *Patterns) add(p Pattern) {
	s.All++
	switch p.How {
	case OnePass:
		s.OnePass++
	case Memoised:
		s.Memoised++
	default:
		s.Backtracking++
	}
	if p.Anchored {
		s.Anchored++
	}
	if len(p.Literals) > 0 {
		s.Literal++
	}
}
