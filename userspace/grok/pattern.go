package grok

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"slices"
	"strings"

	"gabion/userspace/grok/match"
)

// Pattern is a compiled grok expression. It is immutable and safe for concurrent use.
type Pattern struct {
	prog  *match.Program
	names []string
}

// Match holds the fields of the last successful match, as offsets into its text. The zero value is
// ready for use; reusing one saves allocations. It belongs to one goroutine.
type Match struct {
	text     string
	machine  match.Machine
	searched int
}

func newPattern(c *match.Compiler, expanded string, fields []field) (*Pattern, error) {
	p := &Pattern{names: make([]string, len(fields))}
	groups := make([]string, len(fields))
	for i, f := range fields {
		p.names[i], groups[i] = f.name, f.group
	}
	var err error
	if p.prog, err = c.Compile(expanded, groups); err != nil {
		return nil, explain(err, fields)
	}
	return p, nil
}

// check returns what is wrong with an expansion.
func check(expanded string, fields []field) error {
	tree, err := syntax.Parse(expanded, syntax.Perl)
	if err != nil {
		return explain(err, fields)
	}
	names := tree.CapNames()
	for _, f := range fields {
		if !slices.Contains(names, f.group) {
			return explain(&match.GroupError{Name: f.group}, fields)
		}
	}
	return nil
}

// explain says in terms of the pattern what is wrong with its expansion.
func explain(err error, fields []field) error {
	var missing *match.GroupError
	if errors.As(err, &missing) {
		i := slices.IndexFunc(fields, func(f field) bool { return f.group == missing.Name })
		return fmt.Errorf("reference with field %q stands where a group cannot: in a character class or after a backslash", fields[i].name)
	}
	return fmt.Errorf("compile expression: %w", shorten(err))
}

// Names returns the captured fields; Match.Get takes their indexes. The caller must not change it.
func (p *Pattern) Names() []string { return p.names }

// Info returns how the pattern is matched.
func (p *Pattern) Info() match.Info { return p.prog.Info() }

// Match searches text and fills m. A pattern without fields never matches: it has nothing to tell.
func (p *Pattern) Match(text string, m *Match) bool {
	if len(p.names) == 0 || !p.prog.Possible(text) {
		return false
	}
	m.searched += len(text)
	if !p.prog.Match(text, &m.machine) {
		return false
	}
	m.text = text
	return true
}

// Get returns the text of field i, "" when it took no part in the match.
func (m *Match) Get(i int) string {
	start, end := m.machine.Span(i)
	if start < 0 {
		return ""
	}
	return m.text[start:end]
}

// Span returns where field i lies in the text, in bytes; -1 and -1 when it took no part in the match.
func (m *Match) Span(i int) (start, end int) { return m.machine.Span(i) }

// Searched returns how many bytes patterns were tried on since the last Reset, besides those that a
// look for the pattern's literals settled: it grows in proportion to the time that was spent.
func (m *Match) Searched() int { return m.searched }

// Reset lets go of the matched text and begins to count anew.
func (m *Match) Reset() { m.text, m.searched = "", 0 }

// shorten keeps messages about long expansions readable.
func shorten(err error) error {
	const limit = 200
	if s := err.Error(); len(s) > limit {
		return fmt.Errorf("%s…", strings.ToValidUTF8(s[:limit], ""))
	}
	return err
}
