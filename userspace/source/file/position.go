package file

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// markSize is how many bytes at the head of a file, and how many before the offset, tell one
// generation of its content from the next.
const markSize = 256

// mark is a stretch of bytes by length and hash.
type mark struct {
	N   int    `json:"n"`
	Sum uint64 `json:"sum"`
}

func markOf(b string) mark {
	if b == "" {
		return mark{}
	}
	sum := sha256.Sum256([]byte(b))
	return mark{N: len(b), Sum: binary.BigEndian.Uint64(sum[:8])}
}

// at reports whether the bytes that start at offset are those of the mark.
func (m mark) at(r io.ReaderAt, offset int64) (bool, error) {
	buf := make([]byte, m.N)
	n, err := r.ReadAt(buf, offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	return n == m.N && markOf(string(buf)) == m, nil
}

// position is how far a file has been read, and what its content was around there: a file whose
// content differs has been truncated or replaced, whatever its size.
type position struct {
	Offset int64 `json:"offset"`
	Skip   bool  `json:"skip,omitempty"` // inside a line whose beginning was delivered cut
	Head   mark  `json:"head"`           // the first bytes, at most up to Offset
	Tail   mark  `json:"tail"`           // the last bytes before Offset
}

// positionAt returns the position at offset in a file that is at least as long.
func positionAt(r io.ReaderAt, offset int64) (position, error) {
	n := min(offset, markSize)
	head, tail := make([]byte, n), make([]byte, n)
	if _, err := io.ReadFull(io.NewSectionReader(r, 0, n), head); err != nil {
		return position{}, fmt.Errorf("read head: %w", err)
	}
	if _, err := io.ReadFull(io.NewSectionReader(r, offset-n, n), tail); err != nil {
		return position{}, fmt.Errorf("read before offset %d: %w", offset, err)
	}
	return position{Offset: offset, Head: markOf(string(head)), Tail: markOf(string(tail))}, nil
}

// matches reports whether what was read up to the position is what the file holds there now.
func (p position) matches(r io.ReaderAt, size int64) (bool, error) {
	if size < p.Offset {
		return false, nil
	}
	if ok, err := p.Head.at(r, 0); !ok {
		return false, err
	}
	return p.Tail.at(r, p.Offset-int64(p.Tail.N))
}

// complete returns the position with its marks, if it is one of a file that could not be read when
// it was made.
func (p position) complete(r io.ReaderAt) (position, error) {
	if p.Offset == 0 || p.Tail.N > 0 {
		return p, nil
	}
	return positionAt(r, p.Offset)
}

// context is how many bytes before the offset a block starts: those of the tail mark.
func (p position) context() int { return p.Tail.N }

// advance returns the position after the first used bytes of a block, which starts with the
// context of p.
func (p position) advance(block string, used int, skip bool) position {
	end := p.context() + used
	next := position{Offset: p.Offset + int64(used), Skip: skip, Head: p.Head}
	next.Tail = markOf(block[max(0, end-markSize):end])
	if p.Head.N < markSize { // then the block starts at the head of the file
		next.Head = markOf(block[:min(end, markSize)])
	}
	return next
}

// fileID is what a file keeps when it is renamed.
type fileID struct {
	Dev uint64 `json:"dev"`
	Ino uint64 `json:"ino"`
}

func idOf(info os.FileInfo) fileID {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fileID{}
	}
	return fileID{Dev: uint64(st.Dev), Ino: st.Ino} //nolint:unconvert // 32 bits on some platforms
}

func linksOf(info os.FileInfo) uint64 {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 1
	}
	return uint64(st.Nlink) //nolint:unconvert // 32 bits on some platforms
}
