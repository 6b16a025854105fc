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

// How often a ban that is awaited is looked up: the resolution of its moment. It is likely for a while
// after something that may cause it; to look that often all the time would take the CPU from the
// daemon that is measured.
const (
	Poll   = 200 * time.Microsecond
	Idle   = 2 * time.Millisecond
	likely = 20 * time.Millisecond
)

// Sighting is a ban that is awaited or was seen.
type Sighting struct {
	Addr   netip.Addr
	Banned chan struct{} // closed when the ban was seen
	At     time.Time     // when it was; valid after Banned is closed

	watcher *Watcher
	cause   time.Time // when Hurry was called last; guarded by the watcher's mu
}

// Hurry says that something just happened that may lead to the ban.
func (s *Sighting) Hurry() {
	s.watcher.mu.Lock()
	s.cause = s.watcher.now()
	s.watcher.mu.Unlock()
	s.watcher.rouse()
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
	s := &Sighting{Addr: addr, Banned: make(chan struct{}), watcher: w}
	w.mu.Lock()
	w.waiting = append(w.waiting, s)
	w.mu.Unlock()
	w.rouse()
	return s
}

func (w *Watcher) rouse() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
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
	timer := time.NewTimer(Idle)
	defer timer.Stop()
	var all time.Time // when every awaited ban was looked up last
	for {
		now := w.now()
		due := now.Sub(all) >= Idle
		if due {
			all = now
		}
		if pause := w.look(now, due); pause > 0 {
			timer.Reset(pause)
		} else {
			timer.Stop()
		}
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-w.wake:
		}
	}
}

// look checks the awaited bans once, all or only the likely ones, and returns when to look again: 0
// when none is awaited.
func (w *Watcher) look(now time.Time, all bool) (pause time.Duration) {
	var seen []*Sighting
	defer func() { // without the lock, since onSeen may take others
		for _, s := range seen {
			w.onSeen(s)
		}
	}()
	w.mu.Lock()
	defer w.mu.Unlock()
	still := w.waiting[:0]
	for _, s := range w.waiting {
		hot := now.Sub(s.cause) < likely
		if hot {
			pause = Poll
		}
		if !hot && !all {
			still = append(still, s)
			continue
		}
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
		seen = append(seen, s)
	}
	clear(w.waiting[len(still):])
	w.waiting = still
	if pause == 0 && len(still) > 0 {
		pause = Idle
	}
	return pause
}
