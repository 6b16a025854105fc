package bucket

import (
	"encoding/binary"

	"gabion/userspace/bucket/arena"
)

// maxDistinct bounds the values that one bucket remembers. Later ones count as new each time, so
// that a bucket which is kept alive for days neither grows nor falls asleep.
const maxDistinct = 4096

// values is the set of distinct values that one bucket has seen: a hash table of their hashes in a
// block, the size of which is a power of two. Zero marks an empty place.
type values struct {
	block arena.Ref // 0 while there is none
	count uint16
	bits  uint8 // the block has 1<<bits places
}

const hashSize = 8 // bytes

func nonZero(hash uint64) uint64 { return max(hash, 1) }

// has reports whether a value was remembered.
func (v *values) has(blocks *arena.Blocks, hash uint64) bool {
	if v.block == 0 {
		return false
	}
	_, found := v.find(blocks.Bytes(v.block), nonZero(hash))
	return found
}

// find returns the place of a hash, or the empty place for it. There always is an empty place.
func (v *values) find(places []byte, hash uint64) (at int, found bool) {
	mask := uint64(1)<<v.bits - 1
	for i := hash & mask; ; i = (i + 1) & mask {
		switch binary.LittleEndian.Uint64(places[i*hashSize:]) {
		case hash:
			return int(i) * hashSize, true
		case 0:
			return int(i) * hashSize, false
		}
	}
}

// remember adds a value and returns the memory that this takes.
func (v *values) remember(blocks *arena.Blocks, hash uint64) (grown int64) {
	if v.count >= maxDistinct {
		return 0
	}
	before := v.size()
	if v.block == 0 || 8*(int(v.count)+1) > 7<<v.bits {
		v.grow(blocks)
	}
	places := blocks.Bytes(v.block)
	at, found := v.find(places, nonZero(hash))
	if !found {
		binary.LittleEndian.PutUint64(places[at:], nonZero(hash))
		v.count++
	}
	return v.size() - before
}

// size returns the memory that the values take.
func (v *values) size() int64 {
	if v.block == 0 {
		return 0
	}
	return int64(arena.SizeOf(hashSize << v.bits))
}

func (v *values) grow(blocks *arena.Blocks) {
	old := *v
	v.bits = max(1, v.bits+1)
	v.block = blocks.Alloc(hashSize << v.bits)
	places := blocks.Bytes(v.block)
	clear(places)
	for hash := range old.all(blocks) {
		at, _ := v.find(places, hash)
		binary.LittleEndian.PutUint64(places[at:], hash)
	}
	old.free(blocks)
}

// all yields the hashes, in no order.
func (v *values) all(blocks *arena.Blocks) func(yield func(uint64) bool) {
	return func(yield func(uint64) bool) {
		if v.block == 0 {
			return
		}
		places := blocks.Bytes(v.block)[:hashSize<<v.bits]
		for ; len(places) > 0; places = places[hashSize:] {
			if hash := binary.LittleEndian.Uint64(places); hash != 0 && !yield(hash) {
				return
			}
		}
	}
}

func (v *values) free(blocks *arena.Blocks) {
	if v.block != 0 {
		blocks.Free(v.block)
	}
}
