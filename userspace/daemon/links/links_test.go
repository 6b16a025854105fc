package links

import (
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"gabion/loader"
	"gabion/userspace/daemon/health"
)

// fakePlane attaches to interfaces that exist only in the test.
type fakePlane struct {
	refuse   error
	attached []loader.Attachment
	attempts int
}

func (f *fakePlane) Attach(name string, _ loader.Mode) (loader.Attachment, error) {
	f.attempts++
	if f.refuse != nil {
		return loader.Attachment{}, f.refuse
	}
	f.attached = slices.DeleteFunc(f.attached, func(a loader.Attachment) bool { return a.Interface == name })
	a := loader.Attachment{Interface: name, Mode: loader.ModeNative}
	f.attached = append(f.attached, a)
	return a, nil
}

func (f *fakePlane) Attachments() ([]loader.Attachment, error) { return slices.Clone(f.attached), nil }

func (f *fakePlane) Detach(name string) error {
	f.attached = slices.DeleteFunc(f.attached, func(a loader.Attachment) bool { return a.Interface == name })
	return nil
}

func TestInterfacesAreProtectedAsTheyComeAndGo(t *testing.T) {
	plane := &fakePlane{}
	var existing []net.Interface
	want := []string{"eth0"}
	log := slog.New(slog.DiscardHandler)
	board := health.New(log)
	l := New(Config{
		Plane: plane, Log: log, Health: board,
		Want: func() ([]string, bool, error) { return want, true, nil },
		List: func() ([]net.Interface, error) { return existing, nil },
	})
	now := time.Unix(0, 0)
	eth0 := net.Interface{Index: 2, Name: "eth0", Flags: net.FlagUp}
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
	step("it appears", func() { existing = []net.Interface{eth0} }, "native", "")
	step("it goes down", func() { existing[0].Flags = 0 }, "native", "down")
	step("it comes up", func() { existing[0].Flags = net.FlagUp }, "native", "")
	step("it disappears", func() { existing, plane.attached[0].Stale = nil, true }, "", "does not exist")
	step("it returns as another one", func() { existing = []net.Interface{{Index: 9, Name: "eth0", Flags: net.FlagUp}} }, "native", "")
	step("somebody takes the filter off", func() { plane.attached = nil }, "native", "")
	attempts := plane.attempts
	step("nothing happens", func() {}, "native", "")
	if plane.attempts != attempts {
		t.Error("it was attached to again without need")
	}

	step("another one refuses", func() {
		existing = []net.Interface{{Index: 5, Name: "eth1", Flags: net.FlagUp}}
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
