// Package lab shows and checks the whole of gabion on one machine: attackers in one network
// namespace, a client that browses in another, and between them a server that the real daemon
// protects, with its filter on the server's own virtual interfaces.
//
// Everything is measured from outside the daemon: the moment of a log line where it is written, the
// moment of a ban in the pinned kernel map, what still arrives after it with a packet socket behind
// the filter.
package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"gabion/bench/lab/observe"
	"gabion/bench/lab/report"
	"gabion/bench/lab/service"
	"gabion/bench/lab/topology"
	"gabion/loader"
)

// bpffs is where the kernel side is pinned.
const bpffs = "/sys/fs/bpf"

// MaxSources is how many attackers per attack and family the lab has addresses for: enough for a
// 99th percentile that is not the maximum.
const MaxSources = 110

// Options says what the lab does.
type Options struct {
	Binary   string // the gabion program: it runs as the daemon
	Sources  int    // attackers per attack and family, 1 to MaxSources; at most 24 of them flood
	Chaos    bool   // kill the daemon in mid-attack
	KeepLogs string // directory that gets the daemon's log and the services' logs; empty: none
	Shell    *Shell // run inside the server's namespace after the attacks; nil: none

	Now      func() time.Time
	Timeline func(Moment) // told what happens, one at a time; may be nil
}

// Moment is one line of the timeline.
type Moment struct {
	At     time.Duration // since the lab began
	Who    string
	Text   string
	Detail bool // one of many of its kind: worth showing only to those who want all
}

// lab is one run.
type lab struct {
	Options
	started time.Time
	dir     string // logs, state, configuration
	pins    string
	plan    plan

	net      *topology.Topology
	web      *service.Web
	ssh      *service.SSH
	tap      *observe.Tap
	plane    *loader.Plane
	watcher  *observe.Watcher
	daemon   *daemon
	abort    context.CancelCauseFunc
	closers  []closer
	tasks    sync.WaitGroup // goroutines that end with the run's context
	settling sync.WaitGroup // grace periods after sightings

	mu      sync.Mutex
	sources map[netip.Addr]*attacker
	down    bool // no daemon reads the logs
	moments sync.Mutex
}

// closer is one step of the teardown.
type closer struct {
	what string
	do   func() error
}

// Run runs the lab to its end and removes everything it made, also when it fails or ctx ends. The
// report is nil only when the lab did not get as far as an attack.
func Run(ctx context.Context, o Options) (*report.Report, error) {
	if err := checkMachine(); err != nil {
		return nil, err
	}
	l := &lab{
		Options: o, started: o.Now(), sources: map[netip.Addr]*attacker{},
		plan: newPlan(o.Sources),
		pins: filepath.Join(bpffs, topology.Prefix+strconv.Itoa(os.Getpid())),
	}
	return l.run(ctx)
}

func (l *lab) run(ctx context.Context) (rep *report.Report, err error) {
	ctx, l.abort = context.WithCancelCause(ctx)
	defer func() { // also when a step panics
		l.abort(nil)
		left, tearErr := l.tearDown(err != nil)
		if rep != nil {
			rep.Leftovers = left
		}
		err = errors.Join(err, tearErr)
	}()
	if err := l.build(ctx); err != nil {
		return nil, l.explain(ctx, err)
	}
	rep, err = l.attackAll(ctx)
	if err != nil {
		return rep, l.explain(ctx, err)
	}
	if l.Shell != nil {
		err = l.runShell(ctx)
	}
	return rep, err
}

// step names what failed.
func step(what string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// build makes everything up to a daemon that is ready.
func (l *lab) build(ctx context.Context) error {
	if err := l.removeStale(); err != nil {
		return step("remove what an earlier lab left", err)
	}
	dir, err := os.MkdirTemp("", topology.Prefix+strconv.Itoa(os.Getpid())+"-")
	if err != nil {
		return step("create working directory", err)
	}
	l.dir = dir
	l.onClose("remove working directory", func() error { return removeDir(dir) })
	if l.KeepLogs != "" {
		l.onClose("keep logs", l.keepLogs)
	}
	l.net, err = topology.Build(l.plan.topology())
	if err != nil {
		return step("build network", err)
	}
	l.onClose("remove network", l.net.Close)
	l.say("lab", "made three network namespaces: %s has interfaces to an attacker and a client", l.net.Server.Name)
	l.onClose("remove kernel side", func() error { return loader.Remove(l.pins) })
	if err := l.startServices(); err != nil {
		return step("start services", err)
	}
	if err := l.startDaemon(ctx); err != nil {
		return step("start daemon", err)
	}
	return step("watch kernel side", l.observe(ctx))
}

// observe begins to watch the pinned maps and the packets behind the filter.
func (l *lab) observe(ctx context.Context) error {
	plane, err := loader.OpenReadOnly(l.pins)
	if err != nil {
		return err
	}
	l.watcher = observe.NewWatcher(plane, l.Now, l.onBan)
	l.usePlane(plane)
	err = l.net.Server.Do(func() error {
		tap, err := observe.OpenTap(attackerLink, floodSources)
		l.tap = tap
		return err
	})
	if err != nil {
		return err
	}
	l.onClose("close packet socket", l.tap.Close)
	l.tasks.Go(func() { l.watcher.Run(ctx) })
	return nil
}

// usePlane looks at the kernel side through these handles from now on.
func (l *lab) usePlane(plane *loader.Plane) {
	l.onClose("close kernel side", plane.Close)
	l.watcher.Use(plane)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.plane = plane
}

func (l *lab) table() *loader.Plane {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.plane
}

func (l *lab) onClose(what string, do func() error) {
	l.closers = append(l.closers, closer{what, do})
}

// tearDown undoes everything in reverse and counts what is left.
func (l *lab) tearDown(failed bool) (topology.Leftovers, error) {
	l.tasks.Wait()
	l.settling.Wait()
	var errs []error
	for i := len(l.closers) - 1; i >= 0; i-- {
		if err := l.closers[i].do(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", l.closers[i].what, err))
		}
	}
	if l.net == nil {
		return topology.Leftovers{}, errors.Join(errs...)
	}
	left, err := l.net.Leftovers()
	errs = append(errs, err)
	l.net.Release()
	left.Pins = countFiles(l.pins)
	if left.Total() > 0 && failed {
		errs = append(errs, fmt.Errorf("left behind: %+v", left))
	}
	return left, errors.Join(errs...)
}

func (l *lab) say(who, format string, args ...any) {
	l.tell(Moment{Who: who, Text: fmt.Sprintf(format, args...)})
}

func (l *lab) tell(m Moment) {
	if l.Timeline == nil {
		return
	}
	l.moments.Lock()
	defer l.moments.Unlock()
	m.At = l.Now().Sub(l.started)
	l.Timeline(m)
}

// explain turns an error of an ended context into what ended it, and adds the daemon's last words
// unless the user ended the lab.
func (l *lab) explain(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted")
	}
	if words := l.lastWords(); words != "" {
		err = fmt.Errorf("%w\nthe daemon's last lines:\n%s", err, words)
	}
	return err
}

// sleep waits, and returns early with an error when ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

func countFiles(dir string) int {
	n := 0
	_ = filepath.WalkDir(dir, func(string, os.DirEntry, error) error { n++; return nil })
	if _, err := os.Stat(dir); err != nil {
		return 0
	}
	return n
}
