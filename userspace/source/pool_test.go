package source

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gabion/userspace/event"
)

func TestEventsOfASlabAreEmptyHoweverOftenTheyWereUsed(t *testing.T) {
	var pool Pool
	for round := range 4 {
		s := pool.Slab()
		n := 10 + 20*round
		for i := range n {
			e := s.Next()
			if diff := cmp.Diff(event.Event{}, *e, cmp.Comparer(sameFields)); diff != "" {
				t.Fatalf("round %d: event %d is not empty:\n%s", round, i, diff)
			}
			e.Line.Raw, e.MarshaledTime, e.Whitelisted = "line", "time", true
			e.Unmarshaled = map[string]any{"a": 1}
			for k := range 200 * (i % 2) { // more than are kept
				e.Parsed.Set(fmt.Sprint(k), "x")
			}
			e.Meta.Set("k", "x")
			e.Enriched.Set("k", "x")
		}
		calls := 0
		b := s.Batch(func() { calls++ })
		if len(b.Events) != n || s.Len() != n {
			t.Errorf("round %d: batch of %d events, slab of %d, want %d", round, len(b.Events), s.Len(), n)
		}
		if b.Done(); calls != 1 {
			t.Errorf("round %d: done was called %d times", round, calls)
		}
	}
	pool.Slab().Batch(nil).Done()
}

func sameFields(a, b event.Fields) bool { return cmp.Equal(a.Map(), b.Map()) }
