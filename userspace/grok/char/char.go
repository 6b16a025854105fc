// Package char is sets of characters and the places between them, as RE2 understands text that may
// hold any bytes: an invalid byte is the character U+FFFD.
package char

import (
	"regexp/syntax"
	"slices"
	"unicode"
	"unicode/utf8"
)

// Bytes says of each byte whether it is in the set.
type Bytes [256]bool

// Add adds what is in o.
func (s *Bytes) Add(o *Bytes) {
	for b, in := range o {
		s[b] = s[b] || in
	}
}

// Meets says whether a byte is in both.
func (s *Bytes) Meets(o *Bytes) bool {
	for b, in := range o {
		if in && s[b] {
			return true
		}
	}
	return false
}

// Class is a set of characters: what one element of an expression takes.
type Class struct {
	Bytes  Bytes  // first bytes of its characters
	Wide   bool   // it has every character beyond ASCII, invalid bytes among them
	ASCII  bool   // it has no character beyond ASCII
	ranges []rune // pairs, sorted
}

// NewClass takes pairs of runes, sorted and apart.
func NewClass(ranges []rune) *Class {
	c := &Class{ASCII: true, ranges: ranges}
	for i := 0; i < len(ranges); i += 2 {
		lo, hi := ranges[i], ranges[i+1]
		for r := lo; r <= hi && r < utf8.RuneSelf; r++ {
			c.Bytes[r] = true
		}
		if hi >= utf8.RuneSelf {
			c.ASCII = false
			c.Wide = lo <= utf8.RuneSelf && hi == unicode.MaxRune
		}
	}
	if !c.ASCII {
		for b := utf8.RuneSelf; b < len(c.Bytes); b++ {
			c.Bytes[b] = true
		}
	}
	return c
}

// Has says whether r is in the class.
func (c *Class) Has(r rune) bool {
	for i := 0; i < len(c.ranges); i += 2 {
		if r < c.ranges[i] {
			return false
		}
		if r <= c.ranges[i+1] {
			return true
		}
	}
	return false
}

// ByBytes says whether a character is in the class when its first byte is in the set of bytes.
func (c *Class) ByBytes() bool { return c.ASCII || c.Wide }

// Excluded returns the one byte that is not in a class by bytes, -1 when there is none or several.
func (c *Class) Excluded() int {
	out := -1
	for b, in := range c.Bytes {
		if !in && out >= 0 {
			return -1
		}
		if !in {
			out = b
		}
	}
	return out
}

// Single returns the ranges of what re takes when that is always one character.
func Single(re *syntax.Regexp) (ranges []rune, ok bool) {
	switch re.Op {
	case syntax.OpLiteral:
		if len(re.Rune) == 1 {
			return RuneRanges(re.Rune[0], re.Flags), true
		}
	case syntax.OpCharClass:
		return re.Rune, true
	case syntax.OpAnyChar:
		return []rune{0, unicode.MaxRune}, true
	case syntax.OpAnyCharNotNL:
		return []rune{0, '\n' - 1, '\n' + 1, unicode.MaxRune}, true
	}
	return nil, false
}

// RuneRanges returns the ranges of r, in all its cases when flags say so.
func RuneRanges(r rune, flags syntax.Flags) []rune {
	runes := []rune{r, r}
	if flags&syntax.FoldCase != 0 {
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			runes = append(runes, f, f)
		}
	}
	slices.Sort(runes)
	return runes
}

// Plain says whether r matches exactly where text has its bytes. Invalid bytes read as U+FFFD,
// and no text reads as a surrogate.
func Plain(r rune, flags syntax.Flags) bool {
	if r == utf8.RuneError || !utf8.ValidRune(r) {
		return false
	}
	return flags&syntax.FoldCase == 0 || unicode.SimpleFold(r) == r
}

// Width returns how many bytes the character at i has; an invalid byte is one.
func Width(text string, i int) int {
	if text[i] < utf8.RuneSelf {
		return 1
	}
	_, w := utf8.DecodeRuneInString(text[i:])
	return w
}

// Boundary says whether a character begins at i when text is read from its start.
func Boundary(text string, i int) bool {
	if i >= len(text) || utf8.RuneStart(text[i]) {
		return true
	}
	for j := i - 1; j >= max(0, i-utf8.UTFMax+1); j-- {
		if utf8.RuneStart(text[j]) {
			_, w := utf8.DecodeRuneInString(text[j:])
			return j+w <= i
		}
	}
	return true
}

// IsWord says whether b counts as part of a word: ASCII letters, digits and the underscore.
func IsWord(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '_'
}

// Holds says whether the assertions of flags hold at i.
func Holds(flags syntax.EmptyOp, text string, i int) bool {
	if flags&syntax.EmptyBeginText != 0 && i != 0 || flags&syntax.EmptyEndText != 0 && i != len(text) ||
		flags&syntax.EmptyBeginLine != 0 && i != 0 && text[i-1] != '\n' ||
		flags&syntax.EmptyEndLine != 0 && i != len(text) && text[i] != '\n' {
		return false
	}
	if flags&(syntax.EmptyWordBoundary|syntax.EmptyNoWordBoundary) == 0 {
		return true
	}
	edge := (i > 0 && IsWord(text[i-1])) != (i < len(text) && IsWord(text[i]))
	return (flags&syntax.EmptyWordBoundary == 0 || edge) && (flags&syntax.EmptyNoWordBoundary == 0 || !edge)
}
