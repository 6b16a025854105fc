package api

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gabion/userspace/client"
)

func TestTheSocketOfALiveDaemonIsNotTaken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "g.sock")
	l, err := ListenUnix(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("mode = %v, %v", info.Mode(), err)
	}
	if _, err := ListenUnix(t.Context(), path); !errors.Is(err, ErrRunning) {
		t.Errorf("second listener = %v, want ErrRunning", err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("socket is left behind: %v", err)
	}
}

func TestTheSocketOfADeadDaemonIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "g.sock")
	dead, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	dead.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := ListenUnix(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	if err := os.WriteFile(path, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ListenUnix(t.Context(), path); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("a plain file in the way = %v", err)
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	s, err := New(Config{Backend: newFake(), Metrics: prometheus.NewRegistry(), Key: key, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "g.sock")
	l, err := ListenUnix(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	c, err := client.New(client.Options{Address: path, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Health(t.Context()); err != nil {
		t.Error(err)
	}
	c.Close()
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if err := c.Health(t.Context()); !errors.Is(err, client.ErrNotRunning) {
		t.Errorf("after the end = %v, want ErrNotRunning", err)
	}
}
