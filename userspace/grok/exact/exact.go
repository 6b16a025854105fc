// Package exact decides whether an expression matches by trying every possibility, but none twice, so
// that the time is linear in the text and the memory bounded whatever the text contains.
package exact

import (
	"regexp/syntax"
	"unicode/utf8"

	"gabion/userspace/grok/char"
)

// Program is a program of single characters. It is immutable and safe for concurrent use.
type Program struct {
	insts []inst
	start int
	slots int
	memos int // instructions at which what was tried is noted: alternatives, and those with several ways to them

	anchored bool // matches begin at the start of the text
}

// inst is an instruction; out is where it goes on, other what an alternative tries second.
type inst struct {
	op    syntax.InstOp
	out   int
	other int
	arg   int // slot or assertions
	memo  int // number among those noted, or -1
	class *char.Class
}

// New translates the standard compiler's program of re. Slots numbers the groups that are needed, and
// class gives the class of sorted ranges.
func New(re *syntax.Regexp, slots map[int]int, class func(ranges []rune) *char.Class) (*Program, error) {
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return nil, err
	}
	e := &Program{insts: make([]inst, len(prog.Inst)), start: prog.Start, slots: 2 * len(slots),
		anchored: prog.StartCond()&syntax.EmptyBeginText != 0}
	entries := make([]int, len(prog.Inst))
	for i := range prog.Inst {
		from, to := &prog.Inst[i], &e.insts[i]
		to.op, to.out, to.arg, to.memo = from.Op, int(from.Out), int(from.Arg), -1
		entries[from.Out]++
		switch from.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			to.op, to.other = syntax.InstAlt, int(from.Arg)
			entries[from.Arg]++
			entries[i] += 2 // always noted
		case syntax.InstCapture:
			slot, needed := slots[int(from.Arg)/2]
			to.arg = 2*slot + int(from.Arg)%2
			if !needed {
				to.op = syntax.InstNop
			}
		case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
			to.op, to.class = syntax.InstRune, class(instRanges(from))
		}
	}
	for i, n := range entries {
		if n > 1 {
			e.insts[i].memo = e.memos
			e.memos++
		}
	}
	return e, nil
}

// instRanges returns the ranges of what an instruction takes.
func instRanges(i *syntax.Inst) []rune {
	re := &syntax.Regexp{Op: syntax.OpCharClass, Rune: i.Rune}
	switch {
	case i.Op == syntax.InstRuneAny:
		re.Op = syntax.OpAnyChar
	case i.Op == syntax.InstRuneAnyNotNL:
		re.Op = syntax.OpAnyCharNotNL
	case len(i.Rune) == 1:
		re.Op, re.Flags = syntax.OpLiteral, syntax.Flags(i.Arg)
	}
	ranges, _ := char.Single(re)
	return ranges
}

// takes returns the width of the character at i when the instruction takes it, else 0.
func (n *inst) takes(text string, i int) int {
	if i == len(text) {
		return 0
	}
	if b := text[i]; b < utf8.RuneSelf {
		if n.class.Bytes[b] {
			return 1
		}
		return 0
	}
	if n.class.ASCII {
		return 0
	}
	r, w := utf8.DecodeRuneInString(text[i:])
	if n.class.Wide || n.class.Has(r) {
		return w
	}
	return 0
}

// Bounds of what a machine keeps. Texts and programs that need more are matched in lock step, which
// needs memory in proportion to the program only.
const (
	maxMemo = 8 << 20 // bits: one MiB
	maxJobs = 1 << 17 // three MiB
)

// Memory is what a search needs of memory. The zero value is ready for use, reusing one saves
// allocations. It belongs to one goroutine.
type Memory struct {
	memo  []uint64
	jobs  []job
	pike  pikeMemory
	slots []int
	steps int
}

// outcome is what one way of searching found out.
type outcome uint8

const (
	noMatch outcome = iota
	matched
	undecided // it would have to remember too much
)

// Anchored says whether matches begin at the start of the text only.
func (e *Program) Anchored() bool { return e.anchored }

// Size returns the number of instructions.
func (e *Program) Size() int { return len(e.insts) }

// Search looks for the first match in text and fills slots, two for each group: -1 where it took no
// part. It returns the instructions and characters that it went through.
func (e *Program) Search(m *Memory, text string, slots []int) (ok bool, steps int) {
	m.slots, m.steps = slots, 0
	ok = e.search(m, text)
	m.slots = nil
	return ok, m.steps
}

func (e *Program) search(m *Memory, text string) bool {
	if e.memos*(len(text)+1) <= maxMemo {
		if out := e.noted(m, text); out != undecided {
			return out == matched
		}
	}
	return e.lockStep(m, text)
}

// noted searches by going back to what was not tried yet. It is undecided when it would have to
// remember too much.
func (e *Program) noted(m *Memory, text string) outcome {
	words := (e.memos*(len(text)+1) + 63) / 64
	if cap(m.memo) < words {
		m.memo = make([]uint64, words)
	}
	m.memo = m.memo[:words]
	clear(m.memo)
	for i := range m.slots {
		m.slots[i] = -1
	}
	for at := 0; at <= len(text); {
		if out := e.match(m, text, at); out != noMatch {
			return out
		}
		if at == len(text) || e.anchored {
			break
		}
		at += char.Width(text, at)
	}
	return noMatch
}

// job is an instruction to go on from at a place, or a slot to set back.
type job struct {
	inst int
	pos  int
	old  int // with inst -1-slot: what the slot held
}

// match tries to match at a place, with what was noted at earlier places still holding: what did
// not lead to a match from there does not do so from here.
func (e *Program) match(m *Memory, text string, at int) outcome {
	m.jobs = append(m.jobs[:0], job{inst: e.start, pos: at})
	for len(m.jobs) > 0 {
		j := m.jobs[len(m.jobs)-1]
		m.jobs = m.jobs[:len(m.jobs)-1]
		if j.inst < 0 {
			m.slots[-1-j.inst] = j.old
			continue
		}
		if out := e.follow(m, text, j.inst, j.pos); out != noMatch {
			return out
		}
	}
	return noMatch
}

// follow goes on until something fails or it came to a match.
func (e *Program) follow(m *Memory, text string, pc, pos int) outcome {
	for {
		n := &e.insts[pc]
		m.steps++
		if n.memo >= 0 {
			bit := n.memo*(len(text)+1) + pos
			word, mask := &m.memo[bit/64], uint64(1)<<(bit%64)
			if *word&mask != 0 {
				return noMatch
			}
			*word |= mask
		}
		switch n.op {
		case syntax.InstAlt:
			if len(m.jobs) > maxJobs {
				return undecided
			}
			m.jobs = append(m.jobs, job{inst: n.other, pos: pos})
		case syntax.InstCapture:
			m.jobs = append(m.jobs, job{inst: -1 - n.arg, old: m.slots[n.arg]})
			m.slots[n.arg] = pos
		case syntax.InstEmptyWidth:
			if !char.Holds(syntax.EmptyOp(n.arg), text, pos) {
				return noMatch
			}
		case syntax.InstRune:
			w := n.takes(text, pos)
			if w == 0 {
				return noMatch
			}
			pos += w
		case syntax.InstMatch:
			return matched
		case syntax.InstFail:
			return noMatch
		}
		pc = n.out
	}
}
