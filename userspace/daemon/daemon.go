// Package daemon builds gabion out of its parts and runs them.
//
// Order at start: sockets, rules, record, kernel tables (made or taken over; what is pinned goes on
// filtering all the time), bans restored and reconciled, interfaces, sources, API. What is not
// essential may fail at any time: it is reported, tried again, and the rest goes on. Shutdown
// follows the flow: sources return, the engine drains, the record commits, kernel handles close;
// pins stay.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"gabion/loader"
	"gabion/loader/stack"
	"gabion/userspace/api"
	"gabion/userspace/config"
	"gabion/userspace/daemon/excess"
	"gabion/userspace/daemon/health"
	"gabion/userspace/daemon/inputs"
	"gabion/userspace/daemon/links"
	"gabion/userspace/daemon/record"
	"gabion/userspace/daemon/rulebook"
	"gabion/userspace/daemon/service"
	"gabion/userspace/daemon/tasks"
	"gabion/userspace/decision"
	"gabion/userspace/enforce"
	"gabion/userspace/engine"
	"gabion/userspace/sockets"
	"gabion/userspace/store"
)

// Options are what a daemon is started with.
type Options struct {
	Config  *config.Config
	Load    func() (*config.Config, error) // reads the configuration anew at a reload
	Version string
	Hangup  <-chan os.Signal // each receipt reloads rules, profiles and allowlist
	Now     func() time.Time
	Log     *slog.Logger
}

// Daemon is the running whole.
type Daemon struct {
	version     string
	startedWith *config.Config // its sources are those that run
	load        func() (*config.Config, error)
	now         func() time.Time
	log         *slog.Logger
	started     time.Time

	config   atomic.Pointer[config.Config]
	book     atomic.Pointer[rulebook.Book]
	reloaded atomic.Pointer[time.Time]

	health   *health.Board
	record   *record.Record
	ids      *decision.IDs
	history  *decision.History
	asked    *asked
	others   *others
	plane    *loader.Plane // nil with kernel.mode off
	table    enforce.Table
	guard    *enforce.Guard
	enforcer *enforce.Enforcer
	judge    *judge
	engine   *engine.Engine
	links    *links.Links    // nil with kernel.mode off
	closer   *sockets.Closer // nil with kernel.mode off, and while no daemon runs
	closing  atomic.Bool     // whether bans are to close connections
	inputs   []*inputs.Input
	drift    driftCount
	imports  imports
	excess   *excess.Memory
	saved    atomic.Pointer[time.Time] // when the buckets were saved last
}

// Run runs a daemon until ctx is done. It returns nil after an orderly shutdown.
func Run(ctx context.Context, o Options) error {
	unlock, err := record.Lock(o.Config.StateDir)
	if err != nil {
		return fmt.Errorf("%w: its state directory is %s; stop it first, or give this one another state_dir, api.socket and kernel.pin_dir", api.ErrRunning, o.Config.StateDir)
	}
	defer unlock()
	listeners, err := listen(ctx, o.Config)
	if err != nil {
		return err
	}
	defer listeners.close()
	d := newDaemon(o)
	if err := d.open(ctx); err != nil {
		return errors.Join(err, d.close())
	}
	server, err := d.server(o.Config)
	if err != nil {
		return errors.Join(err, d.close())
	}
	d.engine.Start()
	err = tasks.Run(ctx, d.tasks(o, server, listeners))
	service.Stopping(d.log)
	d.log.Info("stopping: draining what was read")
	d.engine.Close()
	d.saveBuckets(context.Background())
	err = errors.Join(err, d.close())
	d.log.Info("stopped; what is banned stays banned until its time is up")
	return err
}

func newDaemon(o Options) *Daemon {
	d := &Daemon{
		version: o.Version, startedWith: o.Config, load: o.Load, now: o.Now, log: o.Log, started: o.Now(),
		health: health.New(o.Log), ids: &decision.IDs{}, history: decision.NewHistory(), others: &others{},
		excess: excess.New(),
	}
	d.asked = newAsked(d)
	d.config.Store(o.Config)
	d.reloaded.Store(&d.started)
	d.record = record.New(o.Config.StateDir, o.Log, d.health)
	return d
}

// open builds everything that runs. Only rules that cannot be used at all and a kernel side that
// does not load are fatal.
func (d *Daemon) open(ctx context.Context) error {
	cfg := d.config.Load()
	if err := d.openTables(ctx, cfg); err != nil {
		return err
	}
	_ = d.restore(ctx) // reported there, and so below
	_ = d.reconcile()
	d.openCloser(cfg)
	if d.links != nil {
		d.links.Check(d.now()) // before the sources: what they find is to be dropped at once
	}
	book := d.book.Load()
	d.engine = engine.New(engine.Config{
		Rules: book.Rules, Profiles: book.Profiles, Workers: runtime.GOMAXPROCS(0), Shards: runtime.GOMAXPROCS(0),
		MaxBuckets: cfg.Engine.MaxBuckets, Now: d.now, Sink: d.judge.sink, Log: d.log,
	})
	d.restoreBuckets()
	return d.openSources(cfg)
}

