package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// ErrRunning says that another daemon answers at the socket.
var ErrRunning = errors.New("another gabion is running")

// ListenUnix opens the daemon's socket, for the user and group that run it. The socket of a dead
// daemon is replaced; that of a live one gives ErrRunning.
func ListenUnix(ctx context.Context, path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make directory of socket %s: %w: choose another api.socket", path, err)
	}
	if err := removeStale(ctx, path); err != nil {
		return nil, err
	}
	// The socket must not be open to everyone, not even until chmod: the umask is the process's,
	// so the file is made under another name, which nobody knows, and renamed when it is ready.
	private := fmt.Sprintf("%s.%d", path, os.Getpid())
	_ = os.Remove(private) // left by a dead process with our id
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", private)
	if err != nil {
		return nil, fmt.Errorf("listen on socket %s: %w: make its directory writable or choose another api.socket", path, err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(private, 0o660), os.Rename(private, path)); err != nil {
		return nil, errors.Join(fmt.Errorf("prepare socket %s: %w", path, err), l.Close(), os.Remove(private))
	}
	return &unixListener{Listener: l, path: path}, nil
}

// unixListener removes its socket when it closes.
type unixListener struct {
	net.Listener
	path string
}

func (l *unixListener) Close() error {
	err := l.Listener.Close()
	if errors.Is(err, net.ErrClosed) {
		return err // the path may be another daemon's by now
	}
	if rm := os.Remove(l.path); rm != nil && !errors.Is(rm, fs.ErrNotExist) {
		err = errors.Join(err, rm)
	}
	return err
}

func removeStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at socket: %w", err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("listen on socket %s: a file that is no socket is in the way: remove it or choose another api.socket", path)
	}
	d := net.Dialer{Timeout: time.Second}
	conn, err := d.DialContext(ctx, "unix", path)
	if err == nil {
		_ = conn.Close()
		return fmt.Errorf("%w: it answers at %s; stop it first, or give this one another api.socket, state_dir and kernel.pin_dir", ErrRunning, path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("listen on socket %s: something holds it: %w", path, err)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove stale socket: %w", err)
	}
	return nil
}
