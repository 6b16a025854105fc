// Package record keeps alerts on record, or in memory while there is no place to record them.
package record

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gabion/userspace/daemon/health"
	"gabion/userspace/decision"
	"gabion/userspace/store"
)

// storeName is the store's file in the state directory.
const storeName = "gabion.db"

// stateMode is the mode of a state directory that is made: what was recorded is for its owner.
const stateMode = 0o700

// ReopenEvery is the pause between attempts to open a store that could not be opened.
const ReopenEvery = 5 * time.Second

// maxHeld is how many alerts wait in memory for a store that cannot be opened yet.
const maxHeld = 10_000

// Record is the store, or what stands in for it while the state directory cannot be used:
// detection and enforcement go on, alerts wait in memory, and it is tried again.
type Record struct {
	dir    string
	log    *slog.Logger
	health *health.Board
	store  atomic.Pointer[store.Store]

	mu   sync.Mutex // guards what follows; held, lost and why matter only while store is nil
	held []*decision.Alert
	lost uint64
	why  error
	ends []end // not on record yet, oldest first
}

// end is decisions that are over since a point in time.
type end struct {
	ids []uint64
	at  time.Time
}

// New returns a record in a directory; nothing is opened yet.
func New(dir string, log *slog.Logger, h *health.Board) *Record {
	return &Record{dir: dir, log: log, health: h}
}

// Open tries to open the store; what waited is appended.
func (r *Record) Open(ctx context.Context) error {
	st, err := r.openStore(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.why = err
	r.health.Report("record", err)
	if err != nil {
		return err
	}
	// Before anybody reads what is active: who was unbanned meanwhile must not come back.
	r.ends = r.writeEnds(ctx, st, r.ends)
	for _, a := range r.held {
		_ = st.Append(a) // a loss is counted and logged by the store
	}
	r.held = nil
	r.store.Store(st)
	return nil
}

func (r *Record) openStore(ctx context.Context) (*store.Store, error) {
	if err := os.MkdirAll(r.dir, stateMode); err != nil {
		return nil, fmt.Errorf("nothing is recorded: make state directory: %w: make %s writable or set another state_dir", err, r.dir)
	}
	st, err := store.Open(ctx, filepath.Join(r.dir, storeName), r.log)
	if err != nil {
		return nil, fmt.Errorf("nothing is recorded: %w", err)
	}
	return st, nil
}

// Get returns the store, or why there is none.
func (r *Record) Get() (*store.Store, error) {
	if st := r.store.Load(); st != nil {
		return st, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if st := r.store.Load(); st != nil {
		return st, nil
	}
	return nil, fmt.Errorf("%w: %w", errNoRecord, r.why)
}

var errNoRecord = errors.New("the record is not available")

// Append queues an alert; it never blocks.
func (r *Record) Append(a *decision.Alert) error {
	if st := r.store.Load(); st != nil {
		return st.Append(a)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if st := r.store.Load(); st != nil {
		return st.Append(a)
	}
	if len(r.held) >= maxHeld {
		r.lost++
		return store.ErrQueueFull
	}
	r.held = append(r.held, a)
	return nil
}

// End puts on record that decisions are over. When that fails it is remembered, and tried again by
// RetryEnds and Open; only a restart before that forgets it.
func (r *Record) End(ctx context.Context, ids []uint64, at time.Time) error {
	st, err := r.Get()
	if err == nil {
		// What was decided a moment ago may still wait in the queue; the update comes behind it.
		err = st.EndDecisions(ctx, ids, at)
	}
	if err == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.ends) >= maxHeld {
		return fmt.Errorf("%w; too many wait already, so a restart would bring them back", err)
	}
	r.ends = append(r.ends, end{ids: slices.Clone(ids), at: at})
	return err
}

// RetryEnds tries to put on record what End could not.
func (r *Record) RetryEnds(ctx context.Context) {
	st := r.store.Load()
	if st == nil {
		return
	}
	r.mu.Lock()
	ends := r.ends
	r.ends = nil
	r.mu.Unlock()
	rest := r.writeEnds(ctx, st, ends) // not under the lock: the disk may be slow
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ends = append(rest, r.ends...)
}

// writeEnds returns what is left: it stops at the first that fails, for the others would, too.
func (r *Record) writeEnds(ctx context.Context, st *store.Store, ends []end) []end {
	for i, e := range ends {
		if err := st.EndDecisions(ctx, e.ids, e.at); err != nil {
			r.log.Warn("ended decisions still not on record", "waiting", len(ends)-i, "err", err)
			return ends[i:]
		}
	}
	return nil
}

// Stats returns the store's counters, with what waits and was lost before it could be opened.
func (r *Record) Stats() store.Stats {
	var st store.Stats
	if s := r.store.Load(); s != nil {
		st = s.Stats()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	st.Queued += len(r.held)
	st.Unrecorded += r.lost
	if st.Err == nil {
		st.Err = r.why
	}
	return st
}

// Close commits what waits in the store's queue.
func (r *Record) Close() error {
	if st := r.store.Load(); st != nil {
		return st.Close()
	}
	return nil
}
