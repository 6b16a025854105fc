package match

import (
	"encoding/binary"
	"regexp/syntax"
	"slices"
	"sync"
)

// automata keeps what newDFA built, by what it was built of. Rules repeat the same few patterns.
type automata struct {
	mu    sync.Mutex
	byKey map[string]*dfa // nil for what is no automaton
}

// get returns the automaton of re, nil when it has none.
func (a *automata) get(re *syntax.Regexp, first bool) *dfa {
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
	d, ok := a.byKey[string(key)]
	if !ok {
		d = newDFA(re, first)
		a.byKey[string(key)] = d
	}
	return d
}

// regular says whether re may be an automaton: its characters are ASCII, its assertions word boundaries.
func regular(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpLiteral:
		return !slices.ContainsFunc(re.Rune, func(r rune) bool { return !runeClass(r, re.Flags).ascii })
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return classOf(re).ascii
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
