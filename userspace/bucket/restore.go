package bucket

import (
	"maps"
	"math"
	"slices"

	"gabion/userspace/bucket/arena"
	"gabion/userspace/event"
)

// check returns what cannot be in a bucket of the scenario. A checksum says that a file is as it was
// written; this says that it can be worked with whoever wrote it.
func (b *savedBucket) check(s *Scenario, names *Names) error {
	tokens := b.limit.tokens
	switch {
	case len(b.scopes) == 0 || len(b.scopes) > len(b.records) || len(b.scopes) > s.keep+1:
		return damaged("%d events of %d", len(b.scopes), len(b.records))
	case b.total == 0 || math.IsNaN(tokens) || tokens > float64(s.capacity) && s.kind == kindLeaky:
		return damaged("%d events and %g tokens", b.total, tokens)
	case len(b.seen) > maxDistinct:
		return damaged("%d distinct values", len(b.seen))
	}
	for _, r := range b.records {
		if !validPacked(r.packed, names) || s.whole && r.whole == nil {
			return damaged("a record")
		}
	}
	for _, sc := range b.scopes {
		if sc.kind > scopeError || len(sc.text) > maxValue {
			return damaged("a scope")
		}
	}
	return b.checkKept(s)
}

// checkKept checks what the bucket keeps for its condition.
func (b *savedBucket) checkKept(s *Scenario) error {
	if s.keeps == nil || len(s.keeps.Slots) == 0 {
		if len(b.words) > 0 {
			return damaged("it keeps what nobody reads")
		}
		return nil
	}
	words := b.words
	for _, slot := range s.keeps.Slots {
		n := 1 + slot.Tail + slot.Head
		if len(words) < n {
			return damaged("it keeps too little")
		}
		count := words[0]
		for i, w := range words[1:n] {
			used := uint64(i) < count // a ring fills from its beginning, and so does the head
			if i >= slot.Tail {
				used = uint64(i-slot.Tail) < count
			}
			if w > uint64(len(b.records)) || used != (w != 0) {
				return damaged("it keeps record %d of %d", w, len(b.records))
			}
		}
		if count > uint64(b.total) {
			return damaged("it keeps %d events of %d", count, b.total)
		}
		words = words[n:]
	}
	if len(words) > 0 {
		return damaged("it keeps too much")
	}
	return nil
}

// validPacked reports whether unpack can read a record.
func validPacked(packed string, names *Names) bool {
	in := &input{b: []byte(packed)}
	in.bytes(timeSize)
	for range 2 + len(sourceMeta) + len(sourceFields) {
		in.text()
	}
	keys := names.keys.Load().list
	for len(in.b) > 0 {
		id := in.uvarint()
		values := 0
		switch {
		case id == 0:
			in.text()
		case id > uint64(len(keys)):
			return false
		default:
			values = len(keys[id-1].values.Load().list)
		}
		switch kind := in.uvarint(); {
		case kind == valueText:
			in.text()
		case kind >= valueNumber+uint64(values):
			return false
		}
	}
	return !in.bad && recordHead+len(packed) <= arena.MaxBlock
}

// restore puts a saved bucket into the table. shared are the records that were restored before, by
// hash.
func (t *Table) restore(b *savedBucket, s *Scenario, replay bool, shared map[uint64][]arena.Ref) {
	p := t.population(s, replay)
	n := t.newRow()
	r := t.row(n)
	*r = b.row
	r.of = p.place
	t.enter(n, p)
	for _, hash := range b.seen {
		t.charge(r.seen.remember(t.blocks, hash))
	}
	records := make([]arena.Ref, len(b.records)) // held once while this runs
	for i, saved := range b.records {
		records[i] = t.sharedRecord(saved, shared)
	}
	for i, scope := range b.scopes {
		t.append(r, records[i], t.savedText(scope))
		t.holders(records[i], 1)
	}
	if len(b.words) > 0 {
		r.kept = t.blocks.Alloc(keptSize(s.keeps))
		block := t.blocks.Bytes(r.kept)
		t.charge(int64(len(block)))
		k := t.keptOf(r, s.keeps)
		words := b.words
		for i := range k.slots {
			slot := k.slot(i)
			slot.setWord(0, uint32(words[0]))
			size := 1 + slot.Tail + slot.Head
			for at := 1; at < size; at++ {
				if words[at] == 0 {
					slot.setWord(at, 0)
					continue
				}
				record := records[words[at]-1]
				slot.setWord(at, uint32(record))
				t.holders(record, 1)
			}
			words = words[size:]
		}
	}
	for _, record := range records {
		t.release(record)
	}
}

// sharedRecord returns a record, held for the caller: buckets that shared it share it again.
func (t *Table) sharedRecord(saved savedRecord, shared map[uint64][]arena.Ref) arena.Ref {
	if saved.whole != nil {
		r := t.newRecord(&saved.packed)
		n := weigh(saved.whole)
		t.wholes[r] = whole{saved.whole, n}
		t.charge(n)
		return r
	}
	hash := t.config.Hasher.text(saved.packed)
	for _, r := range shared[hash] {
		if string(t.packedAt(r)) == saved.packed {
			t.holders(r, 1)
			return r
		}
	}
	r := t.newRecord(&saved.packed)
	t.holders(r, 1) // for shared
	shared[hash] = append(shared[hash], r)
	return r
}

func (t *Table) savedText(s savedScope) arena.Ref {
	switch {
	case s.kind == scopeError:
		return scopeFailed
	case s.text == "":
		return 0
	}
	return t.keepText(s.text)
}

// savedEvent is a whole event as it is saved.
type savedEvent struct {
	Event                  event.Event
	Parsed, Enriched, Meta map[string]string
}

func newSavedEvent(e *event.Event) savedEvent {
	s := savedEvent{Event: *e, Parsed: e.Parsed.Map(), Enriched: e.Enriched.Map(), Meta: e.Meta.Map()}
	s.Event.Parsed, s.Event.Enriched, s.Event.Meta = event.Fields{}, event.Fields{}, event.Fields{}
	return s
}

func (s savedEvent) event() *event.Event {
	e := s.Event
	e.Parsed, e.Enriched, e.Meta = fieldsOf(s.Parsed), fieldsOf(s.Enriched), fieldsOf(s.Meta)
	if len(e.Overflow.APIAlerts) > 0 {
		e.Overflow.Alert = e.Overflow.APIAlerts[0]
	}
	return &e
}

func fieldsOf(m map[string]string) (f event.Fields) {
	f.Grow(len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		f.Set(name, m[name])
	}
	return f
}
