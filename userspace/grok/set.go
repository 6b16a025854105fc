// Package grok compiles grok expressions: regular expressions with references to named patterns.
//
// %{NAME} stands for the pattern NAME, %{NAME:field} also captures what it matched. Everything else
// is RE2 syntax; matching is a search for the first leftmost match, and alternatives are tried in
// order. Only references capture: groups written as (…) or (?P<x>…) do not become fields.
package grok

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"regexp"
	"sync"

	"gabion/userspace/grok/match"
)

// ErrDefined says that a name was defined before. The first definition stays.
var ErrDefined = errors.New("pattern is already defined")

// UnknownPatternError says that an expression references a pattern that is not defined.
type UnknownPatternError struct{ Name string }

// Error names the pattern and what to do.
func (e *UnknownPatternError) Error() string {
	return fmt.Sprintf("unknown pattern %q: define it in pattern_syntax before it is used", e.Name)
}

// Set is a collection of named patterns. It is not safe for concurrent use while patterns are
// added; compiled patterns do not depend on it.
type Set struct {
	patterns map[string]string
	compiler *match.Compiler // shared by all copies
}

// NewSet returns a set of all stock patterns.
func NewSet() *Set {
	return &Set{patterns: maps.Clone(stock()), compiler: match.NewCompiler()}
}

// Clone returns an independent copy.
func (s *Set) Clone() *Set {
	return &Set{patterns: maps.Clone(s.patterns), compiler: s.compiler}
}

// Has says whether name is defined.
func (s *Set) Has(name string) bool {
	_, ok := s.patterns[name]
	return ok
}

// Names returns the names that are defined, in no order.
func (s *Set) Names() iter.Seq[string] { return maps.Keys(s.patterns) }

// Text returns the pattern called name as it was written, "" when there is none.
func (s *Set) Text(name string) string { return s.patterns[name] }

// Add defines name. What the pattern references must be defined before it, so no pattern can
// contain itself. A name that exists keeps its first definition, and the error is ErrDefined.
func (s *Set) Add(name, pattern string) error {
	if !nameOnly().MatchString(name) {
		return fmt.Errorf("pattern name %q: want letters, digits and underscores only", name)
	}
	if s.Has(name) {
		return fmt.Errorf("%s: %w", name, ErrDefined)
	}
	expanded, fields, err := s.expand(pattern)
	if err != nil {
		return err
	}
	if err := check(expanded, fields); err != nil {
		return err
	}
	s.patterns[name] = pattern
	return nil
}

// CompileName compiles the pattern called name.
func (s *Set) CompileName(name string) (*Pattern, error) {
	text, ok := s.patterns[name]
	if !ok {
		return nil, &UnknownPatternError{name}
	}
	return s.Compile(text)
}

// Compile compiles a grok expression.
func (s *Set) Compile(expr string) (*Pattern, error) {
	expanded, fields, err := s.expand(expr)
	if err != nil {
		return nil, err
	}
	return newPattern(s.compiler, expanded, fields)
}

// expand returns the regular expression that expr stands for and the fields it captures.
func (s *Set) expand(expr string) (string, []field, error) {
	x := expander{set: s}
	fields, err := x.expand(expr)
	return x.out.String(), fields, err
}

// Expand returns the regular expression that a grok expression stands for, and the fields that it
// captures.
func (s *Set) Expand(expr string) (expanded string, fields []string, err error) {
	x := expander{set: s}
	found, err := x.expand(expr)
	for _, f := range found {
		fields = append(fields, f.name)
	}
	return x.out.String(), fields, err
}

// nameOnly matches what a reference can name.
var nameOnly = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\w+$`) })
