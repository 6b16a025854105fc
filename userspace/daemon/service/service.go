// Package service talks to the service manager: what the daemon is doing, and that it lives.
// Without a service manager nothing is said.
package service

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// Ready says that the daemon does its work, at start or after a reload.
func Ready(log *slog.Logger) { tell(log, sd.SdNotifyReady) }

// Stopping says that the daemon is about to end.
func Stopping(log *slog.Logger) { tell(log, sd.SdNotifyStopping) }

// Reloading says that the configuration is being read anew; Ready ends it.
func Reloading(log *slog.Logger) { tell(log, sd.SdNotifyReloading+"\n"+monotonic()) }

func tell(log *slog.Logger, state string) {
	if _, err := sd.SdNotify(false, state); err != nil {
		log.Warn("service manager not told", "state", state, "err", err)
	}
}

// monotonic is the time that the service manager wants with a reload.
func monotonic() string {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // cannot fail for this clock
	return fmt.Sprintf("MONOTONIC_USEC=%d", ts.Nano()/1000)
}

// RunWatchdog owns nothing and ends with ctx, or at once when the service manager wants no signs of
// life. It gives one twice per interval, and only while alive says that the main tasks make
// progress: a daemon that hangs is to be restarted.
func RunWatchdog(ctx context.Context, log *slog.Logger, alive func() error) error {
	interval, err := sd.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("watchdog setting not understood", "err", err)
	}
	if interval <= 0 {
		return nil
	}
	tick := time.NewTicker(interval / 2)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := alive(); err != nil {
				log.Error("no sign of life is given", "err", err)
				continue
			}
			tell(log, sd.SdNotifyWatchdog)
		}
	}
}
