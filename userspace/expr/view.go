package expr

import (
	"net/netip"
	"time"

	"gabion/userspace/event"
)

// view is an event as the virtual machine sees it, and as expressions are checked: fields are maps,
// as the language has them. The names are those of event.Event.
type view struct {
	Type            int
	ExpectMode      int
	Whitelisted     bool
	WhitelistReason string
	Stage           string
	Line            event.Line
	Parsed          map[string]string
	Enriched        map[string]string
	Unmarshaled     map[string]any
	Overflow        event.RuntimeAlert
	Time            time.Time
	StrTime         string
	StrTimeFormat   string
	MarshaledTime   string
	Process         bool
	Appsec          event.AppsecEvent
	Meta            map[string]string

	event *event.Event // what methods work on
}

// set makes v a view of the event, without its fields.
func (v *view) set(e *event.Event) {
	*v = view{
		Type: e.Type, ExpectMode: e.ExpectMode, Whitelisted: e.Whitelisted, WhitelistReason: e.WhitelistReason, Stage: e.Stage,
		Line: e.Line, Unmarshaled: e.Unmarshaled, Overflow: e.Overflow, Time: e.Time, StrTime: e.StrTime,
		StrTimeFormat: e.StrTimeFormat, MarshaledTime: e.MarshaledTime, Process: e.Process, Appsec: e.Appsec, event: e,
	}
}

// newView returns a view of the event with all its fields.
func newView(e *event.Event) *view {
	v := new(view)
	v.set(e)
	v.Parsed, v.Enriched, v.Meta = e.Parsed.Map(), e.Enriched.Map(), e.Meta.Map()
	return v
}

// SetMeta sets a metadata field of the event, which the rest of the expression sees.
func (v *view) SetMeta(key, value string) bool {
	if v.Meta != nil {
		v.Meta[key] = value
	}
	return v.event.SetMeta(key, value)
}

// SetParsed sets a parsed field of the event, which the rest of the expression sees.
func (v *view) SetParsed(key, value string) bool {
	if v.Parsed != nil {
		v.Parsed[key] = value
	}
	return v.event.SetParsed(key, value)
}

// GetType is that of the event.
func (v *view) GetType() string { return v.event.GetType() }

// GetMeta is that of the event.
func (v *view) GetMeta(key string) string { return v.event.GetMeta(key) }

// ParseIPSources is that of the event.
func (v *view) ParseIPSources() []netip.Addr { return v.event.ParseIPSources() }

// queueView is a bucket's queue as the machine sees it.
type queueView struct {
	Queue []*view
	L     int

	kept Kept
}

// GetQueue returns the retained events.
func (q *queueView) GetQueue() []*view { return q.Queue }

func newQueueView(q *Queue) *queueView {
	if q == nil {
		return nil
	}
	return &queueView{L: q.L, Queue: views(q.Queue), kept: q.Kept}
}

func views(events []*event.Event) []*view {
	out := make([]*view, len(events))
	for i, e := range events {
		out[i] = newView(e)
	}
	return out
}

// leakyView is a bucket's state as the machine sees it. The names are those of Leaky.
type leakyView struct {
	Name        string
	Uuid        string
	Mapkey      string
	Mode        int
	Total_count int
	First_ts    time.Time
	Last_ts     time.Time
	Ovflw_ts    time.Time
	Duration    time.Duration
	Queue       *queueView
}

func newLeakyView(l *Leaky, q *queueView) *leakyView {
	if l == nil {
		return nil
	}
	return &leakyView{l.Name, l.Uuid, l.Mapkey, l.Mode, l.Total_count, l.First_ts, l.Last_ts, l.Ovflw_ts, l.Duration, q}
}
