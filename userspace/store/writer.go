package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// The writer's pauses between attempts while the file cannot be written.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 10 * time.Second
)

// maxBatch is how many operations one transaction takes, so that a full queue does not become one
// huge transaction that a nearly full disk can never hold.
const maxBatch = 1000

// runWriter owns the write connection and commits what is queued. It returns when the queue is
// closed and either empty or not writable at a last attempt.
func (s *Store) runWriter() {
	defer close(s.done)
	defer s.abandon()
	pause := firstPause
	for {
		ops, closed := s.queue.peek()
		if len(ops) == 0 {
			if closed {
				return
			}
			<-s.queue.wake
			continue
		}
		err := s.commit(ops[:min(len(ops), maxBatch)])
		s.note(err)
		switch {
		case err == nil:
			pause = firstPause
		case closed:
			return
		default:
			s.wait(pause)
			pause = min(2*pause, lastPause)
		}
	}
}

// abandon tells those who wait for what was not written that it never will be.
func (s *Store) abandon() {
	ops, _ := s.queue.peek()
	for _, o := range ops {
		if o.done != nil {
			o.done <- ErrClosed
		}
	}
}

// wait pauses, but not beyond the closing of the queue.
func (s *Store) wait(pause time.Duration) {
	t := time.NewTimer(pause)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			return
		case <-s.queue.wake:
			if _, closed := s.queue.peek(); closed {
				return
			}
		}
	}
}

// note remembers whether writing works and logs when that changes.
func (s *Store) note(err error) {
	old := s.problem.Load()
	switch {
	case err != nil:
		err = explain(err, s.path)
		s.problem.Store(&err)
		if old == nil {
			s.log.Error("store cannot be written, alerts are kept in memory and tried again", "path", s.path, "limit", s.queue.limit, "err", err)
		}
	case old != nil:
		s.problem.Store(nil)
		s.log.Info("store can be written again", "path", s.path, "waiting", s.queue.len())
	}
}

// commit carries out a batch. An error means that nothing of it was recorded and that all of it
// is worth another try. What SQLite refuses for its content is taken out of the batch, for it
// would fail every time.
func (s *Store) commit(batch []op) error {
	outcome, err := s.transact(batch)
	if err != nil && refused(err) {
		// One of them spoils the batch: find it by recording each on its own.
		for len(batch) > 0 {
			outcome, err = s.transact(batch[:1])
			if err != nil && !refused(err) {
				return err
			}
			if err != nil {
				outcome = []error{err}
			}
			s.settle(batch[:1], outcome)
			batch = batch[1:]
		}
		return nil
	}
	if err != nil {
		return err
	}
	s.settle(batch, outcome)
	return nil
}

// transact runs a batch in one transaction and returns each operation's own error.
func (s *Store) transact(batch []op) ([]error, error) {
	// The writer outlives every caller's context; busy_timeout bounds the wait for the lock.
	ctx := context.Background()
	outcome := make([]error, len(batch))
	if barriers(batch) {
		return outcome, nil
	}
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("begin: %w", err)
	}
	defer tx.Rollback() // a no-op after Commit
	in := inserter{tx: tx}
	defer in.close()
	for i, o := range batch {
		var err error
		switch {
		case o.alert != nil:
			err = in.alert(ctx, o.alert)
		case o.fn != nil:
			err = o.fn(ctx, tx)
		}
		if errors.Is(err, ErrNotFound) {
			outcome[i], err = err, nil // an answer, not a failure to write
		}
		if err != nil {
			return nil, err
		}
	}
	if err := tx.Commit(); err != nil {
		return nil, fmt.Errorf("commit: %w", err)
	}
	return outcome, nil
}

func barriers(batch []op) bool {
	for _, o := range batch {
		if o.alert != nil || o.fn != nil {
			return false
		}
	}
	return true
}

// settle takes finished operations off the queue and tells who waits for them.
func (s *Store) settle(batch []op, outcome []error) {
	s.queue.remove(len(batch))
	for i, o := range batch {
		switch {
		case o.alert == nil:
		case outcome[i] == nil:
			s.written.Add(1)
		default:
			s.log.Error("alert refused by the store", "alert", o.alert.ID, "scenario", o.alert.Scenario, "err", outcome[i])
			s.queue.giveUp(1)
		}
		if o.done != nil {
			o.done <- outcome[i]
		}
	}
}

// inserter prepares each statement once per transaction, when it is first needed.
type inserter struct {
	tx        *sql.Tx
	alerts    *sql.Stmt
	decisions *sql.Stmt
}

func (in *inserter) exec(ctx context.Context, stmt **sql.Stmt, query string, args ...any) error {
	if *stmt == nil {
		var err error
		if *stmt, err = in.tx.PrepareContext(ctx, query); err != nil {
			return err
		}
	}
	_, err := (*stmt).ExecContext(ctx, args...)
	return err
}

func (in *inserter) close() {
	for _, stmt := range []*sql.Stmt{in.alerts, in.decisions} {
		if stmt != nil {
			stmt.Close()
		}
	}
}
