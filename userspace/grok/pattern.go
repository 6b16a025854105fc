package grok

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

// Pattern is a compiled grok expression. It is immutable and safe for concurrent use.
type Pattern struct {
	re       *regexp.Regexp
	literals []string // text that every match contains, in this order and without overlap
	names    []string
	groups   []int // group of re per name
}

// Match holds the fields of the last successful match, as offsets into its text. The zero value is
// ready for use; reusing one saves allocations. It belongs to one goroutine.
type Match struct {
	text     string
	spans    []int // start and end per field, -1 where the field took no part in the match
	searched int
}

func newPattern(expanded string, fields []field) (*Pattern, error) {
	re, err := regexp.Compile(expanded)
	if err != nil {
		return nil, fmt.Errorf("compile expression: %w", shorten(err))
	}
	tree, err := syntax.Parse(expanded, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("compile expression: %w", shorten(err))
	}
	p := &Pattern{re: re, literals: requiredLiterals(tree)}
	for _, f := range fields {
		g := re.SubexpIndex(f.group)
		if g < 0 {
			return nil, fmt.Errorf("reference with field %q stands where a group cannot: in a character class or after a backslash", f.name)
		}
		p.names = append(p.names, f.name)
		p.groups = append(p.groups, g)
	}
	return p, nil
}

// Names returns the captured fields; Match.Get takes their indexes. The caller must not change it.
func (p *Pattern) Names() []string { return p.names }

// Match searches text and fills m. A pattern without fields never matches: it has nothing to tell.
func (p *Pattern) Match(text string, m *Match) bool {
	if len(p.names) == 0 || !p.possible(text) {
		return false
	}
	m.searched += len(text)
	loc := p.re.FindStringSubmatchIndex(text)
	if loc == nil {
		return false
	}
	m.text = text
	m.spans = m.spans[:0]
	for _, g := range p.groups {
		m.spans = append(m.spans, loc[2*g], loc[2*g+1])
	}
	return true
}

// possible says whether text contains the literals of every match. Taking each at its first place
// after the one before leaves the most room for the rest, so a miss is certain.
func (p *Pattern) possible(text string) bool {
	for _, l := range p.literals {
		i := strings.Index(text, l)
		if i < 0 {
			return false
		}
		text = text[i+len(l):]
	}
	return true
}

// Get returns the text of field i, "" when it took no part in the match.
func (m *Match) Get(i int) string {
	start, end := m.spans[2*i], m.spans[2*i+1]
	if start < 0 {
		return ""
	}
	return m.text[start:end]
}

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
