package exact

import (
	"regexp/syntax"

	"gabion/userspace/grok/char"
)

// pikeMemory is what matching in lock step needs: two lists of threads with their slots.
type pikeMemory struct {
	now, next threads
	stack     []job
	slots     []int // of the thread that is being added
	best      []int
}

// threads is a set of instructions in order of preference, each with slots.
type threads struct {
	order []int
	seen  []int // by instruction: generation in which it was added
	walk  int
	slots []int // by instruction
	width int
}

func (t *threads) reset(insts, slots int) {
	if len(t.seen) < insts {
		t.seen = make([]int, insts)
	}
	if len(t.slots) < insts*slots {
		t.slots = make([]int, insts*slots)
	}
	t.width = slots
	t.clear()
}

func (t *threads) clear() {
	t.order = t.order[:0]
	t.walk++
}

func (t *threads) of(inst int) []int { return t.slots[inst*t.width : (inst+1)*t.width] }

// lockStep looks for the first match in text by advancing all ways to match together.
func (e *Program) lockStep(m *Memory, text string) bool {
	p := &m.pike
	p.now.reset(len(e.insts), e.slots)
	p.next.reset(len(e.insts), e.slots)
	if cap(p.slots) < e.slots {
		p.slots, p.best = make([]int, e.slots), make([]int, e.slots)
	}
	p.slots, p.best = p.slots[:e.slots], p.best[:e.slots]
	found := false
	for at := 0; ; {
		if !found {
			for i := range p.slots {
				p.slots[i] = -1
			}
			e.add(m, &p.now, text, e.start, at)
		}
		if len(p.now.order) == 0 && found {
			break
		}
		w := 0
		if at < len(text) {
			w = char.Width(text, at)
		}
		found = e.advance(m, text, at, w) || found
		if w == 0 {
			break
		}
		at += w
		p.now, p.next = p.next, p.now
		p.next.clear()
	}
	copy(m.slots, p.best)
	return found
}

// advance takes one character in every thread, and ends those that a match is preferred to.
func (e *Program) advance(m *Memory, text string, at, w int) bool {
	p := &m.pike
	for _, pc := range p.now.order {
		m.steps++
		n := &e.insts[pc]
		if n.op == syntax.InstMatch {
			copy(p.best, p.now.of(pc))
			return true
		}
		if n.takes(text, at) > 0 {
			copy(p.slots, p.now.of(pc))
			e.add(m, &p.next, text, n.out, at+w)
		}
	}
	return false
}

// add adds the instructions that take something or match to t, as far as they can be come to from
// pc without taking anything, in order.
func (e *Program) add(m *Memory, t *threads, text string, pc, at int) {
	p := &m.pike
	p.stack = append(p.stack[:0], job{inst: pc})
	for len(p.stack) > 0 {
		j := p.stack[len(p.stack)-1]
		p.stack = p.stack[:len(p.stack)-1]
		if j.inst < 0 {
			p.slots[-1-j.inst] = j.old
			continue
		}
		if t.seen[j.inst] == t.walk {
			continue
		}
		t.seen[j.inst] = t.walk
		m.steps++
		switch n := &e.insts[j.inst]; n.op {
		case syntax.InstAlt:
			p.stack = append(p.stack, job{inst: n.other}, job{inst: n.out})
		case syntax.InstNop:
			p.stack = append(p.stack, job{inst: n.out})
		case syntax.InstCapture:
			p.stack = append(p.stack, job{inst: -1 - n.arg, old: p.slots[n.arg]}, job{inst: n.out})
			p.slots[n.arg] = at
		case syntax.InstEmptyWidth:
			if char.Holds(syntax.EmptyOp(n.arg), text, at) {
				p.stack = append(p.stack, job{inst: n.out})
			}
		case syntax.InstRune, syntax.InstMatch:
			t.order = append(t.order, j.inst)
			copy(t.of(j.inst), p.slots)
		}
	}
}
