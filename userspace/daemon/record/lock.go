package record

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// ErrLocked says that another process uses the directory.
var ErrLocked = errors.New("state directory is in use")

// Lock claims a directory for this process until unlock is called or the process ends: two daemons
// with one record would undo each other's work. A directory that cannot be used at all is nobody's,
// and Open says what is wrong with it.
func Lock(dir string) (unlock func(), err error) {
	_ = os.MkdirAll(dir, stateMode)
	f, err := os.Open(dir)
	if err != nil {
		return func() {}, nil
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		_ = f.Close()
		return nil, ErrLocked
	}
	return func() { _ = f.Close() }, nil // the lock goes with the descriptor
}
