package match

import (
	"regexp/syntax"

	"gabion/userspace/grok/char"
)

// op is what a node does.
type op uint8

const (
	opFail    op = iota
	opMatch      // the match ends here
	opLiteral    // takes text
	opChar       // takes one character of a class by bytes
	opRune       // takes one character of any other class
	opSpan       // takes characters of a class by bytes as long as there are any: no other end can do
	opGreedy     // takes as many as possible of a class by bytes, then fewer
	opLazy       // takes as few as possible of a class by bytes, then more
	opChoice     // goes on to one of several nodes that the next byte allows, then to others
	opToken      // takes what an automaton accepts
	opCapture    // notes the position in slot arg
	opAssert     // requires the assertions arg
)

// node is one step of the fast program. Nodes are immutable once built.
type node struct {
	op     op
	wide   bool // class: has every character beyond ASCII
	stop   int  // class: the only byte that is not in it, or -1
	min    int  // opSpan, opGreedy, opLazy: fewest characters
	max    int  // opSpan: most characters, or -1; not -1 for classes of ASCII only
	arg    int  // opCapture: slot; opAssert: syntax.EmptyOp
	next   int
	note   int    // number among the nodes that notes are taken of, or -1
	text   string // opLiteral
	set    *char.Bytes
	class  *char.Class // opRune
	follow *follow     // opGreedy, opLazy, opToken: what can stand after it
	lit    string      // opGreedy, opLazy: text that must stand after it, or ""
	choice *choice
	token  *token
}

// follow is what a node and those after it can begin with: the bytes, and whether they can match at
// the end of the text. It may say too much, never too little.
type follow struct {
	bytes char.Bytes
	end   bool
}

// at says whether text may go on at i.
func (f *follow) at(text string, i int) bool {
	if i == len(text) {
		return f.end
	}
	return f.bytes[text[i]]
}

func (f *follow) add(o *follow) {
	f.bytes.Add(&o.bytes)
	f.end = f.end || o.end
}

// choice is the nodes to try, in order, by next byte.
type choice struct {
	lists  [][]int
	byByte [256]uint8 // index into lists
	atEnd  uint8
}

// everything follows a match.
func everything() *follow {
	f := &follow{end: true}
	for b := range f.bytes {
		f.bytes[b] = true
	}
	return f
}

// asserted returns what can follow an assertion before f.
func asserted(flags syntax.EmptyOp, f *follow) *follow {
	switch {
	case flags&syntax.EmptyEndText != 0:
		return &follow{end: f.end}
	case flags&syntax.EmptyEndLine != 0:
		out := &follow{end: f.end}
		out.bytes['\n'] = f.bytes['\n']
		return out
	}
	return f
}
