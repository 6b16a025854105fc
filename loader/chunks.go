package loader

import (
	"errors"
	"fmt"
	"math/bits"
	"sync"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"gabion/loader/table"
)

// chunks is the memory of a host table: a row of maps of one size, here in one piece. The kernel inlines
// a lookup in a map of a map only when all of these have one size.
type chunks struct {
	words []uint64
	maps  []*ebpf.Map // those with a handle; once they are in place only the first
	count int
}

// row is where the kernel finds the tables of a family: a map of maps, in two halves.
type row struct {
	outer *ebpf.Map
	spec  *ebpf.MapSpec // of a chunk; nil: to be read only
}

// key is the place of a chunk.
func (r row) key(half uint8, chunk int) uint32 {
	return uint32(half)*r.outer.MaxEntries()/2 + uint32(chunk)
}

// most is the number of lines that a table can have.
func (r row) most() int { return int(r.outer.MaxEntries() / 2 * r.spec.MaxEntries) }

// round makes a number of lines one that a table can have: up to a chunk a power of two, beyond that
// whole chunks.
func (r row) round(lines int) int {
	chunk := int(r.spec.MaxEntries)
	if lines <= chunk {
		return 1 << bits.Len(uint(lines-1))
	}
	return min((lines+chunk-1)/chunk*chunk, r.most())
}

// make makes chunks for so many lines, all zero, that the kernel does not know of yet.
func (r row) make(lines int) (*chunks, error) {
	c, err := newChunks(lines, r.spec.MaxEntries, r.spec.ValueSize)
	if err != nil {
		return nil, err
	}
	for i := range c.count {
		m, err := ebpf.NewMap(r.spec)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("make a host table of %d lines: %w", lines, err), c.close())
		}
		c.maps = append(c.maps, m)
		if err := c.mapChunk(i, m, unix.PROT_READ|unix.PROT_WRITE); err != nil {
			return nil, errors.Join(err, c.close())
		}
	}
	return c, nil
}

// open takes the chunks of so many lines that are in place in a half.
func (r row) open(half uint8, lines int, readOnly bool) (*chunks, error) {
	if lines < table.MinLines {
		return nil, fmt.Errorf("open the host table: it is said to have %d lines", lines)
	}
	prot := unix.PROT_READ
	if !readOnly {
		prot |= unix.PROT_WRITE
	}
	var c *chunks
	for i := 0; c == nil || i < c.count; i++ {
		var m *ebpf.Map
		err := r.outer.Lookup(r.key(half, i), &m)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open the host table: %w", err), c.close())
		}
		if c == nil {
			if c, err = newChunks(lines, m.MaxEntries(), m.ValueSize()); err != nil {
				return nil, errors.Join(err, m.Close())
			}
		}
		c.maps = append(c.maps, m)
		if err := errors.Join(c.mapChunk(i, m, prot), c.keepFirst()); err != nil {
			return nil, errors.Join(err, c.close())
		}
	}
	return c, nil
}

// newChunks finds room for the memory of so many lines.
func newChunks(lines int, linesEach, lineSize uint32) (*chunks, error) {
	c := &chunks{count: (lines + int(linesEach) - 1) / int(linesEach)}
	whole := uintptr(c.count) * uintptr(linesEach) * uintptr(lineSize)
	at, err := unix.MmapPtr(-1, 0, nil, whole, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("find room for a host table: %w", err)
	}
	c.words = unsafe.Slice((*uint64)(at), whole/8)
	return c, nil
}

// mapChunk maps a chunk, which is of whole pages, in its place.
func (c *chunks) mapChunk(i int, m *ebpf.Map, prot int) error {
	each := len(c.words) / c.count
	at := unsafe.Pointer(&c.words[i*each])
	if _, err := unix.MmapPtr(m.FD(), 0, at, uintptr(8*each), prot, unix.MAP_SHARED|unix.MAP_FIXED); err != nil {
		return fmt.Errorf("map memory of %s: %w", m, err)
	}
	return nil
}

