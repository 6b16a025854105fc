// Package excess remembers which sources were above a meter's limit lately, for whoever asks why
// somebody does not get through although nobody banned him.
package excess

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

// maxNoted bounds half of what is remembered: sources can be made up.
const maxNoted = 2048

// Entry is the latest time that a source was above the limit of one meter.
type Entry struct {
	Meter       string
	At          time.Time
	Count       uint64 // when it was reported
	Limit       uint64
	Established bool
}

// Memory remembers the latest entry of each source and meter, thousands of them; when there are more,
// those noted longest ago are forgotten. It is safe for concurrent use.
type Memory struct {
	mu         sync.Mutex
	young, old map[key]Entry
}

type key struct {
	source netip.Prefix
	meter  string
}

// New returns an empty memory.
func New() *Memory { return &Memory{young: map[key]Entry{}} }

// Note remembers an entry of an address, as a prefix of all its bits, or of a network.
func (m *Memory) Note(source netip.Prefix, e Entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.young) >= maxNoted {
		m.young, m.old = map[key]Entry{}, m.young
	}
	m.young[key{source.Masked(), e.Meter}] = e
}

// Find returns the entries of an address and of its networks since a time, latest first.
func (m *Memory) Find(addr netip.Addr, since time.Time) []Entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	latest := map[key]Entry{}
	for _, half := range []map[key]Entry{m.old, m.young} { // what is young counts
		for k, e := range half {
			if k.source.Contains(addr) && !e.At.Before(since) {
				latest[k] = e
			}
		}
	}
	var out []Entry
	for _, e := range latest {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b Entry) int { return b.At.Compare(a.At) })
	return out
}
