package bucket

import (
	"encoding/binary"
	"strings"
)

// Bounds of a dictionary; what does not fit is written out in the record.
const (
	maxNames  = 1024 // metadata keys
	maxValues = 32   // values of one key: of a key with many values the first that came
	maxWord   = 64   // bytes of a key or a value
)

// dictionary numbers metadata keys and the values that they have again and again, such as the
// log's type or the machine's name, so that records need not repeat them. It belongs to a table,
// only grows, and is bounded.
type dictionary struct {
	byText map[string]uint64
	keys   []entry
}

type entry struct {
	text   string
	byText map[string]uint64
	values []string
}

// How a value is written: as text, as a reference to text that the record holds already, or as
// a number of the dictionary.
const (
	valueText      = uint64(0)
	valueTimestamp = uint64(1)
	valueSource    = uint64(2)                             // and the following, by index of sourceMeta
	valueNumber    = valueSource + uint64(len(sourceMeta)) // and the following
)

// key appends a key. It returns the key's entry, nil for one that is not in the dictionary.
func (d *dictionary) key(b []byte, key string) ([]byte, *entry) {
	id, ok := d.byText[key]
	switch {
	case ok:
	case len(d.keys) >= maxNames || len(key) > maxWord:
		return appendText(append(b, 0), key), nil
	default:
		if d.byText == nil {
			d.byText = map[string]uint64{}
		}
		key = strings.Clone(key)
		id = uint64(len(d.keys))
		d.byText[key] = id
		d.keys = append(d.keys, entry{text: key})
	}
	return binary.AppendUvarint(b, id+1), &d.keys[id]
}

// value appends a value of the key, which may be nil.
func (e *entry) value(b []byte, value string) []byte {
	if e == nil || len(value) > maxWord {
		return appendText(append(b, byte(valueText)), value)
	}
	id, ok := e.byText[value]
	switch {
	case ok:
	case len(e.values) >= maxValues:
		return appendText(append(b, byte(valueText)), value)
	default:
		if e.byText == nil {
			e.byText = map[string]uint64{}
		}
		value = strings.Clone(value)
		id = uint64(len(e.values))
		e.byText[value] = id
		e.values = append(e.values, value)
	}
	return binary.AppendUvarint(b, valueNumber+id)
}
