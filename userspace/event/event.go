// Package event defines what flows from sources to scenarios: one log line or one kernel event,
// and later the overflow that scenarios see again when they reprocess.
//
// Field and method names are those that hub rules use in expressions (specs: engine, section 1):
// renaming one breaks rules.
package event

import (
	"net/netip"
	"time"

	"gabion/userspace/decision"
)

// Values of Event.Type.
const (
	Log      = 0
	Overflow = 1
	AppSec   = 2
)

// Values of Event.ExpectMode.
const (
	Live   = 0 // event time is arrival time, or when the kernel saw it
	Replay = 1 // event time is the log's own time
)

// Event is one log line on its way through parsers and scenarios. It belongs to one goroutine at a
// time.
type Event struct {
	Type            int
	ExpectMode      int
	Whitelisted     bool
	WhitelistReason string
	Stage           string
	Line            Line
	Parsed          Fields
	Enriched        Fields
	Unmarshaled     map[string]any // nil until something is decoded
	Overflow        RuntimeAlert
	Time            time.Time // event time: what buckets read
	StrTime         string
	StrTimeFormat   string
	MarshaledTime   string // RFC 3339 text of the log's own time, set by date parsing
	Process         bool
	Appsec          AppsecEvent
	Meta            Fields // the part of an event that alerts keep
}

// Line is the raw input of an event.
type Line struct {
	Raw     string
	Src     string // file path, unit, interface
	Time    time.Time
	Labels  map[string]string // shared by all lines of a source: copy before writing
	Process bool
	Module  string // source kind: file, journalctl, kernel
}

// RuntimeAlert is an overflow as expressions see it: evt.Overflow.
type RuntimeAlert struct {
	Mapkey      string
	BucketId    string //nolint:revive // the name that rules use
	Whitelisted bool
	Reprocess   bool
	Sources     map[string]*decision.Source // an entry shares its cell with the matching alert's Source
	Alert       *decision.Alert             // nil for other events; the first of APIAlerts
	APIAlerts   []*decision.Alert           // one per source, in order of source value
}

// GetSources returns the keys of Sources, in no order.
func (r RuntimeAlert) GetSources() []string {
	out := make([]string, 0, len(r.Sources))
	for k := range r.Sources {
		out = append(out, k)
	}
	return out
}

// FieldSet names one of an event's sets of fields.
type FieldSet uint8

// The sets of fields.
const (
	InParsed FieldSet = iota
	InMeta
	InEnriched
)

// FieldSetOf returns the set with a name that rules use: Parsed, Meta or Enriched.
func FieldSetOf(name string) (set FieldSet, ok bool) {
	switch name {
	case "Parsed":
		return InParsed, true
	case "Meta":
		return InMeta, true
	case "Enriched":
		return InEnriched, true
	}
	return 0, false
}

// In returns one of the event's sets of fields.
func (e *Event) In(set FieldSet) *Fields {
	switch set {
	case InMeta:
		return &e.Meta
	case InEnriched:
		return &e.Enriched
	}
	return &e.Parsed
}

// SetMeta sets a metadata key and returns true, so that a filter can do it on the way.
func (e *Event) SetMeta(key, value string) bool {
	e.Meta.Set(key, value)
	return true
}

// SetParsed sets a parsed field and returns true.
func (e *Event) SetParsed(key, value string) bool {
	e.Parsed.Set(key, value)
	return true
}

// GetType returns "log", "overflow" or "unknown".
func (e *Event) GetType() string {
	switch e.Type {
	case Log:
		return "log"
	case Overflow:
		return "overflow"
	}
	return "unknown"
}

// GetMeta returns a metadata value: of the event itself, or for an overflow the first non-empty
// one among its alerts' events.
func (e *Event) GetMeta(key string) string {
	if e.Type == Log {
		return e.Meta.Get(key)
	}
	for _, a := range e.Overflow.APIAlerts {
		for _, ev := range a.Events {
			if v := ev.GetMeta(key); v != "" {
				return v
			}
		}
	}
	return ""
}

// ParseIPSources returns the addresses the event is about: Meta source_ip of a log event, the
// source keys of an overflow. Text that is no address is left out. IPv4-mapped IPv6 is unmapped,
// so that IPv4 entries of whitelists match it.
func (e *Event) ParseIPSources() []netip.Addr { return e.AppendIPSources(nil) }

// AppendIPSources appends what ParseIPSources returns.
func (e *Event) AppendIPSources(to []netip.Addr) []netip.Addr {
	switch e.Type {
	case Log:
		if s, ok := e.Meta.Lookup("source_ip"); ok {
			to = appendAddress(to, s)
		}
	case Overflow:
		for s := range e.Overflow.Sources {
			to = appendAddress(to, s)
		}
	}
	return to
}

func appendAddress(to []netip.Addr, text string) []netip.Addr {
	if a, err := netip.ParseAddr(text); err == nil {
		to = append(to, a.Unmap())
	}
	return to
}

// Reset empties the event and keeps the memory of its fields for the next one.
func (e *Event) Reset() {
	parsed, enriched, meta := e.Parsed, e.Enriched, e.Meta
	for _, f := range []*Fields{&parsed, &enriched, &meta} {
		f.Reset()
	}
	*e = Event{Parsed: parsed, Enriched: enriched, Meta: meta}
}
