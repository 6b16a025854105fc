package links

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"gabion/loader"
	"gabion/loader/stack"
	"gabion/userspace/daemon/health"
)

// mustNamespace moves the test into a network namespace of its own, which ends with the test.
func mustNamespace(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root to make network namespaces")
	}
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	own, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := netns.Set(home); err != nil {
			t.Fatal(err) // and the thread stays locked
		}
		runtime.UnlockOSThread()
		own.Close()
		home.Close()
	})
}

func TestTheKernelTellsOfInterfacesThatComeAndGo(t *testing.T) {
	mustNamespace(t)
	ctx, stop := context.WithCancel(t.Context())
	changes, err := Changes(ctx)
	if err != nil {
		t.Fatal(err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "srv0"
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: "cli0"}
	for _, change := range []func(netlink.Link) error{netlink.LinkAdd, netlink.LinkSetUp, netlink.LinkDel} {
		if err := change(veth); err != nil {
			t.Fatal(err)
		}
		if _, ok := <-changes; !ok {
			t.Fatal("the changes ended")
		}
	}
	stop()
	for range changes { // ends with the context
	}
}

func mustPlane(t *testing.T) *loader.Plane {
	t.Helper()
	dir := fmt.Sprintf("/sys/fs/bpf/gabion-test-links-%d", os.Getpid())
	p, err := loader.Open(loader.Options{Dir: dir, MaxBans: 16, MaxAllows: 16})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Close()
		if err := loader.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	return p
}

// mustBond makes bond0. It skips the test when the kernel has no bonds.
func mustBond(t *testing.T) {
	t.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "bond0"
	bond := netlink.NewLinkBond(attrs)
	bond.Mode = netlink.BOND_MODE_ACTIVE_BACKUP
	if err := netlink.LinkAdd(bond); errors.Is(err, unix.EOPNOTSUPP) {
		t.Skip("SKIPPED: this kernel has no bonds (modprobe bonding)")
	} else if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(bond); err != nil {
		t.Fatal(err)
	}
}

// mustJoin makes an interface a member of bond0; "" as bond takes it out.
func mustJoin(t *testing.T, name, bond string) {
	t.Helper()
	member, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	if bond == "" {
		err = errors.Join(netlink.LinkSetNoMaster(member), netlink.LinkSetUp(member))
	} else {
		master, err2 := netlink.LinkByName(bond)
		err = errors.Join(err2, netlink.LinkSetDown(member), netlink.LinkSetMaster(member, master))
	}
	if err != nil {
		t.Fatalf("member %s, bond %q: %v", name, bond, err)
	}
}

func TestTheKernelsBondIsProtectedAsItComesAndGoes(t *testing.T) {
	mustNamespace(t)
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "eth0"
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: "eth1"}
	plane, log := mustPlane(t), slog.New(slog.DiscardHandler)
	l := New(Config{
		Plane: plane, Mode: loader.ModeAuto, Log: log, Health: health.New(log), List: stack.List,
		Want: func() ([]string, bool, error) { return []string{"eth0", "bond0"}, true, nil },
	})
	now := time.Unix(0, 0)
	for _, step := range []struct {
		name   string
		change func()
		want   []string
	}{
		{"nothing is there", func() {}, []string{"bond0: does not exist", "eth0: does not exist"}},
		{"a bond without members", func() { mustBond(t) }, []string{"bond0: no member", "eth0: does not exist"}},
		{"an interface", func() {
			if err := netlink.LinkAdd(veth); err != nil {
				t.Fatal(err)
			}
			mustJoin(t, "eth0", "")
		}, []string{"bond0: no member", "eth0 native"}},
		{"it becomes a member", func() { mustJoin(t, "eth0", "bond0") }, []string{"bond0", "eth0 through bond0"}},
		{"so does another one", func() { mustJoin(t, "eth1", "bond0") }, []string{"bond0", "eth0 through bond0"}},
		{"the first one leaves", func() { mustJoin(t, "eth0", "") }, []string{"bond0", "eth0 native"}},
		{"the bond goes", func() {
			bond, err := netlink.LinkByName("bond0")
			if err := errors.Join(err, netlink.LinkDel(bond)); err != nil {
				t.Fatal(err)
			}
		}, []string{"bond0: does not exist", "eth0 native"}},
		{"all come back", func() {
			mustBond(t)
			mustJoin(t, "eth1", "bond0")
			mustJoin(t, "eth0", "bond0")
		}, []string{"bond0", "eth0 through bond0"}},
	} {
		step.change()
		now = now.Add(poll)
		l.Check(now)
		var got []string
		for _, s := range l.Status() {
			text := s.Name
			switch {
			case strings.Contains(s.Error, "no member"):
				text += ": no member"
			case strings.Contains(s.Error, "does not exist"):
				text += ": does not exist"
			case s.Error != "":
				text += ": " + s.Error
			case s.Through != "":
				text += " through " + s.Through
			case s.Name != "bond0": // its mode depends on the kernel
				text += " " + s.Mode
			}
			got = append(got, text)
		}
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
}
