package match

import (
	"regexp/syntax"
	"slices"
	"strings"

	"gabion/userspace/grok/char"
)

const maxLiterals = 24 // checks per line; more would not tell much more

// longest returns the literals that tell most, in their order. To look for more of them would cost a
// line that matches more than it saves on others.
func longest(literals []string) []string {
	const enough = 3
	byLength := slices.Clone(literals)
	slices.SortStableFunc(byLength, func(a, b string) int { return len(b) - len(a) })
	if len(byLength) <= enough {
		return literals
	}
	least, room := len(byLength[enough-1]), enough
	for _, l := range byLength[:enough] {
		if len(l) > least {
			room--
		}
	}
	var out []string
	for _, l := range literals {
		if len(l) == least && room > 0 {
			room--
			out = append(out, l)
		} else if len(l) > least {
			out = append(out, l)
		}
	}
	return out
}

// requiredLiterals returns text that every match of re contains, in order and without overlap.
func requiredLiterals(re *syntax.Regexp) []string {
	w := literalWalk{}
	w.walk(re)
	w.flush()
	return w.found
}

// literalWalk collects literals; neighbours in a concatenation are joined.
type literalWalk struct {
	found []string
	open  strings.Builder
}

func (w *literalWalk) flush() {
	if w.open.Len() > 0 && len(w.found) < maxLiterals {
		w.found = append(w.found, w.open.String())
	}
	w.open.Reset()
}

func (w *literalWalk) walk(re *syntax.Regexp) {
	switch re.Op {
	case syntax.OpLiteral:
		w.literal(re)
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			w.walk(sub)
		}
	case syntax.OpCapture:
		w.walk(re.Sub[0])
	case syntax.OpPlus:
		w.repeated(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			w.repeated(re.Sub[0])
			return
		}
		w.flush()
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText,
		syntax.OpWordBoundary, syntax.OpNoWordBoundary: // take no text: what stands around them is adjacent
	default:
		w.flush()
	}
}

// repeated takes what occurs at least once; what follows need not be adjacent to its first time.
func (w *literalWalk) repeated(re *syntax.Regexp) {
	w.flush()
	w.walk(re)
	w.flush()
}

func (w *literalWalk) literal(re *syntax.Regexp) {
	for _, r := range re.Rune {
		if !char.Plain(r, re.Flags) {
			w.flush()
			continue
		}
		w.open.WriteRune(r)
	}
}
