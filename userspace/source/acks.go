package source

import "sync"

// Acks turns batches that are done in any order into positions that are released in the order in
// which they were added: what has been released is a point from which nothing is missing. It is
// safe for concurrent use.
type Acks[P any] struct {
	release func(P)

	mu    sync.Mutex
	queue []*ack[P]
}

type ack[P any] struct {
	position P
	done     bool
}

// NewAcks returns an empty queue. release is called with a lock held, one position at a time, and
// must not call back into the queue.
func NewAcks[P any](release func(P)) *Acks[P] {
	return &Acks[P]{release: release}
}

// Add appends a position and returns the function that marks it done; further calls of it do
// nothing. A position that is never done holds back all that were added after it.
func (a *Acks[P]) Add(position P) (done func()) {
	entry := &ack[P]{position: position}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.queue = append(a.queue, entry)
	return func() { a.finish(entry) }
}

func (a *Acks[P]) finish(entry *ack[P]) {
	a.mu.Lock()
	defer a.mu.Unlock()
	entry.done = true
	n := 0
	for n < len(a.queue) && a.queue[n].done {
		a.release(a.queue[n].position)
		a.queue[n] = nil
		n++
	}
	if a.queue = a.queue[n:]; len(a.queue) == 0 {
		a.queue = nil
	}
}
