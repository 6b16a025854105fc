package automaton

import "gabion/userspace/grok/char"

// State is a state of an automaton; 0 is the one that nothing leads out of.
type State uint16

// Start returns the state at i.
func (d *Automaton) Start(text string, i int) State {
	if i > 0 && char.IsWord(text[i-1]) {
		return d.start[1]
	}
	return d.start[0]
}

// Next returns the state after byte b.
func (d *Automaton) Next(s State, b byte) State {
	return State(d.table[int(s)+int(d.classOf[b])])
}

// Run goes from i as far as the automaton does. It returns where it stopped and in which state.
func (d *Automaton) Run(text string, i int) (int, State) {
	s := d.Start(text, i)
	for ; i < len(text); i++ {
		next := d.Next(s, text[i])
		if next == 0 {
			break
		}
		s = next
	}
	return i, s
}

// MayAccept says whether there is anything before which a match may end in state s.
func (d *Automaton) MayAccept(s State) bool { return d.table[s] != 0 }

// Accepts says whether a match may end at i in state s.
func (d *Automaton) Accepts(s State, text string, i int) bool {
	accepts := uint8(d.table[s])
	if accepts == 0 || accepts == beforeWord|beforeOther {
		return accepts != 0
	}
	if i < len(text) && char.IsWord(text[i]) {
		return accepts&beforeWord != 0
	}
	return accepts&beforeOther != 0
}

// Begins returns the bytes that lead on from the start, and whether a match may end right there.
func (d *Automaton) Begins() (bytes char.Bytes, empty bool) {
	for _, s := range d.start {
		for b := range bytes {
			bytes[b] = bytes[b] || d.Next(s, byte(b)) != 0
		}
		empty = empty || d.MayAccept(s)
	}
	return bytes, empty
}

// EndsOnce says whether a match that is followed by one of these bytes ends where the automaton stops,
// and nowhere before.
func (d *Automaton) EndsOnce(following *char.Bytes) bool {
	for row := 0; row < len(d.table); row += d.stride {
		for b, in := range following {
			accepts := uint8(beforeOther)
			if char.IsWord(byte(b)) {
				accepts = beforeWord
			}
			if in && uint8(d.table[row])&accepts != 0 && d.Next(State(row), byte(b)) != 0 {
				return false
			}
		}
	}
	return true
}
