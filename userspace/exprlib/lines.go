package exprlib

import (
	"slices"
	"sync/atomic"

	"gabion/userspace/expr"
	"gabion/userspace/search"
)

// withLines gives the helper File its search.
func (l *Lib) withLines(h expr.Function) expr.Function {
	h.Lines = func(name string, how expr.Relation, of func(line string) (string, bool)) expr.LineSearch {
		return &lineSearch{version: l.data.Version, lines: func() []string { return l.file(name) }, how: how, of: of}
	}
	return h
}

// lineSearch looks for a line of a data file that a text relates to. It is prepared when it is first
// used, and again when the file was loaded since.
type lineSearch struct {
	version func() uint64 // of the lines
	lines   func() []string
	how     expr.Relation
	of      func(line string) (string, bool)
	index   atomic.Pointer[lineIndex]
}

// lineIndex is what was prepared. It never changes.
type lineIndex struct {
	version uint64 // of the lines
	empty   bool   // there are none
	failed  bool   // something cannot be made of a line: only a walk tells where it ends
	words   *search.Words
	set     map[string]bool
	lengths []int // of the texts in set, ascending
	ranges  *ranges
}

// Empty implements expr.LineSearch.
func (s *lineSearch) Empty() bool { return s.current().empty }

// Find implements expr.LineSearch.
func (s *lineSearch) Find(text string) (found, known bool) {
	x := s.current()
	switch {
	case x.failed:
		return false, false
	case x.words != nil:
		return x.words.First(text) >= 0, true
	case x.ranges != nil:
		return x.ranges.contains(text), true
	case s.how == expr.Equals:
		return x.set[text], true
	}
	for _, n := range x.lengths {
		if n > len(text) {
			break
		}
		part := text[:n]
		if s.how == expr.HasSuffix {
			part = text[len(text)-n:]
		}
		if x.set[part] {
			return true, true
		}
	}
	return false, true
}

func (s *lineSearch) current() *lineIndex {
	version := s.version() // before the lines: they may be newer than it says, never older
	x := s.index.Load()
	if x == nil || x.version != version {
		x = s.prepare(s.lines())
		x.version = version
		s.index.Store(x)
	}
	return x
}

func (s *lineSearch) prepare(lines []string) *lineIndex {
	x := &lineIndex{empty: len(lines) == 0}
	made := make([]string, len(lines))
	for i, line := range lines {
		var ok bool
		if made[i], ok = s.of(line); !ok {
			x.failed = true
			return x
		}
	}
	switch s.how {
	case expr.Contains:
		x.words = search.New(made, false)
		return x
	case expr.Within:
		x.ranges = newRanges(made)
		return x
	}
	x.set = make(map[string]bool, len(made))
	for _, text := range made {
		x.set[text] = true
	}
	for text := range x.set {
		x.lengths = append(x.lengths, len(text))
	}
	slices.Sort(x.lengths)
	x.lengths = slices.Compact(x.lengths)
	return x
}
