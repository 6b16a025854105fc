package file

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"gabion/userspace/source/file/offsets"
)

// blockSize is how much is read at once. A block becomes one string that its lines share, so
// whoever keeps a line for long should clone it.
const blockSize = 64 << 10

var errTruncated = errors.New("file was truncated")

// tail reads one file from one position on, by its open descriptor: renaming or deleting the file
// does not disturb it.
type tail struct {
	id   offsets.FileID
	path string // where it was matched; its lines carry this name
	file string // where it was last seen, symbolic links resolved
	f    *os.File
	pos  offsets.Position

	size    int64 // when last looked at
	mtime   time.Time
	looked  time.Time // when that was
	before  time.Time // what was written earlier had been there at the look before
	seen    time.Time // when it was last found at path
	drained bool      // up to size and mtime there is no further line
	changed time.Time // when size or mtime were last seen to change, or when it was rotated

	rotated bool // has left path: a last half line will not be completed
	matched bool // some pattern matches where it is now

	original *tail // not nil: so far this file is a copy of the beginning of that one
	same     int64 // bytes known to be equal to the original's
	judged   bool  // whether it is a copy has been decided

	due     bool // may have something to read
	failing bool // reading failed the last time
}

func openTail(path, file string, now time.Time) (*tail, error) {
	// A FIFO that took the place of a log must not block us.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errNotRegular
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &tail{id: offsets.IDOf(info), path: path, file: file, f: f, size: info.Size(), mtime: info.ModTime(), changed: now, looked: now, seen: now, due: true}, nil
}

// resume sets the position to one from before, if the file still holds what was read up to there.
func (t *tail) resume(pos offsets.Position) (bool, error) {
	same, err := pos.Matches(t.f, t.size)
	if err != nil || !same {
		return false, err
	}
	t.pos, err = pos.Complete(t.f)
	return err == nil, err
}

func (t *tail) entry(kind string) offsets.Entry {
	return offsets.Entry{Kind: kind, ID: t.id, Path: t.path, File: t.file, Pos: t.pos, Written: t.mtime, At: t.seen, Rotated: t.rotated}
}

// look notes the present size and reports whether there can be something to read.
func (t *tail) look(now time.Time) (bool, error) {
	info, err := t.f.Stat()
	if err != nil {
		return false, fmt.Errorf("look at %s: %w", t.path, err)
	}
	t.before = offsets.Later(t.mtime, t.looked.Add(-offsets.Slack))
	if info.Size() != t.size || !info.ModTime().Equal(t.mtime) {
		t.size, t.mtime, t.changed, t.drained = info.Size(), info.ModTime(), now, false
	}
	t.looked = now
	if t.size < t.pos.Offset {
		return true, errTruncated
	}
	return !t.drained, nil
}

// read returns the block after the position, preceded by its context. It returns errTruncated when
// what was read before is not there any more.
func (t *tail) read(buf []byte) (string, error) {
	if ok, err := t.pos.Head.At(t.f, 0); err != nil || !ok {
		return "", orTruncated(err)
	}
	n, err := t.f.ReadAt(buf, t.pos.Offset-int64(t.pos.Context()))
	if ignoreEOF(err) != nil {
		return "", fmt.Errorf("read %s: %w", t.path, err)
	}
	if n < t.pos.Context() || offsets.MarkOf(string(buf[:t.pos.Context()])) != t.pos.Tail {
		return "", errTruncated
	}
	return string(buf[:n]), nil
}

// ignoreEOF drops the error of reading a file that is shorter than it was a moment ago.
func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func orTruncated(err error) error {
	if err != nil {
		return err
	}
	return errTruncated
}

// skipHole moves a tail at the head of a file behind the zero bytes there. They are what a writer
// leaves that goes on at its old offset after somebody truncated the file.
func (t *tail) skipHole(buf []byte) error {
	const seekData = 3
	offset, err := t.f.Seek(0, seekData)
	if err != nil {
		offset = 0 // the file system knows no holes, or there is nothing but a hole
	}
	n, err := t.f.ReadAt(buf, offset)
	if ignoreEOF(err) != nil {
		return fmt.Errorf("read %s: %w", t.path, err)
	}
	zeros := 0
	for zeros < n && buf[zeros] == 0 {
		zeros++
	}
	t.pos, err = offsets.PositionAt(t.f, offset+int64(zeros))
	return err
}

// compare goes on comparing the tail with its original, at most one block. It returns true while
// it may be a copy, and more while there is something left to compare.
func (t *tail) compare(buf []byte) (isCopy, more bool, err error) {
	o := t.original
	info, err := o.f.Stat()
	if err != nil {
		return true, false, fmt.Errorf("look at %s: %w", o.path, err)
	}
	if t.size > info.Size() {
		return t.unlike()
	}
	half := len(buf) / 2
	n := int(min(int64(half), t.size-t.same))
	if n <= 0 {
		return true, false, nil
	}
	ours, theirs := buf[:n], buf[half:half+n]
	if n, err := t.f.ReadAt(ours, t.same); n < len(ours) {
		return true, false, ignoreEOF(err)
	}
	if n, err := o.f.ReadAt(theirs, t.same); n < len(theirs) {
		return true, false, ignoreEOF(err)
	}
	if string(ours) != string(theirs) {
		return t.unlike()
	}
	t.same += int64(n)
	return true, t.same < t.size, nil
}

// unlike decides what a difference between the tail and its original means: the tail is no copy,
// unless it is the original that has just lost its content. Then the original's own turn settles it.
func (t *tail) unlike() (isCopy, more bool, err error) {
	info, err := t.original.f.Stat()
	if err != nil {
		return true, false, fmt.Errorf("look at %s: %w", t.original.path, err)
	}
	intact, err := t.original.pos.Matches(t.original.f, info.Size())
	return err != nil || !intact, false, err
}

// settle ends the comparison because the original is about to lose its content: what it had been
// read up to need not be read here.
func (t *tail) settle() error {
	read := t.original.pos
	t.original = nil
	t.rotated, t.drained, t.due = true, false, true
	if ok, err := t.resume(read); err != nil || ok {
		return err
	}
	pos, err := offsets.PositionAt(t.f, min(t.same, read.Offset))
	if err != nil {
		return err
	}
	t.pos = pos
	return nil
}
