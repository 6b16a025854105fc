package automaton

import (
	"encoding/binary"
	"regexp/syntax"
	"slices"
	"unicode/utf8"

	"gabion/userspace/grok/char"
)

// Regular says whether re may be an automaton: its characters are ASCII, its assertions word boundaries.
func Regular(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpLiteral:
		return !slices.ContainsFunc(re.Rune, func(r rune) bool { return slices.Max(char.RuneRanges(r, re.Flags)) >= utf8.RuneSelf })
	case syntax.OpCharClass:
		return len(re.Rune) == 0 || re.Rune[len(re.Rune)-1] < utf8.RuneSelf
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return false
	case syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText:
		return false
	}
	return !slices.ContainsFunc(re.Sub, func(sub *syntax.Regexp) bool { return !Regular(sub) })
}

// AppendKey appends what tells re from other expressions, but for its groups.
func AppendKey(key []byte, re *syntax.Regexp) []byte {
	if re.Op == syntax.OpCapture {
		return AppendKey(key, re.Sub[0])
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
		key = AppendKey(key, sub)
	}
	return key
}