// place puts the chunks in place in a half that no packet looks at. Each update waits for packets, and
// before Linux 6.8 one of many keys does so for each, so that some wait together.
func (c *chunks) place(r row, half uint8) error {
	keys, fds := make([]uint32, c.count), make([]uint32, c.count)
	for i, m := range c.maps {
		keys[i], fds[i] = r.key(half, i), uint32(m.FD())
	}
	err := concurrently(min(waiters, c.count), func(i int) error {
		from, to := i*c.count/min(waiters, c.count), (i+1)*c.count/min(waiters, c.count)
		_, err := r.outer.BatchUpdate(keys[from:to], fds[from:to], nil)
		if !errors.Is(err, ebpf.ErrNotSupported) {
			return err
		}
		for ; from < to; from++ { // before Linux 5.19
			if err := r.outer.Put(keys[from], c.maps[from]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("put a host table in place: %w", err)
	}
	return c.keepFirst()
}

// wait returns when every packet that began before is done, which an update of a map of maps waits for
// (maybe_wait_bpf_programs in kernel/bpf/syscall.c). It changes nothing: the chunk is there already.
func (c *chunks) wait(r row, half uint8) error {
	if err := r.outer.Put(r.key(half, 0), c.maps[0]); err != nil {
		return fmt.Errorf("wait for running programs: %w", err)
	}
	return nil
}

// keepFirst gives back the handles of the chunks that the kernel and the mapping hold anyway.
func (c *chunks) keepFirst() error {
	var errs []error
	for _, m := range c.maps[1:] {
		errs = append(errs, m.Close())
	}
	c.maps = c.maps[:1]
	return errors.Join(errs...)
}

// close gives up the memory, at which nobody may look after that, and all handles.
func (c *chunks) close() error {
	if c == nil {
		return nil
	}
	var errs []error
	if c.words != nil {
		at := unsafe.Pointer(unsafe.SliceData(c.words))
		if err := unix.MunmapPtr(at, uintptr(8*len(c.words))); err != nil {
			errs = append(errs, fmt.Errorf("unmap a host table: %w", err))
		}
		c.words = nil
	}
	for _, m := range c.maps {
		errs = append(errs, m.Close())
	}
	c.maps = nil
	return errors.Join(errs...)
}

// there returns which chunks of a half are in place, from one on.
func (r row) there(half uint8, from int) (chunks []int, err error) {
	for i := from; i < int(r.outer.MaxEntries()/2); i++ {
		var m *ebpf.Map
		switch err := r.outer.Lookup(r.key(half, i), &m); {
		case errors.Is(err, ebpf.ErrKeyNotExist):
		case err != nil:
			return chunks, fmt.Errorf("look for an old host table: %w", err)
		default:
			chunks = append(chunks, i)
			if err := m.Close(); err != nil {
				return chunks, err
			}
		}
	}
	return chunks, nil
}

// vacate gives back chunks of a half, of which some may be gone. Each removal waits for packets, so they
// wait together.
func (r row) vacate(half uint8, chunks []int) error {
	err := concurrently(len(chunks), func(i int) error {
		err := r.outer.Delete(r.key(half, chunks[i]))
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("give an old host table back: %w", err)
	}
	return nil
}

// between returns the numbers from one to before another.
func between(from, to int) (out []int) {
	for i := from; i < to; i++ {
		out = append(out, i)
	}
	return out
}

// waiters is how many calls of concurrently run at once: each keeps a thread.
const waiters = 16

// concurrently calls do for each of the numbers below n, some at once: each call waits for packets.
func concurrently(n int, do func(i int) error) error {
	errs := make([]error, n)
	var group sync.WaitGroup
	for first := range min(n, waiters) {
		// Each does its share of the calls, and ends with it.
		group.Go(func() {
			for i := first; i < n; i += waiters {
				errs[i] = do(i)
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}
