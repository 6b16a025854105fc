package bucket

import (
	"math"
	"time"
	"unsafe"

	"gabion/userspace/bucket/arena"
)

// row counts the events of one scenario and key: a live bucket, or how long a blackhole lasts. It
// has no pointers: a million rows give the garbage collector nothing to do.
type row struct {
	id       ID
	first    int64 // event time of the first and the last event, Unix nanoseconds; of a blackhole its end
	last     int64
	at       int64 // deadline that the heap knows
	limit    limiter
	of       uint32 // number of its population
	total    uint32 // events poured
	place    uint32 // in the heap
	oldest   link   // of the retained events
	newest   link
	retained uint32    // how many
	kept     arena.Ref // what the condition keeps of the queue, 0 while there is nothing
	seen     values
	used     bool // the row is a bucket or a blackhole
}

// rowSize is the memory of a bucket without events: its row, its share of the index and its place
// in the heap.
const rowSize = int64(unsafe.Sizeof(row{})) + 16 + 4

// tally is what a bucket counted.
type tally struct {
	id          ID
	first, last int64
	end         int64 // when the bucket overflowed
	total       int32
	replay      bool
	tokens      float64 // left in a leaky bucket
}

func (r *row) tally(replay bool) tally {
	return tally{id: r.id, first: r.first, last: r.last, end: r.last, total: int32(min(r.total, math.MaxInt32)), replay: replay, tokens: r.limit.tokens}
}

// count counts an event of time t and reports whether the bucket overflows.
func (r *row) count(s *Scenario, t int64) (overflow bool) {
	r.total++
	r.last = t
	return s.kind == kindLeaky && !r.limit.allow(t, s.capacity, s.leak)
}

// addTime adds a duration to a Unix time without wrapping around.
func addTime(t int64, d time.Duration) int64 {
	if sum := t + int64(d); sum >= t || d < 0 {
		return sum
	}
	return math.MaxInt64
}

// row returns a row of the table, valid until it is removed.
func (t *Table) row(n uint32) *row { return t.rows.At(int(n)) }

// newRow returns the number of an empty row.
func (t *Table) newRow() uint32 {
	if n := len(t.freeRows); n > 0 {
		row := t.freeRows[n-1]
		t.freeRows = t.freeRows[:n-1]
		return row
	}
	t.rows.Push(row{})
	return uint32(t.rows.Len() - 1)
}
