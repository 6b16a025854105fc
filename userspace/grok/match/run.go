package match

import (
	"regexp/syntax"
	"strings"
	"unicode/utf8"

	"gabion/userspace/grok/char"
)

// fast is a program of nodes that decides by the next byte where it can and goes back where it
// cannot. Its work on a text is limited: see budget.
type fast struct {
	nodes    []node
	start    int
	begins   *follow
	prefix   string // every match begins with it
	root     *node  // what matches begin with is a repetition of a class
	anchored bool   // matches begin at the start of the text
	onePass  bool   // never goes back
	tokens   int
	notes    int // nodes that notes are taken of
}

// budget is how many steps the fast program may take on a text of n bytes, and notedBudget when it
// takes notes. A step is a node, a byte that a node looked at, or a place to go on from. Ordinary lines
// need less than one a byte.
func budget(n int) int      { return 64 + 8*n }
func notedBudget(n int) int { return 64 * (n + 1) }

// maxFrames is how many places to go back to a machine keeps.
const maxFrames = 1 << 16

func newFast(b *builder, start int) *fast {
	f := &fast{nodes: b.nodes, start: start, begins: b.follows[start], prefix: literalAt(b.nodes, start),
		onePass: !b.backtrack, tokens: b.tokens}
	for i := range f.nodes {
		f.nodes[i].note = -1
		switch f.nodes[i].op {
		case opSpan, opGreedy, opLazy, opChoice, opToken:
			f.nodes[i].note = f.notes
			f.notes++
		}
	}
	first := start
	for f.nodes[first].op == opCapture {
		first = f.nodes[first].next
	}
	switch n := &f.nodes[first]; n.op {
	case opSpan, opGreedy, opLazy:
		if n.max < 0 {
			f.root = n
		}
	case opAssert:
		f.anchored = syntax.EmptyOp(n.arg)&syntax.EmptyBeginText != 0
	}
	return f
}

// outcome is what a program found out.
type outcome uint8

const (
	noMatch outcome = iota
	matched
	undecided // the budget is spent
)

// search looks for the first match in text, at first without notes.
func (f *fast) search(m *Machine, text string) outcome {
	m.notes.on, m.notes.full, m.limit = false, false, m.steps+budget(len(text))
	out := f.run(m, text)
	if out == undecided {
		m.noted++
		m.notes.start(f.notes, len(text))
		m.limit = m.steps + notedBudget(len(text))
		out = f.run(m, text)
	}
	return out
}

// run looks for the first match in text.
func (f *fast) run(m *Machine, text string) outcome {
	for at := 0; ; at++ {
		if at = f.nextStart(text, at); at < 0 {
			return noMatch
		}
		if at < len(text) && !char.Boundary(text, at) {
			continue
		}
		if out := f.match(m, text, at); out != noMatch {
			return out
		}
		if f.anchored || at >= len(text) {
			return noMatch
		}
		if f.root != nil {
			at = f.root.runEnd(text, at) // from any place in between it can take no more than from here
			if at >= len(text) {
				return noMatch
			}
		}
	}
}

// nextStart returns the first place from at on where a match can begin, -1 when there is none.
func (f *fast) nextStart(text string, at int) int {
	if f.anchored {
		return at
	}
	if f.prefix != "" {
		i := strings.Index(text[at:], f.prefix)
		if i < 0 {
			return -1
		}
		return at + i
	}
	for ; at < len(text); at++ {
		if f.begins.bytes[text[at]] {
			return at
		}
	}
	if at == len(text) && f.begins.end {
		return at
	}
	return -1
}

// frame is a place to go back to: a node that has more to try, or what a slot held before.
type frame struct {
	node int
	pos  int // opChoice: where it stands; opCapture: what the slot held; opGreedy: fewest; opLazy: last tried
	more int // opChoice: next of the list; opGreedy: most that is left; opLazy: where it began
	list uint8
}

// match tries to match at a place.
func (f *fast) match(m *Machine, text string, pos int) outcome {
	m.begin()
	pc, ok := f.start, true
	for {
		n := &f.nodes[pc]
		m.steps++
		ok = true
		op := n.op
		if m.notes.on && n.note >= 0 && m.notes.again(n, pos) {
			op = opFail
		}
		switch op {
		case opLiteral:
			if end := pos + len(n.text); end <= len(text) && text[pos:end] == n.text {
				pos = end
			} else {
				ok = false
			}
		case opCapture:
			m.capture(pc, n.arg, pos)
		case opSpan:
			pos, ok = m.span(n, text, pos)
		case opToken:
			var end int
			end, pos = m.token(n, text, pos)
			if end == endMany {
				pc = n.token.again
				continue
			}
			pos, ok = end, end >= 0
		case opChoice:
			if len(m.stack) > maxFrames {
				return undecided
			}
			if pc, ok = m.choose(n.choice, text, pc, pos); ok {
				continue
			}
		case opChar:
			if ok = pos < len(text) && n.set[text[pos]]; ok {
				pos += char.Width(text, pos)
			}
		case opGreedy:
			pos, ok = m.greedy(n, text, pc, pos)
		case opLazy:
			pos, ok = m.lazy(n, text, pc, pos)
		case opRune:
			r, w := utf8.DecodeRuneInString(text[pos:])
			ok = w > 0 && n.class.Has(r)
			pos += w
		case opAssert:
			ok = char.Holds(syntax.EmptyOp(n.arg), text, pos)
		case opMatch:
			return matched
		case opFail:
			ok = false
		}
		if ok {
			pc = n.next
			continue
		}
		if m.steps > m.limit || m.notes.full {
			return undecided
		}
		if pc, pos, ok = f.resume(m, text); !ok {
			return noMatch
		}
	}
}

// resume goes back to the last place with something left to try.
func (f *fast) resume(m *Machine, text string) (pc, pos int, ok bool) {
	for len(m.stack) > 0 {
		top := len(m.stack) - 1
		fr := &m.stack[top]
		n := &f.nodes[fr.node]
		m.steps++
		switch n.op {
		case opCapture:
			m.slots[n.arg] = fr.pos
			m.stack = m.stack[:top]
		case opChoice:
			list := n.choice.lists[fr.list]
			pc, pos = list[fr.more], fr.pos
			if fr.more++; fr.more == len(list) {
				m.stack = m.stack[:top]
			}
			return pc, pos, true
		case opGreedy:
			low, high, at := fr.pos, fr.more, fr.node
			m.stack = m.stack[:top]
			if pos, ok = m.lower(n, text, at, low, high); ok {
				return n.next, pos, true
			}
		case opLazy:
			at, from, last := fr.node, fr.more, fr.pos
			m.stack = m.stack[:top]
			to := last
			if last < len(text) && n.set[text[last]] {
				if to, ok = m.further(n, text, at, from, last+char.Width(text, last)); ok {
					return n.next, to, true
				}
			}
			m.notes.ran(n, from, to)
		}
	}
	return 0, 0, false
}

// runEnd returns the end of the characters from i on that are in the node's class.
func (n *node) runEnd(text string, i int) int {
	if n.stop >= 0 {
		if j := strings.IndexByte(text[i:], byte(n.stop)); j >= 0 {
			return i + j
		}
		return len(text)
	}
	for i < len(text) && n.set[text[i]] {
		i++
	}
	return i
}
