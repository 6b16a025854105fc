package links

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gabion/loader"
	"gabion/loader/stack"
	"gabion/userspace/client"
	"gabion/userspace/daemon/health"
)

// fakePlane attaches to interfaces that exist only in the test, and as the real one takes over from
// those behind them.
type fakePlane struct {
	refuse   error
	existing stack.Devices
	attached []loader.Attachment
	attempts int
	did      []string // what was asked for and worked
}

func (f *fakePlane) Attach(name string, _ loader.Mode) (loader.Attachment, error) {
	f.attempts++
	if f.refuse != nil {
		return loader.Attachment{}, f.refuse
	}
	d, _ := f.existing.Named(name)
	behind := f.existing.Behind(d.Index)
	f.attached = slices.DeleteFunc(f.attached, func(a loader.Attachment) bool {
		_, yields := behind.Numbered(a.Ifindex)
		return yields || a.Interface == name
	})
	a := loader.Attachment{Interface: name, Ifindex: d.Index, Mode: loader.ModeNative}
	f.attached, f.did = append(f.attached, a), append(f.did, "attach "+name)
	return a, nil
}

func (f *fakePlane) Attachments() ([]loader.Attachment, error) { return slices.Clone(f.attached), nil }

func (f *fakePlane) Detach(name string) error {
	f.attached = slices.DeleteFunc(f.attached, func(a loader.Attachment) bool { return a.Interface == name })
	f.did = append(f.did, "leave "+name)
	return nil
}

func TestInterfacesAreProtectedAsTheyComeAndGo(t *testing.T) {
	plane := &fakePlane{}
	want := []string{"eth0"}
	log := slog.New(slog.DiscardHandler)
	board := health.New(log)
	l := New(Config{
		Plane: plane, Log: log, Health: board,
		Want: func() ([]string, bool, error) { return want, true, nil },
		List: func() (stack.Devices, error) { return plane.existing, nil },
	})
	now := time.Unix(0, 0)
	eth0 := stack.Device{Index: 2, Name: "eth0", Up: true}
	step := func(name string, change func(), mode, problem string) {
		t.Helper()
		change()
		now = now.Add(poll)
		l.Check(now)
		got := l.Status()
		if len(got) != 1 || got[0].Mode != mode || !strings.Contains(got[0].Error, problem) || (problem == "") != (got[0].Error == "") {
			t.Errorf("%s: status = %+v, want mode %q and problem %q", name, got, mode, problem)
		}
		if ps := board.List(); (len(ps) == 0) != (problem == "") {
			t.Errorf("%s: problems = %v", name, ps)
		}
	}
	step("it does not exist", func() {}, "", "does not exist")
	step("it appears", func() { plane.existing = stack.Devices{eth0} }, "native", "")
	step("it goes down", func() { plane.existing[0].Up = false }, "native", "down")
	step("it comes up", func() { plane.existing[0].Up = true }, "native", "")
	step("it disappears", func() { plane.existing, plane.attached[0].Stale = nil, true }, "", "does not exist")
	step("it returns as another one", func() { plane.existing = stack.Devices{{Index: 9, Name: "eth0", Up: true}} }, "native", "")
	step("somebody takes the filter off", func() { plane.attached = nil }, "native", "")
	attempts := plane.attempts
	step("nothing happens", func() {}, "native", "")
	if plane.attempts != attempts {
		t.Error("it was attached to again without need")
	}

	step("another one refuses", func() {
		plane.existing = stack.Devices{{Index: 5, Name: "eth1", Up: true}}
		want, plane.refuse = []string{"eth1"}, errors.New("no room")
	}, "", "not protected: no room")
	if len(plane.attached) != 0 {
		t.Errorf("the one that is not wanted keeps the filter: %v", plane.attached)
	}
	attempts = plane.attempts
	step("it is not asked every second", func() { plane.refuse = nil }, "", "not protected: no room")
	if plane.attempts != attempts {
		t.Error("it was asked again at once")
	}
	now = now.Add(retry)
	step("it is asked again later", func() {}, "native", "")
}

// stacked is two interfaces that are or are not members of bond0, with a VLAN device on it.
func stacked(members ...string) stack.Devices {
	ds := stack.Devices{
		{Name: "bond0.7", Index: 7, Kind: "vlan", Up: true, Below: 4},
		{Name: "eth0", Index: 2, Kind: "device", Up: true},
		{Name: "eth1", Index: 3, Kind: "device", Up: true},
		{Name: "bond0", Index: 4, Kind: "bond", Up: true},
	}
	for i, d := range ds {
		if slices.Contains(members, d.Name) {
			ds[i].Bond = 4
		}
	}
	return ds
}

