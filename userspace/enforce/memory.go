package enforce

import (
	"iter"
	"net/netip"
	"slices"
	"sync"

	"gabion/userspace/decision"
)

// Memory is a Table that drops no packet: for tests, and for a daemon that detects on a machine
// without a data plane. The zero value is empty and ready.
type Memory struct {
	mu     sync.Mutex
	bans   decision.PrefixMap[decision.Rule]
	allows decision.PrefixMap[decision.Allow]
	modes  map[decision.Class]decision.Mode // where they differ from startModes
}

// startModes are the modes of tables that were just made: lists are off.
func startModes() [decision.Classes]decision.Mode {
	return [decision.Classes]decision.Mode{decision.ClassBan: decision.ModeDrop, decision.ClassShadow: decision.ModeShadow}
}

// SetClass changes the mode of a class.
func (m *Memory) SetClass(class decision.Class, mode decision.Mode) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.modes == nil {
		m.modes = map[decision.Class]decision.Mode{}
	}
	m.modes[class] = mode
	return nil
}

// ClassModes returns the modes of all classes.
func (m *Memory) ClassModes() ([decision.Classes]decision.Mode, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	modes := startModes()
	for class, mode := range m.modes {
		modes[class] = mode
	}
	return modes, nil
}

// Swap writes and takes out entries in one step.
func (m *Memory) Swap(_ int, put iter.Seq[decision.Rule], remove []netip.Prefix) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.remove(remove)
	m.put(put)
	return nil
}

// Ban writes entries.
func (m *Memory) Ban(rules []decision.Rule) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(slices.Values(rules))
	return nil
}

func (m *Memory) put(rules iter.Seq[decision.Rule]) {
	for r := range rules {
		old, _ := m.bans.Get(r.Prefix)
		r.Hits = old.Hits
		m.bans.Put(r.Prefix, r)
	}
}

// Unban takes entries out.
func (m *Memory) Unban(prefixes []netip.Prefix) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.remove(prefixes)
	return nil
}

func (m *Memory) remove(prefixes []netip.Prefix) {
	for _, p := range prefixes {
		m.bans.Delete(p)
	}
}

// Bans yields the entries in order. Others may write meanwhile.
func (m *Memory) Bans() iter.Seq2[decision.Rule, error] {
	return inPieces(&m.mu, &m.bans, func(r decision.Rule) netip.Prefix { return r.Prefix })
}

// BanHit looks up the entry for exactly prefix.
func (m *Memory) BanHit(prefix netip.Prefix) (decision.Rule, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.bans.Get(prefix)
	return r, ok, nil
}

// Allow writes allow entries.
func (m *Memory) Allow(allows []decision.Allow) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range allows {
		m.allows.Put(a.Prefix, a)
	}
	return nil
}

// Disallow takes allow entries out.
func (m *Memory) Disallow(prefixes []netip.Prefix) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range prefixes {
		m.allows.Delete(p)
	}
	return nil
}

// Allows yields the allow entries in order. Others may write meanwhile.
func (m *Memory) Allows() iter.Seq2[decision.Allow, error] {
	return inPieces(&m.mu, &m.allows, func(a decision.Allow) netip.Prefix { return a.Prefix })
}

// inPieces yields the entries of a map, and holds its lock only to copy the next few of them.
func inPieces[T any](mu *sync.Mutex, m *decision.PrefixMap[T], prefix func(T) netip.Prefix) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var last netip.Prefix
		part := make([]T, 0, step)
		for {
			part = part[:0]
			mu.Lock()
			for _, entry := range m.After(last) {
				if part = append(part, entry); len(part) == step {
					break
				}
			}
			mu.Unlock()
			for _, entry := range part {
				if !yield(entry, nil) {
					return
				}
				last = prefix(entry)
			}
			if len(part) < step {
				return
			}
		}
	}
}
