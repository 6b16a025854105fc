package datafile

import "regexp/syntax"

// plain is a pattern that is a text, with the ends of words before or behind it: `\bword\b`. Where the
// text is found, a look at the bytes around it tells whether the pattern matches, so that a line full
// of words costs no more than another.
type plain struct {
	word         string
	fold         bool // A to Z count as a to z
	begins, ends bool // there is an end of a word before it, behind it
}

// plainPattern reads a pattern that is plain.
func plainPattern(pattern string) (plain, bool) {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return plain{}, false
	}
	parts := []*syntax.Regexp{re}
	if re.Op == syntax.OpConcat {
		parts = re.Sub
	}
	var p plain
	if len(parts) > 1 && parts[0].Op == syntax.OpWordBoundary {
		p.begins, parts = true, parts[1:]
	}
	if len(parts) > 1 && parts[len(parts)-1].Op == syntax.OpWordBoundary {
		p.ends, parts = true, parts[:len(parts)-1]
	}
	if len(parts) != 1 || parts[0].Op != syntax.OpLiteral {
		return plain{}, false
	}
	p.fold = parts[0].Flags&syntax.FoldCase != 0
	for _, r := range parts[0].Rune {
		if !sure(r, p.fold) {
			return plain{}, false
		}
	}
	p.word = string(parts[0].Rune)
	return p, true
}

// matches reports whether the pattern matches where its text, whatever the case, ends.
func (p *plain) matches(text string, end int) bool {
	start := end - len(p.word)
	return (p.fold || text[start:end] == p.word) && (!p.begins || wordEnds(text, start)) && (!p.ends || wordEnds(text, end))
}

// wordEnds reports whether just one of the bytes before and behind a place belongs to a word.
func wordEnds(text string, at int) bool {
	before := at > 0 && isWord(text[at-1])
	behind := at < len(text) && isWord(text[at])
	return before != behind
}

func isWord(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}
