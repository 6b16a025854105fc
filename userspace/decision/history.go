package decision

import (
	"container/list"
	"slices"
	"sync"
	"time"
)

// Limits of History.
const (
	// MaxHistoryValues is how many values a History remembers. When it is full, the value that was
	// noted longest ago is forgotten.
	MaxHistoryValues = 200_000
	// MaxHistoryPerValue is how many decisions are remembered of one value: the latest. A repeat
	// offender has reached the longest ban well before.
	MaxHistoryPerValue = 64
)

// History counts past decisions per value, so that a profile can ban a repeat offender for longer.
// It is bounded, and safe for concurrent use.
type History struct {
	mu     sync.Mutex
	limit  int
	values map[string]*list.Element // of *pastDecisions
	recent list.List                // front: noted last
}

type pastDecisions struct {
	value string
	times []time.Time // ascending
}

// NewHistory returns an empty history.
func NewHistory() *History { return newHistory(MaxHistoryValues) }

func newHistory(limit int) *History {
	return &History{limit: limit, values: map[string]*list.Element{}}
}

// Note records that a decision was taken on value. Times may come in any order.
func (h *History) Note(value string, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	el, ok := h.values[value]
	if !ok {
		if len(h.values) >= h.limit {
			oldest := h.recent.Back()
			delete(h.values, oldest.Value.(*pastDecisions).value)
			h.recent.Remove(oldest)
		}
		el = h.recent.PushFront(&pastDecisions{value: value})
		h.values[value] = el
	}
	h.recent.MoveToFront(el)
	past := el.Value.(*pastDecisions)
	i, _ := slices.BinarySearchFunc(past.times, at, time.Time.Compare)
	past.times = slices.Insert(past.times, i, at)
	if len(past.times) > MaxHistoryPerValue {
		past.times = slices.Delete(past.times, 0, 1)
	}
}

// Decisions returns how many decisions were taken on value at since or later; the zero time counts
// all. It never returns more than MaxHistoryPerValue.
func (h *History) Decisions(value string, since time.Time) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	el, ok := h.values[value]
	if !ok {
		return 0
	}
	times := el.Value.(*pastDecisions).times
	i, _ := slices.BinarySearchFunc(times, since, time.Time.Compare)
	return len(times) - i
}
