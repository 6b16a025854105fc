package bucket

import (
	"fmt"
	"testing"
	"time"

	"gabion/userspace/event"
)

func TestMatchesInARoomKeepWhatTheirExpressionsSet(t *testing.T) {
	s := mustCompile(t, trigger("filter: evt.SetMeta('seen', evt.Parsed.x) && evt.Parsed.x != '0'"))
	at := time.Unix(1000, 0)
	var room Room
	for round := range 3 {
		var events []*event.Event
		var matches []*Match
		for i := range 100 {
			evt := &event.Event{Time: at, Parsed: event.MakeFields("x", fmt.Sprint((i+round)%5)), Enriched: event.MakeFields("place", "here")}
			m, err := s.Offer(room.Offer(evt, at))
			if err != nil {
				t.Fatal(err)
			}
			if (m != nil) != ((i+round)%5 != 0) {
				t.Fatalf("round %d: event %d: match %v", round, i, m)
			}
			events = append(events, evt)
			if m != nil {
				matches = append(matches, m)
			}
		}
		for _, m := range matches {
			if got, want := m.Event.Meta.Get("seen"), m.Event.Parsed.Get("x"); got != want {
				t.Errorf("round %d: a match has seen %q, want %q", round, got, want)
			}
		}
		room.Reset()
		for _, evt := range events {
			if evt.Meta.Len() != 0 || evt.Parsed.Len() != 1 || evt.Enriched.Get("place") != "here" {
				t.Errorf("round %d: an event was changed: %v %v %v", round, evt.Meta.Map(), evt.Parsed.Map(), evt.Enriched.Map())
			}
		}
	}
}
