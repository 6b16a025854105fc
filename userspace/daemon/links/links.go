// Package links keeps interfaces protected while they come and go.
package links

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"gabion/loader"
	"gabion/userspace/client"
	"gabion/userspace/daemon/health"
)

// Pauses of the watch over interfaces.
const (
	poll  = time.Second
	retry = 30 * time.Second // after an interface refused to be attached to
)

// Plane is the part of the data plane that protects interfaces.
type Plane interface {
	Attach(ifname string, want loader.Mode) (loader.Attachment, error)
	Attachments() ([]loader.Attachment, error)
	Detach(ifname string) error
}

// Config is what Links needs.
type Config struct {
	Plane  Plane
	Want   func() (names []string, only bool, err error) // only: the filter leaves all others
	List   func() ([]net.Interface, error)
	Mode   loader.Mode
	Log    *slog.Logger
	Health *health.Board
}

// Links keeps the wanted interfaces protected: those that exist are attached to, those that appear
// later too, and those that return as a new interface of the same name once more.
type Links struct {
	cfg Config

	mu    sync.Mutex
	state map[string]*link
}

// New returns links that nothing was done about yet.
func New(c Config) *Links { return &Links{cfg: c, state: map[string]*link{}} }

// link is what is known of one wanted interface.
type link struct {
	ifindex int // 0: it does not exist
	up      bool
	mode    string // empty: not attached
	err     error
	tried   time.Time
}

// Run polls until ctx is done. It owns the attachments.
func (l *Links) Run(ctx context.Context, now func() time.Time) error {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			l.Check(now())
		}
	}
}

// Check brings the attachments in line with the interfaces that exist now.
func (l *Links) Check(now time.Time) {
	names, only, err := l.cfg.Want()
	l.cfg.Health.Report("interfaces", err)
	if err != nil {
		return
	}
	existing, err := l.cfg.List()
	if err != nil {
		l.cfg.Health.Report("interfaces", fmt.Errorf("list interfaces: %w", err))
		return
	}
	have, err := l.cfg.Plane.Attachments()
	l.cfg.Health.Report("attachments", err)
	if err != nil {
		return
	}
	if only {
		l.leave(have, names)
	}
	gone := func(name string) bool {
		return !slices.ContainsFunc(have, func(a loader.Attachment) bool { return a.Interface == name && !a.Stale })
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for name := range l.state {
		if !slices.Contains(names, name) {
			delete(l.state, name)
			l.cfg.Health.Report("interface "+name, nil)
		}
	}
	for _, name := range names {
		st := l.state[name]
		if st == nil {
			st = &link{}
			l.state[name] = st
		}
		l.checkOne(name, st, existing, gone, now)
		l.cfg.Health.Report("interface "+name, st.problem(name, l.cfg.Mode))
	}
}

func (l *Links) checkOne(name string, st *link, existing []net.Interface, gone func(string) bool, now time.Time) {
	i := slices.IndexFunc(existing, func(e net.Interface) bool { return e.Name == name })
	if i < 0 {
		*st = link{}
		return
	}
	iface := existing[i]
	st.up = iface.Flags&net.FlagUp != 0
	if st.ifindex == iface.Index && st.mode != "" && gone(name) {
		l.cfg.Log.Warn("interface lost its program", "interface", name)
		st.mode, st.tried = "", time.Time{}
	}
	if st.ifindex == iface.Index && (st.mode != "" || now.Sub(st.tried) < retry) {
		return
	}
	at, err := l.cfg.Plane.Attach(name, l.cfg.Mode)
	*st = link{ifindex: iface.Index, up: st.up, err: err, tried: now}
	if err == nil {
		st.mode = string(at.Mode)
	}
}

// leave takes the filter off interfaces that the configuration does not name any more. Those of a
// default route that went away keep it: routes come back.
func (l *Links) leave(have []loader.Attachment, names []string) {
	for _, a := range have {
		if a.Stale || slices.Contains(names, a.Interface) {
			continue
		}
		err := l.cfg.Plane.Detach(a.Interface)
		l.cfg.Health.Report("interface "+a.Interface, err)
		if err == nil {
			l.cfg.Log.Info("interface left: the configuration does not name it", "interface", a.Interface)
		}
	}
}

// problem says what is wrong with an interface and what follows from it, nil when it is protected.
func (st *link) problem(name string, mode loader.Mode) error {
	switch {
	case st.ifindex == 0:
		return fmt.Errorf("%s does not exist: it is protected as soon as it appears; 'ip link' lists those that do", name)
	case st.err != nil && mode != "" && mode != loader.ModeAuto:
		return fmt.Errorf("not protected: %w: kernel.mode is %s; auto steps down to what works here", st.err, mode)
	case st.err != nil:
		return fmt.Errorf("not protected: %w", st.err)
	case !st.up:
		return errors.New("it is down: nothing arrives; it stays protected")
	}
	return nil
}

// Status returns the state of every wanted interface by name.
func (l *Links) Status() []client.InterfaceStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := []client.InterfaceStatus{}
	for name, st := range l.state {
		s := client.InterfaceStatus{Name: name, Mode: st.mode}
		if err := st.problem(name, l.cfg.Mode); err != nil {
			s.Error = err.Error()
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b client.InterfaceStatus) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return out
}
