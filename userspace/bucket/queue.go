package bucket

import (
	"encoding/binary"
	"math"
	"unsafe"

	"gabion/userspace/bucket/arena"
	"gabion/userspace/event"
)

// link is the number of a node plus one; 0 ends a list.
type link uint32

// node is one event in the queue of one bucket. The record of an event is shared by all buckets of
// the table that retain it.
type node struct {
	record arena.Ref
	scope  arena.Ref // value of the scenario's scope expression; 0 for none or ""
	next   link
}

// scopeFailed stands for the value of a scope expression that had a run-time error.
const scopeFailed = arena.Ref(math.MaxUint32)

// A record's block begins with how many hold it and how long the packed text behind is.
const recordHead = 8

const nodeSize = int64(unsafe.Sizeof(node{}))

// whole is a retained event that is needed as it was: an overflow's sources, or when an expression of
// the scenario reads more of retained events than a record has.
type whole struct {
	event *event.Event
	bytes int64
}

// hold returns the record of a matched event, which the caller has to release.
func (t *Table) hold(s *Scenario, m *Match) arena.Ref {
	if w := s.wholeOf(m); w != nil { // it belongs to the scenario alone
		r := t.newRecord(m.offer.pack(t.config.Names))
		n := weigh(w)
		t.wholes[r] = whole{w, n}
		t.charge(n)
		return r
	}
	text := m.offer.pack(t.config.Names)
	if t.lastText != text {
		t.forgetLast()
		t.lastText, t.lastRecord = text, t.newRecord(text)
	}
	t.holders(t.lastRecord, 1)
	return t.lastRecord
}

// forgetLast releases the record that the next scenario may want as well.
func (t *Table) forgetLast() {
	if t.lastText != nil {
		t.release(t.lastRecord)
		t.lastText = nil
	}
}

// newRecord copies a packed event, held once.
func (t *Table) newRecord(packed *string) arena.Ref {
	r := t.blocks.Alloc(recordHead + len(*packed))
	b := t.blocks.Bytes(r)
	binary.NativeEndian.PutUint32(b, 1)
	binary.NativeEndian.PutUint32(b[4:], uint32(len(*packed)))
	copy(b[recordHead:], *packed)
	t.charge(int64(len(b)))
	return r
}

// holders changes how many hold a record, and returns it.
func (t *Table) holders(r arena.Ref, by int32) int32 {
	b := t.blocks.Bytes(r)
	n := int32(binary.NativeEndian.Uint32(b)) + by
	binary.NativeEndian.PutUint32(b, uint32(n))
	return n
}

// release gives back a record; the last one to do so ends it.
func (t *Table) release(r arena.Ref) {
	if t.holders(r, -1) > 0 {
		return
	}
	if w, ok := t.wholes[r]; ok {
		t.charge(-w.bytes)
		delete(t.wholes, r)
	}
	t.charge(-int64(len(t.blocks.Bytes(r))))
	t.blocks.Free(r)
}

// packedAt returns a record's packed text in the table's memory, valid until the record is released.
func (t *Table) packedAt(r arena.Ref) []byte {
	b := t.blocks.Bytes(r)
	return b[recordHead : recordHead+binary.NativeEndian.Uint32(b[4:])]
}

// weight is what a node and its record take, counted for each bucket that holds it.
func (t *Table) weight(n *node) int64 {
	w := nodeSize + int64(len(t.blocks.Bytes(n.record))) + t.wholes[n.record].bytes
	if n.scope != 0 && n.scope != scopeFailed {
		w += int64(len(t.blocks.Bytes(n.scope)))
	}
	return w
}

// retain adds an event to a bucket's queue, which holds keep+1 of them, the newest: what the hub's
// engine keeps.
func (t *Table) retain(r *row, s *Scenario, m *Match) {
	if int(r.retained) > s.keep {
		t.dropOldest(r)
	}
	t.append(r, t.hold(s, m), t.textBlock(m))
}

// append adds a record, held for it, and a scope value to a bucket's queue.
func (t *Table) append(r *row, record, scope arena.Ref) {
	n := t.newNode()
	*t.nodes.At(int(n - 1)) = node{record: record, scope: scope}
	if r.newest == 0 {
		r.oldest = n
	} else {
		t.nodes.At(int(r.newest - 1)).next = n
	}
	r.newest = n
	r.retained++
	t.populations[r.of].bytes += t.weight(t.nodes.At(int(n - 1)))
}

// textBlock keeps the scope value of a match.
func (t *Table) textBlock(m *Match) arena.Ref {
	switch {
	case m.scopeFailed:
		return scopeFailed
	case m.scopeValue == "":
		return 0
	}
	return t.keepText(cut(m.scopeValue, maxValue))
}

func (t *Table) keepText(text string) arena.Ref {
	r := t.blocks.Alloc(2 + len(text))
	b := t.blocks.Bytes(r)
	binary.NativeEndian.PutUint16(b, uint16(len(text)))
	copy(b[2:], text)
	t.charge(int64(len(b)))
	return r
}

func (t *Table) scopeText(r arena.Ref) string {
	if r == 0 || r == scopeFailed {
		return ""
	}
	b := t.blocks.Bytes(r)
	return string(b[2 : 2+binary.NativeEndian.Uint16(b)])
}

// dropOldest takes the oldest event out of a bucket's queue.
func (t *Table) dropOldest(r *row) {
	l := r.oldest
	n := t.nodes.At(int(l - 1))
	t.populations[r.of].bytes -= t.weight(n)
	t.release(n.record)
	if n.scope != 0 && n.scope != scopeFailed {
		t.charge(-int64(len(t.blocks.Bytes(n.scope))))
		t.blocks.Free(n.scope)
	}
	r.oldest = n.next
	if r.oldest == 0 {
		r.newest = 0
	}
	r.retained--
	n.next, t.freeNodes = t.freeNodes, l
	t.charge(-nodeSize)
}

func (t *Table) newNode() link {
	t.charge(nodeSize)
	if l := t.freeNodes; l != 0 {
		t.freeNodes = t.nodes.At(int(l - 1)).next
		return l
	}
	t.nodes.Push(node{})
	return link(t.nodes.Len())
}

// events returns what a bucket retains, oldest first.
func (t *Table) events(r *row) []retained {
	out := make([]retained, 0, r.retained)
	for l := r.oldest; l != 0; {
		n := t.nodes.At(int(l - 1))
		e := unpack(string(t.packedAt(n.record)), t.config.Names)
		e.scopeValue, e.scopeFailed = t.scopeText(n.scope), n.scope == scopeFailed
		e.whole = t.wholes[n.record].event
		out = append(out, e)
		l = n.next
	}
	return out
}
