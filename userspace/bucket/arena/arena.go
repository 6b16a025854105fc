// Package arena keeps what has no pointers outside the garbage collector's heap: a million small
// things cost their own size once, and no collection ever looks at them.
//
// A Space hands out chunks of memory; a Vector is a growing array in it, Blocks are pieces of any
// size. All of them belong to one goroutine. Memory comes zeroed or as its user left it; nothing in
// it keeps a Go value alive, so it must not hold pointers, strings or slices.
package arena

import (
	"runtime"

	"golang.org/x/sys/unix"
)

const (
	chunkSize  = 64 << 10
	regionSize = 4 << 20

	// maxIdle is how many free chunks a Space keeps before it gives their pages back to the system.
	maxIdle = 64
)

// Space is memory that Vectors and Blocks share. It grows as they need; chunks that they give back
// are used again, and many of them go back to the system.
type Space struct {
	maps *mappings
	rest []byte // of the newest region
	idle [][]byte
	used int // chunks handed out
}

// mappings is what a Space got from the system.
type mappings struct{ regions [][]byte }

// NewSpace returns an empty space. Close releases it; one that is forgotten is released some time
// after nothing refers to it.
func NewSpace() *Space {
	s := &Space{maps: &mappings{}}
	runtime.AddCleanup(s, (*mappings).release, s.maps)
	return s
}

// Size returns the bytes handed out.
func (s *Space) Size() int64 { return int64(s.used) * chunkSize }

// Close releases the memory. Nothing that lives in the space may be used any more.
func (s *Space) Close() {
	s.maps.release()
	*s = Space{maps: s.maps}
}

func (m *mappings) release() {
	for _, r := range m.regions {
		_ = unix.Munmap(r) // it fails only for what is not mapped
	}
	m.regions = nil
}

// take returns a chunk. Its content is undefined.
func (s *Space) take() []byte {
	s.used++
	if n := len(s.idle); n > 0 {
		c := s.idle[n-1]
		s.idle = s.idle[:n-1]
		return c
	}
	if len(s.rest) == 0 {
		r, err := unix.Mmap(-1, 0, regionSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
		if err != nil {
			return make([]byte, chunkSize) // the runtime reports an exhausted machine in its own way
		}
		s.maps.regions = append(s.maps.regions, r)
		s.rest = r
	}
	c := s.rest[:chunkSize:chunkSize]
	s.rest = s.rest[chunkSize:]
	return c
}

// give takes back a chunk.
func (s *Space) give(c []byte) {
	s.used--
	if len(s.idle) >= maxIdle {
		_ = unix.Madvise(c, unix.MADV_DONTNEED) // a hint: without it the chunk is only kept
	}
	s.idle = append(s.idle, c)
}
