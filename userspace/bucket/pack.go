package bucket

import (
	"encoding/binary"
	"slices"
	"time"
	"unicode/utf8"

	"gabion/userspace/decision"
	"gabion/userspace/event"
)

// First byte of a packed record.
const flagScopeFailed = 1 // the scope expression had a run-time error

// pack encodes what an alert needs of a matched event as length-prefixed strings: timestamp, line,
// scope value, source fields, then metadata sorted by key. What the table's dictionary knows is a
// number.
func pack(m *Match, names *dictionary) string {
	var scratch [1024]byte
	var buf [32]string
	evt := m.Event
	var flags byte
	if m.scopeFailed {
		flags |= flagScopeFailed
	}
	b := append(scratch[:0], flags)
	when := cut(timestamp(evt), maxValue)
	b = appendText(b, when)
	b = appendText(b, cut(evt.Line.Raw, decision.MaxLine))
	b = appendText(b, cut(m.scopeValue, maxValue))
	for _, name := range sourceMeta {
		b = appendText(b, cut(evt.Meta.Get(name), maxValue))
	}
	for _, name := range sourceFields {
		b = appendText(b, cut(evt.Enriched.Get(name), maxValue))
	}
	keys := buf[:0]
	for key := range evt.Meta.All() {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		value := cut(evt.Meta.Get(key), maxValue)
		if len(b)+len(key)+len(value)+3*binary.MaxVarintLen32 > maxRecord {
			continue
		}
		var e *entry
		b, e = names.key(b, key)
		switch i := slices.Index(sourceMeta[:], key); {
		case i >= 0:
			b = append(b, byte(valueSource)+byte(i))
		case value == when:
			b = append(b, byte(valueTimestamp))
		default:
			b = e.value(b, value)
		}
	}
	return string(b)
}

// timestamp is the event's time as alerts show it.
func timestamp(evt *event.Event) string {
	if evt.MarshaledTime != "" {
		return evt.MarshaledTime
	}
	return evt.Time.UTC().Format(time.RFC3339Nano)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// cut shortens s to at most n bytes without cutting a character in two.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for i := n; i > n-utf8.UTFMax; i-- {
		if utf8.RuneStart(s[i]) {
			return s[:i]
		}
	}
	return s[:n]
}

// retained is a record as alert construction reads it.
type retained struct {
	timestamp   string
	line        string
	scopeValue  string
	scopeFailed bool
	meta        []decision.Meta
	sourceMeta  [len(sourceMeta)]string
	fields      [len(sourceFields)]string
}

// unpack is the reverse of pack, with the same dictionary. The strings are slices of the record or
// belong to the dictionary.
func (r record) unpack(names *dictionary) retained {
	flags, rest := r.packed[0], r.packed[1:]
	next := func() (s string) {
		s, rest = text(rest)
		return s
	}
	out := retained{scopeFailed: flags&flagScopeFailed != 0}
	out.timestamp, out.line, out.scopeValue = next(), next(), next()
	for i := range out.sourceMeta {
		out.sourceMeta[i] = next()
	}
	for i := range out.fields {
		out.fields[i] = next()
	}
	for rest != "" {
		var m decision.Meta
		m, rest = out.pair(rest, names)
		out.meta = append(out.meta, m)
	}
	return out
}

// pair splits the first key and value off s.
func (r *retained) pair(s string, names *dictionary) (m decision.Meta, rest string) {
	var e *entry
	id, s := number(s)
	if id > 0 {
		e = &names.keys[id-1]
		m.Key = e.text
	} else {
		m.Key, s = text(s)
	}
	switch kind, s := number(s); {
	case kind == valueText:
		m.Value, rest = text(s)
	case kind == valueTimestamp:
		m.Value, rest = r.timestamp, s
	case kind < valueNumber:
		m.Value, rest = r.sourceMeta[kind-valueSource], s
	default:
		m.Value, rest = e.values[kind-valueNumber], s
	}
	return m, rest
}

// text splits the first length-prefixed string off s.
func text(s string) (head, rest string) {
	n, s := number(s)
	return s[:n], s[n:]
}

// number splits the first varint off s.
func number(s string) (n uint64, rest string) {
	for i, shift := 0, 0; i < len(s); i, shift = i+1, shift+7 {
		n |= uint64(s[i]&0x7f) << shift
		if s[i] < 0x80 {
			return n, s[i+1:]
		}
	}
	return 0, ""
}

// enriched returns the source field of that name.
func (r *retained) enriched(name string) string {
	return r.fields[slices.Index(sourceFields[:], name)]
}
