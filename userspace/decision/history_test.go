package decision

import (
	"fmt"
	"testing"
	"time"
)

func TestHistoryCountsSinceATime(t *testing.T) {
	h := NewHistory()
	for _, minute := range []int{3, 1, 2, 2} { // in any order
		h.Note("192.0.2.1", t0().Add(time.Duration(minute)*time.Minute))
	}
	for minute, want := range map[int]int{0: 4, 1: 4, 2: 3, 3: 1, 4: 0} {
		if got := h.Decisions("192.0.2.1", t0().Add(time.Duration(minute)*time.Minute)); got != want {
			t.Errorf("since minute %d: %d, want %d", minute, got, want)
		}
	}
	if got := h.Decisions("192.0.2.1", time.Time{}); got != 4 {
		t.Errorf("in all: %d, want 4", got)
	}
	if got := h.Decisions("192.0.2.2", time.Time{}); got != 0 {
		t.Errorf("of another value: %d, want 0", got)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	h := newHistory(3)
	for i := range 10 {
		h.Note("192.0.2.1", t0()) // noted again and again: stays
		h.Note(fmt.Sprintf("198.51.100.%d", i), t0())
	}
	for range 2 * MaxHistoryPerValue {
		h.Note("192.0.2.1", t0().Add(time.Hour))
	}
	if len(h.values) != 3 || h.recent.Len() != 3 {
		t.Errorf("%d values are remembered, want 3", len(h.values))
	}
	if got := h.Decisions("192.0.2.1", t0().Add(time.Hour)); got != MaxHistoryPerValue {
		t.Errorf("decisions = %d, want the latest %d", got, MaxHistoryPerValue)
	}
	if got := h.Decisions("198.51.100.0", time.Time{}); got != 0 {
		t.Errorf("the value noted longest ago is still known: %d", got)
	}
}

func TestHistoryCountsTheRangesAroundAValue(t *testing.T) {
	h := NewHistory()
	for _, value := range []string{"192.0.2.1", "192.0.2.1/32", "::ffff:192.0.2.1", "192.0.2.9/24", "192.0.0.0/16", "198.51.100.0/24", "2001:db8::/32", "alice"} {
		h.Note(value, t0())
	}
	for value, want := range map[string]int{
		"192.0.2.1": 5, "192.0.2.1/32": 5, "192.0.2.2": 2, "192.0.2.0/24": 2, "192.0.2.128/25": 2, "192.0.0.0/16": 1, "192.0.0.0/8": 0,
		"2001:db8::1": 1, "198.51.100.7": 1, "203.0.113.1": 0, "alice": 1, "bob": 0, "": 0,
	} {
		if got := h.Decisions(value, time.Time{}); got != want {
			t.Errorf("%s: %d decisions, want %d", value, got, want)
		}
	}
}
