package bucket

import (
	"strings"
	"unsafe"

	"gabion/userspace/decision"
	"gabion/userspace/event"
)

// Bounds of what a bucket keeps of one event, so that long lines cannot fill the memory.
const (
	maxValue  = 2048  // bytes of one value; the rest is cut
	maxRecord = 16384 // bytes of one record; keys that do not fit are left out

	maxUnmarshaled = 64 << 10 // bytes of what rules decoded
)

// sourceMeta and sourceFields are the metadata and the enrichments that an alert's source is made
// of. They are always kept: no other key can crowd them out of a record.
var (
	sourceMeta   = [...]string{"source_ip", "SourceRange"}
	sourceFields = [...]string{"ASNumber", "ASNNumber", "ASNOrg", "IsoCode", "Latitude", "Longitude"}
)

// wholeOf copies the matched event when a record says too little of it.
func (s *Scenario) wholeOf(m *Match) *event.Event {
	switch {
	case s.whole:
		return clone(m.Event)
	case m.Event.Type == event.Overflow: // its alert is made of nothing else
		return &event.Event{Type: event.Overflow, Overflow: event.RuntimeAlert{Sources: m.Event.Overflow.Sources}}
	}
	return nil
}

// clone copies an event and its strings. Values that rules decoded are left out when they are many;
// an overflow is shared: nothing writes it after the post-overflow rules.
func clone(evt *event.Event) *event.Event {
	c := *evt
	c.Line.Raw = strings.Clone(cut(evt.Line.Raw, maxRecord))
	c.Parsed, c.Enriched, c.Meta = cloneFields(&evt.Parsed), cloneFields(&evt.Enriched), cloneFields(&evt.Meta)
	for _, s := range []*string{&c.WhitelistReason, &c.Stage, &c.StrTime, &c.StrTimeFormat, &c.MarshaledTime} {
		*s = strings.Clone(cut(*s, maxValue))
	}
	if weighValue(evt.Unmarshaled) > maxUnmarshaled {
		c.Unmarshaled = nil
	}
	return &c
}

func cloneFields(f *event.Fields) event.Fields {
	var out event.Fields
	out.Grow(f.Len())
	for name, value := range f.All() {
		out.Set(strings.Clone(name), strings.Clone(cut(value, maxRecord)))
	}
	return out
}

// wordSize is what a string, an interface or a map's entry takes besides its text.
const wordSize = 32

// weigh estimates the memory that a retained event takes.
func weigh(evt *event.Event) (n int64) {
	if evt == nil {
		return 0
	}
	n = int64(unsafe.Sizeof(*evt)) + int64(len(evt.Line.Raw)+len(evt.MarshaledTime)+len(evt.StrTime)+len(evt.WhitelistReason))
	for _, f := range []*event.Fields{&evt.Parsed, &evt.Enriched, &evt.Meta} {
		for k, v := range f.All() {
			n += 2*wordSize + int64(len(k)+len(v))
		}
	}
	n += int64(len(evt.Overflow.Sources)) * int64(unsafe.Sizeof(decision.Source{}))
	if a := evt.Overflow.Alert; a != nil { // the alerts share their events
		for _, e := range a.Events {
			n += wordSize + int64(len(e.Line)+len(e.Timestamp))
			for _, m := range e.Meta {
				n += wordSize + int64(len(m.Key)+len(m.Value))
			}
		}
	}
	return n + weighValue(evt.Unmarshaled)
}

// weighValue estimates the memory of a value that rules decoded.
func weighValue(v any) (n int64) {
	switch v := v.(type) {
	case string:
		return wordSize + int64(len(v))
	case map[string]any:
		for k, x := range v {
			n += wordSize + int64(len(k)) + weighValue(x)
		}
	case map[string]string:
		for k, x := range v {
			n += 2*wordSize + int64(len(k)+len(x))
		}
	case []any:
		for _, x := range v {
			n += weighValue(x)
		}
	}
	return n + wordSize
}
