// Package automaton turns expressions into deterministic automata over bytes.
package automaton

import (
	"encoding/binary"
	"regexp/syntax"
	"slices"
	"unicode/utf8"

	"gabion/userspace/grok/char"
)

const (
	maxStates  = 4096    // of an automaton while it is built
	maxTable   = 1 << 16 // entries of its table, so that 16 bits hold a row's place
	maxThreads = 200_000 // sum of the sizes of all states: bounds the time of a build
)

// When a state accepts depends on the byte after it, because of word boundaries.
const (
	beforeWord  = 1 << iota // accepts when a word byte comes next
	beforeOther             // accepts when another byte or the end of the text comes next
)

// Automaton is a deterministic automaton over bytes. It is immutable.
//
// A state is the place of its row in table, so that a step is one addition and one load. A row
// begins with when the state accepts; the next states by class follow. State 0 is the dead one.
type Automaton struct {
	classOf [256]uint8 // from 1
	table   []uint16
	stride  int
	start   [2]State // after another byte or at the start of the text, after a word byte
}

// New builds the automaton of re. With first set it follows only what is preferred: the last
// state on the way that accepts gives the end that a search would choose. Else it accepts at every
// possible end. It returns nil when re has characters beyond ASCII, assertions other than word
// boundaries, or gets too large.
func New(re *syntax.Regexp, first bool) *Automaton {
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return nil
	}
	b := &builder{prog: prog, first: first, seen: make([]int, len(prog.Inst)), ids: map[string]int{}}
	if !b.readSets() {
		return nil
	}
	b.divideBytes()
	b.number(nil, false) // the dead state
	start := []uint32{uint32(prog.Start)}
	starts := [2]int{b.number(start, false), b.number(start, b.words)}
	for id := 1; id < len(b.states); id++ {
		if len(b.states) > maxStates || b.threads > maxThreads {
			return nil
		}
		b.expand(id)
	}
	return b.finish(starts)
}

// state is instructions to go on from, before empty ones are followed.
type state struct {
	insts    []uint32
	afterOne bool // the byte before was a word byte; only kept when that matters
	accepts  uint8
	next     []int // by class
}

type builder struct {
	prog    *syntax.Prog
	first   bool
	words   bool          // some instruction asks for word boundaries
	sets    []*char.Bytes // by instruction, nil for those that take nothing
	classOf [256]uint8
	sample  []byte // a byte of each class
	states  []*state
	ids     map[string]int
	threads int
	seen    []int // by instruction: generation of the walk that came to it last
	walk    int
}

// readSets collects what each instruction takes and says whether all of it can be expressed.
func (b *builder) readSets() bool {
	b.sets = make([]*char.Bytes, len(b.prog.Inst))
	for i := range b.prog.Inst {
		inst := &b.prog.Inst[i]
		switch inst.Op {
		case syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
			return false
		case syntax.InstRune, syntax.InstRune1:
			set := &char.Bytes{}
			for _, r := range inst.Rune {
				if r >= utf8.RuneSelf || len(inst.Rune) == 1 && slices.Max(char.RuneRanges(r, syntax.Flags(inst.Arg))) >= utf8.RuneSelf {
					return false
				}
			}
			for r := range rune(utf8.RuneSelf) {
				set[r] = inst.MatchRune(r)
			}
			b.sets[i] = set
		case syntax.InstEmptyWidth:
			if syntax.EmptyOp(inst.Arg)&^(syntax.EmptyWordBoundary|syntax.EmptyNoWordBoundary) != 0 {
				return false
			}
			b.words = true
		}
	}
	return true
}

// divideBytes puts bytes that nothing tells apart into one class.
func (b *builder) divideBytes() {
	classes := map[string]uint8{}
	for c := range 256 {
		key := make([]byte, 0, len(b.sets)+1)
		for _, set := range b.sets {
			if set != nil && set[c] {
				key = append(key, 1)
			} else {
				key = append(key, 0)
			}
		}
		if b.words && char.IsWord(byte(c)) {
			key = append(key, 1)
		}
		class, ok := classes[string(key)]
		if !ok {
			class = uint8(len(classes))
			classes[string(key)] = class
			b.sample = append(b.sample, byte(c))
		}
		b.classOf[c] = class
	}
}

