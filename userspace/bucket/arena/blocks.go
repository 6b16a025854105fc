package arena

import (
	"encoding/binary"
	"fmt"
)

// Ref names a block. The zero Ref names none.
type Ref uint32

// MaxBlock is the size of the largest block, in bytes.
const MaxBlock = chunkSize

// A Ref holds the number of a chunk and the block's place in it.
const (
	placeBits = 12 // a chunk has at most 4096 blocks of 16 bytes
	placeMask = 1<<placeBits - 1
	maxChunks = 1 << (32 - placeBits)
	endOfList = -1
)

// Blocks are pieces of memory of any size up to MaxBlock. Blocks of about the same size share a
// chunk; a chunk without blocks is given back.
type Blocks struct {
	space  *Space
	chunks []chunk
	unused []int32             // places in chunks that are free
	open   [len(classes)]int32 // first chunk of the class that has room, or endOfList
}

// chunk is cut into blocks of one class. A block that is free holds the place of the next, plus one.
type chunk struct {
	data       []byte
	class      uint8
	live       int
	fresh      int // blocks that were never used begin here
	free       int // place of the first block given back, plus one; 0 for none
	prev, next int32
}

// classes are the sizes of blocks: steps of 16 bytes, later of about an eighth.
var classes = [...]int{
	16, 32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 208, 224, 240, 256, 288, 320, 352, 384, 416, 448, 480, 512,
	576, 640, 704, 768, 832, 896, 960, 1024, 1152, 1280, 1408, 1536, 1664, 1792, 1920, 2048, 2304, 2560, 2816, 3072, 3584, 4096,
	4672, 5456, 6544, 8192, 9360, 10912, 13104, 16384, 21840, 32768, 65536,
}

// NewBlocks returns no blocks in a space.
func NewBlocks(space *Space) *Blocks {
	b := &Blocks{space: space}
	for i := range b.open {
		b.open[i] = endOfList
	}
	b.chunks = append(b.chunks, chunk{}) // so that no block has the zero Ref
	return b
}

// classOf returns the class for blocks of n bytes.
func classOf(n int) int {
	low, high := 0, len(classes)-1
	for low < high {
		if mid := (low + high) / 2; classes[mid] < n {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}

// SizeOf returns the memory that a block of n bytes takes.
func SizeOf(n int) int { return classes[classOf(n)] }

// Alloc returns a block of at least n bytes. Its content is undefined.
func (b *Blocks) Alloc(n int) Ref {
	if n > MaxBlock {
		panic(fmt.Sprintf("arena: block of %d bytes", n))
	}
	class := classOf(n)
	i := b.open[class]
	if i == endOfList {
		i = b.add(class)
	}
	c := &b.chunks[i]
	size := classes[class]
	place := c.fresh
	if c.free != 0 {
		place = c.free - 1
		c.free = int(binary.NativeEndian.Uint16(c.data[place*size:]))
	} else {
		c.fresh++
	}
	c.live++
	if c.full() {
		b.unlink(i)
	}
	return Ref(i<<placeBits) | Ref(place)
}

// Bytes returns a block, which is valid until it is freed. Its length is that of its class.
func (b *Blocks) Bytes(r Ref) []byte {
	c := &b.chunks[r>>placeBits]
	size := classes[c.class]
	at := int(r&placeMask) * size
	return c.data[at : at+size : at+size]
}

// Free gives a block back.
func (b *Blocks) Free(r Ref) {
	i := int32(r >> placeBits)
	c := &b.chunks[i]
	wasFull := c.full()
	size := classes[c.class]
	place := int(r & placeMask)
	binary.NativeEndian.PutUint16(c.data[place*size:], uint16(c.free))
	c.free = place + 1
	c.live--
	if wasFull {
		b.link(i)
	}
	if c.live == 0 {
		b.unlink(i)
		b.space.give(c.data)
		*c = chunk{}
		b.unused = append(b.unused, i)
	}
}

func (c *chunk) full() bool { return c.free == 0 && (c.fresh+1)*classes[c.class] > len(c.data) }

// add begins a chunk for a class.
func (b *Blocks) add(class int) int32 {
	var i int32
	if n := len(b.unused); n > 0 {
		i, b.unused = b.unused[n-1], b.unused[:n-1]
	} else {
		if len(b.chunks) == maxChunks {
			panic("arena: more than 64 GiB of blocks")
		}
		i = int32(len(b.chunks))
		b.chunks = append(b.chunks, chunk{})
	}
	b.chunks[i] = chunk{data: b.space.take(), class: uint8(class)}
	b.link(i)
	return i
}

// link puts a chunk first among those of its class that have room.
func (b *Blocks) link(i int32) {
	c := &b.chunks[i]
	c.prev, c.next = endOfList, b.open[c.class]
	if c.next != endOfList {
		b.chunks[c.next].prev = i
	}
	b.open[c.class] = i
}

func (b *Blocks) unlink(i int32) {
	c := &b.chunks[i]
	if c.prev == endOfList {
		b.open[c.class] = c.next
	} else {
		b.chunks[c.prev].next = c.next
	}
	if c.next != endOfList {
		b.chunks[c.next].prev = c.prev
	}
}