func TestInterfacesThatStandOnEachOtherAreFilteredOnce(t *testing.T) {
	everything := []string{"bond0.7", "eth0", "bond0", "eth1"}
	for _, tt := range []struct {
		name   string
		before []string // wanted at first, without members unless bonded
		bonded bool     // from the beginning
		want   []string // wanted then, with eth0 and eth1 as members
		did    []string // then
		status []client.InterfaceStatus
	}{
		{
			name: "a bond with its members and its VLAN device", bonded: true, want: everything,
			did: []string{"attach bond0"},
			status: []client.InterfaceStatus{
				{Name: "bond0", Mode: "native"}, {Name: "bond0.7", Mode: "native", Through: "bond0"},
				{Name: "eth0", Mode: "native", Through: "bond0"}, {Name: "eth1", Mode: "native", Through: "bond0"},
			},
		},
		{
			name: "members of a bond that is not named", bonded: true, want: []string{"eth0", "eth1"},
			did:    []string{"attach eth0", "attach eth1"},
			status: []client.InterfaceStatus{{Name: "eth0", Mode: "native"}, {Name: "eth1", Mode: "native"}},
		},
		{
			name: "interfaces that become members", before: everything, want: everything,
			did: []string{"attach bond0"},
			status: []client.InterfaceStatus{
				{Name: "bond0", Mode: "native"}, {Name: "bond0.7", Mode: "native", Through: "bond0"},
				{Name: "eth0", Mode: "native", Through: "bond0"}, {Name: "eth1", Mode: "native", Through: "bond0"},
			},
		},
		{
			name: "the bond instead of its members leaves them last", bonded: true, before: []string{"eth0", "eth1"}, want: []string{"bond0"},
			did: []string{"attach bond0"}, status: []client.InterfaceStatus{{Name: "bond0", Mode: "native"}},
		},
		{
			name: "members instead of their bond leave it first", bonded: true, before: []string{"bond0"}, want: []string{"eth0", "eth1"},
			did:    []string{"leave bond0", "attach eth0", "attach eth1"},
			status: []client.InterfaceStatus{{Name: "eth0", Mode: "native"}, {Name: "eth1", Mode: "native"}},
		},
		{
			name: "a bond that is named no more", bonded: true, before: everything, want: []string{"bond0.7"},
			did: []string{"leave bond0", "attach bond0.7"}, status: []client.InterfaceStatus{{Name: "bond0.7", Mode: "native"}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			plane := &fakePlane{existing: stacked()}
			log := slog.New(slog.DiscardHandler)
			want := tt.before
			l := New(Config{
				Plane: plane, Log: log, Health: health.New(log),
				Want: func() ([]string, bool, error) { return want, true, nil },
				List: func() (stack.Devices, error) { return plane.existing, nil },
			})
			if tt.bonded {
				plane.existing = stacked("eth0", "eth1")
			}
			now := time.Unix(0, 0)
			l.Check(now)
			want, plane.did, plane.existing = tt.want, nil, stacked("eth0", "eth1")
			for range 3 { // what was done stays so
				now = now.Add(retry)
				l.Check(now)
			}
			if diff := cmp.Diff(tt.did, plane.did); diff != "" {
				t.Errorf("done (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.status, l.Status()); diff != "" {
				t.Errorf("status (-want +got):\n%s", diff)
			}
		})
	}
}

func TestABondIsLeftAloneUntilItHasAMember(t *testing.T) {
	plane := &fakePlane{existing: stacked()}
	log := slog.New(slog.DiscardHandler)
	l := New(Config{
		Plane: plane, Log: log, Health: health.New(log),
		Want: func() ([]string, bool, error) { return []string{"bond0"}, true, nil },
		List: func() (stack.Devices, error) { return plane.existing, nil },
	})
	now := time.Unix(0, 0)
	for _, step := range []struct {
		members  []string
		mode     string
		problem  string
		attempts int
	}{
		{nil, "", "no member", 0},
		{[]string{"eth1"}, "native", "", 1},
		{nil, "native", "", 1}, // and keeps the filter
		{[]string{"eth0", "eth1"}, "native", "", 1},
	} {
		plane.existing, now = stacked(step.members...), now.Add(poll)
		l.Check(now)
		got := l.Status()[0]
		if got.Mode != step.mode || !strings.Contains(got.Error, step.problem) || plane.attempts != step.attempts {
			t.Errorf("members %q: %+v after %d attempts, want mode %q, problem %q, %d attempts",
				step.members, got, plane.attempts, step.mode, step.problem, step.attempts)
		}
	}
}

// A member that leaves its bond is on its own again.
func TestAMemberThatLeavesIsAttachedItself(t *testing.T) {
	plane := &fakePlane{existing: stacked("eth0", "eth1")}
	log := slog.New(slog.DiscardHandler)
	l := New(Config{
		Plane: plane, Log: log, Health: health.New(log),
		Want: func() ([]string, bool, error) { return []string{"bond0", "eth0"}, true, nil },
		List: func() (stack.Devices, error) { return plane.existing, nil },
	})
	now := time.Unix(0, 0)
	for _, members := range [][]string{{"eth0", "eth1"}, {"eth1"}, {"eth0", "eth1"}} {
		plane.existing, now = stacked(members...), now.Add(poll)
		l.Check(now)
	}
	if diff := cmp.Diff([]string{"attach bond0", "attach eth0", "leave eth0"}, plane.did); diff != "" {
		t.Errorf("done (-want +got):\n%s", diff)
	}
}

func TestAChangeIsSeenBeforeTheNextPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plane := &fakePlane{existing: stack.Devices{{Name: "eth0", Index: 2, Up: true}}}
		log := slog.New(slog.DiscardHandler)
		changes, asked := []chan struct{}{make(chan struct{}), make(chan struct{})}, 0
		l := New(Config{
			Plane: plane, Log: log, Health: health.New(log),
			Want: func() ([]string, bool, error) { return []string{"eth0"}, true, nil },
			List: func() (stack.Devices, error) { return plane.existing, nil },
			Changes: func(context.Context) (<-chan struct{}, error) {
				asked++
				return changes[asked-1], nil
			},
		})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- l.Run(ctx, time.Now) }()
		began := time.Now()
		for range 5 { // a burst
			changes[0] <- struct{}{}
		}
		for len(l.Status()) == 0 {
			time.Sleep(time.Millisecond)
		}
		if took := time.Since(began); took < settle || took > poll/2 {
			t.Errorf("the change was seen after %s, want at least %s and much less than %s", took, settle, poll)
		}
		close(changes[0])
		time.Sleep(poll)
		synctest.Wait()
		if asked != 2 {
			t.Errorf("changes were asked for %d times, want once more after they ended", asked)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
