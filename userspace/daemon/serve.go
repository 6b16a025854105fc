package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"

	sd "github.com/coreos/go-systemd/v22/daemon"

	"gabion/userspace/api"
	"gabion/userspace/config"
)

// listeners are where the Local API is reached. They are opened before anything else: a second
// daemon must stop here and touch nothing.
type listeners struct {
	unix net.Listener
	tcp  net.Listener // nil when there is none
	err  error        // why there is no TCP listener although one is configured
}

func listen(ctx context.Context, cfg *config.Config, log *slog.Logger) (*listeners, error) {
	unix, err := api.ListenUnix(ctx, cfg.API.Socket)
	if err != nil {
		return nil, err
	}
	l := &listeners{unix: unix}
	if cfg.API.Listen.Text == "" {
		return l, nil
	}
	var lc net.ListenConfig
	l.tcp, err = lc.Listen(ctx, "tcp", cfg.API.Listen.Text)
	if err != nil {
		l.tcp, l.err = nil, fmt.Errorf("%w: the socket %s serves alone; choose another api.listen", err, cfg.API.Socket)
		log.Warn("Local API does not listen on TCP", "err", err)
	}
	return l, nil
}

func (l *listeners) close() {
	_ = l.unix.Close() // closed already by the server that used it
	if l.tcp != nil {
		_ = l.tcp.Close()
	}
}

// server makes the Local API's server.
func (d *Daemon) server(cfg *config.Config) (*api.Server, error) {
	key, err := apiKey(cfg.KeyFile(), filepath.Join(filepath.Dir(cfg.API.Socket), config.KeyName))
	if err != nil {
		return nil, err
	}
	return api.New(api.Config{Backend: backend{d}, Metrics: d.registry(), Key: key, Now: d.now, Log: d.log})
}

// tasks lists everything that runs as long as the daemon.
func (d *Daemon) tasks(o Options, server *api.Server, l *listeners) []Task {
	tasks := []Task{
		task{"reload on SIGHUP", func(ctx context.Context) error { return d.runReloads(ctx, o.Hangup) }},
		task{"guard", d.enforcer.RunGuard},
		every("reconcile", reconcileEvery, d.afterFirst(func(context.Context) { d.reconcile() })),
		every("expire", expireEvery, func(context.Context) { d.enforcer.Expire(d.now()) }),
		every("reopen record", reopenEvery, d.reopen),
		every("check record", expireEvery, d.checkRecord),
		every("prune record", pruneEvery, d.prune),
	}
	for _, in := range d.inputs {
		tasks = append(tasks, task{"source " + in.name, func(ctx context.Context) error {
			return in.run(ctx, d.engine.Emit, d.log, d.health)
		}})
	}
	if d.links != nil {
		tasks = append(tasks, task{"interfaces", func(ctx context.Context) error { return d.links.run(ctx, d.now) }})
	}
	tasks = append(tasks, task{"Local API", func(ctx context.Context) error { return server.Serve(ctx, l.unix) }})
	if l.tcp != nil {
		tasks = append(tasks, task{"Local API on TCP", func(ctx context.Context) error { return server.Serve(ctx, l.tcp) }})
	}
	d.health.report("Local API on TCP", l.err)
	return append(tasks, task{"watchdog", func(ctx context.Context) error {
		notify(d.log, sd.SdNotifyReady)
		d.log.Info("ready", "version", d.version, "socket", o.Config.API.Socket, "problems", len(d.health.list()))
		return runWatchdog(ctx, d.log, watchdogInterval(d.log), d.alive())
	}})
}

// afterFirst leaves out the first call, for what start has just done.
func (d *Daemon) afterFirst(f func(context.Context)) func(context.Context) {
	first := true
	return func(ctx context.Context) {
		if !first {
			f(ctx)
		}
		first = false
	}
}

// alive returns the watchdog's question. It takes the enforcer's lock, and so hangs, as it should,
// when that is never released.
func (d *Daemon) alive() func() error {
	inputs := d.aliveInputs()
	return func() error {
		d.enforcer.Stats()
		return inputs()
	}
}

// aliveInputs returns a question that fails when batches waited in the engine when it was asked
// before, and none of any was finished since.
func (d *Daemon) aliveInputs() func() error {
	var before uint64
	waited := false
	return func() error {
		var emitted, done uint64
		for _, in := range d.inputs {
			done += in.done.Load()
			emitted += in.emitted.Load()
		}
		stuck := waited && done == before
		waited, before = emitted > done, done
		if stuck {
			return errors.New("the engine has finished no batch since the last sign of life")
		}
		return nil
	}
}
