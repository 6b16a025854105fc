package offsets

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// MarkSize is how many bytes at the head of a file, and how many before the offset, tell one
// generation of its content from the next.
const MarkSize = 256

// Mark is a stretch of bytes by length and hash.
type Mark struct {
	N   int    `json:"n"`
	Sum uint64 `json:"sum"`
}

// MarkOf returns the mark of the bytes in b.
func MarkOf(b string) Mark {
	if b == "" {
		return Mark{}
	}
	sum := sha256.Sum256([]byte(b))
	return Mark{N: len(b), Sum: binary.BigEndian.Uint64(sum[:8])}
}

// At reports whether the bytes that start at offset are those of the mark.
func (m Mark) At(r io.ReaderAt, offset int64) (bool, error) {
	buf := make([]byte, m.N)
	n, err := r.ReadAt(buf, offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	return n == m.N && MarkOf(string(buf)) == m, nil
}

// Position is how far a file has been read, and what its content was around there: a file whose
// content differs has been truncated or replaced, whatever its size.
type Position struct {
	Offset int64 `json:"offset"`
	Skip   bool  `json:"skip,omitempty"` // inside a line whose beginning was delivered cut
	Head   Mark  `json:"head"`           // the first bytes, at most up to Offset
	Tail   Mark  `json:"tail"`           // the last bytes before Offset
}

// PositionAt returns the position at offset in a file that is at least as long.
func PositionAt(r io.ReaderAt, offset int64) (Position, error) {
	n := min(offset, MarkSize)
	head, tail := make([]byte, n), make([]byte, n)
	if _, err := io.ReadFull(io.NewSectionReader(r, 0, n), head); err != nil {
		return Position{}, fmt.Errorf("read head: %w", err)
	}
	if _, err := io.ReadFull(io.NewSectionReader(r, offset-n, n), tail); err != nil {
		return Position{}, fmt.Errorf("read before offset %d: %w", offset, err)
	}
	return Position{Offset: offset, Head: MarkOf(string(head)), Tail: MarkOf(string(tail))}, nil
}

// Matches reports whether what was read up to the position is what the file holds there now.
func (p Position) Matches(r io.ReaderAt, size int64) (bool, error) {
	if size < p.Offset {
		return false, nil
	}
	if ok, err := p.Head.At(r, 0); !ok {
		return false, err
	}
	return p.Tail.At(r, p.Offset-int64(p.Tail.N))
}

// Complete returns the position with its marks, if it is one of a file that could not be read when
// it was made.
func (p Position) Complete(r io.ReaderAt) (Position, error) {
	if p.Offset == 0 || p.Tail.N > 0 {
		return p, nil
	}
	return PositionAt(r, p.Offset)
}

// Context is how many bytes before the offset a block starts: those of the tail mark.
func (p Position) Context() int { return p.Tail.N }

// Advance returns the position after the first used bytes of a block, which starts with the
// context of p.
func (p Position) Advance(block string, used int, skip bool) Position {
	end := p.Context() + used
	next := Position{Offset: p.Offset + int64(used), Skip: skip, Head: p.Head}
	next.Tail = MarkOf(block[max(0, end-MarkSize):end])
	if p.Head.N < MarkSize { // then the block starts at the head of the file
		next.Head = MarkOf(block[:min(end, MarkSize)])
	}
	return next
}

// FileID is what a file keeps when it is renamed.
type FileID struct {
	Dev uint64 `json:"dev"`
	Ino uint64 `json:"ino"`
}

// IDOf returns what identifies a file.
func IDOf(info os.FileInfo) FileID {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return FileID{}
	}
	return FileID{Dev: uint64(st.Dev), Ino: st.Ino} //nolint:unconvert // 32 bits on some platforms
}

// LinksOf returns how many names a file has.
func LinksOf(info os.FileInfo) uint64 {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 1
	}
	return uint64(st.Nlink) //nolint:unconvert // 32 bits on some platforms
}