// number returns the number of the state with these instructions.
func (b *builder) number(insts []uint32, afterWord bool) int {
	key := []byte{0}
	if afterWord && len(insts) > 0 {
		key[0] = 1
	}
	for _, i := range insts {
		key = binary.LittleEndian.AppendUint32(key, i)
	}
	id, ok := b.ids[string(key)]
	if !ok {
		id = len(b.states)
		b.ids[string(key)] = id
		b.states = append(b.states, &state{insts: insts, afterOne: key[0] == 1, next: make([]int, len(b.sample))})
		b.threads += len(insts)
	}
	return id
}

// expand computes where a state goes by class and when it accepts.
func (b *builder) expand(id int) {
	s := b.states[id]
	var closed [2][]uint32 // by whether a word byte comes next
	for next, bit := range []uint8{beforeOther, beforeWord} {
		var accepts bool
		closed[next], accepts = b.close(s.insts, s.afterOne != (next == 1))
		if accepts {
			s.accepts |= bit
		}
	}
	for class, sample := range b.sample {
		word := 0
		if char.IsWord(sample) {
			word = 1
		}
		var insts []uint32
		b.walk++
		for _, i := range closed[word] {
			out := b.prog.Inst[i].Out
			if b.sets[i][sample] && b.seen[out] != b.walk {
				b.seen[out] = b.walk
				insts = append(insts, out)
			}
		}
		if !b.first {
			slices.Sort(insts)
		}
		s.next[class] = b.number(insts, b.words && word == 1)
	}
}

// close follows what takes no byte, in order, and returns the instructions that take one and
// whether a match is reached. What comes after a match is not preferred.
func (b *builder) close(insts []uint32, edge bool) (out []uint32, accepts bool) {
	b.walk++
	stack := make([]uint32, 0, 16)
	for _, from := range insts {
		stack = append(stack[:0], from)
		for len(stack) > 0 {
			i := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if b.seen[i] == b.walk {
				continue
			}
			b.seen[i] = b.walk
			switch inst := &b.prog.Inst[i]; inst.Op {
			case syntax.InstAlt, syntax.InstAltMatch:
				stack = append(stack, inst.Arg, inst.Out)
			case syntax.InstCapture, syntax.InstNop:
				stack = append(stack, inst.Out)
			case syntax.InstEmptyWidth:
				flags := syntax.EmptyOp(inst.Arg)
				if (flags&syntax.EmptyWordBoundary == 0 || edge) && (flags&syntax.EmptyNoWordBoundary == 0 || !edge) {
					stack = append(stack, inst.Out)
				}
			case syntax.InstMatch:
				accepts = true
				if b.first {
					return out, true
				}
			case syntax.InstRune, syntax.InstRune1:
				out = append(out, i)
			}
		}
	}
	return out, accepts
}

// finish merges states that do the same and lays out the table.
func (b *builder) finish(starts [2]int) *Automaton {
	group, groups := b.minimize()
	d := &Automaton{stride: 1 + len(b.sample)}
	if groups*d.stride > maxTable {
		return nil
	}
	for c, class := range b.classOf {
		d.classOf[c] = 1 + class
	}
	d.table = make([]uint16, groups*d.stride)
	for id, s := range b.states {
		row := d.table[group[id]*d.stride:]
		row[0] = uint16(s.accepts)
		for class, next := range s.next {
			row[1+class] = uint16(group[next] * d.stride)
		}
	}
	for i, id := range starts {
		d.start[i] = State(group[id] * d.stride)
	}
	return d
}

// minimize gives states that cannot be told apart one number: they are divided by what they accept
// and then, until nothing changes, by where they go. The dead state gets number 0.
func (b *builder) minimize() (group []int, groups int) {
	group = make([]int, len(b.states))
	for id, s := range b.states {
		group[id] = int(s.accepts)
	}
	for {
		numbers := map[string]int{}
		next := make([]int, len(b.states))
		var key []byte
		for id, s := range b.states {
			key = binary.LittleEndian.AppendUint32(key[:0], uint32(group[id]))
			for _, to := range s.next {
				key = binary.LittleEndian.AppendUint32(key, uint32(group[to]))
			}
			n, ok := numbers[string(key)]
			if !ok {
				n = len(numbers)
				numbers[string(key)] = n
			}
			next[id] = n
		}
		if len(numbers) == groups {
			return next, groups
		}
		group, groups = next, len(numbers)
	}
}
