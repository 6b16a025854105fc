package table

import (
	"fmt"
	"maps"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// subject is a small table with what a test needs to look at it from all sides.
type subject[K comparable] struct {
	Hosts[K]
	mem    *memory
	find   func(K) uint64 // as the packet path finds it
	room   func(K) bool   // whether a slot in reach of this address is free
	reopen func() (subject[K], error)
	most   uint64 // the largest number of hits
}

func newSubject4(mem []uint64, lines int, key [2]uint64) (subject[uint32], error) {
	h, err := NewHosts4(mem, lines, key)
	if err != nil {
		return subject[uint32]{}, err
	}
	r := &reader{words: mem, key: key, lines: lines}
	return subject[uint32]{
		Hosts: h, mem: &h.mem, find: r.find4, most: math.MaxUint32,
		room: func(addr uint32) bool {
			for i := range 8 {
				for _, word := range mem[r.line(uint64(Hash4(addr, key))<<32, i)*8:][:5] {
					if word == 0 {
						return true
					}
				}
			}
			return false
		},
		reopen: func() (subject[uint32], error) { return newSubject4(mem, lines, key) },
	}, nil
}

func newSubject6(mem []uint64, lines int, key [2]uint64) (subject[Key6], error) {
	h, err := NewHosts6(mem, lines, key)
	if err != nil {
		return subject[Key6]{}, err
	}
	r := &reader{words: mem, key: key, lines: lines}
	return subject[Key6]{
		Hosts: h, mem: &h.mem, find: r.find6, most: math.MaxUint64,
		room: func(k Key6) bool {
			for i := range 8 {
				line := r.line(uint64(Hash6(k, key))<<32, i)
				if mem[line*8+2]&MaxExpiry == 0 || mem[line*8+6]&MaxExpiry == 0 {
					return true
				}
			}
			return false
		},
		reopen: func() (subject[Key6], error) { return newSubject6(mem, lines, key) },
	}, nil
}

func addresses4(n int) []uint32 {
	keys := make([]uint32, n)
	for i := range keys {
		keys[i] = 0xc6120000 + uint32(i*41) // in 198.18.0.0/15
	}
	return keys
}

// addresses6 has every pair of some halves, so that an address read half before and half after a
// change is another one of them.
func addresses6(halves int) []Key6 {
	var keys []Key6
	for hi := range halves {
		for lo := range halves {
			keys = append(keys, Key6{Hi: 0x20010db8<<32 + uint64(hi), Lo: uint64(lo)})
		}
	}
	return keys
}

func drawKey(t *rapid.T) [2]uint64 {
	return [2]uint64{rapid.Uint64().Draw(t, "key0") | 1, rapid.Uint64().Draw(t, "key1") | 1}
}

func drawEntry(t *rapid.T) Entry {
	return Entry{
		Class:  uint8(rapid.IntRange(0, MaxClass).Draw(t, "class")),
		Expiry: uint32(rapid.OneOf(rapid.IntRange(1, MaxExpiry), rapid.Just(NoEnd)).Draw(t, "expiry")),
		ID:     rapid.Uint64().Draw(t, "id"),
		Hits:   rapid.OneOf(rapid.Uint64Range(0, 100), rapid.Uint64()).Draw(t, "hits"),
	}
}

func TestHosts4IsAMapThatReadersSeeAllTheTime(t *testing.T) {
	for _, lines := range []int{8, 9, 13} {
		t.Run(fmt.Sprintf("%d lines", lines), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				s, err := newSubject4(make([]uint64, lines*LineWords), lines, drawKey(t))
				if err != nil {
					t.Fatal(err)
				}
				checkModel(t, s, addresses4(8*lines))
			})
		})
	}
}

func TestHosts6IsAMapThatReadersSeeAllTheTime(t *testing.T) {
	for _, lines := range []int{8, 11, 16} {
		t.Run(fmt.Sprintf("%d lines", lines), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				s, err := newSubject6(make([]uint64, lines*LineWords), lines, drawKey(t))
				if err != nil {
					t.Fatal(err)
				}
				checkModel(t, s, addresses6(6))
			})
		})
	}
}

// model drives a table and a map through the same changes. After every store of the table, a reader
// must find every address as the map has it; only the one that is being changed may be seen as it
// was or as it will be.
type model[K comparable] struct {
	t    *rapid.T
	s    subject[K]
	keys []K
	want map[K]Entry
}

