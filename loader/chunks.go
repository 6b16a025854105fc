package loader

import (
	"errors"
	"fmt"
	"math/bits"
	"sync"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
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
	c := &chunks{}
	for n := 0; n < lines; n += int(r.spec.MaxEntries) {
		m, err := ebpf.NewMap(r.spec)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("make a host table of %d lines: %w", lines, err), c.close())
		}
		c.maps = append(c.maps, m)
	}
	if err := c.mapAll(false); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// open takes the chunks of so many lines that are in place in a half.
func (r row) open(half uint8, lines int, readOnly bool) (*chunks, error) {
	c := &chunks{}
	for n := 0; n < lines; {
		var m *ebpf.Map
		if err := r.outer.Lookup(r.key(half, len(c.maps)), &m); err != nil {
			return nil, errors.Join(fmt.Errorf("open the host table: %w", err), c.close())
		}
		c.maps = append(c.maps, m)
		n += int(m.MaxEntries())
	}
	err := c.mapAll(readOnly)
	return c, errors.Join(err, c.keepFirst())
}

// mapAll maps the chunks one after the other.
func (c *chunks) mapAll(readOnly bool) error {
	c.count = len(c.maps)
	each := int(c.maps[0].MaxEntries()) * int(c.maps[0].ValueSize()) // whole pages
	whole := uintptr(each * c.count)
	at, err := unix.MmapPtr(-1, 0, nil, whole, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return fmt.Errorf("find room for a host table: %w", err)
	}
	c.words = unsafe.Slice((*uint64)(at), whole/8)
	prot := unix.PROT_READ
	if !readOnly {
		prot |= unix.PROT_WRITE
	}
	for i, m := range c.maps {
		_, err := unix.MmapPtr(m.FD(), 0, unsafe.Add(at, i*each), uintptr(each), prot, unix.MAP_SHARED|unix.MAP_FIXED)
		if err != nil {
			return fmt.Errorf("map memory of %s: %w", m, err)
		}
	}
	return nil
}

// place puts the chunks in place in a half that no packet looks at.
func (c *chunks) place(r row, half uint8) error {
	keys, fds := make([]uint32, c.count), make([]uint32, c.count)
	for i, m := range c.maps {
		keys[i], fds[i] = r.key(half, i), uint32(m.FD())
	}
	// A batch waits for packets once at most, single updates each time.
	_, err := r.outer.BatchUpdate(keys, fds, nil)
	if errors.Is(err, ebpf.ErrNotSupported) { // before Linux 5.19
		err = concurrently(c.count, func(i int) error { return r.outer.Put(keys[i], c.maps[i]) })
	}
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

// vacate gives back the chunks of a half from one to before another, of which some may be there. Each
// removal waits for packets, so they wait together.
func (r row) vacate(half uint8, from, to int) error {
	var there []uint32
	for i := from; i < to; i++ {
		var m *ebpf.Map
		switch err := r.outer.Lookup(r.key(half, i), &m); {
		case errors.Is(err, ebpf.ErrKeyNotExist):
			continue
		case err != nil:
			return fmt.Errorf("look for an old host table: %w", err)
		}
		there = append(there, r.key(half, i))
		if err := m.Close(); err != nil {
			return err
		}
	}
	err := concurrently(len(there), func(i int) error { return r.outer.Delete(there[i]) })
	if err != nil {
		return fmt.Errorf("give an old host table back: %w", err)
	}
	return nil
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
