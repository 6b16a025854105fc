// Package ledger keeps a small state so that it survives SIGKILL at any moment and, up to what the
// kernel had not written back yet, the loss of power.
//
// Every step is one record, appended with one write: from then on it is in the page cache, which
// does not die with the process. The whole state is written now and then to the other one of two
// files, so neither a half written state nor a full disk costs what was kept before. Nothing waits
// for the disk except Sync.
package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

const (
	// title begins the first record of a file; its number is that of the format.
	title = "gabion ledger 1"

	// growth is how many bytes of steps a file takes before the state is worth writing anew, which
	// costs about as much as the state is long.
	growth = 256 << 10

	// longest bounds a file that is read.
	longest = 64 << 20
)

// errFormat means that a file is whole and of another version.
var errFormat = errors.New("it is of another version of gabion")

// Ledger is one state in two files beside each other. It belongs to one goroutine at a time.
type Ledger struct {
	path       string
	slot       int // of the file in use; the next state goes to the other one
	generation uint64
	f          *os.File // nil: nothing can be appended
	size       int64    // of f, up to the last whole record
	begun      int64    // size when f was begun
	line       []byte
}

// New returns the ledger in the files path.0 and path.1; nothing is touched yet.
func New(path string) *Ledger { return &Ledger{path: path} }

// Load returns the records of the newest whole state and of the steps after it. Without any file
// there are none; an error means that there are files and that none can be used.
func (l *Ledger) Load() ([][]byte, error) {
	var best [][]byte
	var errs []error
	usable := false
	for slot := range 2 {
		records, generation, err := load(l.name(slot))
		if err != nil {
			errs = append(errs, fmt.Errorf("read %s: %w", l.name(slot), err))
			continue
		}
		if generation > l.generation {
			l.slot, l.generation, best, usable = slot, generation, records, true
		}
	}
	if usable {
		return best, nil
	}
	return nil, errors.Join(errs...)
}

// Append keeps one step; false when Rebuild must be called for it, because nothing was begun yet or
// writing failed. The record must not hold a newline.
func (l *Ledger) Append(record []byte) bool {
	if l.f == nil {
		return false
	}
	l.line = appendRecord(l.line[:0], record)
	n, err := l.f.WriteAt(l.line, l.size)
	if err != nil {
		l.drop()
		return false
	}
	l.size += int64(n)
	return true
}

// Full reports whether enough steps have been appended to be worth a Rebuild.
func (l *Ledger) Full() bool { return l.f == nil || l.size > l.begun+max(growth, l.begun) }

// Lost reports whether somebody removed the file that is written to.
func (l *Ledger) Lost() bool {
	if l.f == nil {
		return true
	}
	there, err := os.Stat(l.name(l.slot))
	if err != nil {
		return true
	}
	ours, err := l.f.Stat()
	return err != nil || !os.SameFile(there, ours)
}

// Rebuild writes the whole state to the other file and goes on there. After an error what was kept
// before is still there, and steps are appended to it if that is possible.
func (l *Ledger) Rebuild(records [][]byte) error {
	if err := os.MkdirAll(filepath.Dir(l.path), 0o700); err != nil {
		return fmt.Errorf("make state directory: %w", err)
	}
	data := appendRecord(nil, fmt.Appendf(nil, "%s %d %d", title, l.generation+1, len(records)))
	for _, record := range records {
		data = appendRecord(data, record)
	}
	f, err := os.OpenFile(l.name(1-l.slot), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return errors.Join(err, f.Close())
	}
	l.drop()
	l.f, l.slot = f, 1-l.slot
	l.generation++
	l.size, l.begun = int64(len(data)), int64(len(data))
	return nil
}

// Sync waits until all that was appended is on the disk.
func (l *Ledger) Sync() error {
	if l.f == nil {
		return nil
	}
	return l.f.Sync()
}

// Close closes the file; the next Append says that it needs a Rebuild.
func (l *Ledger) Close() error {
	if l.f == nil {
		return nil
	}
	err := l.f.Close()
	l.f = nil
	return err
}

// Remove closes the ledger and deletes its files.
func (l *Ledger) Remove() error {
	l.drop()
	l.generation = 0
	var errs []error
	for slot := range 2 {
		if err := os.Remove(l.name(slot)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (l *Ledger) name(slot int) string { return l.path + "." + strconv.Itoa(slot) }

// drop gives the file up: whatever else is wrong with it, its whole records stay.
func (l *Ledger) drop() {
	_ = l.Close() // the kernel has every whole record, and no other is wanted
}

// appendRecord appends a record as a line: its checksum, a space, what it says.
func appendRecord(b, record []byte) []byte {
	sum := crc32.Checksum(record, crc32.MakeTable(crc32.Castagnoli))
	b = fmt.Appendf(b, "%08x ", sum)
	b = append(b, record...)
	return append(b, '\n')
}

// cutRecord returns the first record of data; false when it is not whole.
func cutRecord(data []byte) (record, rest []byte, ok bool) {
	const sumLength = 9
	line, rest, ok := bytes.Cut(data, []byte{'\n'})
	if !ok || len(line) < sumLength {
		return nil, nil, false
	}
	sum, err := strconv.ParseUint(string(line[:sumLength-1]), 16, 32)
	record = line[sumLength:]
	if err != nil || uint32(sum) != crc32.Checksum(record, crc32.MakeTable(crc32.Castagnoli)) {
		return nil, nil, false
	}
	return record, rest, true
}

// load returns the records of a file, those of a torn end left out. A file that is not there, or
// whose state was not written to its end, has generation 0.
func load(name string) (records [][]byte, generation uint64, err error) {
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is no regular file")
	}
	if err == nil && info.Size() > longest {
		err = fmt.Errorf("it has %d bytes, which is more than gabion writes", info.Size())
	}
	if err != nil {
		return nil, 0, err
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, 0, err
	}
	head, rest, ok := cutRecord(data)
	if !ok {
		return nil, 0, damaged(data)
	}
	var count int
	if _, err := fmt.Sscanf(string(head), title+" %d %d", &generation, &count); err != nil {
		return nil, 0, errFormat
	}
	for {
		record, next, ok := cutRecord(rest)
		if !ok {
			break
		}
		records, rest = append(records, record), next
	}
	if len(records) < count {
		return nil, 0, damaged(data)
	}
	return records, generation, nil
}

// damaged tells a file that was just being written from one with foreign content: none is an error.
func damaged(data []byte) error {
	if len(data) == 0 {
		return nil
	}
	return errors.New("it is damaged or was not written to its end")
}
