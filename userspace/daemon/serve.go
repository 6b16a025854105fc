package daemon

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"gabion/userspace/api"
	"gabion/userspace/config"
	"gabion/userspace/daemon/inputs"
	"gabion/userspace/daemon/record"
	"gabion/userspace/daemon/service"
	"gabion/userspace/daemon/tasks"
)

// positionTimeout bounds how long the start waits for sources to find where to begin.
const positionTimeout = 5 * time.Second

// listeners are where the Local API is reached. They are opened before anything else: a second
// daemon must stop here and touch nothing.
type listeners struct {
	unix net.Listener
	tcp  net.Listener // nil when there is none
	err  error        // why there is no TCP listener although one is configured
}

func listen(ctx context.Context, cfg *config.Config) (*listeners, error) {
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
	key, err := api.Key(cfg.KeyFile(), filepath.Join(filepath.Dir(cfg.API.Socket), config.KeyName))
	if err != nil {
		return nil, err
	}
	return api.New(api.Config{Backend: backend{d}, Metrics: d.registry(), Key: key, Now: d.now, Log: d.log})
}

// tasks lists everything that runs as long as the daemon.
func (d *Daemon) tasks(o Options, server *api.Server, l *listeners) []tasks.Task {
	list := []tasks.Task{
		tasks.New("reload on SIGHUP", func(ctx context.Context) error { return d.runReloads(ctx, o.Hangup) }),
		tasks.New("guard", d.enforcer.RunGuard),
		tasks.Every("reconcile", reconcileEvery, d.afterFirst(func(context.Context) { _ = d.reconcile() })),
		tasks.Every("expire", expireEvery, func(context.Context) { d.enforcer.Expire(d.now()) }),
		tasks.Every("reopen record", record.ReopenEvery, d.reopen),
		tasks.Every("check record", expireEvery, d.checkRecord),
		tasks.Every("check logs", logsEvery, d.checkLogs),
		tasks.Every("save buckets", saveEvery, d.afterFirst(d.saveBuckets)),
		tasks.Every("prune record", pruneEvery, d.prune),
	}
	for _, in := range d.inputs {
		list = append(list, tasks.New("source "+in.Name(), func(ctx context.Context) error {
			return in.Run(ctx, d.engine.Emit, d.log, d.health)
		}))
	}
	if d.links != nil {
		list = append(list, tasks.New("interfaces", func(ctx context.Context) error { return d.links.Run(ctx, d.now) }))
	}
	if d.closer != nil {
		list = append(list, tasks.New("close connections", d.closer.Run))
	}
	list = append(list, tasks.New("Local API", func(ctx context.Context) error { return server.Serve(ctx, l.unix) }))
	if l.tcp != nil {
		list = append(list, tasks.New("Local API on TCP", func(ctx context.Context) error { return server.Serve(ctx, l.tcp) }))
	}
	d.health.Report("Local API on TCP", l.err)
	return append(list, tasks.New("watchdog", func(ctx context.Context) error {
		d.awaitPositions(ctx)
		service.Ready(d.log)
		d.log.Info("ready", "version", d.version, "socket", o.Config.API.Socket, "problems", len(d.health.List()))
		return service.RunWatchdog(ctx, d.log, d.alive())
	}))
}

// awaitPositions waits a moment for the sources: who writes a line once the daemon is ready expects
// that it is read. A source on a disk that hangs does not hold up the start.
func (d *Daemon) awaitPositions(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, positionTimeout)
	defer cancel()
	for _, in := range d.inputs {
		in.AwaitPosition(ctx)
	}
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
	moving := inputs.Moving(d.inputs)
	return func() error {
		d.enforcer.Stats()
		return moving()
	}
}
