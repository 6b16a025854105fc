package bucket

import (
	"math"
	"time"
)

// bucket counts the events of one scenario and key. It lives in a Table.
type bucket struct {
	id       ID
	scenario uint64 // number of the scenario's definition, see Scenario.Number
	first    int64  // event time of the first and the last event, Unix nanoseconds
	last     int64
	until    int64 // last plus the lifetime: an event after it starts a new bucket
	limit    limiter
	bytes    int64  // estimate of the memory the bucket takes
	total    int32  // events poured
	pos      int32  // in the deadlines heap
	head     uint32 // index of the oldest record, once the queue is full
	replay   bool
	queue    []record
	seen     map[uint64]struct{} // hashes of distinct values
}

func (b *bucket) due() int64    { return b.until }
func (b *bucket) place() *int32 { return &b.pos }

// emptySize estimates the memory of a bucket without events: itself, its entry in the table's map
// and in the heap.
const emptySize = 256

// maxDistinct bounds the values that one bucket remembers. Later ones count as new each time, so
// that a bucket which is kept alive for days neither grows nor falls asleep.
const maxDistinct = 4096

// retain adds a record. The queue holds keep+1 of them, the newest: what the hub's engine keeps.
func (b *bucket) retain(r record, keep int) (grown int64) {
	grown = r.size()
	if len(b.queue) <= keep {
		b.queue = append(b.queue, r)
	} else {
		grown -= b.queue[b.head].size()
		b.queue[b.head] = r
		b.head = (b.head + 1) % uint32(len(b.queue))
	}
	b.bytes += grown
	return grown
}

// records returns what is retained, oldest first.
func (b *bucket) records() []record {
	if b.head == 0 {
		return b.queue
	}
	return append(b.queue[b.head:len(b.queue):len(b.queue)], b.queue[:b.head]...)
}

// pour counts an event of time t and keeps it; it reports whether the bucket overflows.
func (b *bucket) pour(s *Scenario, t int64) (overflow bool) {
	b.total++
	b.last = t
	b.until = addTime(t, s.lifetime)
	return s.kind == kindLeaky && !b.limit.allow(t, s.capacity, s.leak)
}

// addTime adds a duration to a Unix time without wrapping around.
func addTime(t int64, d time.Duration) int64 {
	if sum := t + int64(d); sum >= t || d < 0 {
		return sum
	}
	return math.MaxInt64
}
