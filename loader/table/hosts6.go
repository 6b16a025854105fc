package table

import (
	"fmt"
	"iter"
	"math"
	"sync/atomic"
)

const (
	// Slots6 is the number of slots in a line of Hosts6.
	Slots6 = 2
	// Probes6 is the number of lines that an address may be in, beginning with the one of its hash.
	Probes6 = 8

	slotWords6 = LineWords / Slots6
	last6      = Slots6 - 1
)

// The words of a slot.
const (
	hi6 = iota
	lo6
	meta6
	hits6
)

// Hosts6 is the table of banned IPv6 addresses.
//
// A slot is four words: the address, meta = generation << 32 | class << 28 | expiry, and the hits.
// A slot whose expiry is 0 is free; one whose meta is 0 never was in use, and only then does a second
// slot keep readers from going on to the next line. As an address is more than one word, a reader
// reads meta before and after it and believes neither when the generation changed: that happens
// before the address of a slot is written, and never while the slot is in use.
type Hosts6 struct {
	mem memory
	ids []uint64
	key [2]uint64

	lines       int
	live, tombs int
}

// Lines6 is the number of lines of a table for n entries, which fill half of it.
func Lines6(n int) int { return linesFor(n, Slots6, 50) }

// Room6 is the number of entries that fill 60 % of a table: then two of a thousand find no slot within
// their reach.
func Room6(lines int) int { return lines * Slots6 * 6 / 10 }

// NewHosts6 makes a table of so many lines in mem, which holds as many or more, and takes over what is
// in there: new memory is all zero. It fails when an entry is where no reader would find it
// (ErrDamaged), which means that the key is another one or the memory was damaged.
func NewHosts6(mem []uint64, lines int, key [2]uint64) (*Hosts6, error) {
	h, err := hosts6Over(mem, lines, key)
	if err != nil {
		return nil, err
	}
	for slot := range h.ids {
		meta := h.word(slot, meta6)
		switch {
		case live6(meta):
			k := h.slotKey(slot)
			if at, _ := h.locate(k); at != slot && h.word(slot, meta6) == meta {
				return nil, fmt.Errorf("take over IPv6 host table: %w: no reader finds %s in slot %d of line %d",
					ErrDamaged, k.Addr(), slot%Slots6, slot/Slots6)
			}
			h.live++
		case meta != 0 && slot%Slots6 == last6:
			h.tombs++
		}
	}
	return h, nil
}

func hosts6Over(mem []uint64, lines int, key [2]uint64) (*Hosts6, error) {
	m, err := newMemory(mem, lines, key)
	if err != nil {
		return nil, fmt.Errorf("make IPv6 host table: %w", err)
	}
	return &Hosts6{mem: m, ids: make([]uint64, Slots6*lines), key: key, lines: lines}, nil
}

// Salvage6 is Salvage4 for IPv6.
func Salvage6(mem []uint64, lines int, key [2]uint64) (iter.Seq2[Key6, Entry], error) {
	h, err := hosts6Over(mem, lines, key)
	if err != nil {
		return nil, err
	}
	return salvage(h), nil
}

func live6(meta uint64) bool {
	return meta&MaxExpiry != 0
}

func (h *Hosts6) word(slot, n int) uint64 {
	return h.mem.load(slot*slotWords6 + n)
}

func (h *Hosts6) store(slot, n int, w uint64) {
	h.mem.store(slot*slotWords6+n, w)
}

func (h *Hosts6) slotKey(slot int) Key6 {
	return Key6{Hi: h.word(slot, hi6), Lo: h.word(slot, lo6)}
}

// locate returns the slot of the address and the slot that it would be put into, -1 for none. It
// stops where a reader does.
func (h *Hosts6) locate(k Key6) (at, free int) {
	free = -1
	line := Share(Hash6(k, h.key), h.lines)
	for range Probes6 {
		var meta uint64
		for i := range Slots6 {
			slot := line*Slots6 + i
			meta = h.word(slot, meta6)
			switch {
			case live6(meta):
				if h.slotKey(slot) == k {
					return slot, free
				}
			case free < 0:
				free = slot
			}
		}
		if meta == 0 {
			break
		}
		line = next(line, h.lines)
	}
	return -1, free
}

