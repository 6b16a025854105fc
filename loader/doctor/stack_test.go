package doctor

import (
	"errors"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"gabion/loader"
	"gabion/loader/stack"
)

func TestWhatIsSaidOfABond(t *testing.T) {
	able := bondFacts{name: "bond0", bonding: "802.3ad", kernel: true, members: []string{"eth0", "eth1"}}
	for _, tt := range []struct {
		name   string
		change func(f *bondFacts)
		level  Level
		said   string // in the detail
		advice string // in it
	}{
		{"it can", func(*bondFacts) {}, LevelOK, "can run the filter natively", ""},
		{"it does", func(f *bondFacts) { f.mode = loader.ModeNative }, LevelOK, "none without XDP can be added", ""},
		{"nothing in it", func(f *bondFacts) { f.members = nil }, LevelWarn, "nothing arrives", "attaches as soon as there is one"},
		{"nothing in it any more", func(f *bondFacts) { f.members, f.mode = nil, loader.ModeNative }, LevelWarn, "nothing arrives", "only members whose driver"},
		{"the kernel is too old", func(f *bondFacts) { f.kernel, f.mode = false, loader.ModeGeneric }, LevelWarn, "5.15", "interfaces: [eth0, eth1]"},
		{"the mode is one without", func(f *bondFacts) { f.bonding = "balance-alb" }, LevelWarn, "balance-alb", "interfaces: [eth0, eth1]"},
		{"somebody is there", func(f *bondFacts) { f.foreign = []string{"eth1"} }, LevelWarn, "while eth1 has a program", "xdp off"},
		{"a driver is not known", func(f *bondFacts) { f.doubtful = []string{"eth1 (r8169)"} }, LevelUnknown, "r8169", "all members must"},
		{"its members are named instead", func(f *bondFacts) { f.kernel, f.filtered = false, f.members }, LevelOK, "each of eth0, eth1", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			facts := able
			tt.change(&facts)
			got := checkBond(facts)
			if got.Level != tt.level || !strings.Contains(got.Detail, tt.said) || !strings.Contains(got.Advice, tt.advice) {
				t.Errorf("%+v, want level %s, %q and advice %q", got, tt.level, tt.said, tt.advice)
			}
			if (got.Advice == "") != (tt.level == LevelOK) {
				t.Errorf("advice of %+v", got)
			}
		})
	}
}

func TestAMemberAloneLeavesTheOthersOpen(t *testing.T) {
	bond := stack.Device{Name: "bond0", Index: 4, Kind: "bond"}
	members := stack.Devices{{Name: "eth0", Index: 2, Bond: 4}, {Name: "eth1", Index: 3, Bond: 4}}
	for _, tt := range []struct {
		ifaces []string
		level  Level
	}{
		{[]string{"eth0"}, LevelWarn}, {[]string{"eth0", "eth1"}, LevelOK}, {[]string{"eth0", "bond0"}, LevelOK},
	} {
		got := checkMember(members[0], bond, members, tt.ifaces)
		if got.Level != tt.level || (tt.level == LevelWarn) != strings.Contains(got.Detail, "eth1 is not filtered") {
			t.Errorf("%q: %+v, want level %s", tt.ifaces, got, tt.level)
		}
	}
}

// mustBond makes bond0 of the test's interface. It skips the test when the kernel has no bonds.
func mustBond(t *testing.T) netlink.Link {
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
	member, err := netlink.LinkByName(ifname)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(netlink.LinkSetDown(member), netlink.LinkSetMaster(member, bond), netlink.LinkSetUp(bond)); err != nil {
		t.Fatal(err)
	}
	return bond
}

func TestABondAndWhatStandsOnItAreRecognised(t *testing.T) {
	mustNamespace(t)
	bond := mustBond(t)
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.ParentIndex = "bond0.7", bond.Attrs().Index
	if err := netlink.LinkAdd(&netlink.Vlan{LinkAttrs: attrs, VlanId: 7}); err != nil {
		t.Fatal(err)
	}
	dir, p := mustPlane(t)
	all := []string{"bond0", "bond0.7", ifname}
	before := Examine(all, dir)
	for subject, want := range map[string]string{
		"bond0.7 VLAN": "runs no XDP natively", ifname + " bond": "protected as a whole", "bond0 members": ifname,
	} {
		if f := find(t, before, subject); !strings.Contains(f.Detail, want) {
			t.Errorf("%+v, want it to say %q", f, want)
		}
	}
	a, err := p.Attach("bond0", loader.ModeAuto)
	if err != nil {
		t.Fatal(err)
	}
	after := Examine(all, dir)
	for _, subject := range []string{"bond0.7 filter", ifname + " filter"} {
		if f := find(t, after, subject); f.Level != LevelOK || !strings.Contains(f.Detail, "bond0") {
			t.Errorf("%+v, want it to name bond0", f)
		}
	}
	if f := find(t, after, "bond0 members"); (f.Level == LevelOK) != (a.Mode == loader.ModeNative) {
		t.Errorf("%+v while the filter runs as %s", f, a.Mode)
	}
}
