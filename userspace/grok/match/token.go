package match

// token takes what an automaton accepts. Captures inside it are not needed, so only where it can
// end matters.
type token struct {
	dfa    *dfa
	ends   ends
	follow *follow
	// again is the node that tries every end in order. It is gone to when several ends allow what
	// follows; -1 where that cannot be.
	again int
}

// ends says which end of a token counts.
type ends uint8

const (
	endOnly      ends = iota // where the automaton stops: after any earlier end, nothing could follow
	endPreferred             // the preferred one: what follows matches in any case
	endSearch                // those that what follows allows; usually one
)

// endMany is the end of a token with more than one.
const endMany = -2

// fitEnds says how ends of d are found when f follows.
func fitEnds(d *dfa, f *follow) ends {
	var possible [256]bool // classes with a byte that may follow
	for b, in := range f.bytes {
		if in {
			possible[d.classOf[b]] = true
		}
	}
	var bits [256]uint8
	for b := range 256 {
		bits[d.classOf[b]] = before(byte(b))
	}
	for row := 0; row < len(d.table); row += d.stride {
		for class := 1; class < d.stride; class++ {
			if possible[class] && uint8(d.table[row])&bits[class] != 0 && d.table[row+class] != 0 {
				return endSearch
			}
		}
	}
	return endOnly
}

// before returns the bit of dfa.accepts that counts before b.
func before(b byte) uint8 {
	if wordByte(b) {
		return beforeWord
	}
	return beforeOther
}

// begins returns what the token can begin with when next follows.
func (d *dfa) begins(next *follow) *follow {
	f := &follow{}
	for _, s := range d.start {
		for b := range f.bytes {
			if d.table[int(s)+int(d.classOf[b])] != 0 {
				f.bytes[b] = true
			}
		}
		if d.table[s] != 0 {
			f.add(next)
		}
	}
	return f
}

func (d *dfa) from(text string, i int) uint16 {
	if i > 0 && wordByte(text[i-1]) {
		return d.start[1]
	}
	return d.start[0]
}

// run goes from i as far as the automaton does. It returns where it stopped and in which state.
func (d *dfa) run(text string, i int) (int, uint16) {
	s := d.from(text, i)
	for ; i < len(text); i++ {
		next := d.table[int(s)+int(d.classOf[text[i]])]
		if next == 0 {
			break
		}
		s = next
	}
	return i, s
}

// acceptsAt says whether a match may end at i in state s.
func (d *dfa) acceptsAt(s uint16, text string, i int) bool {
	accepts := uint8(d.table[s])
	if accepts == 0 || accepts == beforeWord|beforeOther {
		return accepts != 0
	}
	if i < len(text) && wordByte(text[i]) {
		return accepts&beforeWord != 0
	}
	return accepts&beforeOther != 0
}

// end returns where the token that begins at i ends, -1 when it does not match, endMany when
// several ends must be tried. Scanned is how far it looked.
func (t *token) end(text string, i int) (end, scanned int) {
	if t.ends == endOnly {
		stop, s := t.dfa.run(text, i)
		if t.follow.at(text, stop) && t.dfa.acceptsAt(s, text, stop) {
			return stop, stop
		}
		return -1, stop
	}
	d, s, end := t.dfa, t.dfa.from(text, i), -1
	for {
		if d.table[s] != 0 && t.follow.at(text, i) && d.acceptsAt(s, text, i) {
			if end >= 0 && t.ends == endSearch {
				return endMany, i
			}
			end = i
		}
		if i == len(text) {
			return end, i
		}
		if s = d.table[int(s)+int(d.classOf[text[i]])]; s == 0 {
			return end, i
		}
		i++
	}
}
