package daemon

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"gabion/loader"
	"gabion/userspace/api"
	"gabion/userspace/config"
	"gabion/userspace/daemon/record"
)

// ErrBusy says that a daemon has the kernel tables and the record, although it does not answer.
var ErrBusy = errors.New("a daemon is starting or not answering: try again in a moment, or see its log")

// Offline changes who is banned and allowed while no daemon runs: by the daemon's own code, with its
// guard, in the kernel's tables and on record, so that the next daemon agrees. It holds the locks
// that a daemon holds.
type Offline struct {
	daemon *Daemon
	unlock func()
	server *api.Server
	key    string
}

// OpenOffline takes the place of the daemon that o describes. It needs a data plane that is pinned
// already: without one nothing is dropped anyway, and it fails with loader.ErrNotLoaded. While a
// daemon runs it fails with ErrBusy. Close must be called.
func OpenOffline(ctx context.Context, o Options) (*Offline, error) {
	if o.Config.Kernel.Mode == config.ModeOff {
		return nil, errors.New("kernel.mode is off, so there are no kernel tables to change: start the daemon")
	}
	pinned, err := loader.OpenReadOnly(o.Config.Kernel.PinDir)
	if err != nil {
		return nil, err
	}
	if err := pinned.Close(); err != nil {
		return nil, err
	}
	unlock, err := record.Lock(o.Config.StateDir)
	if err != nil {
		return nil, fmt.Errorf("%w (%w: %s)", ErrBusy, err, o.Config.StateDir)
	}
	f := &Offline{daemon: newDaemon(o), unlock: unlock, key: rand.Text()}
	if err := f.open(ctx); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (f *Offline) open(ctx context.Context) error {
	d := f.daemon
	err := d.openTables(ctx, d.config.Load())
	if errors.Is(err, loader.ErrBusy) {
		return fmt.Errorf("%w (%w)", ErrBusy, err)
	}
	if err == nil {
		_, err = d.record.Get()
	}
	if err == nil {
		err = d.restore(ctx)
	}
	if err == nil {
		err = d.reconcile()
	}
	if err != nil {
		return fmt.Errorf("nothing is changed without a daemon: %w", err)
	}
	f.server, err = api.New(api.Config{Backend: backend{d}, Metrics: prometheus.NewRegistry(), Key: f.key, Now: d.now, Log: d.log})
	return err
}

// Handler answers the requests of the Local API that change who is banned, allowed or on a list. What
// asks how a running daemon is doing does not belong here.
func (f *Offline) Handler() (h http.Handler, key string) { return f.server.Handler(), f.key }

// Close commits what was changed and lets a daemon start. The kernel goes on filtering.
func (f *Offline) Close() error {
	defer f.unlock()
	return f.daemon.close()
}
