package table

import (
	"fmt"
	"iter"
	"math"
	"sync/atomic"
	"unsafe"
)

const (
	// Slots4 is the number of slots in a bucket, one line, of Hosts4.
	Slots4 = 8
	// Probes4 is the number of buckets that an address may be in, beginning with the one of its hash.
	Probes4 = 4

	last4      = Slots4 - 1
	tombstone4 = uint64(removed)

	pairWords = 3 * LineWords // two buckets and their hits
	pairSlots = 2 * Slots4
)

// Hosts4 is the table of banned IPv4 addresses, which are numbers in host order.
//
// Its 2^log2 buckets are lines of eight slots, each one word: address << 32 | class << 28 | expiry, 0
// when it is empty. After each two buckets comes a line of their hits, 32 bits for each slot in the
// order of the slots: counting a packet touches no other page than finding it. The packet path reads one bucket as a whole, and goes on to the next one
// only when the last slot is in use: so that slot is filled last, and once used never becomes 0
// again. Removing leaves a tombstone there, {address 0, class 15, expiry 0}, which the next address
// may take.
type Hosts4 struct {
	mem  memory
	half []uint32 // the same memory as halves of words: the kernel adds to the hits in it
	ids  []uint64
	key  [2]uint64
	log2 int

	live, tombs int
}

// Lines4 is the number of 64-byte lines that a table of 2^log2 buckets needs, its hits included.
func Lines4(log2 int) int {
	return 1<<log2 + 1<<log2/2
}

// Log2For4 is the log2 from least to most for a table of n entries: at most 60 % of it is filled,
// unless most is too small for that.
func Log2For4(n, least, most int) int {
	return log2For(n, Slots4, least, most)
}

// NewHosts4 makes a table of 2^log2 buckets in mem, which holds Lines4(log2) lines or more, and takes
// over what is in there: new memory is all zero. It fails when an entry is where no reader would find
// it (ErrDamaged), which means that the key is another one or the memory was damaged.
func NewHosts4(mem []uint64, log2 int, key [2]uint64) (*Hosts4, error) {
	h, err := hosts4Over(mem, log2, key)
	if err != nil {
		return nil, err
	}
	for slot := range h.ids {
		word := h.load(slot)
		addr := uint32(word >> 32)
		switch {
		case addr == 0 && word != 0 && slot%Slots4 == last4:
			h.tombs++
		case addr != 0:
			if at, _ := h.locate(addr); at != slot && h.load(slot) == word {
				return nil, fmt.Errorf("take over IPv4 host table: %w: no reader finds %s in slot %d of bucket %d",
					ErrDamaged, Addr4(addr), slot%Slots4, slot/Slots4)
			}
			h.live++
		}
	}
	return h, nil
}

func hosts4Over(mem []uint64, log2 int, key [2]uint64) (*Hosts4, error) {
	m, err := newMemory(mem, Lines4(log2), log2, key)
	if err != nil {
		return nil, fmt.Errorf("make IPv4 host table: %w", err)
	}
	return &Hosts4{
		mem:  m,
		half: unsafe.Slice((*uint32)(unsafe.Pointer(&m.words[0])), 2*len(m.words)),
		ids:  make([]uint64, Slots4<<log2),
		key:  key, log2: log2,
	}, nil
}

// Salvage4 returns what a table holds that NewHosts4 finds damaged, also where no reader finds it. An
// address may come twice; the one that readers find comes last.
func Salvage4(mem []uint64, log2 int, key [2]uint64) (iter.Seq2[uint32, Entry], error) {
	h, err := hosts4Over(mem, log2, key)
	if err != nil {
		return nil, err
	}
	return salvage(h), nil
}

// at is the word of a slot.
func (h *Hosts4) at(slot int) int { return slot/pairSlots*pairWords + slot%pairSlots }

func (h *Hosts4) load(slot int) uint64 { return h.mem.load(h.at(slot)) }

func (h *Hosts4) store(slot int, w uint64) { h.mem.store(h.at(slot), w) }

// hits is the counter of a slot.
func (h *Hosts4) hits(slot int) *uint32 {
	return &h.half[2*(slot/pairSlots*pairWords+pairSlots)+slot%pairSlots]
}

