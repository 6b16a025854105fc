package event

import (
	"iter"
	"maps"
	"math/bits"
	"slices"
)

// Fields is a small ordered set of text values by name: evt.Parsed, evt.Meta, evt.Enriched. The zero
// value is empty and ready for use. It belongs to whoever owns the event; several goroutines may
// read it at once.
//
// A name has a tag of one byte. Looking one up compares the tags of eight fields at a time and then
// the name itself, so that names need no table that rules, events and reloads would have to share:
// names that an attacker makes up live in their event and nowhere else.
type Fields struct {
	tags  [directFields / 8]uint64 // byte i is the tag of list[i]
	list  []field
	index map[string]int // of all fields, once there are more than directFields
}

type field struct{ name, value string }

// directFields is how many fields are found by their tags. Events have 10 to 30.
const directFields = 32

// firstFields is how many fields the first allocation has room for.
const firstFields = 8

// Key is a field's name prepared for looking it up: rules make theirs when they are loaded.
type Key struct {
	name string
	tag  uint64 // in every byte
}

// Constants to find a byte in a word.
const (
	eachByte = 0x0101010101010101
	topBits  = 0x8080808080808080
)

// NewKey prepares a name.
func NewKey(name string) Key { return Key{name: name, tag: eachByte * uint64(tagOf(name))} }

// Name returns the name as it was given.
func (k Key) Name() string { return k.name }

func tagOf(name string) byte {
	n := len(name)
	if n == 0 {
		return 0
	}
	return name[0] ^ name[n-1]<<3 ^ name[n/2]<<5 ^ byte(n)*37
}

// MakeFields returns fields with the given values: name, value, name, value ...
func MakeFields(pairs ...string) Fields {
	var f Fields
	for i := 0; i+1 < len(pairs); i += 2 {
		f.Set(pairs[i], pairs[i+1])
	}
	return f
}

// Get returns the value of a field, "" when there is none.
func (f *Fields) Get(name string) string { return f.GetKey(NewKey(name)) }

// Lookup returns the value of a field and whether there is one.
func (f *Fields) Lookup(name string) (value string, ok bool) { return f.LookupKey(NewKey(name)) }

// Set sets a field. The name and the value are kept as they are, not copied.
func (f *Fields) Set(name, value string) { f.SetKey(NewKey(name), value) }

// GetKey is Get for a prepared name.
func (f *Fields) GetKey(k Key) string {
	if i := f.find(k); i >= 0 {
		return f.list[i].value
	}
	return ""
}

// LookupKey is Lookup for a prepared name.
func (f *Fields) LookupKey(k Key) (value string, ok bool) {
	if i := f.find(k); i >= 0 {
		return f.list[i].value, true
	}
	return "", false
}

// SetKey is Set for a prepared name.
func (f *Fields) SetKey(k Key, value string) {
	if i := f.find(k); i >= 0 {
		f.list[i].value = value
		return
	}
	n := len(f.list)
	switch {
	case n < directFields:
		f.tags[n/8] |= k.tag & 0xff << (n % 8 * 8)
	case f.index == nil:
		f.index = make(map[string]int, 2*directFields)
		for i := range f.list {
			f.index[f.list[i].name] = i
		}
		fallthrough
	default:
		f.index[k.name] = n
	}
	if f.list == nil {
		f.list = make([]field, 0, firstFields)
	}
	f.list = append(f.list, field{k.name, value})
}

// find returns the place of a field, or -1.
func (f *Fields) find(k Key) int {
	if f.index != nil {
		if i, ok := f.index[k.name]; ok {
			return i
		}
		return -1
	}
	for at := 0; at < len(f.list); at += 8 {
		differ := f.tags[at/8%len(f.tags)] ^ k.tag
		for hits := (differ - eachByte) &^ differ & topBits; hits != 0; hits &= hits - 1 {
			if i := at + bits.TrailingZeros64(hits)/8; i < len(f.list) && f.list[i].name == k.name {
				return i
			}
		}
	}
	return -1
}

// Grow makes room for n more fields, so that setting them allocates once.
func (f *Fields) Grow(n int) { f.list = slices.Grow(f.list, n) }

// Len returns the number of fields.
func (f *Fields) Len() int { return len(f.list) }

// All yields names and values in the order in which the fields were first set.
func (f *Fields) All() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for i := range f.list {
			if !yield(f.list[i].name, f.list[i].value) {
				return
			}
		}
	}
}

// Map returns a copy as a map.
func (f *Fields) Map() map[string]string {
	m := make(map[string]string, len(f.list))
	for i := range f.list {
		m[f.list[i].name] = f.list[i].value
	}
	return m
}

// Clone returns a copy that can be changed on its own. The text is shared.
func (f *Fields) Clone() Fields {
	return Fields{tags: f.tags, list: slices.Clone(f.list), index: maps.Clone(f.index)}
}

// Assign makes f a copy of from, in the memory that it has. The text is shared.
func (f *Fields) Assign(from *Fields) {
	*f = Fields{tags: from.tags, list: append(f.list[:0], from.list...), index: maps.Clone(from.index)}
}

// keptFields bounds the memory that is kept for the next event: few events have more.
const keptFields = 64

// Reset removes all fields and keeps the memory for the next event, unless it is much. The text that
// the fields had is let go of as others take their places.
func (f *Fields) Reset() {
	if cap(f.list) > keptFields {
		f.list = nil
	}
	*f = Fields{list: f.list[:0]}
}
