// Package links keeps interfaces protected while they come and go.
package links

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"gabion/loader"
	"gabion/loader/stack"
	"gabion/userspace/client"
	"gabion/userspace/daemon/health"
)

// retry is the pause after an interface refused to be attached to.
const retry = 30 * time.Second

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
	List   func() (stack.Devices, error)
	Mode   loader.Mode
	Log    *slog.Logger
	Health *health.Board

	// Changes returns a channel that tells of changed interfaces until ctx is done, and is closed when
	// it can tell of no more. Without it they are found by polling.
	Changes func(ctx context.Context) (<-chan struct{}, error)
}

// Links keeps the wanted interfaces protected: those that exist are attached to, those that appear
// later too, and those that return as a new interface of the same name once more.
//
// Of interfaces that stand on each other (package stack) only the one is attached to that sees all
// packets of the others: these are protected through it.
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
	empty   bool   // a bond without members that is not attached to
	mode    string // empty: not protected
	through string // interface that the filter runs on instead; empty when it is this one
	err     error
	tried   time.Time
}

// machine is what Check finds: the interfaces, and by index how the filter runs on them.
type machine struct {
	stack.Devices
	live map[int]loader.Attachment
}

// look reads the state of the machine. Health knows what could not be read.
func (l *Links) look() (m machine, ok bool) {
	var err error
	if m.Devices, err = l.cfg.List(); err != nil {
		l.cfg.Health.Report("interfaces", err)
		return m, false
	}
	return m, l.refresh(&m)
}

// refresh reads the attachments again.
func (l *Links) refresh(m *machine) bool {
	have, err := l.cfg.Plane.Attachments()
	l.cfg.Health.Report("attachments", err)
	if err != nil {
		return false
	}
	m.live = map[int]loader.Attachment{}
	for _, a := range have {
		if !a.Stale {
			m.live[a.Ifindex] = a
		}
	}
	return true
}

// Check brings the attachments in line with the interfaces that exist now.
func (l *Links) Check(now time.Time) {
	names, only, err := l.cfg.Want()
	l.cfg.Health.Report("interfaces", err)
	if err != nil {
		return
	}
	m, ok := l.look()
	if !ok {
		return
	}
	if only {
		if carriers := m.carriersOf(names); len(carriers) > 0 {
			l.leave(&m, names, carriers...) // XDP does not attach below the XDP of a bond
		}
		defer func() { l.leave(&m, names) }() // last: what is attached to now may have taken over
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for name := range l.state {
		if !slices.Contains(names, name) {
			delete(l.state, name)
			l.cfg.Health.Report("interface "+name, nil)
		}
	}
	for _, name := range m.ordered(names) {
		st := l.state[name]
		if st == nil {
			st = &link{}
			l.state[name] = st
		}
		l.checkOne(name, st, &m, now)
		l.cfg.Health.Report("interface "+name, st.problem(name, l.cfg.Mode))
	}
}

func (l *Links) checkOne(name string, st *link, m *machine, now time.Time) {
	d, ok := m.Named(name)
	if !ok {
		*st = link{}
		return
	}
	own, attached := m.live[d.Index]
	if a, ok := m.through(d); ok {
		*st = link{ifindex: d.Index, up: d.Up, mode: string(a.Mode), through: a.Interface}
		if attached {
			st.err = l.detach(m, own, "protected through "+a.Interface)
		}
		return
	}
	// With a program a bond refuses members that cannot run it, and without members nothing arrives.
	if d.IsBond() && !attached && len(m.Members(d.Index)) == 0 {
		*st = link{ifindex: d.Index, up: d.Up, empty: true}
		return
	}
	st.up = d.Up
	if st.ifindex == d.Index && st.mode != "" && !attached {
		if st.through == "" {
			l.cfg.Log.Warn("interface lost its program", "interface", name)
		}
		st.mode, st.tried = "", time.Time{}
	}
	if st.ifindex == d.Index && st.through == "" && (st.mode != "" || now.Sub(st.tried) < retry) {
		return
	}
	at, err := l.cfg.Plane.Attach(name, l.cfg.Mode)
	*st = link{ifindex: d.Index, up: st.up, err: err, tried: now}
	if err == nil {
		st.mode = string(at.Mode)
		l.refresh(m)
	}
}

// through returns the attachment whose filter sees all packets of d before d does.
func (m *machine) through(d stack.Device) (loader.Attachment, bool) {
	for _, c := range m.Carriers(d) {
		if a, ok := m.live[c.Index]; ok {
			return a, true
		}
	}
	return loader.Attachment{}, false
}

// ordered returns names with those in front that others can be protected through.
func (m *machine) ordered(names []string) []string {
	depth := func(name string) int {
		d, _ := m.Named(name)
		return m.Depth(d)
	}
	return slices.SortedStableFunc(slices.Values(names), func(a, b string) int { return depth(a) - depth(b) })
}

// carriersOf returns the interfaces that the named ones would be protected through.
func (m *machine) carriersOf(names []string) (indexes []int) {
	for _, name := range names {
		d, _ := m.Named(name)
		for _, c := range m.Carriers(d) {
			indexes = append(indexes, c.Index)
		}
	}
	return indexes
}

// leave takes the filter off interfaces that the configuration does not name any more: all, or only
// those with an index. Those of a default route that went away keep it: routes come back.
func (l *Links) leave(m *machine, names []string, only ...int) {
	for index, a := range m.live {
		if slices.Contains(names, a.Interface) || len(only) > 0 && !slices.Contains(only, index) {
			continue
		}
		l.cfg.Health.Report("interface "+a.Interface, l.detach(m, a, "the configuration does not name it"))
	}
}

func (l *Links) detach(m *machine, a loader.Attachment, why string) error {
	if err := l.cfg.Plane.Detach(a.Interface); err != nil {
		return err
	}
	delete(m.live, a.Ifindex)
	l.cfg.Log.Info("interface left", "interface", a.Interface, "reason", why)
	return nil
}

// problem says what is wrong with an interface and what follows from it, nil when it is protected.
func (st *link) problem(name string, mode loader.Mode) error {
	switch {
	case st.ifindex == 0:
		return fmt.Errorf("%s does not exist: it is protected as soon as it appears; 'ip link' lists those that do", name)
	case st.empty:
		return errors.New("it has no member: nothing arrives; it is protected as soon as it has one")
	case st.err != nil && st.through != "":
		return fmt.Errorf("its packets are judged twice, here and at %s: %w", st.through, st.err)
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
		s := client.InterfaceStatus{Name: name, Mode: st.mode, Through: st.through}
		if err := st.problem(name, l.cfg.Mode); err != nil {
			s.Error = err.Error()
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b client.InterfaceStatus) int { return strings.Compare(a.Name, b.Name) })
	return out
}
