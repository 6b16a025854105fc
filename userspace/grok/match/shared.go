package match

import (
	"encoding/binary"
	"regexp/syntax"
	"slices"
	"sync"
	"unicode/utf8"
)

// shared keeps what programs have in common: rules repeat the same few patterns.
type shared struct {
	mu       sync.Mutex
	automata map[string]*dfa   // by what they were built of; nil for what is no automaton
	classes  map[string]*class // by their ranges
}

func newShared() *shared {
	return &shared{automata: map[string]*dfa{}, classes: map[string]*class{}}
}

// class returns the class of pairs of runes, sorted and apart.
func (a *shared) class(ranges []rune) *class {
	key := make([]byte, 0, 64)
	for _, r := range ranges {
		key = binary.AppendVarint(key, int64(r))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	c, ok := a.classes[string(key)]
	if !ok {
		c = newClass(ranges)
		a.classes[string(key)] = c
	}
	return c
}

// automaton returns the automaton of re, nil when it has none.
func (a *shared) automaton(re *syntax.Regexp, first bool) *dfa {
	if !regular(re) {
		return nil
	}
	key := []byte{0}
	if first {
		key[0] = 1
	}
	key = appendKey(key, re)
	a.mu.Lock()
	defer a.mu.Unlock()
	d, ok := a.automata[string(key)]
	if !ok {
		d = newDFA(re, first)
		a.automata[string(key)] = d
	}
	return d
}

// regular says whether re may be an automaton: its characters are ASCII, its assertions word boundaries.
func regular(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpLiteral:
		return !slices.ContainsFunc(re.Rune, func(r rune) bool { return slices.Max(runeRanges(r, re.Flags)) >= utf8.RuneSelf })
	case syntax.OpCharClass:
		return len(re.Rune) == 0 || re.Rune[len(re.Rune)-1] < utf8.RuneSelf
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return false
	case syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText:
		return false
	}
	return !slices.ContainsFunc(re.Sub, func(sub *syntax.Regexp) bool { return !regular(sub) })
}

// appendKey appends what tells re from other expressions, but for its groups.
func appendKey(key []byte, re *syntax.Regexp) []byte {
	if re.Op == syntax.OpCapture {
		return appendKey(key, re.Sub[0])
	}
	flags := re.Flags & (syntax.NonGreedy | syntax.FoldCase)
	key = append(key, byte(re.Op), byte(flags>>8), byte(flags))
	for _, n := range []int{re.Min, re.Max, len(re.Rune), len(re.Sub)} {
		key = binary.AppendVarint(key, int64(n))
	}
	for _, r := range re.Rune {
		key = binary.AppendVarint(key, int64(r))
	}
	for _, sub := range re.Sub {
		key = appendKey(key, sub)
	}
	return key
}
