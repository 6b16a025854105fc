package source

import (
	"sync"

	"gabion/userspace/event"
)

// slabEvents is how many events a slab grows by.
const slabEvents = 32

// Pool makes the events of batches, and takes them back when their batch is done, with the memory
// that their fields have grown to: a steady stream of lines allocates next to nothing. The zero Pool
// is ready for use. It is safe for concurrent use.
type Pool struct{ free sync.Pool }

// Slab is the events of one batch. It belongs to whoever fills it until Batch.
type Slab struct {
	pool   *Pool
	events []*event.Event
	used   int
}

// Slab returns a slab without events.
func (p *Pool) Slab() *Slab {
	if s, ok := p.free.Get().(*Slab); ok {
		return s
	}
	return &Slab{pool: p}
}

// Next adds an empty event to the slab.
func (s *Slab) Next() *event.Event {
	if s.used == len(s.events) {
		more := make([]event.Event, slabEvents)
		for i := range more {
			s.events = append(s.events, &more[i])
		}
	}
	s.used++
	return s.events[s.used-1]
}

// Len returns the number of events in the slab.
func (s *Slab) Len() int { return s.used }

// Batch hands the events over: they come back with Done of the batch, which then calls done, unless
// that is nil.
func (s *Slab) Batch(done func()) Batch {
	return Batch{Events: s.events[:s.used:s.used], Done: func() {
		s.Drop()
		if done != nil {
			done()
		}
	}}
}

// Drop gives the slab back to its pool: nobody may use it or its events any more.
func (s *Slab) Drop() {
	for _, e := range s.events[:s.used] {
		e.Reset()
	}
	s.used = 0
	s.pool.free.Put(s)
}