func (h *Hosts6) entry(slot int, meta uint64) Entry {
	e := entry(meta)
	e.ID, e.Hits = h.ids[slot], h.word(slot, hits6)
	return e
}

// Touch reads what Find and Put will need first: see Hosts.
func (h *Hosts6) Touch(k Key6) uint64 {
	line := Share(Hash6(k, h.key), h.lines)
	return h.mem.load(line*LineWords) + h.ids[line*Slots6]
}

// Warm reads a part of the table: see Hosts.
func (h *Hosts6) Warm(part, parts int) uint64 { return warm(&h.mem, h.ids, part, parts) }

// Find returns the entry of this address, also one that is over.
func (h *Hosts6) Find(k Key6) (Entry, bool) {
	slot, _ := h.locate(k)
	if slot < 0 {
		return Entry{}, false
	}
	return h.entry(slot, h.word(slot, meta6)), true
}

// Put writes the entry of this address: see Hosts.
func (h *Hosts6) Put(k Key6, e Entry) bool {
	if !e.valid() {
		return false
	}
	slot, free := h.locate(k)
	switch {
	case slot >= 0:
		generation := h.word(slot, meta6) >> 32
		h.store(slot, meta6, generation<<32|e.state())
	case free >= 0:
		slot = free
		h.insert(slot, k, e)
	default:
		return false
	}
	h.ids[slot] = e.ID
	return true
}

func (h *Hosts6) insert(slot int, k Key6, e Entry) {
	old := h.word(slot, meta6)
	generation := uint64(nextGeneration(uint32(old >> 32)))
	// From here on a reader that began with the slot's former address disbelieves what it read.
	h.store(slot, meta6, generation<<32|removed)
	h.store(slot, hi6, k.Hi)
	h.store(slot, lo6, k.Lo)
	h.store(slot, hits6, e.Hits)
	h.store(slot, meta6, generation<<32|e.state())
	if old != 0 && slot%Slots6 == last6 {
		h.tombs--
	}
	h.live++
}

// nextGeneration leaves out 0, that of slots never used.
func nextGeneration(g uint32) uint32 {
	return max(g+1, 1)
}

// Remove takes the entry of this address out and says whether there was one.
func (h *Hosts6) Remove(k Key6) bool {
	slot, _ := h.locate(k)
	if slot < 0 {
		return false
	}
	// The generation stays, since the address does: a reader may still call it banned.
	generation := max(h.word(slot, meta6)>>32, 1)
	h.store(slot, meta6, generation<<32|removed)
	if slot%Slots6 == last6 {
		h.tombs++
	}
	h.ids[slot] = 0
	h.live--
	return true
}

// AddHits adds to the hits of this address and says whether it has an entry.
func (h *Hosts6) AddHits(k Key6, n uint64) bool {
	slot, _ := h.locate(k)
	if slot < 0 {
		return false
	}
	word := &h.mem.words[slot*slotWords6+hits6]
	for {
		old := atomic.LoadUint64(word)
		if atomic.CompareAndSwapUint64(word, old, old+min(n, math.MaxUint64-old)) {
			return true
		}
	}
}

// All goes through the entries in the order of memory: see Hosts. Another process may change them
// meanwhile: a slot that gets another address while it is read is left out.
func (h *Hosts6) All() iter.Seq2[Key6, Entry] {
	return func(yield func(Key6, Entry) bool) {
		for slot := range h.ids {
			meta := h.word(slot, meta6)
			if !live6(meta) {
				continue
			}
			k, e := h.slotKey(slot), h.entry(slot, meta)
			if h.word(slot, meta6)>>32 == meta>>32 && !yield(k, e) {
				return
			}
		}
	}
}

// Len is the number of entries.
func (h *Hosts6) Len() int { return h.live }

// Slots is the number of entries that memory has places for.
func (h *Hosts6) Slots() int { return len(h.ids) }

// Tombstones is the number of lines whose second slot is free and was in use.
func (h *Hosts6) Tombstones() int { return h.tombs }
