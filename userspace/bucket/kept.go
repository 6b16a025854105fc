package bucket

import (
	"encoding/binary"
	"math"
	"time"

	"gabion/userspace/bucket/arena"
	"gabion/userspace/event"
	"gabion/userspace/expr"
)

// What a bucket keeps for its condition is a block of 32-bit words: for each slot how many events it
// accepted, the records of the last of them in a ring, and those of the first.
const wordBytes = 4

// keptSize returns the size of the block, in bytes.
func keptSize(c *expr.QueueCondition) int {
	n := 0
	for _, s := range c.Slots {
		n += (1 + s.Tail + s.Head) * wordBytes
	}
	return n
}

// keptSlot is one slot in the block of a bucket.
type keptSlot struct {
	expr.Slot
	words []byte
}

func (s keptSlot) word(i int) uint32         { return binary.NativeEndian.Uint32(s.words[i*wordBytes:]) }
func (s keptSlot) setWord(i int, to uint32)  { binary.NativeEndian.PutUint32(s.words[i*wordBytes:], to) }
func (s keptSlot) count() int                { return int(s.word(0)) }
func (s keptSlot) tail(event int) int        { return 1 + event%s.Tail }
func (s keptSlot) head(event int) int        { return 1 + s.Tail + event }
func (s keptSlot) record(word int) arena.Ref { return arena.Ref(s.word(word)) }

// kept is what a bucket keeps, as its condition reads it.
type kept struct {
	table *Table
	slots []expr.Slot
	block []byte // nil while there is nothing
}

var _ expr.Kept = kept{}

func (t *Table) keptOf(r *row, c *expr.QueueCondition) kept {
	k := kept{table: t, slots: c.Slots}
	if r.kept != 0 {
		k.block = t.blocks.Bytes(r.kept)
	}
	return k
}

// slot returns slot i of a bucket that keeps something.
func (k kept) slot(i int) keptSlot {
	at := 0
	for _, s := range k.slots[:i] {
		at += 1 + s.Tail + s.Head
	}
	return keptSlot{k.slots[i], k.block[at*wordBytes:]}
}

// note lets the slots see the event that was retained last.
func (t *Table) note(r *row, c *expr.QueueCondition, m *Match) {
	if len(c.Slots) == 0 {
		return
	}
	if r.kept == 0 {
		r.kept = t.blocks.Alloc(keptSize(c))
		b := t.blocks.Bytes(r.kept)
		clear(b)
		t.charge(int64(len(b)))
	}
	record := t.nodes.At(int(r.newest - 1)).record
	k := t.keptOf(r, c)
	for i := range k.slots {
		s := k.slot(i)
		n := s.count()
		if m.accepted>>i&1 == 0 || n == math.MaxInt32 {
			continue
		}
		if n < s.Head {
			s.setWord(s.head(n), uint32(record))
			t.holders(record, 1)
		}
		if s.Tail > 0 {
			at := s.tail(n)
			if old := s.record(at); old != 0 {
				t.release(old)
			}
			s.setWord(at, uint32(record))
			t.holders(record, 1)
		}
		s.setWord(0, uint32(n+1))
	}
}

// forget gives back what the slots hold.
func (t *Table) forget(r *row, c *expr.QueueCondition) {
	if r.kept == 0 {
		return
	}
	k := t.keptOf(r, c)
	for i := range k.slots {
		s := k.slot(i)
		for at := 1; at <= s.Tail+s.Head; at++ {
			if record := s.record(at); record != 0 {
				t.release(record)
			}
		}
	}
	t.charge(-int64(len(t.blocks.Bytes(r.kept))))
	t.blocks.Free(r.kept)
	r.kept = 0
}

// Count implements expr.Kept.
func (k kept) Count(slot int) int { return k.slot(slot).count() }

// Head implements expr.Kept.
func (k kept) Head(slot int) []*event.Event {
	s := k.slot(slot)
	out := make([]*event.Event, min(s.count(), s.Head))
	for i := range out {
		out[i] = k.table.event(s.record(s.head(i)))
	}
	return out
}

// Tail implements expr.Kept.
func (k kept) Tail(slot int) []*event.Event {
	s := k.slot(slot)
	count := s.count()
	out := make([]*event.Event, min(count, s.Tail))
	for i := range out {
		out[i] = k.table.event(s.record(s.tail(count - len(out) + i)))
	}
	return out
}

// Times implements expr.Kept.
func (k kept) Times(slot, n int) []time.Time {
	s := k.slot(slot)
	count := s.count()
	out := make([]time.Time, min(count, n))
	for i := range out {
		out[i] = stamp(recordTime(k.table.packedAt(s.record(s.tail(count - len(out) + i)))))
	}
	return out
}

// event makes an event of what a record says.
func (t *Table) event(record arena.Ref) *event.Event {
	r := unpack(string(t.packedAt(record)), t.config.Names)
	e := &event.Event{Time: stamp(r.at)}
	e.Meta.Grow(len(r.meta))
	for _, m := range r.meta {
		e.Meta.Set(m.Key, m.Value)
	}
	for i, name := range sourceFields {
		if r.fields[i] != "" {
			e.Enriched.Set(name, r.fields[i])
		}
	}
	return e
}

// accepted returns the slots that take the event, by their bits.
func accepted(c *expr.QueueCondition, vars *expr.Vars) (bits uint64) {
	for i, s := range c.Slots {
		if s.Accepts == nil {
			bits |= 1 << i
			continue
		}
		if ok, err := s.Accepts.Bool(vars); ok && err == nil { // it cannot fail
			bits |= 1 << i
		}
	}
	return bits
}
