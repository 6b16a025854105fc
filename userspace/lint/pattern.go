package lint

import (
	"regexp/syntax"
	"strings"
)

// cannotMatch says why a regular expression matches no text at all, "" when it may match some.
func cannotMatch(re *syntax.Regexp) string {
	if empty(re) {
		return "a character class in it holds no character"
	}
	if anchored(re, false, false) {
		return "it wants the beginning or the end of the text (^ or $) in a place that lies inside of it"
	}
	return ""
}

// empty reports whether an expression matches no text for want of characters to match.
func empty(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpNoMatch:
		return true
	case syntax.OpCharClass:
		return len(re.Rune) == 0
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			if empty(sub) {
				return true
			}
		}
	case syntax.OpAlternate:
		for _, sub := range re.Sub {
			if !empty(sub) {
				return false
			}
		}
		return true
	case syntax.OpCapture, syntax.OpPlus:
		return empty(re.Sub[0])
	case syntax.OpRepeat:
		return re.Min > 0 && empty(re.Sub[0])
	}
	return false
}

// anchored reports whether an expression cannot match because an anchor of it stands where text
// must lie before (of ^) or behind (of $).
func anchored(re *syntax.Regexp, before, behind bool) bool {
	switch re.Op {
	case syntax.OpBeginText:
		return before
	case syntax.OpEndText:
		return behind
	case syntax.OpConcat:
		rest := make([]bool, len(re.Sub)+1) // whether what follows takes text
		for i := len(re.Sub) - 1; i >= 0; i-- {
			rest[i] = rest[i+1] || shortest(re.Sub[i]) > 0
		}
		for i, sub := range re.Sub {
			if anchored(sub, before, behind || rest[i+1]) {
				return true
			}
			before = before || shortest(sub) > 0
		}
	case syntax.OpAlternate:
		for _, sub := range re.Sub {
			if !anchored(sub, before, behind) {
				return false
			}
		}
		return true
	case syntax.OpCapture, syntax.OpPlus:
		return anchored(re.Sub[0], before, behind)
	case syntax.OpRepeat:
		return re.Min > 0 && anchored(re.Sub[0], before, behind)
	}
	return false
}

// shortest returns a lower bound of the characters that an expression matches.
func shortest(re *syntax.Regexp) int {
	switch re.Op {
	case syntax.OpLiteral:
		return len(re.Rune)
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return 1
	case syntax.OpConcat:
		n := 0
		for _, sub := range re.Sub {
			n += shortest(sub)
		}
		return n
	case syntax.OpAlternate:
		n := shortest(re.Sub[0])
		for _, sub := range re.Sub[1:] {
			n = min(n, shortest(sub))
		}
		return n
	case syntax.OpCapture, syntax.OpPlus:
		return shortest(re.Sub[0])
	case syntax.OpRepeat:
		return re.Min * min(shortest(re.Sub[0]), 1000)
	}
	return 0
}

// covers reports whether an earlier expression surely matches every text that a later one matches:
// the pieces of the earlier stand in the later, one after the other.
func covers(earlier, later *syntax.Regexp) bool {
	a, b := pieces(earlier, nil), pieces(later, nil)
	for i := 0; i+len(a) <= len(b); i++ {
		if equal(a, b[i:i+len(a)]) {
			return true
		}
	}
	return false
}

// pieces returns what an expression consists of, one after the other, without its groups.
func pieces(re *syntax.Regexp, out []string) []string {
	switch re.Op {
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			out = pieces(sub, out)
		}
		return out
	case syntax.OpCapture:
		return pieces(re.Sub[0], out)
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase == 0 {
			return append(out, strings.Split(string(re.Rune), "")...)
		}
	case syntax.OpEmptyMatch:
		return out
	}
	return append(out, ungrouped(re).String())
}

// ungrouped returns an expression without its capturing groups, whose names differ.
func ungrouped(re *syntax.Regexp) *syntax.Regexp {
	if re.Op == syntax.OpCapture {
		return ungrouped(re.Sub[0])
	}
	c := *re
	c.Sub = make([]*syntax.Regexp, len(re.Sub))
	for i, sub := range re.Sub {
		c.Sub[i] = ungrouped(sub)
	}
	return &c
}

func equal(a, b []string) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
