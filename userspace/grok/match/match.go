// Package match runs regular expressions of RE2 syntax over log lines.
//
// It finds what the standard library's regexp finds: the leftmost match, and of those the one that
// trying alternatives in order finds first. It captures only the groups that are asked for, as
// offsets, and allocates nothing once a Machine has grown to what its programs need.
//
// A text is first searched for the longest literals that every match contains. Then a program of nodes
// runs that decides by the next byte where it can: addresses, numbers, host names and dates become
// automata of one table each, repetitions of a class loops over bytes, alternatives a table by
// next byte. Where that is not enough it goes back and tries again, with a budget of steps in
// proportion to the text. When that is spent it begins anew and notes what it tried at which place,
// so that hostile lines cost little more than others. Expressions for which that is not enough either
// are decided by an exact program that notes each pair of instruction and position that it tried, or,
// when there are too many of those, by one that advances all possibilities in lock step. So the time
// is linear in the text whatever it contains.
package match

import (
	"fmt"
	"regexp/syntax"
	"slices"
	"strings"
	"sync"

	"gabion/userspace/grok/exact"
)

// Program is a compiled expression. It is immutable to its users and safe for concurrent use.
type Program struct {
	literals []string // text that every match contains, in this order and without overlap
	telling  []string // those of them to look for
	fast     *fast    // nil when the expression is too involved for it
	slots    int

	// The exact program is large and hardly ever needed, so it is built when it is.
	expr   string
	groups []int
	common *shared
	build  sync.Once
	exact  *exact.Program
}

// Compiler compiles expressions. What parts of them have in common it builds once. It is safe for
// concurrent use.
type Compiler struct{ common *shared }

// NewCompiler returns a compiler without anything built.
func NewCompiler() *Compiler { return &Compiler{newShared()} }

// GroupError says that an expression has no group of the name.
type GroupError struct{ Name string }

// Error names the group.
func (e *GroupError) Error() string { return fmt.Sprintf("expression has no group %q", e.Name) }

// Compile compiles expr, of RE2's syntax as in the standard library. Groups are the names of the
// groups that are needed: Machine.Span takes indexes of that list. The error is a *syntax.Error or a
// *GroupError.
func (c *Compiler) Compile(expr string, groups []string) (*Program, error) {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil, err
	}
	names := re.CapNames()
	numbers := make([]int, len(groups))
	for i, name := range groups {
		if numbers[i] = slices.Index(names, name); numbers[i] < 0 || name == "" {
			return nil, &GroupError{name}
		}
	}
	return c.compile(re, expr, numbers), nil
}

// compile compiles re, which is expr parsed. Groups are the numbers of those needed.
func (c *Compiler) compile(re *syntax.Regexp, expr string, groups []int) *Program {
	literals := requiredLiterals(re)
	p := &Program{literals: literals, telling: longest(literals), slots: 2 * len(groups), expr: expr, groups: groups, common: c.common}
	b := &builder{slots: slotsOf(groups), shared: c.common}
	end := b.newNode(node{op: opMatch}, everything())
	if start := b.build(re, end); !b.tooHard {
		p.fast = newFast(b, start)
	}
	return p
}

// certain returns the exact program.
func (p *Program) certain() *exact.Program {
	p.build.Do(func() {
		re, err := syntax.Parse(p.expr, syntax.Perl)
		if err == nil {
			p.exact, err = exact.New(re, slotsOf(p.groups), p.common.class)
		}
		if err != nil {
			panic(err) // the same expression was parsed before
		}
	})
	return p.exact
}

// Match looks for the first match in text; m then has what the groups took, until it is used again.
func (p *Program) Match(text string, m *Machine) bool {
	m.prepare(p.slots)
	if p.fast != nil {
		switch p.fast.search(m, text) {
		case matched:
			return true
		case noMatch:
			return false
		}
		m.repeats++
	}
	ok, steps := p.certain().Search(&m.exact, text, m.slots)
	m.steps, m.touched = m.steps+steps, true
	return ok
}

// Possible says whether text contains the longest literals of every match. Taking each at its first place
// after the one before leaves the most room for the rest, so a miss is certain.
func (p *Program) Possible(text string) bool {
	for _, l := range p.telling {
		i := strings.Index(text, l)
		if i < 0 {
			return false
		}
		text = text[i+len(l):]
	}
	return true
}
