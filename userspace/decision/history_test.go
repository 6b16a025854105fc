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
