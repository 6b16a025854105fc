package lists

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"slices"
)

// errDamaged says that a snapshot is not what was written.
var errDamaged = errors.New("the snapshot is damaged: import the list again")

// header begins a snapshot. All numbers are little endian. The arrays follow in the order of Entries,
// and after them the CRC-32 (IEEE) of all before it.
type header struct {
	Magic  [8]byte
	Counts [4]uint32
}

func magic() [8]byte { return [8]byte([]byte("gablist1")) }

// write writes a snapshot.
func (e *Entries) write(w io.Writer) error {
	sum := crc32.NewIEEE()
	buf := bufio.NewWriterSize(io.MultiWriter(w, sum), 1<<16)
	h := header{magic(), [4]uint32{uint32(len(e.nets4)), uint32(len(e.nets6)), uint32(len(e.hosts4)), uint32(len(e.hosts6))}}
	if err := binary.Write(buf, binary.LittleEndian, h); err != nil {
		return err
	}
	var b []byte
	for _, n := range e.nets4 {
		b = append(binary.LittleEndian.AppendUint32(b[:0], n.addr), n.bits)
		_, _ = buf.Write(b) // the first error stays, Flush returns it
	}
	for _, n := range e.nets6 {
		_, _ = buf.Write(append(append(b[:0], n.addr[:]...), n.bits))
	}
	for _, n := range e.hosts4 {
		b = binary.LittleEndian.AppendUint32(b[:0], n)
		_, _ = buf.Write(b)
	}
	for i := range e.hosts6 {
		_, _ = buf.Write(e.hosts6[i][:])
	}
	if err := buf.Flush(); err != nil {
		return err
	}
	return binary.Write(w, binary.LittleEndian, sum.Sum32())
}

// readSnapshot reads what write wrote. Every entry is checked: what is read goes into the kernel.
func readSnapshot(r io.Reader) (*Entries, error) {
	in := &summed{r: bufio.NewReaderSize(r, 1<<16), sum: crc32.NewIEEE()}
	var h header
	if err := binary.Read(in, binary.LittleEndian, &h); err != nil || h.Magic != magic() {
		return nil, errDamaged
	}
	total := uint64(0)
	for _, n := range h.Counts {
		total += uint64(n)
	}
	if total > MaxEntries+1 {
		return nil, errDamaged
	}
	e := &Entries{}
	var b [17]byte
	for range h.Counts[0] {
		in.read(b[:5])
		e.nets4 = append(e.nets4, net4{binary.LittleEndian.Uint32(b[:4]), b[4]})
	}
	for range h.Counts[1] {
		in.read(b[:17])
		e.nets6 = append(e.nets6, net6{[16]byte(b[:16]), b[16]})
	}
	for range h.Counts[2] {
		in.read(b[:4])
		e.hosts4 = append(e.hosts4, binary.LittleEndian.Uint32(b[:4]))
	}
	for range h.Counts[3] {
		in.read(b[:16])
		e.hosts6 = append(e.hosts6, [16]byte(b[:16]))
	}
	want := in.sum.Sum32()
	in.read(b[:4])
	switch {
	case in.err != nil:
		return nil, fmt.Errorf("%w: %w", errDamaged, in.err)
	case binary.LittleEndian.Uint32(b[:4]) != want || !e.sound():
		return nil, errDamaged
	}
	e.sort()
	return e, nil
}

// sound reports whether the entries are as add would make them, and in order.
func (e *Entries) sound() bool {
	for _, n := range e.nets4 {
		if n.bits == 0 || n.bits > 31 {
			return false
		}
	}
	for _, n := range e.nets6 {
		if n.bits == 0 || n.bits > 127 {
			return false
		}
	}
	for _, p := range e.All() {
		if p.IsSingleIP() {
			break // addresses come last and have no host bits
		}
		if p != p.Masked() {
			return false
		}
	}
	return slices.IsSortedFunc(e.nets4, compareNet4) && slices.IsSortedFunc(e.nets6, compareNet6) &&
		slices.IsSorted(e.hosts4) && slices.IsSortedFunc(e.hosts6, compareHost6)
}

// summed reads and keeps the sum of what was read, and the first error.
type summed struct {
	r   io.Reader
	sum hash.Hash32
	err error
}

// Read implements io.Reader.
func (s *summed) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	_, _ = s.sum.Write(b[:n]) // a hash does not fail
	return n, err
}

func (s *summed) read(b []byte) {
	if s.err == nil {
		_, s.err = io.ReadFull(s, b)
	}
}
