// Package xmlpath finds elements of XML documents by the subset of XPath that rules use.
//
// Documents are hostile: their size, depth and number of elements are bounded, and entities other
// than those of XML itself are faults, so nothing expands. Paths come from rules.
package xmlpath

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// step is one part of a path: /Data[@Name='X'][1].
type step struct {
	name    name     // * for any, . for the element itself, .. for its parent
	deep    bool     // written behind //
	compare []filter // those that compare and come first: they judge each element by itself
	filters []filter // the others
}

// name is a name with or without a namespace prefix.
type name struct {
	space, local string
	prefixed     bool
}

// Names that lead elsewhere than to children.
var (
	self   = name{local: "."}
	parent = name{local: ".."}
)

func newName(text string) name {
	if space, local, ok := strings.Cut(text, ":"); ok {
		return name{space, local, true}
	}
	return name{local: text}
}

// filter keeps some of the elements that one step found below one element.
type filter struct {
	index int // position from 1, from the end when negative; 0: the filter compares
	attr  bool
	name  name
	equal bool
	value string
}

func (s step) apply(from []*Element) []*Element {
	if s.deep {
		from = descendants(from)
	}
	if len(from) == 1 {
		return s.filtered(from[0])
	}
	var out []*Element
	seen := map[*Element]bool{}
	for _, e := range from {
		for _, x := range s.filtered(e) {
			if !seen[x] {
				seen[x] = true
				out = append(out, x)
			}
		}
	}
	return out
}

// filtered returns what the step leads to from one element.
func (s step) filtered(e *Element) []*Element {
	found := s.pick(e)
	for _, f := range s.filters {
		found = f.apply(found)
	}
	return found
}

// descendants returns elements with everything below them, each once, in order of the document.
func descendants(from []*Element) []*Element {
	var out []*Element
	seen := map[*Element]bool{}
	for _, e := range from {
		if seen[e] {
			continue
		}
		below := e.descend(nil)
		for _, d := range below {
			seen[d] = true
		}
		out = append(out, below...)
	}
	return out
}

func (s step) pick(e *Element) []*Element {
	from := e.children
	switch s.name {
	case self:
		from = []*Element{e}
	case parent:
		if e.parent == nil {
			return nil
		}
		from = []*Element{e.parent}
	}
	var out []*Element
	for _, c := range from {
		if s.fits(c) {
			out = append(out, c)
		}
	}
	return out
}

// fits reports whether the step takes an element that lies in its way.
func (s step) fits(e *Element) bool {
	if s.name != self && s.name != parent && !e.named(s.name) {
		return false
	}
	for i := range s.compare {
		if !s.compare[i].matches(e) {
			return false
		}
	}
	return true
}

func (f filter) apply(in []*Element) []*Element {
	if f.index != 0 {
		i := f.index - 1
		if f.index < 0 {
			i = len(in) + f.index
		}
		if i < 0 || i >= len(in) {
			return nil
		}
		return in[i : i+1]
	}
	var out []*Element
	for _, e := range in {
		if f.matches(e) {
			out = append(out, e)
		}
	}
	return out
}

func (f *filter) matches(e *Element) bool {
	if f.attr {
		value, ok := e.attr(f.name)
		return ok && (!f.equal || value == f.value)
	}
	for _, c := range e.children {
		if c.named(f.name) && (!f.equal || c.Text() == f.value) {
			return true
		}
	}
	return false
}

// parsePath reads the subset of XPath that rules use: names, *, ., .., // and the filters [2],
// [@Name], [@Name='X'], [child] and [child='X'].
func parsePath(path string) ([]step, error) {
	const maxSteps = 32
	var steps []step
	rest := strings.TrimPrefix(path, "/")
	deep := false
	for rest != "" {
		if rest[0] == '/' {
			if deep {
				return nil, errors.New("path has three slashes in a row")
			}
			deep, rest = true, rest[1:]
			continue
		}
		end := stepEnd(rest)
		s, err := parseStep(rest[:end])
		if err != nil {
			return nil, err
		}
		s.deep, deep = deep, false
		if steps = append(steps, s); len(steps) > maxSteps {
			return nil, errors.New("path is too long")
		}
		rest = strings.TrimPrefix(rest[end:], "/")
	}
	if len(steps) == 0 || deep || strings.HasSuffix(path, "/") {
		return nil, errors.New("path has an empty step")
	}
	return steps, nil
}

// stepEnd returns where the step at the beginning of a path ends: at the next slash outside
// brackets and quotes.
func stepEnd(path string) int {
	inBrackets, quote := false, byte(0)
	for i := range len(path) {
		c := path[i]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case inBrackets && (c == '\'' || c == '"'):
			quote = c
		case c == '[':
			inBrackets = true
		case c == ']':
			inBrackets = false
		case c == '/' && !inBrackets:
			return i
		}
	}
	return len(path)
}

func parseStep(text string) (step, error) {
	element, filters, _ := strings.Cut(text, "[")
	s := step{name: newName(element)}
	if element == "" {
		return s, errors.New("path has an empty step")
	}
	if filters == "" {
		return s, nil
	}
	inner, ok := strings.CutSuffix(filters, "]")
	if !ok {
		return s, fmt.Errorf("filter [%s is not closed", filters)
	}
	for _, one := range strings.Split(inner, "][") {
		f, err := parseFilter(strings.TrimSpace(one))
		if err != nil {
			return s, err
		}
		if f.index == 0 && len(s.filters) == 0 {
			s.compare = append(s.compare, f)
			continue
		}
		s.filters = append(s.filters, f)
	}
	return s, nil
}

func parseFilter(text string) (filter, error) {
	if n, err := strconv.Atoi(text); err == nil && n != 0 {
		return filter{index: n}, nil
	}
	var f filter
	text, f.attr = strings.CutPrefix(text, "@")
	named, value, equal := strings.Cut(text, "=")
	f.name, f.value, f.equal = newName(named), value, equal
	if named == "" || strings.ContainsAny(named, "()<>!| '\"") {
		return f, fmt.Errorf("filter [%s] is not supported", text)
	}
	if !f.equal {
		return f, nil
	}
	v := f.value
	if len(v) < 2 || v[0] != v[len(v)-1] || v[0] != '\'' && v[0] != '"' {
		return f, fmt.Errorf("value in filter [%s] is not quoted", text)
	}
	f.value = v[1 : len(v)-1]
	return f, nil
}
