// Package observe sees what the lab's kernel side does: when a ban is in the kernel map, and which
// packets of a banned source still reach the server's network stack.
package observe

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"gabion/userspace/decision"
)

// Table is where bans are looked up: the pinned kernel maps.
type Table interface {
	BanHit(prefix netip.Prefix) (decision.Rule, bool, error)
}

// Poll is how often a ban that is awaited is looked up: the resolution of its moment.
const Poll = 200 * time.Microsecond

// Sighting is a ban that is awaited or was seen.
type Sighting struct {
	Addr   netip.Addr
	Banned chan struct{} // closed when the ban was seen
	At     time.Time     // when it was; valid after Banned is closed
}

// Watcher waits for bans to appear in the table.
type Watcher struct {
	now    func() time.Time
	onSeen func(*Sighting)
	wake   chan struct{}

	mu      sync.Mutex
	table   Table
	waiting []*Sighting
	err     error // the first failed lookup
}

// NewWatcher returns a watcher; Run makes it work. onSeen is called on the watcher's goroutine,
// right after the sighting's channel was closed, and must not block.
func NewWatcher(table Table, now func() time.Time, onSeen func(*Sighting)) *Watcher {
	return &Watcher{now: now, onSeen: onSeen, wake: make(chan struct{}, 1), table: table}
}

// Await starts to wait for the ban of an address.
func (w *Watcher) Await(addr netip.Addr) *Sighting {
	s := &Sighting{Addr: addr, Banned: make(chan struct{})}
	w.mu.Lock()
	w.waiting = append(w.waiting, s)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
	return s
}

// Use makes the watcher look in another table from now on: that of a restarted daemon.
func (w *Watcher) Use(table Table) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.table = table
}

// Err returns the first lookup that failed.
func (w *Watcher) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Run looks up the awaited bans until ctx is done. It sleeps while none is awaited.
func (w *Watcher) Run(ctx context.Context) {
	ticker := time.NewTicker(Poll)
	defer ticker.Stop()
	for {
		if w.look() {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			continue
		}
		ticker.Stop()
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		}
		ticker.Reset(Poll)
	}
}

// look checks every awaited ban once and reports whether some are still awaited.
func (w *Watcher) look() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	still := w.waiting[:0]
	for _, s := range w.waiting {
		_, found, err := w.table.BanHit(netip.PrefixFrom(s.Addr, s.Addr.BitLen()))
		if err != nil && w.err == nil {
			w.err = err
		}
		if !found {
			still = append(still, s)
			continue
		}
		s.At = w.now()
		close(s.Banned)
		w.onSeen(s)
	}
	clear(w.waiting[len(still):])
	w.waiting = still
	return len(still) > 0
}
