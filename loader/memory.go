package loader

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// memory is an array map seen as what it is: words that the kernel reads while they are written. It
// ends with unmap; nothing may look at the words after that.
type memory struct {
	words []uint64
	raw   []byte
}

// mapMemory maps the values of an mmapable array.
func mapMemory(m *ebpf.Map, readOnly bool) (memory, error) {
	size := int(m.MaxEntries()) * int(m.ValueSize())
	pages := (size + os.Getpagesize() - 1) &^ (os.Getpagesize() - 1)
	prot := unix.PROT_READ
	if !readOnly {
		prot |= unix.PROT_WRITE
	}
	raw, err := unix.Mmap(m.FD(), 0, pages, prot, unix.MAP_SHARED)
	if err != nil {
		return memory{}, fmt.Errorf("map memory of %s: %w", m, err)
	}
	return memory{words: unsafe.Slice((*uint64)(unsafe.Pointer(&raw[0])), size/8), raw: raw}, nil
}

func (m *memory) unmap() error {
	if m.raw == nil {
		return nil
	}
	err := unix.Munmap(m.raw)
	m.words, m.raw = nil, nil
	if err != nil {
		return fmt.Errorf("unmap memory of a map: %w", err)
	}
	return nil
}

// view is how a family's tables are to be read (struct view in bpf/gabion.h).
type view struct {
	scale uint8 // log2 of the words of the filter in front
	half  uint8 // of that, which is in use
	table uint8 // half of the row that is in use
	flags uint8
	lines uint32 // of the host table in use; 0: there is none yet
}

// Flags of a view (enum view_flag).
const (
	viewPrefixes  = 1
	viewMiddle    = 2
	viewWide      = 4
	viewAllowWide = 8
)

func (v view) word() uint64 {
	return uint64(v.scale) | uint64(v.half)<<8 | uint64(v.table)<<16 | uint64(v.flags)<<24 | uint64(v.lines)<<32
}

func viewOf(word uint64) view {
	return view{
		scale: uint8(word), half: uint8(word >> 8), table: uint8(word>>16) & 1, flags: uint8(word >> 24), lines: uint32(word >> 32),
	}
}

// show makes a view the one that every packet from now on is judged by.
func show(at *uint64, v view) { atomic.StoreUint64(at, v.word()) }

func shown(at *uint64) view { return viewOf(atomic.LoadUint64(at)) }
