package match

import (
	"regexp/syntax"
	"unicode/utf8"
)

// exact is a program of single characters. It decides every text in time that is linear in it: it
// never does the same at the same place twice.
type exact struct {
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
	class *class
}

// newExact translates the standard compiler's program; slots gives the slot of needed groups.
func newExact(re *syntax.Regexp, slots map[int]int, common *shared) (*exact, error) {
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return nil, err
	}
	e := &exact{insts: make([]inst, len(prog.Inst)), start: prog.Start, slots: 2 * len(slots),
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
			to.op, to.class = syntax.InstRune, common.class(instRanges(from))
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
	ranges, _ := single(re)
	return ranges
}

// takes returns the width of the character at i when the instruction takes it, else 0.
func (n *inst) takes(text string, i int) int {
	if i == len(text) {
		return 0
	}
	if b := text[i]; b < utf8.RuneSelf {
		if n.class.bytes[b] {
			return 1
		}
		return 0
	}
	if n.class.ascii {
		return 0
	}
	r, w := utf8.DecodeRuneInString(text[i:])
	if n.class.wide || n.class.has(r) {
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

// exactMemory is what the exact programs need.
type exactMemory struct {
	memo []uint64
	jobs []job
	pike pikeMemory
}

// search looks for the first match in text.
func (e *exact) search(m *Machine, text string) bool {
	if e.memos*(len(text)+1) <= maxMemo {
		if out := e.noted(m, text); out != undecided {
			return out == matched
		}
	}
	return e.lockStep(m, text)
}

// noted searches by going back to what was not tried yet. It is undecided when it would have to
// remember too much.
func (e *exact) noted(m *Machine, text string) outcome {
	words := (e.memos*(len(text)+1) + 63) / 64
	if cap(m.exact.memo) < words {
		m.exact.memo = make([]uint64, words)
	}
	m.exact.memo = m.exact.memo[:words]
	clear(m.exact.memo)
	m.begin()
	for at := 0; at <= len(text); {
		if out := e.match(m, text, at); out != noMatch {
			return out
		}
		if at == len(text) || e.anchored {
			break
		}
		at += width(text, at)
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
func (e *exact) match(m *Machine, text string, at int) outcome {
	m.exact.jobs = append(m.exact.jobs[:0], job{inst: e.start, pos: at})
	for len(m.exact.jobs) > 0 {
		j := m.exact.jobs[len(m.exact.jobs)-1]
		m.exact.jobs = m.exact.jobs[:len(m.exact.jobs)-1]
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
func (e *exact) follow(m *Machine, text string, pc, pos int) outcome {
	for {
		n := &e.insts[pc]
		m.steps++
		if n.memo >= 0 {
			bit := n.memo*(len(text)+1) + pos
			word, mask := &m.exact.memo[bit/64], uint64(1)<<(bit%64)
			if *word&mask != 0 {
				return noMatch
			}
			*word |= mask
		}
		switch n.op {
		case syntax.InstAlt:
			if len(m.exact.jobs) > maxJobs {
				return undecided
			}
			m.exact.jobs = append(m.exact.jobs, job{inst: n.other, pos: pos})
		case syntax.InstCapture:
			m.exact.jobs = append(m.exact.jobs, job{inst: -1 - n.arg, old: m.slots[n.arg]})
			m.slots[n.arg] = pos
			m.touched = true
		case syntax.InstEmptyWidth:
			if !holds(syntax.EmptyOp(n.arg), text, pos) {
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
