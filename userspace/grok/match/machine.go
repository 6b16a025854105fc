package match

import (
	"strings"

	"gabion/userspace/grok/automaton"
	"gabion/userspace/grok/char"
	"gabion/userspace/grok/exact"
)

// Machine is what a match needs of memory. The zero value is ready for use; reusing one saves
// allocations. It belongs to one goroutine, and what it holds of a large text stays bounded.
type Machine struct {
	slots   []int // start and end per group, -1 where it took no part
	touched bool  // slots may hold something else than -1
	stack   []frame
	steps   int
	limit   int
	notes   notes
	exact   exact.Memory
	noted   int // texts that the fast program took notes of
	repeats int // texts that it left undecided all the same
}

// Span returns where group i of Compile's list lies in the text that matched last, -1 and -1 when it
// took no part.
func (m *Machine) Span(i int) (start, end int) { return m.slots[2*i], m.slots[2*i+1] }

// Steps returns the work done since the machine was made: nodes, and bytes that they looked at one by one.
func (m *Machine) Steps() int { return m.steps }

// Noted returns on how many texts a program took notes of what it tried, since the machine was made.
// Such texts cost more than others: in general somebody wrote them on purpose.
func (m *Machine) Noted() int { return m.noted }

// prepare makes room for the slots of a program.
func (m *Machine) prepare(slots int) {
	if cap(m.slots) < slots {
		m.slots = make([]int, slots)
	}
	m.slots = m.slots[:slots]
	m.touched = true
}

// begin forgets what an earlier place left.
func (m *Machine) begin() {
	m.stack = m.stack[:0]
	if m.touched {
		m.touched = false
		for i := range m.slots {
			m.slots[i] = -1
		}
	}
}

// capture notes pos in a slot and, when there is something to go back to, what it held.
func (m *Machine) capture(pc, slot, pos int) {
	if len(m.stack) > 0 {
		m.stack = append(m.stack, frame{node: pc, pos: m.slots[slot]})
	}
	m.slots[slot] = pos
	m.touched = true
}

// choose picks the first node that the next byte allows.
func (m *Machine) choose(c *choice, text string, pc, pos int) (int, bool) {
	id := c.atEnd
	if pos < len(text) {
		id = c.byByte[text[pos]]
	}
	list := c.lists[id]
	if len(list) == 0 {
		return 0, false
	}
	if len(list) > 1 {
		m.stack = append(m.stack, frame{node: pc, pos: pos, more: 1, list: id})
	}
	return list[0], true
}

// token returns where a token that begins at pos ends, and pos for when there are several ends.
func (m *Machine) token(n *node, text string, pos int) (end, at int) {
	var states []automaton.State
	if m.notes.on && n.token.ends != endPreferred {
		states = m.notes.trail(n.note)
	}
	var scanned int
	if states != nil {
		end, scanned = n.token.endNoted(text, pos, states)
	} else {
		end, scanned = n.token.end(text, pos)
	}
	m.steps += scanned - pos
	return end, pos
}

// looked counts n bytes that were looked at, many at a time when they were searched for a text.
func (m *Machine) looked(searched bool, n int) {
	if searched {
		n /= 8
	}
	m.steps += n
}

// span takes all there is of a class.
func (m *Machine) span(n *node, text string, pos int) (int, bool) {
	end := n.runEnd(text, pos)
	took := end - pos
	m.looked(n.stop >= 0, took)
	m.notes.ran(n, pos, end)
	return end, took >= n.min && (n.max < 0 || took <= n.max)
}

// greedy takes as much as may be followed by what comes next.
func (m *Machine) greedy(n *node, text string, pc, pos int) (int, bool) {
	end := n.runEnd(text, pos)
	m.looked(n.stop >= 0, end-pos)
	m.notes.ran(n, pos, end)
	if n.min > 0 {
		if end == pos {
			return pos, false
		}
		pos += char.Width(text, pos)
	}
	return m.lower(n, text, pc, pos, end)
}

// lower takes the most between low and high that may be followed by what comes next.
func (m *Machine) lower(n *node, text string, pc, low, high int) (int, bool) {
	for i := high; i >= low; i-- {
		if !n.follow.at(text, i) || !strings.HasPrefix(text[i:], n.lit) || n.wide && !char.Boundary(text, i) {
			continue
		}
		m.steps += high - i
		if i > low {
			m.stack = append(m.stack, frame{node: pc, pos: low, more: i - 1})
		}
		return i, true
	}
	m.steps += high - low
	return low, false
}

// lazy takes as little as may be followed by what comes next.
func (m *Machine) lazy(n *node, text string, pc, pos int) (int, bool) {
	from := pos
	if n.min > 0 {
		if pos == len(text) || !n.set[text[pos]] {
			return pos, false
		}
		pos += char.Width(text, pos)
	}
	end, ok := m.further(n, text, pc, from, pos)
	if !ok {
		m.notes.ran(n, from, end)
	}
	return end, ok
}

// further goes on from pos, a character at a time, to where what comes next may stand. From is where the
// repetition began.
func (m *Machine) further(n *node, text string, pc, from, pos int) (int, bool) {
	end, ok := pos, true
	if n.lit != "" {
		end, ok = n.findLiteral(text, pos)
	} else {
		for !n.follow.at(text, end) || n.wide && !char.Boundary(text, end) {
			if end == len(text) || !n.set[text[end]] {
				ok = false
				break
			}
			end++
		}
	}
	m.looked(n.lit != "", end-pos)
	if ok {
		m.stack = append(m.stack, frame{node: pc, pos: end, more: from})
	}
	return end, ok
}

// findLiteral returns the first place from pos on where the node's literal stands, with nothing but
// its class before, or where it gave up.
func (n *node) findLiteral(text string, pos int) (int, bool) {
	i := strings.Index(text[pos:], n.lit)
	if i < 0 {
		return len(text), false
	}
	end := n.runEnd(text[:pos+i], pos)
	return end, end == pos+i
}
