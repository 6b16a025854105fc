// Package kernel makes events of what the data plane reports: a meter that is over its limit.
// Scenarios see them as log lines, one JSON object each, with the label type: kernel.
package kernel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"strconv"
	"time"

	"gabion/userspace/event"
	"gabion/userspace/source"
)

// batchEvents bounds a batch; under a flood events are handed over many at a time.
const batchEvents = 256

// Event says that a meter was over its limit for one key in one window.
type Event struct {
	Time        time.Time    // when the kernel wrote it; it may have waited, also for a daemon to run
	Meter       string       // its name
	Source      netip.Addr   // of a meter per source; else invalid
	Range       netip.Prefix // of a meter per network; else invalid
	Count       uint64       // so far in this window
	Limit       uint64
	Window      time.Duration
	Established bool // false: too few handshakes were completed, so the address may be forged
	Protocol    string
	Port        uint16 // destination of the packet that led to the event
	Interface   string // empty when it is gone
}

// Stream hands each event to handle until ctx is done, and returns nil then. handle blocks while
// the engine is busy.
type Stream func(ctx context.Context, handle func(Event)) error

// Config is what a Source needs.
type Config struct {
	Stream Stream
	Labels map[string]string // besides type, which is always kernel
	Now    func() time.Time
}

// Source delivers the events of a stream.
type Source struct {
	cfg    Config
	labels map[string]string
}

// New returns a source that has not started its stream yet.
func New(cfg Config) (*Source, error) {
	if cfg.Stream == nil {
		return nil, errors.New("no stream of kernel events: the data plane is not loaded")
	}
	labels := maps.Clone(cfg.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels["type"] = "kernel"
	return &Source{cfg: cfg, labels: labels}, nil
}

// String returns "kernel".
func (s *Source) String() string { return "kernel" }

// Run delivers events until ctx is done or the engine closes.
func (s *Source) Run(ctx context.Context, emit source.Emit) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events := make(chan Event, batchEvents)
	ended := make(chan error, 1)
	go s.runStream(ctx, events, ended)
	for e := range events {
		batch := source.Batch{Events: []*event.Event{s.event(e)}}
		for more := true; more && len(batch.Events) < batchEvents; {
			select {
			case e, more = <-events:
				if more {
					batch.Events = append(batch.Events, s.event(e))
				}
			default:
				more = false
			}
		}
		if err := emit(batch); err != nil {
			cancel()
			<-ended
			return nil // the engine is closing
		}
	}
	if err := <-ended; err != nil && ctx.Err() == nil {
		return fmt.Errorf("read kernel events: %w", err)
	}
	return nil
}

// runStream owns the stream and the sending side of events; it ends with the stream.
func (s *Source) runStream(ctx context.Context, events chan<- Event, ended chan<- error) {
	defer close(events)
	ended <- s.cfg.Stream(ctx, func(e Event) {
		select {
		case events <- e:
		case <-ctx.Done():
		}
	})
}

// event makes an event of the time at which the kernel saw it: two bursts that were hours apart while
// no daemon ran are not one burst now.
func (s *Source) event(e Event) *event.Event {
	now := s.cfg.Now()
	at := e.Time
	if at.IsZero() || at.After(now) {
		at = now
	}
	src := e.Interface
	if src == "" {
		src = "kernel"
	}
	return &event.Event{
		Type: event.Log, ExpectMode: event.Live, Process: true, Time: at,
		Line: event.Line{
			Raw: string(appendJSON(make([]byte, 0, 256), e)), Src: src, Time: now,
			Labels: s.labels, Process: true, Module: "kernel",
		},
	}
}

// appendJSON appends an event as one JSON object on one line. All keys are there in any case, so that
// a line without a source says so.
func appendJSON(b []byte, e Event) []byte {
	b = append(b, `{"event":"meter","meter":`...)
	b = appendText(b, e.Meter)
	b = append(b, `,"source_ip":"`...)
	if e.Source.IsValid() {
		b = e.Source.Unmap().WithZone("").AppendTo(b)
	}
	b = append(b, `","source_range":"`...)
	if e.Range.IsValid() {
		b = e.Range.AppendTo(b)
	}
	b = append(b, `","count":`...)
	b = strconv.AppendUint(b, e.Count, 10)
	b = append(b, `,"limit":`...)
	b = strconv.AppendUint(b, e.Limit, 10)
	b = append(b, `,"window_ms":`...)
	b = strconv.AppendInt(b, e.Window.Milliseconds(), 10)
	b = append(b, `,"established":`...)
	b = strconv.AppendBool(b, e.Established)
	b = append(b, `,"protocol":`...)
	b = appendText(b, e.Protocol)
	b = append(b, `,"dst_port":`...)
	b = strconv.AppendUint(b, uint64(e.Port), 10)
	b = append(b, `,"interface":`...)
	b = appendText(b, e.Interface)
	return append(b, '}')
}

// appendText appends a JSON string. Names of interfaces may hold nearly any byte.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, err := json.Marshal(s)
			if err != nil {
				quoted = []byte(`""`) // cannot happen with a string
			}
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
