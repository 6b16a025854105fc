package table

import (
	"fmt"
	"math"
	"math/bits"
	"sync/atomic"
)

const (
	// MinShift and MaxShift bound the shift of Cells: cells of 256 to 65536 addresses.
	MinShift, MaxShift = 8, 16

	saturated = math.MaxUint8
)

// Cells is a bitmap over the IPv4 addresses, one bit for each 2^shift of them, with a count for each
// bit of how many ranges touch it. The kernel reads the bits; the counts are this process's own.
//
// A range is added after its entry is in force and removed after it no longer is, so a set bit may
// stand for nothing, which costs a lookup, and a clear one never stands for a ban.
type Cells struct {
	words  []uint64
	counts []uint8
	shift  uint8
}

// CellWords is the number of words that a bitmap of this shift needs.
func CellWords(shift uint8) int {
	return 1 << (32 - shift) / 64
}

// NewCells makes a bitmap in words, which holds CellWords(shift) or more of them. It leaves the bits
// as they are and counts nothing: Trim clears those that nothing was added for.
func NewCells(words []uint64, shift uint8) (*Cells, error) {
	if shift < MinShift || shift > MaxShift {
		return nil, fmt.Errorf("make address bitmap: shift %d: use %d to %d", shift, MinShift, MaxShift)
	}
	if len(words) < CellWords(shift) {
		return nil, fmt.Errorf("make address bitmap: %d words of memory: shift %d needs %d",
			len(words), shift, CellWords(shift))
	}
	return &Cells{words: words[:CellWords(shift)], counts: make([]uint8, 1<<(32-shift)), shift: shift}, nil
}

// Add counts a range of addresses, both ends included, once in each cell that it touches, and sets
// the bits of these cells. The count of a cell stops at 255, and from then on its bit stays.
func (c *Cells) Add(first, last uint32) {
	for lo, hi := range c.spans(first, last) {
		for i, n := range c.counts[lo : hi+1] {
			if n != saturated {
				c.counts[lo+i] = n + 1
			}
		}
		c.update(lo/64, math.MaxUint64>>(63-uint(hi-lo))<<uint(lo%64), 0)
	}
}

// Remove takes back what Add did for the same range, clearing the bits of cells that no other range
// touches.
func (c *Cells) Remove(first, last uint32) {
	for lo, hi := range c.spans(first, last) {
		var gone uint64
		for i, n := range c.counts[lo : hi+1] {
			if n == 0 || n == saturated {
				continue
			}
			c.counts[lo+i] = n - 1
			if n == 1 {
				gone |= 1 << uint((lo+i)%64)
			}
		}
		c.update(lo/64, 0, gone)
	}
}

// spans cuts the cells of a range of addresses into pieces that are within one word each.
func (c *Cells) spans(first, last uint32) func(yield func(lo, hi int) bool) {
	return func(yield func(lo, hi int) bool) {
		end := int(last >> c.shift)
		for lo := int(first >> c.shift); lo <= end && first <= last; {
			hi := min(lo|63, end)
			if !yield(lo, hi) {
				return
			}
			lo = hi + 1
		}
	}
}

func (c *Cells) update(word int, set, clear uint64) {
	old := atomic.LoadUint64(&c.words[word])
	if w := old&^clear | set; w != old {
		atomic.StoreUint64(&c.words[word], w)
	}
}

// Trim clears the bits of cells that no range was added for, as an earlier process may have left.
func (c *Cells) Trim() {
	for word := range c.words {
		var gone uint64
		for w := atomic.LoadUint64(&c.words[word]); w != 0; w &= w - 1 {
			bit := bits.TrailingZeros64(w)
			if c.counts[word*64+bit] == 0 {
				gone |= 1 << bit
			}
		}
		c.update(word, 0, gone)
	}
}

// Has says whether the bit of the address is set.
func (c *Cells) Has(addr uint32) bool {
	cell := addr >> c.shift
	return atomic.LoadUint64(&c.words[cell/64])>>(cell%64)&1 != 0
}
