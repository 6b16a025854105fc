// Package store records alerts, decisions and the user's allowlist in an SQLite file.
//
// It is written behind: Append queues an alert and returns at once, and one goroutine, the only
// writer of the file, commits whatever is queued in one transaction as soon as the last one is
// done. So a single alert waits for nothing and a flood is batched by itself. Sync returns when
// all that was queued before it is on disk. While the disk is full or the file unwritable, the
// queue grows to its limit, the writer tries again with growing pauses, and nothing else stops.
//
// Readers use connections of their own, which WAL mode keeps from waiting for the writer.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	_ "modernc.org/sqlite" // the SQL driver "sqlite": SQLite without cgo

	"gabion/userspace/decision"
)

// Errors that callers branch on.
var (
	ErrNotFound  = errors.New("not found")
	ErrNewer     = errors.New("written by a newer gabion")
	ErrForeign   = errors.New("not a gabion store")
	ErrCorrupt   = errors.New("store file is damaged")
	ErrQueueFull = errors.New("too many alerts wait to be recorded")
	ErrClosed    = errors.New("store is closed")
)

// readers is how many queries may run side by side.
const readers = 4

// Store is an open store file.
type Store struct {
	path  string
	log   *slog.Logger
	read  *sql.DB
	write *sql.DB // one connection, used by runWriter alone
	queue *queue
	done  chan struct{} // closed when runWriter has returned

	written  atomic.Uint64
	badRows  atomic.Uint64
	problem  atomic.Pointer[error] // why the last write failed; nil when it succeeded
	closing  sync.Once
	closeErr error
}

// Stats counts what a Store did.
type Stats struct {
	Queued     int    // operations that wait to be committed
	Written    uint64 // alerts committed
	Unrecorded uint64 // alerts given up: the queue was full or SQLite refused the row
	BadRows    uint64 // rows or fields found unreadable and left out
	Err        error  // why writing fails at the moment, nil when it works
}

// Open opens the store at path, makes it when there is none, and brings an older one up to date.
// The directory must exist. The context bounds the opening only.
func Open(ctx context.Context, path string, log *slog.Logger) (*Store, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := touch(path); err != nil {
		return nil, err
	}
	s := &Store{path: path, log: log, queue: newQueue(MaxQueued, log), done: make(chan struct{})}
	// FULL syncs the log file at every commit, so that what was acknowledged survives a power cut;
	// NORMAL would keep it only through a killed process. Nothing waits for the sync but callers
	// of Sync, and a busy store pays it once per batch.
	if s.write, err = connect(path, "synchronous(FULL)"); err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	s.write.SetMaxOpenConns(1)
	if err := migrate(ctx, s.write); err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", path, explain(err, path)), s.write.Close())
	}
	if s.read, err = connect(path, "query_only(1)"); err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", path, err), s.write.Close())
	}
	s.read.SetMaxOpenConns(readers)
	s.read.SetMaxIdleConns(readers)
	go s.runWriter()
	return s, nil
}

// touch makes sure that path can be a database file, with errors plainer than SQLite's. Log lines
// are nobody else's business, hence the mode; SQLite gives its side files the same.
func touch(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err == nil {
		err = f.Close()
	}
	switch dir := filepath.Dir(path); {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("open store %s: directory %s does not exist: make it (mkdir -p %s) or choose another state_dir: %w", path, dir, dir, err)
	default:
		return fmt.Errorf("open store %s: %w", path, explain(err, path))
	}
}

// connect prepares a connection pool. Transactions take the write lock at their beginning, so that
// none fails half-way because another process has it.
func connect(path string, pragma string) (*sql.DB, error) {
	q := url.Values{
		"_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "foreign_keys(1)", pragma},
		"_txlock": {"immediate"},
	}
	u := url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}
	return sql.Open("sqlite", u.String())
}

// Path returns the name of the store file.
func (s *Store) Path() string { return s.path }

// Append queues an alert and its decisions for recording and never blocks. They must have their
// ids and must not change any more. When MaxQueued operations wait already the alert is given up:
// that is counted, logged at most once a minute, and returned as ErrQueueFull for callers that
// acknowledge to somebody.
func (s *Store) Append(a *decision.Alert) error {
	return s.queue.offer(op{alert: a})
}

// Sync returns when everything that was appended before is committed.
func (s *Store) Sync(ctx context.Context) error {
	if err := s.do(ctx, nil); err != nil {
		return fmt.Errorf("sync store %s: %w", s.path, err)
	}
	return nil
}

// Stats returns the counters.
func (s *Store) Stats() Stats {
	st := Stats{
		Queued:     s.queue.len(),
		Written:    s.written.Load(),
		Unrecorded: s.queue.lost(),
		BadRows:    s.badRows.Load(),
	}
	if p := s.problem.Load(); p != nil {
		st.Err = *p
	}
	return st
}

// Close commits what is queued and closes the file. When the file cannot be written even now, the
// error says how many alerts are lost by that.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.queue.close()
		<-s.done
		var lost error
		if n := s.queue.len(); n > 0 {
			lost = fmt.Errorf("close store %s: %d operations were not recorded: %w", s.path, n, s.Stats().Err)
		}
		s.closeErr = errors.Join(lost, s.read.Close(), s.write.Close())
	})
	return s.closeErr
}

// do runs fn in the writer's next transaction and waits for the commit. Without fn it waits for
// the operations before it. If ctx ends first, fn may still be carried out later.
func (s *Store) do(ctx context.Context, fn func(context.Context, *sql.Tx) error) error {
	done := make(chan error, 1)
	if err := s.queue.offer(op{fn: fn, done: done}); err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		if p := s.problem.Load(); p != nil {
			return fmt.Errorf("%w while writing fails: %w", ctx.Err(), *p)
		}
		return ctx.Err()
	}
}
