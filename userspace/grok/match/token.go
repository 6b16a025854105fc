package match

import "gabion/userspace/grok/automaton"

// token takes what an automaton accepts. Captures inside it are not needed, so only where it can
// end matters.
type token struct {
	auto   *automaton.Automaton
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

// end returns where the token that begins at i ends, -1 when it does not match, endMany when
// several ends must be tried. Scanned is how far it looked.
func (t *token) end(text string, i int) (end, scanned int) {
	if t.ends == endOnly {
		stop, s := t.auto.Run(text, i)
		if t.follow.at(text, stop) && t.auto.Accepts(s, text, stop) {
			return stop, stop
		}
		return -1, stop
	}
	d, s, end := t.auto, t.auto.Start(text, i), -1
	for {
		if d.MayAccept(s) && t.follow.at(text, i) && d.Accepts(s, text, i) {
			if end >= 0 && t.ends == endSearch {
				return endMany, i
			}
			end = i
		}
		if i == len(text) {
			return end, i
		}
		if s = d.Next(s, text[i]); s == 0 {
			return end, i
		}
		i++
	}
}
