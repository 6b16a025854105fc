package table

import (
	"fmt"
	"math"
	"math/bits"
	"sync/atomic"
)

// MinFilterLog2 and MaxFilterLog2 bound the binary logarithm of the words of a Filter4: each stands for
// at most 2^22 addresses, and for at least 2^14.
const MinFilterLog2, MaxFilterLog2 = 10, 18

// allHashes are the bits of the high half, which a network takes.
const allHashes = math.MaxUint32 << 32

// Filter4 is a filter over the IPv4 addresses: of most that nothing was added for it says so.
//
// The highest bits of an address name a word. An address that was added has two bits in it: one of the
// low half, by the next five bits of the address, and one of the high half, by a keyed hash of the
// whole. So a network takes its part of the low half, all of the high one, and no other words than its
// own. An address has two bits by chance in one of seventy cases while there are 16 bits for each that
// was added. The kernel reads the bits; a count for each of how often it was added is this process's
// own.
//
// What is in force is added afterwards and removed before, so bits may stand for nothing, which costs
// a lookup, and clear ones never stand for a ban.
type Filter4 struct {
	words  []uint64
	counts []uint8
	key    [2]uint64
	log2   int
}

// NewFilter4 makes an empty filter in the first 2^log2words of words.
func NewFilter4(words []uint64, log2words int, key [2]uint64) (*Filter4, error) {
	if log2words < MinFilterLog2 || log2words > MaxFilterLog2 {
		return nil, fmt.Errorf("make address filter: 2^%d words: use 2^%d to 2^%d", log2words, MinFilterLog2, MaxFilterLog2)
	}
	if len(words) < 1<<log2words {
		return nil, fmt.Errorf("make address filter: %d words of memory: 2^%d are needed", len(words), log2words)
	}
	if err := checkKey(key); err != nil {
		return nil, fmt.Errorf("make address filter: %w", err)
	}
	words = words[:1<<log2words]
	for i := range words {
		atomic.StoreUint64(&words[i], 0)
	}
	return &Filter4{words: words, counts: make([]uint8, 64<<log2words), key: key, log2: log2words}, nil
}

// word is where an address has its bits, and place the number of the one in the low half.
func (f *Filter4) word(addr uint32) int   { return int(addr >> (32 - f.log2)) }
func (f *Filter4) place(addr uint32) uint { return uint(addr>>(27-f.log2)) & 31 }

// hashBit is the bit in the high half.
func (f *Filter4) hashBit(addr uint32) uint64 {
	return 1 << 32 << (uint64(addr) * f.key[0] >> 59)
}

// Add counts a range of addresses, both ends included, once in each bit that it takes, and sets these
// bits. A count stops at 255, and from then on its bit stays.
func (f *Filter4) Add(first, last uint32) {
	for word, mask := range f.masks(first, last) {
		counts := f.counts[64*word:][:64]
		for left := mask; left != 0; left &= left - 1 {
			if n := &counts[bits.TrailingZeros64(left)]; *n != saturated {
				*n++
			}
		}
		f.update(word, mask, 0)
	}
}

// Remove takes back what Add did for the same range, clearing the bits that nothing else takes.
func (f *Filter4) Remove(first, last uint32) {
	for word, mask := range f.masks(first, last) {
		counts := f.counts[64*word:][:64]
		var gone uint64
		for left := mask; left != 0; left &= left - 1 {
			bit := bits.TrailingZeros64(left)
			if counts[bit] == 0 || counts[bit] == saturated {
				continue
			}
			if counts[bit]--; counts[bit] == 0 {
				gone |= 1 << bit
			}
		}
		f.update(word, 0, gone)
	}
}

// masks goes through the words of a range of addresses, and the bits that it takes in them.
func (f *Filter4) masks(first, last uint32) func(yield func(word int, mask uint64) bool) {
	return func(yield func(word int, mask uint64) bool) {
		if first == last {
			yield(f.word(first), 1<<f.place(first)|f.hashBit(first))
			return
		}
		from, to := f.word(first), f.word(last)
		for word := from; word <= to; word++ {
			low, high := uint(0), uint(31)
			if word == from {
				low = f.place(first)
			}
			if word == to {
				high = f.place(last)
			}
			if !yield(word, allHashes|uint64(math.MaxUint32)>>(31-high)&(math.MaxUint32<<low)) {
				return
			}
		}
	}
}

func (f *Filter4) update(word int, set, clear uint64) {
	old := atomic.LoadUint64(&f.words[word])
	if w := old&^clear | set; w != old {
		atomic.StoreUint64(&f.words[word], w)
	}
}

// Touch reads the memory that Add and Remove change for an address, and returns something of it.
func (f *Filter4) Touch(addr uint32) uint64 {
	word := f.word(addr)
	return atomic.LoadUint64(&f.words[word]) + uint64(f.counts[64*word])
}

// Has says whether the bits of an address are set.
func (f *Filter4) Has(addr uint32) bool {
	mask := 1<<f.place(addr) | f.hashBit(addr)
	return atomic.LoadUint64(&f.words[f.word(addr)])&mask == mask
}
