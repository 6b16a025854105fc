package match

import (
	"maps"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"

	"gabion/userspace/grok/char"
)

const (
	maxNodes = 1 << 14 // of a fast program
	maxLists = 255     // of a choice: different sets of branches that bytes allow
)

// builder writes the fast program of an expression, from its end to its beginning, so that what
// follows is known wherever it decides something.
type builder struct {
	nodes     []node
	follows   []*follow // by node: what it and those after it can begin with
	sure      []bool    // by node: what comes from it on always matches
	slots     map[int]int
	shared    *shared
	tooHard   bool // the expression has no fast program
	backtrack bool // some node may have to be tried again in another way
	tokens    int
}

// build returns the node that matches re and then goes on to next.
func (b *builder) build(re *syntax.Regexp, next int) int {
	if len(b.nodes) > maxNodes {
		b.tooHard = true
	}
	if b.tooHard {
		return next
	}
	if ranges, ok := char.Single(re); ok {
		return b.one(re, b.shared.class(ranges), next)
	}
	if composite(re) && !captures(re, b.slots) {
		if n, ok := b.tokenNode(re, next); ok {
			return n
		}
	}
	return b.parts(re, next)
}

// parts builds re out of what it consists of.
func (b *builder) parts(re *syntax.Regexp, next int) int {
	switch re.Op {
	case syntax.OpEmptyMatch:
		return next
	case syntax.OpLiteral:
		return b.literal(re, next)
	case syntax.OpConcat:
		for _, sub := range slices.Backward(re.Sub) {
			next = b.build(sub, next)
		}
		return next
	case syntax.OpAlternate:
		branches := make([]int, len(re.Sub))
		for i, sub := range re.Sub {
			branches[i] = b.build(sub, next)
		}
		return b.choose(b.newNode(node{op: opChoice}, &follow{}), branches)
	case syntax.OpCapture:
		return b.capture(re, next)
	case syntax.OpQuest:
		return b.choose(b.newNode(node{op: opChoice}, &follow{}), b.order(re, b.build(re.Sub[0], next), next))
	case syntax.OpStar, syntax.OpPlus:
		return b.loop(re, next)
	case syntax.OpRepeat:
		return b.repeat(re, next)
	case syntax.OpNoMatch:
		return b.newNode(node{op: opFail}, &follow{})
	}
	if flags := assertion(re.Op); flags != 0 {
		return b.newNode(node{op: opAssert, arg: int(flags), next: next}, asserted(flags, b.follows[next]))
	}
	b.tooHard = true
	return next
}

func (b *builder) newNode(n node, f *follow) int {
	b.nodes = append(b.nodes, n)
	b.follows = append(b.follows, f)
	sure := n.op == opMatch
	switch n.op {
	case opCapture:
		sure = b.sure[n.next]
	case opSpan, opGreedy, opLazy:
		sure = b.sure[n.next] && n.min == 0 && n.max < 0
	}
	b.sure = append(b.sure, sure)
	return len(b.nodes) - 1
}

// one builds a single character.
func (b *builder) one(re *syntax.Regexp, c *char.Class, next int) int {
	if re.Op == syntax.OpLiteral && char.Plain(re.Rune[0], re.Flags) {
		return b.literal(re, next)
	}
	f := &follow{bytes: c.Bytes}
	if c.ByBytes() {
		return b.newNode(node{op: opChar, set: &c.Bytes, wide: c.Wide, next: next}, f)
	}
	return b.newNode(node{op: opRune, class: c, next: next}, f)
}

