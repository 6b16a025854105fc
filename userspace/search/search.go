// Package search finds which of many words a text contains, in one pass over the text.
//
// It is the automaton of Aho and Corasick: the time is linear in the text, whatever the words and
// the text are.
package search

import "cmp"

// denseCells bounds the table of transitions that cost one load. The states nearest to the start,
// where nearly all time is spent, have theirs there; the others look through their own edges.
const denseCells = 1 << 20

// Words is a set of words, numbered from 0 in the order in which they were given. It is immutable.
type Words struct {
	fold    bool
	classes [256]uint8 // bytes that no word has share class 0
	width   int32      // number of classes
	begins  [256]bool  // bytes that a word begins with
	rows    int32      // states in the dense table
	dense   []int32    // next state by state and class
	states  []state
	out     []int32 // by state: the one of the longest word that ends there, itself or a suffix; or none
	empty   int32   // the empty word, or none
}

// none is the absence of a word or a state.
const none = -1

type state struct {
	edges []edge // in order of byte
	fail  int32  // the longest proper suffix that is a state
	depth int32
	word  int32 // the first word that ends here, or none
}

type edge struct {
	on byte
	to int32
}

// New prepares words. With fold, A to Z in words and texts count as a to z.
func New(words []string, fold bool) *Words {
	w := &Words{fold: fold, empty: none, states: []state{{word: none}}}
	for i, word := range words {
		w.add(word, int32(i))
	}
	w.link()
	for _, e := range w.states[0].edges {
		w.begins[e.on] = true
		if fold && 'a' <= e.on && e.on <= 'z' {
			w.begins[e.on-'a'+'A'] = true
		}
	}
	w.fill()
	return w
}

func (w *Words) add(word string, number int32) {
	if word == "" {
		if w.empty == none {
			w.empty = number
		}
		return
	}
	at := int32(0)
	for i := range len(word) {
		c := w.lower(word[i])
		next := w.child(at, c)
		if next == none {
			next = int32(len(w.states))
			w.states = append(w.states, state{depth: w.states[at].depth + 1, word: none})
			w.insert(at, edge{c, next})
		}
		at = next
	}
	if w.states[at].word == none {
		w.states[at].word = number
	}
}

func (w *Words) lower(c byte) byte {
	if w.fold && 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func (w *Words) insert(at int32, e edge) {
	edges := append(w.states[at].edges, e)
	for i := len(edges) - 1; i > 0 && edges[i-1].on > e.on; i-- {
		edges[i-1], edges[i] = edges[i], edges[i-1]
	}
	w.states[at].edges = edges
}

// child returns the state behind an edge, or none.
func (w *Words) child(at int32, c byte) int32 {
	edges := w.states[at].edges
	low, high := 0, len(edges)
	for low < high {
		mid := (low + high) / 2
		switch cmp.Compare(edges[mid].on, c) {
		case 0:
			return edges[mid].to
		case -1:
			low = mid + 1
		default:
			high = mid
		}
	}
	return none
}

// link numbers the states in order of depth and finds where each falls back to.
func (w *Words) link() {
	order := make([]int32, 1, len(w.states)) // of the old numbers
	renumbered := make([]state, 0, len(w.states))
	for i := 0; i < len(order); i++ {
		s := w.states[order[i]]
		for j := range s.edges {
			order = append(order, s.edges[j].to)
			s.edges[j].to = int32(len(order) - 1)
		}
		renumbered = append(renumbered, s)
	}
	w.states, w.out = renumbered, make([]int32, len(renumbered))
	for at := range w.states {
		s := &w.states[at]
		switch {
		case s.word != none:
			w.out[at] = int32(at)
		case at == 0:
			w.out[at] = none
		default:
			w.out[at] = w.out[s.fail]
		}
		for _, e := range s.edges {
			if at > 0 {
				w.states[e.to].fail = w.step(s.fail, e.on)
			}
		}
	}
}

// step follows one byte by the edges.
func (w *Words) step(at int32, c byte) int32 {
	for {
		if next := w.child(at, c); next != none {
			return next
		}
		if at == 0 {
			return 0
		}
		at = w.states[at].fail
	}
}

// fill makes the classes of bytes and the dense table.
func (w *Words) fill() {
	w.width = 1
	var bytes [256]byte // by class
	for _, s := range w.states {
		for _, e := range s.edges {
			if w.classes[e.on] == 0 && w.width < 256 {
				w.classes[e.on] = uint8(w.width)
				bytes[w.width] = e.on
				w.width++
			}
		}
	}
	if w.width == 256 {
		// Every byte is in a word, so class 0 is not free: the edges decide.
		w.classes, w.width = [256]uint8{}, 1
		return
	}
	if w.fold {
		for c := byte('A'); c <= 'Z'; c++ {
			w.classes[c] = w.classes[c+'a'-'A']
		}
	}
	w.rows = min(int32(len(w.states)), denseCells/w.width)
	w.dense = make([]int32, w.rows*w.width)
	for at := range w.rows {
		for class := int32(1); class < w.width; class++ {
			c := bytes[class]
			next := w.child(at, c)
			if next == none && at > 0 {
				next = w.dense[w.states[at].fail*w.width+class] // of a shallower state, so filled
			}
			w.dense[at*w.width+class] = max(next, 0)
		}
	}
}

// next returns the state after one more byte of text.
func (w *Words) next(at int32, c byte) int32 {
	if at < w.rows {
		return w.dense[at*w.width+int32(w.classes[c])]
	}
	return w.fall(at, c)
}

// skip returns where the next byte is that a word begins with.
func (w *Words) skip(text string, i int) int {
	for i < len(text) && !w.begins[text[i]] {
		i++
	}
	return i
}

// fall follows one byte from a state that has no row in the dense table.
func (w *Words) fall(at int32, c byte) int32 {
	for {
		if at < w.rows {
			return w.dense[at*w.width+int32(w.classes[c])]
		}
		if next := w.child(at, w.lower(c)); next != none {
			return next
		}
		if at == 0 {
			return 0
		}
		at = w.states[at].fail
	}
}

// First returns the number of the word that begins leftmost in the text; of those that begin there,
// the one given first. It returns -1 when the text contains none.
func (w *Words) First(text string) int {
	start, best := len(text)+1, int32(none)
	if w.empty != none {
		start, best = 0, w.empty
	}
	at := int32(0)
	for i := 0; i < len(text); i++ {
		if at == 0 {
			if i = w.skip(text, i); i == len(text) {
				break
			}
		}
		at = w.next(at, text[i])
		if best != none && i+1-int(w.states[at].depth) > start {
			break // whatever ends from here on begins later
		}
		if w.out[at] == none {
			continue
		}
		out := &w.states[w.out[at]]
		from := i + 1 - int(out.depth)
		if from < start || from == start && out.word < best {
			start, best = from, out.word
		}
	}
	return int(best)
}

// Each calls found with the numbers of the words that the text contains and where they end, until it
// returns false. Words that end at one place come longest first; a word that occurs twice comes
// twice. Of equal words the first comes, and the empty word does not.
func (w *Words) Each(text string, found func(word, end int) bool) {
	at := int32(0)
	for i := 0; i < len(text); i++ {
		if at == 0 {
			if i = w.skip(text, i); i == len(text) {
				break
			}
		}
		at = w.next(at, text[i])
		for out := w.out[at]; out != none; out = w.out[w.states[out].fail] {
			if !found(int(w.states[out].word), i+1) {
				return
			}
		}
	}
}
