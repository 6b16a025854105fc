package bucket

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// A state file is a line that names the format and then frames: a kind, the length of the content, the
// content, and the CRC-32C of all three. The last frame says how much there is, so that a file that was
// cut off is known as such.
const stateMagic = "gabion buckets 1\n"

// Kinds of frames.
const (
	frameHeader  = 'h' // when it was saved, the key of the IDs, the scenarios
	frameNames   = 'n' // keys and values that records refer to by number
	frameBuckets = 'b'
	frameEnd     = 'e'
)

const (
	frameHead = 5 // kind and length
	frameSum  = 4
	maxFrame  = 8 << 20
)

// ErrDamaged is what reading a state file fails with that is not as it was written.
var ErrDamaged = errors.New("the saved buckets are damaged")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

// writeFrame writes one frame.
func writeFrame(w io.Writer, kind byte, content []byte) error {
	var head [frameHead]byte
	head[0] = kind
	binary.LittleEndian.PutUint32(head[1:], uint32(len(content)))
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(crc32.Checksum(head[:], table), table, content)
	var tail [frameSum]byte
	binary.LittleEndian.PutUint32(tail[:], sum)
	for _, b := range [][]byte{head[:], content, tail[:]} {
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// frameReader reads frames.
type frameReader struct {
	r   *bufio.Reader
	buf []byte
}

// newFrameReader reads the line that names the format.
func newFrameReader(r io.Reader) (*frameReader, error) {
	f := &frameReader{r: bufio.NewReaderSize(r, 64<<10)}
	var magic [len(stateMagic)]byte
	if _, err := io.ReadFull(f.r, magic[:]); err != nil {
		return nil, readError(err)
	}
	if string(magic[:]) != stateMagic {
		return nil, damaged("it does not begin with %q", stateMagic)
	}
	return f, nil
}

// next returns the next frame, which is valid until the call after.
func (f *frameReader) next() (kind byte, content []byte, err error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(f.r, head[:]); err != nil {
		return 0, nil, readError(err)
	}
	n := binary.LittleEndian.Uint32(head[1:])
	if n > maxFrame {
		return 0, nil, damaged("a part of %d bytes", n)
	}
	if need := int(n) + frameSum; cap(f.buf) < need {
		f.buf = make([]byte, need)
	}
	f.buf = f.buf[:int(n)+frameSum]
	if _, err := io.ReadFull(f.r, f.buf); err != nil {
		return 0, nil, readError(err)
	}
	content = f.buf[:n]
	table := crc32.MakeTable(crc32.Castagnoli)
	if sum := crc32.Update(crc32.Checksum(head[:], table), table, content); sum != binary.LittleEndian.Uint32(f.buf[n:]) {
		return 0, nil, damaged("a checksum is wrong")
	}
	return head[0], content, nil
}

// readError tells a file that was cut off from one that cannot be read.
func readError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return damaged("the end is missing")
	}
	return err
}

// input is the content of a frame. Once something is missing in it, bad is set and all reads give
// zero.
type input struct {
	b   []byte
	bad bool
}

func (in *input) bytes(n uint64) []byte {
	if n > uint64(len(in.b)) {
		in.b, in.bad = nil, true
		return nil
	}
	out := in.b[:n:n]
	in.b = in.b[n:]
	return out
}

func (in *input) byte() byte {
	if b := in.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (in *input) uint64() uint64 {
	if b := in.bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (in *input) time() int64 { return int64(in.uint64()) }

func (in *input) uvarint() uint64 {
	v, n := binary.Uvarint(in.b)
	if n <= 0 {
		in.b, in.bad = nil, true
		return 0
	}
	in.b = in.b[n:]
	return v
}

// count reads the number of elements that follow, each of at least size bytes.
func (in *input) count(size int) int {
	n := in.uvarint()
	if n > uint64(len(in.b)/size) {
		in.b, in.bad = nil, true
		return 0
	}
	return int(n)
}

func (in *input) text() string { return string(in.bytes(in.uvarint())) }
