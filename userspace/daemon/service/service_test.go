package service

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// mustManage stands in for a service manager and returns what it is told next.
func mustManage(t *testing.T) func() string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return func() string {
		buf := make([]byte, 1024)
		n, err := l.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
}

func TestTheServiceManagerIsTold(t *testing.T) {
	told := mustManage(t)
	log := slog.New(slog.DiscardHandler)
	Ready(log)
	if got := told(); got != "READY=1" {
		t.Errorf("ready: %q", got)
	}
	Reloading(log)
	if got := told(); !strings.HasPrefix(got, "RELOADING=1\nMONOTONIC_USEC=") {
		t.Errorf("reloading: %q", got)
	}
	Stopping(log)
	if got := told(); got != "STOPPING=1" {
		t.Errorf("stopping: %q", got)
	}
}

func TestTheWatchdogIsFedOnlyByALivingDaemon(t *testing.T) {
	told := mustManage(t)
	t.Setenv("WATCHDOG_USEC", "2000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	ctx, cancel := context.WithCancel(t.Context())
	asked := 0
	alive := func() error {
		if asked++; asked < 3 {
			return errors.New("it hangs")
		}
		return nil
	}
	ended := make(chan error, 1)
	go func() { ended <- RunWatchdog(ctx, slog.New(slog.DiscardHandler), alive) }()
	if got := told(); got != "WATCHDOG=1" {
		t.Errorf("watchdog: %q", got)
	}
	cancel()
	if err := <-ended; err != nil || asked < 3 {
		t.Errorf("ended with %v after %d questions", err, asked)
	}
}

func TestWithoutAWatchdogThereIsNothingToRun(t *testing.T) {
	t.Setenv("WATCHDOG_USEC", "")
	if err := RunWatchdog(t.Context(), slog.New(slog.DiscardHandler), nil); err != nil {
		t.Error(err)
	}
}
