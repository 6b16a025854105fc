package match

import (
	"slices"

	"gabion/userspace/grok/automaton"
)

// maxNotes is how many notes a machine keeps, in bits: one MiB.
const maxNotes = 8 << 20

// maxTrails is how many tokens of a program leave trails: those that come up first, which are the
// ones that every start of a match goes through.
const maxTrails = 4

// notes say what the fast program tried already on the text. They are taken when a first run without
// them took too long. What did not lead to a match from one place of a node never does, whatever came
// before, so it is not tried twice.
type notes struct {
	on     bool
	full   bool       // there were more notes than fit: those that are there still hold
	row    int        // words of a row
	rows   []int      // by note: where its row begins in tried, or -1
	tried  []uint64   // rows of bits by place: the node was come to there
	runs   []interval // by note: what a repetition went through last
	trails [maxTrails]trail
	used   int // trails
}

// interval is places from and up to, but not including, another.
type interval struct{ from, to int }

// trail is the states in which a token's automaton came through the text, by place. A run that comes
// to a place in the same state goes on as the earlier one did, and finds only ends that were tried.
type trail struct {
	note   int
	states []automaton.State
}

// start begins to take notes of count nodes about a text of n bytes.
func (t *notes) start(count, n int) {
	t.on, t.full, t.used = true, false, 0
	t.row, t.tried = n/64+1, t.tried[:0]
	t.runs = zeroed(t.runs, count)
	t.rows = zeroed(t.rows, count)
	for i := range t.rows {
		t.rows[i] = -1
	}
}

// newRow makes a row of notes, unless there are too many.
func (t *notes) newRow() int {
	at := len(t.tried)
	if (at+t.row)*64 > maxNotes {
		t.full = true
		return -1
	}
	t.tried = slices.Grow(t.tried, t.row)[:at+t.row]
	clear(t.tried[at:])
	return at
}

// zeroed returns n zeros, in the memory of s when that suffices.
func zeroed[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	s = s[:n]
	clear(s)
	return s
}

// again says whether the node was come to at this place before, and notes that it was.
func (t *notes) again(n *node, pos int) bool {
	if run := t.runs[n.note]; run.from <= pos && pos < run.to {
		return true // every end from here on was an end from there
	}
	if t.rows[n.note] < 0 {
		if t.rows[n.note] = t.newRow(); t.full {
			return false
		}
	}
	word, mask := &t.tried[t.rows[n.note]+pos/64], uint64(1)<<(pos%64)
	if *word&mask != 0 {
		return true
	}
	*word |= mask
	return false
}

// ran notes that all ends of a repetition between two places were tried, or are tried before anything
// that begins between them.
func (t *notes) ran(n *node, from, to int) {
	if t.on && n.max < 0 {
		t.runs[n.note] = interval{from, to}
	}
}

// trail returns the trail of a token, nil when too many others have one.
func (t *notes) trail(note int) []automaton.State {
	for i := range t.trails[:t.used] {
		if t.trails[i].note == note {
			return t.trails[i].states
		}
	}
	if t.used == maxTrails {
		return nil
	}
	tr := &t.trails[t.used]
	t.used++
	tr.note, tr.states = note, zeroed(tr.states, t.row*64)
	return tr.states
}

// endNoted is end with a trail. It stops where an earlier run went on: those ends were tried.
func (t *token) endNoted(text string, from int, states []automaton.State) (end, scanned int) {
	d, s, i := t.auto, t.auto.Start(text, from), from
	end = -1
	for s != 0 && states[i] != s {
		states[i] = s
		if d.MayAccept(s) && t.follow.at(text, i) && d.Accepts(s, text, i) {
			if end >= 0 {
				clear(states[from : i+1]) // the ends are tried in another order
				return endMany, i
			}
			end = i
		}
		if i == len(text) {
			break
		}
		s = d.Next(s, text[i])
		i++
	}
	return end, i
}