// literal builds text; runs of plain characters become one node, joined with a literal that follows.
func (b *builder) literal(re *syntax.Regexp, next int) int {
	text := ""
	flush := func() {
		if text == "" {
			return
		}
		n := node{op: opLiteral, text: text, next: next}
		if after := b.nodes[next]; after.op == opLiteral {
			n.text, n.next = text+after.text, after.next
		}
		f := &follow{}
		f.bytes[text[0]] = true
		next, text = b.newNode(n, f), ""
	}
	for _, r := range slices.Backward(re.Rune) {
		if char.Plain(r, re.Flags) {
			text = string(utf8.AppendRune(nil, r)) + text
			continue
		}
		flush()
		c := b.shared.class(char.RuneRanges(r, re.Flags))
		n := node{op: opRune, class: c, next: next}
		if c.ByBytes() {
			n = node{op: opChar, set: &c.Bytes, next: next}
		}
		next = b.newNode(n, &follow{bytes: c.Bytes})
	}
	flush()
	return next
}

func (b *builder) capture(re *syntax.Regexp, next int) int {
	slot, needed := b.slots[re.Cap]
	if !needed {
		return b.build(re.Sub[0], next)
	}
	end := b.newNode(node{op: opCapture, arg: 2*slot + 1, next: next}, b.follows[next])
	inner := b.build(re.Sub[0], end)
	return b.newNode(node{op: opCapture, arg: 2 * slot, next: inner}, b.follows[inner])
}

// order returns whether to go into a repeated part or past it in the order in which to try.
func (b *builder) order(re *syntax.Regexp, into, past int) []int {
	if re.Flags&syntax.NonGreedy != 0 {
		return []int{past, into}
	}
	return []int{into, past}
}

// loop builds the repetition of a part.
func (b *builder) loop(re *syntax.Regexp, next int) int {
	sub := re.Sub[0]
	atLeast := 0
	if re.Op == syntax.OpPlus {
		atLeast = 1
	}
	if ranges, ok := char.Single(sub); ok {
		if c := b.shared.class(ranges); c.ByBytes() {
			return b.span(re, c, atLeast, -1, next)
		}
	}
	first, empty := begins(sub)
	if empty {
		b.tooHard = true // what takes nothing can be repeated for ever
		return next
	}
	f := &follow{}
	f.add(b.follows[next])
	f.bytes.Add(&first)
	at := b.newNode(node{op: opChoice}, f)
	b.sure[at] = b.sure[next]
	body := b.body(sub, at, next)
	b.choose(at, b.order(re, body, next))
	if atLeast == 1 {
		return body
	}
	return at
}

// body builds what the loop at a node repeats. Of alternatives, a class that nothing else in or after the
// loop can begin with is taken as often as it comes: to stop and go around would only lead to the same.
func (b *builder) body(sub *syntax.Regexp, at, next int) int {
	if sub.Op != syntax.OpAlternate {
		return b.build(sub, at)
	}
	branches := make([]int, len(sub.Sub))
	for i, alt := range sub.Sub {
		if c := b.runs(sub.Sub, i, next); c != nil {
			n := node{op: opSpan, set: &c.Bytes, wide: c.Wide, stop: c.Excluded(), min: 1, max: -1, next: at}
			branches[i] = b.newNode(n, &follow{bytes: c.Bytes})
		} else {
			branches[i] = b.build(alt, at)
		}
	}
	return b.choose(b.newNode(node{op: opChoice}, &follow{}), branches)
}

// runs returns the class of alternative i when neither another one nor next can begin with it.
func (b *builder) runs(alternatives []*syntax.Regexp, i, next int) *char.Class {
	ranges, ok := char.Single(alternatives[i])
	if !ok {
		return nil
	}
	c := b.shared.class(ranges)
	if !c.ByBytes() || c.Bytes.Meets(&b.follows[next].bytes) {
		return nil
	}
	for j, other := range alternatives {
		if bytes, empty := begins(other); j != i && (empty || c.Bytes.Meets(&bytes)) {
			return nil
		}
	}
	return c
}

