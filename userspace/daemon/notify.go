package daemon

import (
	"context"
	"log/slog"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
)

// notify tells the service manager; without one it does nothing.
func notify(log *slog.Logger, state string) {
	if _, err := sd.SdNotify(false, state); err != nil {
		log.Warn("service manager not told", "state", state, "err", err)
	}
}

// watchdogInterval is how often the service manager wants a sign of life, 0 when it does not.
func watchdogInterval(log *slog.Logger) time.Duration {
	d, err := sd.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("watchdog setting not understood", "err", err)
	}
	return d
}

// runWatchdog owns nothing and ends with ctx. It gives a sign of life twice per interval, and only
// while alive says that the main tasks make progress: a daemon that hangs is to be restarted.
func runWatchdog(ctx context.Context, log *slog.Logger, interval time.Duration, alive func() error) error {
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
			notify(log, sd.SdNotifyWatchdog)
		}
	}
}
