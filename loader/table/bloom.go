package table

import (
	"fmt"
	"sync/atomic"
)

// MaxBloomLog2 is the largest binary logarithm of the words of a Bloom; the smallest is 1.
const MaxBloomLog2 = 30

// Bloom is a Bloom filter of which each item has three bits in one word. What was added is always
// found; what was not is found too, rarely, as long as there are 16 bits or more for each item.
// Nothing can be taken out: the filter is made anew beside the old one.
type Bloom struct {
	words []uint64
	key   [2]uint64
	log2  int
}

// Item48 is the item of a /48 network, hi being the first eight bytes of any address in it.
func Item48(hi uint64) uint64 {
	return hi >> 16
}

// Item32 is the item of a /32 network, hi being the first eight bytes of any address in it. It is
// never one that Item48 returns.
func Item32(hi uint64) uint64 {
	return hi>>32 | 1<<63
}

// BloomLog2For is the log2 of words from least to most that gives each of n items 16 bits or more,
// unless most is too small for that.
func BloomLog2For(n, least, most int) int {
	return min(max(log2Ceil((max(n, 1)+3)/4), least), most)
}

// NewBloom makes a filter in the first 2^log2words of words. It leaves the bits as they are.
func NewBloom(words []uint64, log2words int, key [2]uint64) (*Bloom, error) {
	if log2words < 1 || log2words > MaxBloomLog2 {
		return nil, fmt.Errorf("make Bloom filter: 2^%d words: use 2^1 to 2^%d", log2words, MaxBloomLog2)
	}
	if len(words) < 1<<log2words {
		return nil, fmt.Errorf("make Bloom filter: %d words of memory: 2^%d are needed", len(words), log2words)
	}
	if err := checkKey(key); err != nil {
		return nil, fmt.Errorf("make Bloom filter: %w", err)
	}
	return &Bloom{words: words[:1<<log2words], key: key, log2: log2words}, nil
}

// HashBloom returns the word of an item in a filter of 2^log2words words, and the item's bits in it.
func HashBloom(item uint64, key [2]uint64, log2words int) (word int, mask uint64) {
	x := item * key[0]
	x ^= x >> 32
	x *= key[1]
	x ^= x >> 29
	return int(x >> uint(64-log2words)), 1<<(x&63) | 1<<(x>>6&63) | 1<<(x>>12&63)
}

// Add sets the bits of an item.
func (b *Bloom) Add(item uint64) {
	word, mask := HashBloom(item, b.key, b.log2)
	if old := atomic.LoadUint64(&b.words[word]); old&mask != mask {
		atomic.StoreUint64(&b.words[word], old|mask)
	}
}

// Has says whether the bits of an item are set.
func (b *Bloom) Has(item uint64) bool {
	word, mask := HashBloom(item, b.key, b.log2)
	return atomic.LoadUint64(&b.words[word])&mask == mask
}

// Reset clears every bit. Readers of the filter then find nothing, so it must not be the one in use.
func (b *Bloom) Reset() {
	for i := range b.words {
		if atomic.LoadUint64(&b.words[i]) != 0 {
			atomic.StoreUint64(&b.words[i], 0)
		}
	}
}

// HashAllow6 returns the word, of a power of two of them, and the bit in it, that stand for the /32
// network of an allowed address, hi being the first eight bytes of any address in it.
func HashAllow6(hi uint64, key [2]uint64, words int) (word int, bit uint) {
	x := (hi >> 32) * key[0]
	x ^= x >> 32
	x *= key[1]
	x ^= x >> 29
	cell := int(x>>48) % (words * 64)
	return cell / 64, uint(cell % 64)
}
