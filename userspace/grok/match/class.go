package match

import (
	"regexp/syntax"
	"slices"
	"unicode"
	"unicode/utf8"
)

// byteSet says of each byte whether it is in the set.
type byteSet [256]bool

func (s *byteSet) add(o *byteSet) {
	for b, in := range o {
		s[b] = s[b] || in
	}
}

func (s *byteSet) meets(o *byteSet) bool {
	for b, in := range o {
		if in && s[b] {
			return true
		}
	}
	return false
}

// class is a set of characters: what one element of an expression takes.
type class struct {
	bytes  byteSet // first bytes of its characters
	wide   bool    // it has every character beyond ASCII, invalid bytes among them
	ascii  bool    // it has no character beyond ASCII
	ranges []rune  // pairs, sorted
}

// newClass takes pairs of runes, sorted and apart.
func newClass(ranges []rune) *class {
	c := &class{ascii: true, ranges: ranges}
	for i := 0; i < len(ranges); i += 2 {
		lo, hi := ranges[i], ranges[i+1]
		for r := lo; r <= hi && r < utf8.RuneSelf; r++ {
			c.bytes[r] = true
		}
		if hi >= utf8.RuneSelf {
			c.ascii = false
			c.wide = lo <= utf8.RuneSelf && hi == unicode.MaxRune
		}
	}
	if !c.ascii {
		for b := utf8.RuneSelf; b < len(c.bytes); b++ {
			c.bytes[b] = true
		}
	}
	return c
}

// has says whether r is in the class.
func (c *class) has(r rune) bool {
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

// byBytes says whether a character is in the class when its first byte is in the set of bytes.
func (c *class) byBytes() bool { return c.ascii || c.wide }

// excluded returns the one byte that is not in a class by bytes, -1 when there is none or several.
func (c *class) excluded() int {
	out := -1
	for b, in := range c.bytes {
		if !in && out >= 0 {
			return -1
		}
		if !in {
			out = b
		}
	}
	return out
}

// single returns the ranges of what re takes when that is always one character.
func single(re *syntax.Regexp) (ranges []rune, ok bool) {
	switch re.Op {
	case syntax.OpLiteral:
		if len(re.Rune) == 1 {
			return runeRanges(re.Rune[0], re.Flags), true
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

// runeRanges returns the ranges of r, in all its cases when flags say so.
func runeRanges(r rune, flags syntax.Flags) []rune {
	runes := []rune{r, r}
	if flags&syntax.FoldCase != 0 {
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			runes = append(runes, f, f)
		}
	}
	slices.Sort(runes)
	return runes
}

// plainRune says whether r matches exactly where text has its bytes. Invalid bytes read as U+FFFD,
// and no text reads as a surrogate.
func plainRune(r rune, flags syntax.Flags) bool {
	if r == utf8.RuneError || !utf8.ValidRune(r) {
		return false
	}
	return flags&syntax.FoldCase == 0 || unicode.SimpleFold(r) == r
}

// boundary says whether a character begins at i when text is read from its start.
func boundary(text string, i int) bool {
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

// wordByte says whether b counts as part of a word: ASCII letters, digits and the underscore.
func wordByte(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '_'
}

// holds says whether the assertions of flags hold at i.
func holds(flags syntax.EmptyOp, text string, i int) bool {
	if flags&syntax.EmptyBeginText != 0 && i != 0 || flags&syntax.EmptyEndText != 0 && i != len(text) ||
		flags&syntax.EmptyBeginLine != 0 && i != 0 && text[i-1] != '\n' ||
		flags&syntax.EmptyEndLine != 0 && i != len(text) && text[i] != '\n' {
		return false
	}
	if flags&(syntax.EmptyWordBoundary|syntax.EmptyNoWordBoundary) == 0 {
		return true
	}
	edge := (i > 0 && wordByte(text[i-1])) != (i < len(text) && wordByte(text[i]))
	return (flags&syntax.EmptyWordBoundary == 0 || edge) && (flags&syntax.EmptyNoWordBoundary == 0 || !edge)
}
