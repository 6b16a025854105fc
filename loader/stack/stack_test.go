package stack

import (
	"errors"
	"os"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

func names(ds Devices) []string {
	var out []string
	for _, d := range ds {
		out = append(out, d.Name)
	}
	return out
}

// The devices of these tests: two members of a bond with VLAN devices on the bond and on a member, and
// an interface with a VLAN device on a VLAN device.
func mixed() Devices {
	return Devices{
		{Name: "eth0", Index: 2, Kind: "device", Bond: 4},
		{Name: "eth1", Index: 3, Kind: "device", Bond: 4},
		{Name: "bond0", Index: 4, Kind: "bond"},
		{Name: "bond0.5", Index: 5, Kind: "vlan", Below: 4},
		{Name: "eth1.6", Index: 6, Kind: "vlan", Below: 3},
		{Name: "eth2", Index: 7, Kind: "device"},
		{Name: "eth2.8", Index: 8, Kind: "vlan", Below: 7},
		{Name: "eth2.8.9", Index: 9, Kind: "vlan", Below: 8},
	}
}

func TestWhatCarriesADevice(t *testing.T) {
	for name, want := range map[string][]string{
		"eth0": {"bond0"}, "eth1": {"bond0"}, "bond0": nil, "bond0.5": {"bond0"},
		"eth1.6": {"eth1"}, // the bond never sees its packets
		"eth2":   nil, "eth2.8": {"eth2"}, "eth2.8.9": {"eth2.8", "eth2"},
	} {
		d, ok := mixed().Named(name)
		if !ok {
			t.Fatalf("no %s", name)
		}
		if diff := cmp.Diff(want, names(mixed().Carriers(d))); diff != "" {
			t.Errorf("carriers of %s (-want +got):\n%s", name, diff)
		}
	}
}

func TestWhatIsBehindADevice(t *testing.T) {
	for index, want := range map[int][]string{
		4: {"eth0", "eth1", "bond0.5"}, 3: {"eth1.6"}, 7: {"eth2.8", "eth2.8.9"}, 8: {"eth2.8.9"}, 9: nil, 0: nil,
	} {
		if diff := cmp.Diff(want, names(mixed().Behind(index))); diff != "" {
			t.Errorf("behind %d (-want +got):\n%s", index, diff)
		}
	}
	for index, want := range map[int][]string{3: {"bond0", "eth1.6"}, 4: {"bond0.5"}, 7: {"eth2.8"}, 0: nil} {
		if diff := cmp.Diff(want, names(mixed().Above(index))); diff != "" {
			t.Errorf("above %d (-want +got):\n%s", index, diff)
		}
	}
	if diff := cmp.Diff([]string{"eth0", "eth1"}, names(mixed().Members(4))); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	if got := mixed().Members(0); len(got) != 0 {
		t.Errorf("members of nothing = %v", names(got))
	}
}

func TestWhatCarriesOthersIsLessDeep(t *testing.T) {
	for name, want := range map[string]int{
		"bond0": 0, "eth0": 1, "bond0.5": 1, "eth1.6": 2, "eth2": 0, "eth2.8": 1, "eth2.8.9": 2,
	} {
		d, ok := mixed().Named(name)
		if got := mixed().Depth(d); !ok || got != want {
			t.Errorf("depth of %s = %d, want %d", name, got, want)
		}
	}
}

// Interfaces change while they are listed: what contradicts itself must not hang anybody.
func TestACircleOfDevicesEnds(t *testing.T) {
	ds := Devices{{Name: "a", Index: 1, Below: 2}, {Name: "b", Index: 2, Below: 1}}
	ds.Depth(ds[0])
	if got := names(ds.Carriers(ds[0])); len(got) == 0 || len(got) > mostNested {
		t.Errorf("carriers = %v, want at most %d", got, mostNested)
	}
}

func TestTheLoopbackIsListed(t *testing.T) {
	ds, err := List()
	if err != nil {
		t.Fatal(err)
	}
	if lo, ok := ds.Named("lo"); !ok || lo.Index != 1 || lo.Below != 0 || lo.Bond != 0 || lo.IsBond() {
		t.Errorf("lo = %+v, %v", lo, ok)
	}
}

// mustNamespace moves the test into a network namespace of its own and returns another one.
func mustNamespace(t *testing.T) (other netns.NsHandle) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root to make network namespaces")
	}
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	other, err = netns.New()
	own, err2 := netns.New()
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := netns.Set(home); err != nil {
			t.Fatal(err) // and the thread stays locked
		}
		runtime.UnlockOSThread()
		home.Close()
		own.Close()
		other.Close()
	})
	return other
}

// mustAdd adds an interface. It skips the test when the kernel has none of that kind.
func mustAdd(t *testing.T, l netlink.Link) int {
	t.Helper()
	err := netlink.LinkAdd(l)
	if errors.Is(err, unix.EOPNOTSUPP) {
		t.Skipf("SKIPPED: this kernel has no interfaces of the kind %s", l.Type())
	} else if err != nil {
		t.Fatalf("add %s: %v", l.Attrs().Name, err)
	}
	made, err := netlink.LinkByName(l.Attrs().Name)
	if err != nil {
		t.Fatal(err)
	}
	return made.Attrs().Index
}

func attrs(name string, on int) netlink.LinkAttrs {
	a := netlink.NewLinkAttrs()
	a.Name, a.ParentIndex = name, on
	return a
}

func TestTheKernelsDevicesAreListed(t *testing.T) {
	other := mustNamespace(t)
	bond := netlink.NewLinkBond(attrs("bond0", 0))
	bond.Mode = netlink.BOND_MODE_ACTIVE_BACKUP
	bondAt := mustAdd(t, bond)
	// A veth pair names its other end as a VLAN device what it stands on, also across namespaces.
	near := mustAdd(t, &netlink.Veth{LinkAttrs: attrs("near", 0), PeerName: "far"})
	mustAdd(t, &netlink.Veth{LinkAttrs: attrs("here", 0), PeerName: "there", PeerNamespace: netlink.NsFd(other)})
	vlan := mustAdd(t, &netlink.Vlan{LinkAttrs: attrs("near.7", near), VlanId: 7})
	mustAdd(t, &netlink.Vlan{LinkAttrs: attrs("inner", vlan), VlanId: 8})
	member, err := netlink.LinkByName("far")
	if err := errors.Join(err, netlink.LinkSetMasterByIndex(member, bondAt), netlink.LinkSetUp(bond)); err != nil {
		t.Fatal(err)
	}
	got, err := List()
	if err != nil {
		t.Fatal(err)
	}
	want := Devices{
		{Name: "lo", Kind: "device"},
		{Name: "bond0", Kind: "bond", Up: true},
		{Name: "near", Kind: "veth"},
		{Name: "far", Kind: "veth", Up: true, Bond: bondAt},
		{Name: "here", Kind: "veth"},
		{Name: "near.7", Kind: "vlan", Below: near},
		{Name: "inner", Kind: "vlan", Below: vlan},
	}
	byName := cmpopts.SortSlices(func(a, b Device) bool { return a.Name < b.Name })
	if diff := cmp.Diff(want, got, byName, cmpopts.IgnoreFields(Device{}, "Index")); diff != "" {
		t.Errorf("devices (-want +got):\n%s", diff)
	}
}
