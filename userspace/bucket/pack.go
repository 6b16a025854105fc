package bucket

import (
	"encoding/binary"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"gabion/userspace/decision"
	"gabion/userspace/event"
)

// pack encodes what an alert needs of an event as length-prefixed strings: its time, timestamp, line
// and source fields, then metadata sorted by key and values of the context. What names has is a number.
func pack(evt *event.Event, at int64, context []decision.Meta, names *Names) string {
	var scratch [1024]byte
	var buf [32]string
	b := binary.LittleEndian.AppendUint64(scratch[:0], uint64(at))
	when := cut(evt.MarshaledTime, maxValue)
	b = appendText(b, when)
	b = appendText(b, cut(evt.Line.Raw, decision.MaxLine))
	for _, name := range sourceMeta {
		b = appendText(b, cut(evt.Meta.Get(name), maxValue))
	}
	for _, name := range sourceFields {
		b = appendText(b, cut(evt.Enriched.Get(name), maxValue))
	}
	keys := buf[:0]
	for key := range evt.Meta.All() {
		if !strings.HasPrefix(key, contextMark) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		value := cut(evt.Meta.Get(key), maxValue)
		if len(b)+len(key)+len(value)+3*binary.MaxVarintLen32 > maxRecord {
			continue
		}
		var w *word
		b, w = names.appendKey(b, key)
		switch i := slices.Index(sourceMeta[:], key); {
		case i >= 0:
			b = append(b, byte(valueSource)+byte(i))
		case value == when && when != "":
			b = append(b, byte(valueTimestamp))
		default:
			b = names.appendValue(b, w, value)
		}
	}
	for _, m := range context {
		value := cut(m.Value, maxValue)
		if len(b)+len(m.Key)+len(value)+3*binary.MaxVarintLen32 <= maxRecord {
			var w *word
			b, w = names.appendKey(b, contextMark+m.Key)
			b = names.appendValue(b, w, value)
		}
	}
	return string(b)
}

// contextMark stands in front of the keys of the context among those of the metadata.
const contextMark = "\x00"

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

// retained is an event of a bucket's queue as alert construction reads it.
type retained struct {
	at          int64 // evt.Time, Unix nanoseconds
	timestamp   string
	line        string
	meta        []decision.Meta
	context     []decision.Meta // values that Early gave
	sourceMeta  [len(sourceMeta)]string
	fields      [len(sourceFields)]string
	scopeValue  string
	scopeFailed bool
	whole       *event.Event // nil when the record says enough
}

// timeSize is the size of the time that a packed event begins with.
const timeSize = 8

func recordTime(packed []byte) int64 { return int64(binary.LittleEndian.Uint64(packed)) }

// unpack is the reverse of pack, with the same names. The strings are slices of packed or belong to
// names.
func unpack(packed string, names *Names) retained {
	keys := names.keys.Load().list
	var out retained
	out.at = recordTime([]byte(packed[:timeSize]))
	rest := packed[timeSize:]
	next := func() (s string) {
		s, rest = text(rest)
		return s
	}
	out.timestamp, out.line = next(), next()
	if out.timestamp == "" {
		out.timestamp = stamp(out.at).Format(time.RFC3339Nano)
	}
	for i := range out.sourceMeta {
		out.sourceMeta[i] = next()
	}
	for i := range out.fields {
		out.fields[i] = next()
	}
	for rest != "" {
		var m decision.Meta
		m, rest = out.pair(rest, keys)
		if key, ok := strings.CutPrefix(m.Key, contextMark); ok {
			out.context = append(out.context, decision.Meta{Key: key, Value: m.Value})
		} else {
			out.meta = append(out.meta, m)
		}
	}
	return out
}

// pair splits the first key and value off s.
func (r *retained) pair(s string, keys []*word) (m decision.Meta, rest string) {
	var w *word
	id, s := number(s)
	if id > 0 {
		w = keys[id-1]
		m.Key = w.text
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
		m.Value, rest = w.values.Load().list[kind-valueNumber], s
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