// locate returns the slot of the address and the slot that it would be put into, -1 for none. It
// stops where a reader does.
func (h *Hosts4) locate(addr uint32) (at, free int) {
	free = -1
	bucket := Hash4(addr, h.key, h.log2)
	for range Probes4 {
		first := bucket * Slots4
		line := h.mem.words[h.at(first):][:Slots4]
		var word uint64
		for i := range line {
			word = atomic.LoadUint64(&line[i])
			switch uint32(word >> 32) {
			case addr:
				return first + i, free
			case 0:
				if free < 0 {
					free = first + i
				}
			}
		}
		if word == 0 {
			break
		}
		bucket = (bucket + 1) & (1<<h.log2 - 1)
	}
	return -1, free
}

// find is locate for an address that may be 0.0.0.0, which no table holds and every free slot names.
func (h *Hosts4) find(addr uint32) int {
	if addr == 0 {
		return -1
	}
	at, _ := h.locate(addr)
	return at
}

func (h *Hosts4) entry(slot int, word uint64) Entry {
	e := entry(word)
	e.ID, e.Hits = h.ids[slot], uint64(atomic.LoadUint32(h.hits(slot)))
	return e
}

// Touch reads what Find and Put will need first: see Hosts.
func (h *Hosts4) Touch(addr uint32) uint64 {
	first := Hash4(addr, h.key, h.log2) * Slots4
	return h.load(first) + uint64(atomic.LoadUint32(h.hits(first))) + h.ids[first]
}

// Warm reads a part of the table: see Hosts.
func (h *Hosts4) Warm(part, log2 int) uint64 { return warm(&h.mem, h.ids, part, log2) }

// Find returns the entry of this address, also one that is over.
func (h *Hosts4) Find(addr uint32) (Entry, bool) {
	slot := h.find(addr)
	if slot < 0 {
		return Entry{}, false
	}
	return h.entry(slot, h.load(slot)), true
}

// Put writes the entry of this address: see Hosts. It takes one store that readers see.
func (h *Hosts4) Put(addr uint32, e Entry) bool {
	if addr == 0 || !e.valid() {
		return false
	}
	slot, free := h.locate(addr)
	if slot < 0 {
		if free < 0 {
			return false
		}
		slot = free
		if h.load(slot) != 0 && slot%Slots4 == last4 {
			h.tombs--
		}
		atomic.StoreUint32(h.hits(slot), uint32(min(e.Hits, math.MaxUint32)))
		h.live++
	}
	h.ids[slot] = e.ID
	h.store(slot, uint64(addr)<<32|e.state())
	return true
}

// Remove takes the entry of this address out and says whether there was one.
func (h *Hosts4) Remove(addr uint32) bool {
	slot := h.find(addr)
	if slot < 0 {
		return false
	}
	if slot%Slots4 == last4 {
		h.store(slot, tombstone4)
		h.tombs++
	} else {
		h.store(slot, 0)
	}
	h.ids[slot] = 0
	h.live--
	return true
}

// AddHits adds to the hits of this address, up to 2^32 - 1, and says whether it has an entry.
func (h *Hosts4) AddHits(addr uint32, n uint64) bool {
	slot := h.find(addr)
	if slot < 0 {
		return false
	}
	for {
		old := atomic.LoadUint32(h.hits(slot))
		sum := old + uint32(min(n, uint64(math.MaxUint32-old)))
		if atomic.CompareAndSwapUint32(h.hits(slot), old, sum) {
			return true
		}
	}
}

// All goes through the entries in the order of memory: see Hosts.
func (h *Hosts4) All() iter.Seq2[uint32, Entry] {
	return func(yield func(uint32, Entry) bool) {
		for slot := range h.ids {
			word := h.load(slot)
			if addr := uint32(word >> 32); addr != 0 && !yield(addr, h.entry(slot, word)) {
				return
			}
		}
	}
}

// Len is the number of entries.
func (h *Hosts4) Len() int { return h.live }

// Slots is the number of entries that memory has places for.
func (h *Hosts4) Slots() int { return len(h.ids) }

// Tombstones is the number of buckets with a tombstone in their last slot.
func (h *Hosts4) Tombstones() int { return h.tombs }
