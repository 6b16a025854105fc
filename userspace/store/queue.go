package store

import (
	"context"
	"database/sql"
	"log/slog"
	"sync"
	"time"

	"gabion/userspace/decision"
)

// MaxQueued is how many operations may wait for the disk. At a few kilobytes per alert that is
// some tens of megabytes.
const MaxQueued = 10_000

// lossReport is how often lost alerts are logged.
const lossReport = time.Minute

// op is one thing for the writer to do: record alert, or run fn. With neither it is a barrier.
type op struct {
	alert *decision.Alert
	fn    func(context.Context, *sql.Tx) error
	done  chan error // buffered; receives the outcome; nil when nobody waits
}

// queue is the bounded list of operations between any number of callers and the one writer.
type queue struct {
	limit int
	log   *slog.Logger
	wake  chan struct{} // holds a token when there is something new to see

	mu     sync.Mutex
	ops    []op
	closed bool
	given  uint64      // alerts given up since the start
	logged uint64      // those of them that were logged
	report *time.Timer // runs while losses may have to be logged
}

func newQueue(limit int, log *slog.Logger) *queue {
	return &queue{limit: limit, log: log, wake: make(chan struct{}, 1)}
}

// offer adds an operation and never waits.
func (q *queue) offer(o op) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || len(q.ops) >= q.limit {
		if o.alert != nil {
			q.lose(1)
		}
		if q.closed {
			return ErrClosed
		}
		return ErrQueueFull
	}
	q.ops = append(q.ops, o)
	q.signal()
	return nil
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// peek returns the operations that wait, in order. They stay in the queue, and so count against
// its limit, until removed.
func (q *queue) peek() (ops []op, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.ops[:len(q.ops):len(q.ops)], q.closed
}

// remove takes the first n operations off the queue.
func (q *queue) remove(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	rest := q.ops[n:]
	q.ops = append(make([]op, 0, len(rest)), rest...)
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.ops)
}

func (q *queue) lost() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.given
}

// giveUp counts n alerts that will not be recorded.
func (q *queue) giveUp(n uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lose(n)
}

// lose counts lost alerts; the caller holds mu. The first loss is logged at once, later ones
// together when a minute is over.
func (q *queue) lose(n uint64) {
	q.given += n
	if q.report == nil && !q.closed {
		q.logLoss()
		q.report = time.AfterFunc(lossReport, q.reportLoss)
	}
}

func (q *queue) reportLoss() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.report = nil
	if q.given > q.logged && !q.closed {
		q.logLoss()
		q.report = time.AfterFunc(lossReport, q.reportLoss)
	}
}

func (q *queue) logLoss() {
	q.log.Error("alerts not recorded", "alerts", q.given-q.logged, "total", q.given, "waiting", len(q.ops), "limit", q.limit)
	q.logged = q.given
}

// close refuses further operations and wakes the writer for the last time.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.given > q.logged {
		q.logLoss()
	}
	if q.report != nil {
		q.report.Stop()
	}
	q.closed = true
	q.signal()
}
