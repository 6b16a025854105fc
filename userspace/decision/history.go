package decision

import (
	"container/list"
	"net/netip"
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
	ranges [129][2]bool             // whether a range of that length was noted, of IPv4 and of IPv6
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

// Note records that a decision was taken on value: an address, a range, or any other text. Times may
// come in any order.
func (h *History) Note(value string, at time.Time) {
	p, err := ParsePrefix(value)
	if err == nil {
		value = prefixText(p)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil && !p.IsSingleIP() {
		h.ranges[p.Bits()][family(p)] = true
	}
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

// Decisions returns how many decisions were taken on value, or on a range that contains it, at since
// or later; the zero time counts all. It counts no more than MaxHistoryPerValue of each.
func (h *History) Decisions(value string, since time.Time) int {
	p, err := ParsePrefix(value)
	if err == nil {
		value = prefixText(p)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	count := h.decisions(value, since)
	if err != nil {
		return count
	}
	for bits := range p.Bits() {
		if h.ranges[bits][family(p)] {
			count += h.decisions(netip.PrefixFrom(p.Addr(), bits).Masked().String(), since)
		}
	}
	return count
}

func (h *History) decisions(value string, since time.Time) int {
	el, ok := h.values[value]
	if !ok {
		return 0
	}
	times := el.Value.(*pastDecisions).times
	i, _ := slices.BinarySearchFunc(times, since, time.Time.Compare)
	return len(times) - i
}

// prefixText writes a prefix as values are: an address alone when it holds just one.
func prefixText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

func family(p netip.Prefix) int {
	if p.Addr().Is4() {
		return 0
	}
	return 1
}
