package enforce

import (
	"iter"
	"maps"
	"net/netip"
	"slices"
	"sync"

	"gabion/userspace/decision"
)

// Table is the kernel's ban and allow tables; the loader's Plane is one. Writing an entry replaces
// the one for the same prefix, and taking out one that is not there is no error. When some entries
// of a call fail, the others are carried out all the same. It is safe for concurrent use.
type Table interface {
	Ban([]decision.Rule) error
	Unban([]netip.Prefix) error
	Bans() iter.Seq2[decision.Rule, error]
	// BanHit looks up the entry for exactly prefix.
	BanHit(prefix netip.Prefix) (decision.Rule, bool, error)
	Allow([]decision.Allow) error
	Disallow([]netip.Prefix) error
	Allows() iter.Seq2[decision.Allow, error]
}

// Memory is a Table that drops no packet: for tests, and for a daemon that detects on a machine
// without a data plane. The zero value is empty and ready.
type Memory struct {
	mu     sync.Mutex
	bans   map[netip.Prefix]decision.Rule
	allows map[netip.Prefix]decision.Allow
}

// Ban writes entries.
func (m *Memory) Ban(rules []decision.Rule) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bans == nil {
		m.bans = map[netip.Prefix]decision.Rule{}
	}
	for _, r := range rules {
		r.Hits = m.bans[r.Prefix].Hits
		m.bans[r.Prefix] = r
	}
	return nil
}

// Unban takes entries out.
func (m *Memory) Unban(prefixes []netip.Prefix) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range prefixes {
		delete(m.bans, p)
	}
	return nil
}

// Bans yields the entries as they are when it is called, in order.
func (m *Memory) Bans() iter.Seq2[decision.Rule, error] {
	m.mu.Lock()
	defer m.mu.Unlock()
	return sorted(m.bans)
}

// BanHit looks up the entry for exactly prefix.
func (m *Memory) BanHit(prefix netip.Prefix) (decision.Rule, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.bans[prefix]
	return r, ok, nil
}

// Allow writes allow entries.
func (m *Memory) Allow(allows []decision.Allow) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.allows == nil {
		m.allows = map[netip.Prefix]decision.Allow{}
	}
	for _, a := range allows {
		m.allows[a.Prefix] = a
	}
	return nil
}

// Disallow takes allow entries out.
func (m *Memory) Disallow(prefixes []netip.Prefix) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range prefixes {
		delete(m.allows, p)
	}
	return nil
}

// Allows yields the allow entries as they are when it is called, in order.
func (m *Memory) Allows() iter.Seq2[decision.Allow, error] {
	m.mu.Lock()
	defer m.mu.Unlock()
	return sorted(m.allows)
}

func sorted[T any](m map[netip.Prefix]T) iter.Seq2[T, error] {
	entries := make([]T, 0, len(m))
	for _, p := range slices.SortedFunc(maps.Keys(m), netip.Prefix.Compare) {
		entries = append(entries, m[p])
	}
	return func(yield func(T, error) bool) {
		for _, entry := range entries {
			if !yield(entry, nil) {
				return
			}
		}
	}
}
