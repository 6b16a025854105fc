package expr

import (
	"math/bits"
	"slices"

	"gabion/userspace/event"
)

// Index finds among many expressions those that an event fulfils the Requires of, without looking at
// each: every field that expressions compare with constants is looked up once, and says with a set of
// bits which of them its value leaves. It is immutable and safe for concurrent use.
type Index struct {
	all    Selection
	fields []indexedField
	rest   []restOf
}

// Selection is a set of places in a list of expressions.
type Selection []uint64

// indexedField says what the values of one field leave.
type indexedField struct {
	in     string
	key    event.Key
	values map[string]Selection
	others Selection // for any other value: those that do not ask for the field
}

// restOf is the conditions of one expression on fields that hardly any other asks for.
type restOf struct {
	place  int
	checks Checks
}

// sharedBy is how many expressions must ask for a field for it to be worth a set of bits.
const sharedBy = 3

// NewIndex returns an index of expressions by what they require, in their order.
func NewIndex(requires [][]Condition) *Index {
	x := &Index{all: newSelection(len(requires))}
	shared := countFields(requires)
	for place, conditions := range requires {
		x.all.add(place)
		var rest []Condition
		for _, c := range conditions {
			if shared[fieldName{c.Map, c.Key}] < sharedBy {
				rest = append(rest, c)
			}
		}
		if len(rest) > 0 {
			x.rest = append(x.rest, restOf{place, NewChecks(rest)})
		}
	}
	names := make([]fieldName, 0, len(shared))
	for name, n := range shared {
		if n >= sharedBy {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b fieldName) int { return shared[b] - shared[a] }) // what leaves least first
	for _, name := range names {
		x.fields = append(x.fields, newIndexedField(name, requires))
	}
	return x
}

type fieldName struct{ in, key string }

// countFields counts the expressions that ask for each field.
func countFields(requires [][]Condition) map[fieldName]int {
	count := map[fieldName]int{}
	for _, conditions := range requires {
		seen := map[fieldName]bool{}
		for _, c := range conditions {
			if name := (fieldName{c.Map, c.Key}); !seen[name] {
				seen[name] = true
				count[name]++
			}
		}
	}
	return count
}

func newIndexedField(name fieldName, requires [][]Condition) indexedField {
	f := indexedField{in: name.in, key: event.NewKey(name.key), values: map[string]Selection{}, others: newSelection(len(requires))}
	asks := func(c Condition) bool { return c.Map == name.in && c.Key == name.key }
	for place, conditions := range requires {
		if !slices.ContainsFunc(conditions, asks) {
			f.others.add(place)
		}
		for _, c := range conditions {
			for _, v := range c.Values {
				if asks(c) && f.values[v] == nil {
					f.values[v] = newSelection(len(requires))
				}
			}
		}
	}
	for v, left := range f.values {
		for place, conditions := range requires {
			if !slices.ContainsFunc(conditions, func(c Condition) bool { return asks(c) && !c.Allows(v) }) {
				left.add(place)
			}
		}
	}
	return f
}

// Select returns the expressions whose Requires the event fulfils. It uses the memory of s.
func (x *Index) Select(evt *event.Event, s Selection) Selection {
	s = append(s[:0], x.all...)
	for i := range x.fields {
		f := &x.fields[i]
		left, ok := f.values[fieldsOf(evt, f.in).GetKey(f.key)]
		if !ok {
			left = f.others
		}
		var some uint64
		for k := range s {
			s[k] &= left[k]
			some |= s[k]
		}
		if some == 0 {
			return s
		}
	}
	for _, r := range x.rest {
		if s.has(r.place) && !r.checks.Hold(evt) {
			s[r.place/64] &^= 1 << (r.place % 64)
		}
	}
	return s
}

func newSelection(n int) Selection { return make(Selection, (n+63)/64) }

func (s Selection) add(place int) { s[place/64] |= 1 << (place % 64) }

func (s Selection) has(place int) bool { return s[place/64]>>(place%64)&1 != 0 }

// Next returns the first place that is not below from, -1 when there is none.
func (s Selection) Next(from int) int {
	for word := from / 64; word < len(s); word++ {
		w := s[word]
		if word == from/64 {
			w &= ^uint64(0) << (from % 64)
		}
		if w != 0 {
			return word*64 + bits.TrailingZeros64(w)
		}
	}
	return -1
}
