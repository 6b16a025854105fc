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

// Bounds of what a bucket keeps of one event, so that long lines cannot fill the memory.
const (
	maxValue  = 2048  // bytes of one value; the rest is cut
	maxRecord = 16384 // bytes of one record; keys that do not fit are left out
)

// sourceMeta and sourceFields are the metadata and the enrichments that an alert's source is made
// of. They are always kept: no other key can crowd them out of a record.
var (
	sourceMeta   = [...]string{"source_ip", "SourceRange"}
	sourceFields = [...]string{"ASNumber", "ASNNumber", "ASNOrg", "IsoCode", "Latitude", "Longitude"}
)

// First byte of a packed record.
const (
	flagMeta        = 1 << iota // the event had metadata, so the alert lists it
	flagScopeFailed             // the scope expression had a run-time error
)

// record is a retained event. It holds copies: the event's own strings are slices of a block that
// the source read, and one of them would keep the whole block in memory.
type record struct {
	packed string       // what an alert needs: see pack
	whole  *event.Event // an overflow, or when an expression of the scenario reads retained events
}

// size estimates the bytes of memory that r takes.
func (r record) size() int64 {
	n := int64(len(r.packed)) + 32
	if r.whole != nil {
		n *= 4
	}
	return n
}

// newRecord copies what the scenario needs of the event.
func newRecord(m *Match, whole bool) record {
	r := record{packed: pack(m)}
	switch {
	case m.Event.Type == event.Overflow:
		r.whole = m.Event
	case whole:
		r.whole = clone(m.Event)
	}
	return r
}

// pack encodes what an alert needs of a matched event as length-prefixed strings: timestamp, line,
// scope value, source fields, then metadata sorted by key.
func pack(m *Match) string {
	var scratch [1024]byte
	var names [32]string
	evt := m.Event
	var flags byte
	if evt.Meta != nil {
		flags |= flagMeta
	}
	if m.scopeFailed {
		flags |= flagScopeFailed
	}
	b := append(scratch[:0], flags)
	b = appendText(b, cut(timestamp(evt), maxValue))
	b = appendText(b, cut(evt.Line.Raw, decision.MaxLine))
	b = appendText(b, cut(m.scopeValue, maxValue))
	for _, name := range sourceMeta {
		b = appendText(b, cut(evt.Meta[name], maxValue))
	}
	for _, name := range sourceFields {
		b = appendText(b, cut(evt.Enriched[name], maxValue))
	}
	keys := names[:0]
	for key := range evt.Meta {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		value := cut(evt.Meta[key], maxValue)
		if len(b)+len(key)+len(value)+2*binary.MaxVarintLen16 <= maxRecord {
			b = appendText(appendText(b, key), value)
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
	hasMeta     bool
	meta        []decision.Meta
	sourceMeta  [len(sourceMeta)]string
	fields      [len(sourceFields)]string
}

// unpack is the reverse of pack. The strings are slices of the record.
func (r record) unpack() retained {
	flags, rest := r.packed[0], r.packed[1:]
	next := func() (s string) {
		s, rest = text(rest)
		return s
	}
	out := retained{hasMeta: flags&flagMeta != 0, scopeFailed: flags&flagScopeFailed != 0}
	out.timestamp, out.line, out.scopeValue = next(), next(), next()
	for i := range out.sourceMeta {
		out.sourceMeta[i] = next()
	}
	for i := range out.fields {
		out.fields[i] = next()
	}
	for rest != "" {
		out.meta = append(out.meta, decision.Meta{Key: next(), Value: next()})
	}
	return out
}

// text splits the first length-prefixed string off s.
func text(s string) (head, rest string) {
	var n, shift uint
	for i := 0; i < len(s); i++ {
		n |= uint(s[i]&0x7f) << shift
		if s[i] < 0x80 {
			return s[i+1 : i+1+int(n)], s[i+1+int(n):]
		}
		shift += 7
	}
	return "", ""
}

// enriched returns the source field of that name.
func (r *retained) enriched(name string) string {
	return r.fields[slices.Index(sourceFields[:], name)]
}

// clone copies an event and its strings. Unmarshaled is shared: nothing writes it after parsing.
func clone(evt *event.Event) *event.Event {
	c := *evt
	c.Line.Raw = strings.Clone(cut(evt.Line.Raw, maxRecord))
	c.Parsed = cloneMap(evt.Parsed)
	c.Enriched = cloneMap(evt.Enriched)
	c.Meta = cloneMap(evt.Meta)
	return &c
}

func cloneMap(m map[string]string) map[string]string {
	if m == nil {
		return nil
	}
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[strings.Clone(k)] = strings.Clone(cut(v, maxRecord))
	}
	return out
}