// openTables builds what is needed to change who is banned: the rules, for the kernel runs some of
// them, the record, the kernel's tables, and who writes them.
func (d *Daemon) openTables(ctx context.Context, cfg *config.Config) error {
	book, err := rulebook.Load(cfg, d.asked.deps())
	if err != nil {
		return err
	}
	d.book.Store(book)
	d.reportRules(book)
	if err := d.record.Open(ctx); err != nil {
		// Numbers given out meanwhile must not meet those on record.
		d.ids.Raise(d.started.Unix(), uint64(d.started.Unix()))
	}
	if err := d.openKernel(cfg); err != nil {
		return err
	}
	d.guard = enforce.NewGuard(enforce.GuardConfig{Peers: cfg.Peers(), Log: d.log})
	d.enforcer = enforce.New(enforce.Config{
		Table: d.table, Guard: d.guard, IDs: d.ids, MaxBans: int(cfg.Kernel.MaxBans), Ended: d.ended, Dropped: d.dropped,
		Log: d.log, Now: d.now,
	})
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	d.judge = &judge{
		enforcer: d.enforcer, record: d.record, history: d.history, others: d.others, ids: d.ids, machine: host, log: d.log, now: d.now,
	}
	if err := d.enforcer.Allow(cfg.Allowed(), time.Time{}); err != nil {
		d.health.Report("allowlist", err)
	}
	return nil
}

// reportRules says which rules are left out, each fault with its place.
func (d *Daemon) reportRules(book *rulebook.Book) {
	for _, e := range book.Faults {
		d.log.Error("rule left out", "err", e)
	}
	if n := len(book.Faults); n > 0 {
		d.health.Report("rules", fmt.Errorf("what has faults is left out (%d, gabion run -t names each); the first: %w", n, book.Faults[0]))
		return
	}
	d.health.Report("rules", nil)
}

// openKernel makes or takes over the data plane. With mode off a table in memory stands in.
func (d *Daemon) openKernel(cfg *config.Config) error {
	if cfg.Kernel.Mode == config.ModeOff {
		d.table = &enforce.Memory{}
		d.log.Warn("kernel.mode is off: attacks are detected and recorded, nothing is dropped")
		return nil
	}
	mode, err := loader.ParseMode(string(cfg.Kernel.Mode))
	if err != nil {
		return err
	}
	d.plane, err = loader.Open(loader.Options{
		Dir: cfg.Kernel.PinDir, MaxBans: cfg.Kernel.MaxBans, MaxAllows: cfg.Kernel.MaxAllows, Log: d.log,
	})
	if err != nil {
		return fmt.Errorf("%w\nTo detect without dropping, set kernel: {mode: off} in the configuration", err)
	}
	d.setMeters()
	d.table = d.plane
	d.links = links.New(links.Config{
		Plane: d.plane, Mode: mode, Log: d.log, Health: d.health, List: stack.List, Want: d.wantedInterfaces,
		Changes: links.Changes,
	})
	return nil
}

// setMeters puts the meters of the rules in force. When the kernel refuses them, those before go on.
func (d *Daemon) setMeters() {
	d.health.Report("meters", d.plane.SetMeters(d.book.Load().Meters))
}

func (d *Daemon) wantedInterfaces() (names []string, only bool, err error) {
	cfg := d.config.Load()
	names, err = Interfaces(cfg)
	return names, len(cfg.Interfaces) > 0, err
}

// ended asks the record which kernel entries belong to decisions that are over.
func (d *Daemon) ended(entries []decision.Rule) ([]bool, error) {
	st, err := d.record.Get()
	if err != nil {
		return nil, err
	}
	return st.Ended(context.Background(), d.now(), entries)
}

// restore brings back what is on record. Without a record the kernel's bans stay as they are, and
// are judged when it is back.
func (d *Daemon) restore(ctx context.Context) error {
	var active []*decision.Decision
	st, failed := d.record.Get()
	if failed == nil {
		active, failed = d.recall(ctx, st)
		d.health.Report("restore", failed)
	}
	for _, a := range active {
		if !forKernel(a) {
			d.others.add(a)
		}
	}
	if err := d.enforcer.Restore(active); err != nil {
		failed = errors.Join(failed, err)
		d.health.Report("restore", failed)
	}
	d.log.Info("bans restored", "count", len(active))
	d.restoreLists()
	return failed
}

// historySpan is how far back earlier decisions make a repeat offender.
const historySpan = 30 * 24 * time.Hour

func (d *Daemon) recall(ctx context.Context, st *store.Store) ([]*decision.Decision, error) {
	now := d.now()
	alert, last, err := st.MaxIDs(ctx)
	if err != nil {
		return nil, err
	}
	d.ids.Raise(alert, last)
	if err := st.History(ctx, now.Add(-historySpan), d.history); err != nil {
		return nil, err
	}
	allows, err := st.Allows(ctx)
	if err != nil {
		return nil, err
	}
	for _, a := range allows {
		if a.ExpiresAt.IsZero() || a.ExpiresAt.After(now) {
			if err := d.enforcer.Allow([]netip.Prefix{a.Prefix}, a.ExpiresAt); err != nil {
				d.health.Report("allowlist", err)
			}
		}
	}
	return st.Active(ctx, now)
}

// close releases what open took, in reverse. It is called once, also when open failed half-way.
func (d *Daemon) close() error {
	errs := []error{d.record.Close()}
	if d.plane != nil {
		errs = append(errs, d.plane.Close())
	}
	return errors.Join(errs...)
}