func checkModel[K comparable](t *rapid.T, s subject[K], keys []K) {
	m := &model[K]{t: t, s: s, keys: keys, want: map[K]Entry{}}
	// Fill it first in half of the cases: the rest is more interesting in a full table.
	if rapid.Bool().Draw(t, "full") {
		for _, k := range keys {
			m.put(k, Entry{Class: 1, Expiry: 7, ID: 9})
		}
	}
	key := rapid.SampledFrom(keys)
	t.Repeat(map[string]func(*rapid.T){
		"put":     func(t *rapid.T) { m.put(key.Draw(t, "address"), drawEntry(t)) },
		"remove":  func(t *rapid.T) { m.remove(key.Draw(t, "address")) },
		"again":   func(t *rapid.T) { k := key.Draw(t, "address"); m.remove(k); m.put(k, drawEntry(t)) },
		"addHits": func(t *rapid.T) { m.addHits(key.Draw(t, "address"), drawEntry(t).Hits) },
		"reopen":  func(*rapid.T) { m.reopen() },
		"":        func(*rapid.T) { m.check() },
	})
}

// during runs a change of k while a reader looks at all addresses after each of its stores.
func (m *model[K]) during(k K, allowed []uint64, change func()) {
	m.s.mem.stored = func() {
		for _, other := range m.keys {
			got, want := m.s.find(other), []uint64{m.want[other].state()}
			if other == k {
				want = allowed
			}
			if !contains(want, got) {
				m.t.Fatalf("within the change of %v a reader finds %v as %#x, want one of %#x", k, other, got, want)
			}
		}
	}
	change()
	m.s.mem.stored = nil
}

func contains(list []uint64, want uint64) bool {
	for _, have := range list {
		if have == want {
			return true
		}
	}
	return false
}

func (m *model[K]) put(k K, e Entry) {
	old, was := m.want[k]
	room := was || m.s.room(k)
	var ok bool
	m.during(k, []uint64{old.state(), e.state()}, func() { ok = m.s.Put(k, e) })
	if ok != room {
		m.t.Fatalf("Put(%v) = %v with room: %v", k, ok, room)
	}
	if !ok {
		return
	}
	e.Hits = min(e.Hits, m.s.most)
	if was {
		e.Hits = old.Hits
	}
	m.want[k] = e
}

func (m *model[K]) remove(k K) {
	old, was := m.want[k]
	delete(m.want, k)
	m.during(k, []uint64{old.state(), 0}, func() {
		if got := m.s.Remove(k); got != was {
			m.t.Fatalf("Remove(%v) = %v, want %v", k, got, was)
		}
	})
}

func (m *model[K]) addHits(k K, n uint64) {
	e, was := m.want[k]
	if got := m.s.AddHits(k, n); got != was {
		m.t.Fatalf("AddHits(%v) = %v, want %v", k, got, was)
	}
	if was {
		e.Hits += min(n, m.s.most-e.Hits)
		m.want[k] = e
	}
}

// reopen takes the same memory over, as after a restart: only the ids are lost.
func (m *model[K]) reopen() {
	s, err := m.s.reopen()
	if err != nil {
		m.t.Fatal(err)
	}
	if s.Len() != m.s.Len() || s.Slots() != m.s.Slots() || s.Tombstones() != m.s.Tombstones() {
		m.t.Fatalf("taken over: %d entries, %d slots, %d tombstones; before: %d, %d, %d",
			s.Len(), s.Slots(), s.Tombstones(), m.s.Len(), m.s.Slots(), m.s.Tombstones())
	}
	m.s = s
	for k, e := range m.want {
		e.ID = 0
		m.want[k] = e
	}
}

func (m *model[K]) check() {
	for _, k := range m.keys {
		want, was := m.want[k]
		got, ok := m.s.Find(k)
		if ok != was || got != want {
			m.t.Fatalf("Find(%v) = %+v, %v; want %+v, %v", k, got, ok, want, was)
		}
		if got := m.s.find(k); got != want.state() {
			m.t.Fatalf("a reader finds %v as %#x, want %#x", k, got, want.state())
		}
	}
	if diff := cmp.Diff(m.want, maps.Collect(m.s.All())); diff != "" {
		m.t.Fatalf("All (-want +got):\n%s", diff)
	}
	if m.s.Len() != len(m.want) {
		m.t.Fatalf("Len = %d, want %d", m.s.Len(), len(m.want))
	}
}
