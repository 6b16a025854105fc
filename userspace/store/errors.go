package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	sqlite "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// explain adds to an error what the administrator can do about it.
func explain(err error, path string) error {
	dir := filepath.Dir(path)
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: free space on the disk of %s", err, dir)
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w: %s is on a read-only file system: remount it writable or choose another state_dir", err, dir)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%w: give the user that runs gabion write access to %s", err, dir)
	case errors.Is(err, syscall.EISDIR):
		return fmt.Errorf("%w: move that directory away", err)
	}
	switch code(err) {
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("%w: free space on the disk of %s", err, dir)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
		return fmt.Errorf("%w: make %s and the files in it writable for the user that runs gabion", err, dir)
	case sqlite3.SQLITE_IOERR:
		return fmt.Errorf("%w: check the disk of %s: it may be full or failing", err, dir)
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return fmt.Errorf("%w: another program holds the lock on %s", err, path)
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%w: %w: move %s away and start again: bans that are in the kernel are adopted", ErrCorrupt, err, path)
	}
	return err
}

// errContent marks what cannot be written as a row at all.
var errContent = errors.New("cannot be stored")

// refused reports whether the content of a row is the trouble, so that trying again is in vain.
func refused(err error) bool {
	if errors.Is(err, errContent) {
		return true
	}
	switch code(err) {
	case sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_RANGE:
		return true
	}
	return false
}

// code returns SQLite's primary result code, 0 for other errors.
func code(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}
