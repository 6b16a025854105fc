package table

import (
	"fmt"
	"iter"
	"math"
	"sync/atomic"
	"unsafe"
)

const (
	// Slots4 is the number of slots in a line of Hosts4.
	Slots4 = 5
	// Probes4 is the number of lines that an address may be in, beginning with the one of its hash.
	Probes4 = 8

	hits4 = 2 * Slots4      // the first counter of a line, as an index of its halves of words
	more4 = 2*LineWords - 1 // likewise, what says that readers go on
)

// Hosts4 is the table of banned IPv4 addresses, which are numbers in host order.
//
// A line has five slots, each one word: address << 32 | class << 28 | expiry, 0 when it is free. Then
// come the hits of these slots, 32 bits for each in the same order, and in the last 32 bits whether
// readers go on to the next line: counting a packet touches no other line than finding its ban. An
// address is put into the first line within its reach that has a free slot, and makes readers go on
// from those before, which they do ever after.
type Hosts4 struct {
	mem  memory
	half []uint32 // the same memory as halves of words: the kernel adds to the hits in it
	ids  []uint64
	key  [2]uint64

	lines       int
	live, tombs int
}

// Lines4 is the number of lines of a table for n entries, which fill 60 % of it.
func Lines4(n int) int { return linesFor(n, Slots4, 60) }

// Room4 is the number of entries that fill 70 % of a table: then four of ten thousand find no slot
// within their reach.
func Room4(lines int) int { return lines * Slots4 * 7 / 10 }

// NewHosts4 makes a table of so many lines in mem, which holds as many or more, and takes over what is
// in there: new memory is all zero. It fails when an entry is where no reader would find it
// (ErrDamaged), which means that the key is another one or the memory was damaged.
func NewHosts4(mem []uint64, lines int, key [2]uint64) (*Hosts4, error) {
	h, err := hosts4Over(mem, lines, key)
	if err != nil {
		return nil, err
	}
	for line := range lines {
		for slot := line * Slots4; slot < (line+1)*Slots4; slot++ {
			word := h.load(slot)
			addr := uint32(word >> 32)
			if addr == 0 {
				continue
			}
			if at, _ := h.locate(addr); at != slot && h.load(slot) == word {
				return nil, fmt.Errorf("take over IPv4 host table: %w: no reader finds %s in slot %d of line %d",
					ErrDamaged, Addr4(addr), slot%Slots4, line)
			}
			h.live++
		}
		if h.isTombstone(line) {
			h.tombs++
		}
	}
	return h, nil
}

func hosts4Over(mem []uint64, lines int, key [2]uint64) (*Hosts4, error) {
	m, err := newMemory(mem, lines, key)
	if err != nil {
		return nil, fmt.Errorf("make IPv4 host table: %w", err)
	}
	return &Hosts4{
		mem:  m,
		half: unsafe.Slice((*uint32)(unsafe.Pointer(&m.words[0])), 2*len(m.words)),
		ids:  make([]uint64, Slots4*lines),
		key:  key, lines: lines,
	}, nil
}

// Salvage4 returns what a table holds that NewHosts4 finds damaged, also where no reader finds it. An
// address may come twice; the one that readers find comes last.
func Salvage4(mem []uint64, lines int, key [2]uint64) (iter.Seq2[uint32, Entry], error) {
	h, err := hosts4Over(mem, lines, key)
	if err != nil {
		return nil, err
	}
	return salvage(h), nil
}

// at is the word of a slot.
func (h *Hosts4) at(slot int) int { return slot/Slots4*LineWords + slot%Slots4 }

func (h *Hosts4) load(slot int) uint64 { return h.mem.load(h.at(slot)) }

func (h *Hosts4) store(slot int, w uint64) { h.mem.store(h.at(slot), w) }

// hits is the counter of a slot.
func (h *Hosts4) hits(slot int) *uint32 {
	return &h.half[slot/Slots4*2*LineWords+hits4+slot%Slots4]
}

// more says whether readers go on from a line, and forward makes them.
func (h *Hosts4) more(line int) bool {
	return atomic.LoadUint32(&h.half[line*2*LineWords+more4]) != 0
}

func (h *Hosts4) forward(line int) {
	atomic.StoreUint32(&h.half[line*2*LineWords+more4], 1)
	h.mem.changed()
}

// isFull says whether a line has no free slot.
func (h *Hosts4) isFull(line int) bool {
	for slot := line * Slots4; slot < (line+1)*Slots4; slot++ {
		if h.load(slot) == 0 {
			return false
		}
	}
	return true
}

func (h *Hosts4) isTombstone(line int) bool { return h.more(line) && !h.isFull(line) }

// locate returns the slot of the address, which it looks for as a reader does, and the slot that it
// would be put into; -1 for none.
func (h *Hosts4) locate(addr uint32) (at, free int) {
	free = -1
	line, reached := Share(Hash4(addr, h.key), h.lines), true
	for range Probes4 {
		first := line * Slots4
		words := h.mem.words[line*LineWords:][:Slots4]
		for i := range words {
			switch uint32(atomic.LoadUint64(&words[i]) >> 32) {
			case addr:
				if reached {
					return first + i, free
				}
			case 0:
				if free < 0 {
					free = first + i
				}
			}
		}
		if reached = reached && h.more(line); !reached && free >= 0 {
			break
		}
		line = next(line, h.lines)
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
	first := Share(Hash4(addr, h.key), h.lines) * Slots4
	return h.load(first) + h.ids[first]
}

// Warm reads a part of the table: see Hosts.
func (h *Hosts4) Warm(part, parts int) uint64 { return warm(&h.mem, h.ids, part, parts) }

// Find returns the entry of this address, also one that is over.
func (h *Hosts4) Find(addr uint32) (Entry, bool) {
	slot := h.find(addr)
	if slot < 0 {
		return Entry{}, false
	}
	return h.entry(slot, h.load(slot)), true
}

// Put writes the entry of this address: see Hosts. Readers see one store change it.
func (h *Hosts4) Put(addr uint32, e Entry) bool {
	if addr == 0 || !e.valid() {
		return false
	}
	slot, free := h.locate(addr)
	switch {
	case slot >= 0:
		h.store(slot, uint64(addr)<<32|e.state())
	case free >= 0:
		slot = free
		h.insert(slot, addr, e)
	default:
		return false
	}
	h.ids[slot] = e.ID
	return true
}

// insert puts an address into a free slot, once readers go on to its line.
func (h *Hosts4) insert(slot int, addr uint32, e Entry) {
	line := slot / Slots4
	for from := Share(Hash4(addr, h.key), h.lines); from != line; from = next(from, h.lines) {
		if !h.more(from) {
			h.forward(from)
		}
	}
	atomic.StoreUint32(h.hits(slot), uint32(min(e.Hits, math.MaxUint32)))
	h.store(slot, uint64(addr)<<32|e.state())
	if h.more(line) && h.isFull(line) {
		h.tombs--
	}
	h.live++
}

// Remove takes the entry of this address out and says whether there was one.
func (h *Hosts4) Remove(addr uint32) bool {
	slot := h.find(addr)
	if slot < 0 {
		return false
	}
	line := slot / Slots4
	if h.more(line) && h.isFull(line) {
		h.tombs++
	}
	h.store(slot, 0)
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

// Tombstones is the number of lines from which readers go on although they have a free slot.
func (h *Hosts4) Tombstones() int { return h.tombs }
