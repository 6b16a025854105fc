package match

import (
	"encoding/binary"
	"regexp/syntax"
	"sync"

	"gabion/userspace/grok/automaton"
	"gabion/userspace/grok/char"
)

// shared keeps what programs have in common: rules repeat the same few patterns.
type shared struct {
	mu       sync.Mutex
	automata map[string]*automaton.Automaton // by what they were built of; nil for what is no automaton
	classes  map[string]*char.Class          // by their ranges
}

func newShared() *shared {
	return &shared{automata: map[string]*automaton.Automaton{}, classes: map[string]*char.Class{}}
}

// class returns the class of pairs of runes, sorted and apart.
func (a *shared) class(ranges []rune) *char.Class {
	key := make([]byte, 0, 64)
	for _, r := range ranges {
		key = binary.AppendVarint(key, int64(r))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	c, ok := a.classes[string(key)]
	if !ok {
		c = char.NewClass(ranges)
		a.classes[string(key)] = c
	}
	return c
}

// automaton returns the automaton of re, nil when it has none.
func (a *shared) automaton(re *syntax.Regexp, first bool) *automaton.Automaton {
	if !automaton.Regular(re) {
		return nil
	}
	key := []byte{0}
	if first {
		key[0] = 1
	}
	key = automaton.AppendKey(key, re)
	a.mu.Lock()
	defer a.mu.Unlock()
	d, ok := a.automata[string(key)]
	if !ok {
		d = automaton.New(re, first)
		a.automata[string(key)] = d
	}
	return d
}
