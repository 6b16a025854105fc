// Package table lays out the bans, and the filters in front of them, in memory that the kernel
// reads while it is written: []uint64 over the arrays that the data plane maps.
//
//	Hosts4  IPv4 addresses, five to a 64-byte line
//	Hosts6  IPv6 addresses, two to a line
//	Nets4   IPv4 networks: for each /24, the longest one that covers it
//	Filter4 says of most IPv4 addresses that they are in no entry
//	Bloom   the same for IPv6 networks, without taking out
//	Cells   one bit for each 2^shift IPv4 addresses: clear means that no entry touches them
//
// Each has one writer at a time, which the caller sees to, and any number of readers in the kernel,
// which take no lock. What they read is therefore written in atomic stores of whole words, in such
// an order that after each of them a reader finds every address that stays and none that never was
// there. bpf/hosts.h, front.h, nets.h and hash.h have the other side: they hash and probe as this package does.
//
// Hash keys are two secret odd numbers. Who does not know them cannot aim many addresses at one line.
package table

import (
	"errors"
	"fmt"
	"iter"
	"math/bits"
	"sync/atomic"
)

const (
	// LineWords is the number of 64-bit words in a line of a host table, 64 bytes.
	LineWords = 8
	// MinLines and MaxLines bound the number of lines of a host table, which may be any between: as
	// many as a lookup goes through at most, and as many as an index of a slot is sure to reach.
	MinLines, MaxLines = Probes6, 1 << 28
	// MaxClass is the largest class of a ban. It marks removed entries as well, whose expiry is 0.
	MaxClass = 15
	// MaxExpiry is the largest expiry, in ticks of the kernel's clock; the smallest is 1.
	MaxExpiry = 1<<28 - 1
	// NoEnd is the expiry of a ban without an end.
	NoEnd = MaxExpiry

	classShift = 28
	removed    = MaxClass << classShift
)

// ErrDamaged says that the memory of a table holds an entry where no reader finds it.
var ErrDamaged = errors.New("entry out of place")

// Entry is one banned host.
type Entry struct {
	Class  uint8  // at most MaxClass
	Expiry uint32 // 1 to MaxExpiry, ticks; NoEnd: it does not end
	ID     uint64 // the decision's id, 0 when not known: only this process has it, the table does not
	Hits   uint64 // packets that met this ban; IPv4 counts in 32 bits, which stay full
}

// valid says whether the layout can hold the entry.
func (e Entry) valid() bool {
	return e.Class <= MaxClass && e.Expiry >= 1 && e.Expiry <= MaxExpiry
}

// state is the class and the expiry as a table holds them, in the low half of a word.
func (e Entry) state() uint64 {
	return uint64(e.Class)<<classShift | uint64(e.Expiry)
}

// entry is the reverse of state. It ignores the high half of the word.
func entry(state uint64) Entry {
	return Entry{Class: uint8(state >> classShift & MaxClass), Expiry: uint32(state & MaxExpiry)}
}

// Hosts is what Hosts4 and Hosts6 have in common.
type Hosts[K comparable] interface {
	// Touch reads the memory that Find and Put look at first, and returns something of it. Who touches
	// some addresses, which the processor does all at once, waits for each of them no more.
	Touch(K) uint64
	// Warm reads one of so many equal parts of the table, where addresses go whose hash is in that part
	// of all hashes, and returns something of it. It reads in the order of memory, which is several
	// times faster than in another when much of the part is needed.
	Warm(part, parts int) uint64
	// Find returns the entry of this address, also one that is over.
	Find(K) (Entry, bool)
	// Put writes the entry of this address. One that is there already changes in one store and keeps
	// its hits; of a new one Hits is the start. False: there is no room within reach of the address,
	// or the layout cannot hold it (0.0.0.0, a class or expiry outside its range), and nothing changed.
	Put(K, Entry) bool
	// Remove takes the entry of this address out and says whether there was one.
	Remove(K) bool
	// AddHits adds to the hits of this address, as when a table takes over from another, and says
	// whether there is an entry. Hits stop at the largest number that fits.
	AddHits(K, uint64) bool
	// All goes through the entries in the order of memory. The body may call Put for an address that
	// has an entry, and Remove.
	All() iter.Seq2[K, Entry]
	// Len is the number of entries.
	Len() int
	// Slots is the number of entries that memory has places for.
	Slots() int
	// Tombstones is the number of lines that have a free slot and yet send readers to the next line,
	// because they were full once. Only a new table is rid of them.
	Tombstones() int
}

var (
	_ Hosts[uint32] = (*Hosts4)(nil)
	_ Hosts[Key6]   = (*Hosts6)(nil)
)

// memory is the words that the kernel reads.
type memory struct {
	words []uint64
	// stored, unless nil, runs after every store: tests look there at what a reader would see.
	stored func()
	// loading, unless nil, runs before every load: tests change there what a reader is about to see.
	loading func()
}

// newMemory takes the words of a table of that many lines, checking what all tables need.
func newMemory(mem []uint64, lines int, key [2]uint64) (memory, error) {
	switch {
	case lines < MinLines || lines > MaxLines:
		return memory{}, fmt.Errorf("%d lines: use %d to %d", lines, MinLines, MaxLines)
	case len(mem) < lines*LineWords:
		return memory{}, fmt.Errorf("%d words of memory: %d lines need %d", len(mem), lines, lines*LineWords)
	}
	return memory{words: mem[:lines*LineWords]}, checkKey(key)
}

func (m *memory) load(i int) uint64 {
	if m.loading != nil {
		m.loading()
	}
	return atomic.LoadUint64(&m.words[i])
}

func (m *memory) store(i int, w uint64) {
	atomic.StoreUint64(&m.words[i], w)
	m.changed()
}

// changed is called after every change that readers see.
func (m *memory) changed() {
	if m.stored != nil {
		m.stored()
	}
}

// warm reads a part of a table's memory and of its ids, one word of each line.
func warm(m *memory, ids []uint64, part, parts int) (sum uint64) {
	lines := len(m.words) / LineWords
	for line := part * lines / parts; line < (part+1)*lines/parts; line++ {
		sum += m.load(line * LineWords)
	}
	for i := part * len(ids) / parts; i < (part+1)*len(ids)/parts; i += LineWords {
		sum += ids[i]
	}
	return sum
}

// next is the line after another one of so many.
func next(line, lines int) int {
	if line++; line < lines {
		return line
	}
	return 0
}

// linesFor is the number of lines of this many slots that n entries fill to so many percent.
func linesFor(n, slots, percent int) int {
	return min(max((n*100+percent*slots-1)/(percent*slots), MinLines), MaxLines)
}

func log2Ceil(n int) int {
	return bits.Len(uint(n - 1))
}

// salvage goes through the entries wherever they are, and then once more through those that are found.
func salvage[K comparable](h Hosts[K]) iter.Seq2[K, Entry] {
	return func(yield func(K, Entry) bool) {
		for k, e := range h.All() {
			if e.valid() && !yield(k, e) {
				return
			}
		}
		for k := range h.All() {
			if e, ok := h.Find(k); ok && e.valid() && !yield(k, e) {
				return
			}
		}
	}
}
