package grok

import (
	"math/rand/v2"
	"regexp/syntax"
	"strings"
)

// lineMaker writes lines that an expression matches, but for what its assertions ask for, and lines
// that are nearly so.
type lineMaker struct {
	r *rand.Rand
	b strings.Builder
}

func (l *lineMaker) matching(re *syntax.Regexp) string {
	l.b.Reset()
	l.write(re)
	return l.b.String()
}

func (l *lineMaker) write(re *syntax.Regexp) {
	switch re.Op {
	case syntax.OpLiteral:
		l.b.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		if pairs := len(re.Rune) / 2; pairs > 0 {
			i := 2 * l.r.IntN(pairs)
			l.b.WriteRune(re.Rune[i] + l.r.Int32N(min(re.Rune[i+1]-re.Rune[i], 200)+1))
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		l.b.WriteByte("ab 1:./-\"[]é\xff%"[l.r.IntN(15)])
	case syntax.OpCapture, syntax.OpConcat:
		for _, sub := range re.Sub {
			l.write(sub)
		}
	case syntax.OpAlternate:
		l.write(re.Sub[l.r.IntN(len(re.Sub))])
	case syntax.OpQuest:
		l.repeat(re.Sub[0], l.r.IntN(2))
	case syntax.OpStar:
		l.repeat(re.Sub[0], l.r.IntN(6))
	case syntax.OpPlus:
		l.repeat(re.Sub[0], 1+l.r.IntN(6))
	case syntax.OpRepeat:
		l.repeat(re.Sub[0], re.Min+l.r.IntN(max(min(re.Max-re.Min, 6), 0)+1))
	}
}

func (l *lineMaker) repeat(re *syntax.Regexp, n int) {
	for range n {
		l.write(re)
	}
}

// mutated changes a line in one to four places.
func (l *lineMaker) mutated(line string) string {
	const odd = " \"[]:.-/0129afzAZ_%|()\\\n\x00é\xff\xc3"
	for range 1 + l.r.IntN(4) {
		i := l.r.IntN(len(line) + 1)
		j := min(i+l.r.IntN(4), len(line))
		switch l.r.IntN(5) {
		case 0:
			line = line[:i] + line[j:]
		case 1:
			line = line[:i] + line[i:j] + line[i:]
		case 2:
			line = line[:i] + string(odd[l.r.IntN(len(odd))]) + line[j:]
		case 3:
			line = line[:i] + odd[l.r.IntN(len(odd)):][:1] + line[i:]
		case 4:
			line = line[j:] + line[:i]
		}
	}
	return line
}

func (l *lineMaker) noise() string {
	b := make([]byte, l.r.IntN(60))
	for i := range b {
		b[i] = byte(l.r.UintN(256))
	}
	return string(b)
}
