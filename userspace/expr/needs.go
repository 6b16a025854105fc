package expr

import (
	"gabion/userspace/search"
)

// Needs finds among many expressions those that an event can fulfil, by words that must occur in it:
// dozens of rules each look for some path in every request, and almost none finds one. Each text
// that rules look into is searched once for the words of all of them. It is immutable and safe for
// concurrent use.
type Needs struct {
	asking   Selection // the expressions that need a word
	subjects []subject
}

// subject is a text, and the words that expressions need in it.
type subject struct {
	text   *Program
	asking Selection
	words  *search.Words
	places [][]int32 // of the expressions that need a word, by its number
}

// NewNeeds prepares a search for what expressions need, in their order; nil needs nothing.
func NewNeeds(list []*Program) *Needs {
	x := &Needs{asking: newSelection(len(list))}
	var texts [][]string
	for place, p := range list {
		if p == nil {
			continue
		}
		for _, w := range p.words {
			x.asking.add(place)
			i := x.subject(w.subject, len(list))
			if i == len(texts) {
				texts = append(texts, nil)
			}
			s := &x.subjects[i]
			s.asking.add(place)
			n := 0
			for n < len(texts[i]) && texts[i][n] != w.text {
				n++
			}
			if n == len(texts[i]) {
				texts[i], s.places = append(texts[i], w.text), append(s.places, nil)
			}
			s.places[n] = append(s.places[n], int32(place))
		}
	}
	for i := range x.subjects {
		x.subjects[i].words = search.New(texts[i], false)
	}
	return x
}

// subject returns the number of a text.
func (x *Needs) subject(p *Program, expressions int) int {
	for i := range x.subjects {
		if x.subjects[i].text == p {
			return i
		}
	}
	x.subjects = append(x.subjects, subject{text: p, asking: newSelection(expressions)})
	return len(x.subjects) - 1
}

// fewWords is how many words of bits are kept on the stack.
const fewWords = 32

// Narrow takes those expressions out of a selection that need a word which the event does not have.
func (x *Needs) Narrow(v *Vars, s Selection) {
	var room [fewWords]uint64
	found := Selection(room[:0])
	if len(s) <= fewWords {
		found = room[:len(s)]
	} else {
		found = make(Selection, len(s))
	}
	for i := range x.subjects {
		sub := &x.subjects[i]
		if !sub.asking.meets(s) {
			continue
		}
		text, err := sub.text.String(v)
		if err != nil { // not known: nobody is taken out
			return
		}
		if text == "" {
			continue
		}
		sub.words.Each(text, func(word, _ int) bool {
			for _, place := range sub.places[word] {
				found.add(int(place))
			}
			return true
		})
	}
	for i := range s {
		s[i] &= found[i] | ^x.asking[i]
	}
}

// meets reports whether two selections have an element in common.
func (s Selection) meets(t Selection) bool {
	for i := range s {
		if s[i]&t[i] != 0 {
			return true
		}
	}
	return false
}
