package closure

import (
	"strings"
	"sync"
	"unsafe"
)

// maxMemos bounds the results that are remembered of one event.
const maxMemos = 128

// Memos numbers the calls whose results are remembered of an event, for all expressions of a
// compiler: many rules ask for the path of a request in capital letters. It is safe for concurrent
// use.
type Memos struct {
	mu     sync.Mutex
	places map[string]int
}

// place returns the number of a call, by its text; ok is false when there are too many.
func (m *Memos) place(call string) (place int, ok bool) {
	if m == nil {
		return 0, false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	place, ok = m.places[call]
	if !ok && len(m.places) < maxMemos {
		if m.places == nil {
			m.places = map[string]int{}
		}
		place, ok = len(m.places), true
		m.places[strings.Clone(call)] = place
	}
	return place, ok
}

// memo is the result of a call with a text.
type memo struct {
	epoch   uint32
	known   bool
	in, out string
}

// remember returns f(in), from memory when the last call at the place had the very same text.
func (v *Vars) remember(place int, in string, f func(string) string) string {
	if place >= len(v.memos) {
		v.memos = append(v.memos, make([]memo, place+1-len(v.memos))...)
	}
	m := &v.memos[place]
	if m.epoch == v.epoch && len(m.in) == len(in) && unsafe.StringData(m.in) == unsafe.StringData(in) && m.known {
		return m.out
	}
	*m = memo{v.epoch, true, in, f(in)}
	return m.out
}