// span builds the repetition of a class by bytes.
func (b *builder) span(re *syntax.Regexp, c *char.Class, least, most, next int) int {
	f := &follow{bytes: c.Bytes}
	if least == 0 {
		f.add(b.follows[next])
	}
	n := node{set: &c.Bytes, wide: c.Wide, stop: c.Excluded(), min: least, max: most, next: next}
	lazy := re.Flags&syntax.NonGreedy != 0
	switch {
	case lazy && b.sure[next] && least == 0:
		return next
	case lazy && b.sure[next]:
		return b.newNode(node{op: opChar, set: n.set, wide: n.wide, next: next}, f)
	case !c.Bytes.Meets(&b.follows[next].bytes), b.sure[next]:
		n.op = opSpan
		return b.newNode(n, f)
	case lazy:
		n.op = opLazy
	default:
		n.op = opGreedy
	}
	n.follow = b.follows[next]
	n.lit = literalAt(b.nodes, next)
	b.backtrack = true
	return b.newNode(n, f)
}

// literalAt returns the text that must stand where node n begins, "" when it is not known.
func literalAt(nodes []node, n int) string {
	for nodes[n].op == opCapture {
		n = nodes[n].next
	}
	return nodes[n].text
}

// repeat builds a counted repetition.
func (b *builder) repeat(re *syntax.Regexp, next int) int {
	if ranges, ok := char.Single(re.Sub[0]); ok {
		if c := b.shared.class(ranges); c.ASCII && !c.Bytes.Meets(&b.follows[next].bytes) {
			return b.span(re, c, re.Min, re.Max, next)
		}
	}
	simple := re.Simplify()
	if simple.Op == syntax.OpRepeat {
		b.tooHard = true
		return next
	}
	return b.build(simple, next)
}

// choose makes node at the choice between branches, tried in order.
func (b *builder) choose(at int, branches []int) int {
	c := &choice{lists: [][]int{nil}}
	ids := map[string]uint8{"": 0}
	list := func(possible func(f *follow) bool) uint8 {
		var nodes []int
		var key strings.Builder
		for _, n := range branches {
			if !possible(b.follows[n]) {
				continue
			}
			nodes = append(nodes, n)
			key.WriteRune(rune(n + 1))
			if b.sure[n] {
				break
			}
		}
		id, ok := ids[key.String()]
		if !ok {
			id = uint8(len(c.lists))
			ids[key.String()] = id
			c.lists = append(c.lists, nodes)
			b.backtrack = b.backtrack || len(nodes) > 1
		}
		return id
	}
	for i := range c.byByte {
		if len(c.lists) == maxLists {
			b.tooHard = true
			return at
		}
		c.byByte[i] = list(func(f *follow) bool { return f.bytes[i] })
	}
	c.atEnd = list(func(f *follow) bool { return f.end })
	b.nodes[at].choice = c
	for _, n := range branches {
		b.follows[at].add(b.follows[n])
		b.sure[at] = b.sure[at] || b.sure[n]
	}
	return at
}

// tokenNode builds re as an automaton when that can be.
func (b *builder) tokenNode(re *syntax.Regexp, next int) (int, bool) {
	t := &token{follow: b.follows[next], again: -1}
	preferred := b.sure[next]
	if t.auto = b.shared.automaton(re, preferred); t.auto == nil {
		return 0, false
	}
	switch {
	case t.auto.EndsOnce(&t.follow.bytes):
		t.ends = endOnly
	case preferred:
		t.ends = endPreferred
	default:
		t.ends, b.backtrack = endSearch, true
		t.again = b.parts(re, next)
	}
	b.tokens++
	f := &follow{}
	var empty bool
	if f.bytes, empty = t.auto.Begins(); empty {
		f.add(t.follow)
	}
	return b.newNode(node{op: opToken, token: t, next: next}, f), !b.tooHard
}

// slotsOf numbers the groups that are needed.
func slotsOf(groups []int) map[int]int {
	return maps.Collect(func(yield func(int, int) bool) {
		for slot, g := range groups {
			if !yield(g, slot) {
				return
			}
		}
	})
}
