package kernel

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"gabion/userspace/event"
	"gabion/userspace/source"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 2, 12, 12, 0, 0, 0, time.UTC)

func TestEventsBecomeLinesOfJSON(t *testing.T) {
	for _, tt := range []struct {
		name  string
		event Event
		want  string
	}{
		{"an IPv4 source", Event{
			Meter: "gabion/connection-rate", Source: netip.MustParseAddr("192.0.2.1"), Count: 101, Limit: 100, Window: time.Second,
			Established: true, Protocol: "tcp", Port: 443, Interface: "eth0",
		}, `{"event":"meter","meter":"gabion/connection-rate","source_ip":"192.0.2.1","source_range":"","count":101,"limit":100,"window_ms":1000,"established":true,"protocol":"tcp","dst_port":443,"interface":"eth0"}`},
		{"an IPv4 source in IPv6 form", Event{Meter: "m", Source: netip.MustParseAddr("::ffff:192.0.2.1"), Protocol: "udp"},
			`{"event":"meter","meter":"m","source_ip":"192.0.2.1","source_range":"","count":0,"limit":0,"window_ms":0,"established":false,"protocol":"udp","dst_port":0,"interface":""}`},
		{"an IPv6 source and an interface with a hostile name", Event{Meter: "m", Source: netip.MustParseAddr("2001:db8::1"), Protocol: "tcp", Interface: "a\"\n\xff"},
			`{"event":"meter","meter":"m","source_ip":"2001:db8::1","source_range":"","count":0,"limit":0,"window_ms":0,"established":false,"protocol":"tcp","dst_port":0,"interface":"a\"\n\ufffd"}`},
		{"a network", Event{Meter: "m", Range: netip.MustParsePrefix("2001:db8:0:1::/64"), Count: 1 << 40, Protocol: "any"},
			`{"event":"meter","meter":"m","source_ip":"","source_range":"2001:db8:0:1::/64","count":1099511627776,"limit":0,"window_ms":0,"established":false,"protocol":"any","dst_port":0,"interface":""}`},
		{"a port, which has no source", Event{Meter: "gabion/syn-flood", Protocol: "tcp", Port: 80},
			`{"event":"meter","meter":"gabion/syn-flood","source_ip":"","source_range":"","count":0,"limit":0,"window_ms":0,"established":false,"protocol":"tcp","dst_port":80,"interface":""}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := string(appendJSON(nil, tt.event))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("line differs (-want +got):\n%s", diff)
			}
			if !json.Valid([]byte(got)) {
				t.Errorf("%s is no JSON", got)
			}
		})
	}
}

func TestEventsArriveInOrderAndRunEndsWithItsContext(t *testing.T) {
	const n = 1000
	ctx, cancel := context.WithCancel(t.Context())
	s := mustNew(t, func(ctx context.Context, handle func(Event)) error {
		for i := range n {
			handle(Event{Source: netip.MustParseAddr("192.0.2.1"), Count: uint64(i), Interface: "eth0"})
		}
		<-ctx.Done()
		return nil
	})
	var got []*event.Event
	err := s.Run(ctx, func(b source.Batch) error {
		if got = append(got, b.Events...); len(got) == n {
			cancel()
		}
		return nil
	})
	if err != nil || len(got) != n {
		t.Fatalf("%d events, error %v, want %d and none", len(got), err, n)
	}
	for i, e := range got {
		var line struct{ Count int }
		if err := json.Unmarshal([]byte(e.Line.Raw), &line); err != nil || line.Count != i {
			t.Fatalf("event %d is %s (%v)", i, e.Line.Raw, err)
		}
	}
	want := event.Line{Raw: got[0].Line.Raw, Src: "eth0", Time: noon, Labels: map[string]string{"type": "kernel", "host": "a"}, Process: true, Module: "kernel"}
	if diff := cmp.Diff(want, got[0].Line); diff != "" {
		t.Errorf("line differs (-want +got):\n%s", diff)
	}
	if got[0].ExpectMode != event.Live || !got[0].Time.Equal(noon) {
		t.Errorf("mode %d at %v, want live at %v", got[0].ExpectMode, got[0].Time, noon)
	}
}

// Events wait in the kernel while no daemon runs.
func TestAnEventHappensWhenTheKernelSawIt(t *testing.T) {
	s := mustNew(t, func(context.Context, func(Event)) error { return nil })
	for _, tt := range []struct{ at, want time.Time }{
		{noon.Add(-5 * time.Hour), noon.Add(-5 * time.Hour)},
		{noon, noon},
		{noon.Add(time.Second), noon}, // clocks that were set meanwhile
		{time.Time{}, noon},
	} {
		e := s.event(Event{Time: tt.at})
		if !e.Time.Equal(tt.want) || !e.Line.Time.Equal(noon) {
			t.Errorf("an event of %v that arrives at %v happens at %v and arrives at %v, want %v and the latter", tt.at, noon, e.Time, e.Line.Time, tt.want)
		}
	}
}

func TestRunEndsWhenTheEngineCloses(t *testing.T) {
	s := mustNew(t, func(ctx context.Context, handle func(Event)) error {
		for ctx.Err() == nil {
			handle(Event{Source: netip.MustParseAddr("192.0.2.1")})
		}
		return nil
	})
	if err := s.Run(t.Context(), func(source.Batch) error { return errors.New("closing") }); err != nil {
		t.Errorf("error %v, want none", err)
	}
}

func TestAStreamThatFailsIsReported(t *testing.T) {
	broken := errors.New("ring buffer is gone")
	s := mustNew(t, func(context.Context, func(Event)) error { return broken })
	if err := s.Run(t.Context(), func(source.Batch) error { return nil }); !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
}

func mustNew(t *testing.T, stream Stream) *Source {
	t.Helper()
	s, err := New(Config{Stream: stream, Labels: map[string]string{"host": "a"}, Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
