package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cilium/ebpf/features"
	"github.com/vishvananda/netlink"

	"gabion/loader"
	"gabion/loader/stack"
)

// nativeBonding returns the modes of bonding in which a bond runs XDP natively, from Linux 5.15 on.
func nativeBonding() []string {
	return []string{"balance-rr", "active-backup", "balance-xor", "802.3ad"}
}

// checkStack looks at an interface that others stand on or that stands on others. Virtual says that it
// has no hardware of its own: driver and queues are those of others.
func checkStack(l netlink.Link, ifaces []string, attached []loader.Attachment) (virtual bool, out []Finding) {
	name := l.Attrs().Name
	devices, err := stack.List()
	if err != nil {
		return false, []Finding{unknown(name+" stack", "%v", err)}
	}
	own, ok := devices.Numbered(l.Attrs().Index)
	if !ok {
		return false, nil // it went away meanwhile
	}
	if by, ok := through(devices.Carriers(own), attached); ok {
		return own.Kind == "vlan", []Finding{okay(name+" filter", "runs at %s, which all its packets pass (%s)", by.Interface, by.Mode)}
	}
	members := devices.Members(own.Bond)
	bond, isMember := devices.Numbered(own.Bond)
	switch {
	case own.IsBond():
		return true, []Finding{checkBond(factsOf(l, devices, attached)), checkMTU(l.Attrs())}
	case own.Kind == "vlan":
		return true, []Finding{checkVLAN(own, devices)}
	case isMember:
		return false, []Finding{checkMember(own, bond, members, ifaces)}
	}
	return false, nil
}

func through(carriers stack.Devices, attached []loader.Attachment) (loader.Attachment, bool) {
	for _, a := range attached {
		if _, ok := carriers.Numbered(a.Ifindex); ok && !a.Stale {
			return a, true
		}
	}
	return loader.Attachment{}, false
}

// bondFacts is what decides how the filter can run on a bond.
type bondFacts struct {
	name     string
	bonding  string // mode of bonding, such as "802.3ad"
	kernel   bool   // one that can run XDP on a bond natively
	mode     loader.Mode
	members  []string
	filtered []string // members that the filter runs on
	foreign  []string // members with an XDP program that is not gabion's
	doubtful []string // members whose driver is not known to run XDP
}

func factsOf(l netlink.Link, devices stack.Devices, attached []loader.Attachment) bondFacts {
	v, err := features.LinuxVersionCode()
	f := bondFacts{
		name: l.Attrs().Name, kernel: err == nil && v >= 5<<16|15<<8, mode: modeOn(l.Attrs().Index, attached),
	}
	if b, ok := l.(*netlink.Bond); ok {
		f.bonding = b.Mode.String()
	}
	for _, m := range devices.Members(l.Attrs().Index) {
		f.members = append(f.members, m.Name)
		switch {
		case modeOn(m.Index, attached) != "":
			f.filtered = append(f.filtered, m.Name)
		case m.XDP:
			f.foreign = append(f.foreign, m.Name)
		}
		if driver := driverOf(m.Name, m.Kind); !slices.Contains(nativeDrivers(), driver) {
			f.doubtful = append(f.doubtful, fmt.Sprintf("%s (%s)", m.Name, driver))
		}
	}
	return f
}

func checkBond(f bondFacts) Finding {
	subject, members := f.name+" members", strings.Join(f.members, ", ")
	instead := "to filter in the driver name the members instead: interfaces: [" + members + "]"
	switch {
	case len(f.members) == 0 && f.mode == loader.ModeNative:
		return Finding{LevelWarn, subject, "none: nothing arrives", "it takes only members whose driver runs XDP, while the filter runs natively"}
	case len(f.members) == 0:
		return Finding{LevelWarn, subject, "none: nothing arrives", "add them before gabion starts, or later: it attaches as soon as there is one"}
	case f.mode == loader.ModeNative:
		return okay(subject, "%s run the filter natively; none without XDP can be added", members)
	case f.mode == "" && len(f.filtered) == len(f.members):
		return okay(subject, "the filter runs on each of %s", members)
	case !f.kernel:
		return Finding{LevelWarn, subject, members + ": a bond runs XDP natively from Linux 5.15 on", instead}
	case !slices.Contains(nativeBonding(), f.bonding):
		return Finding{LevelWarn, subject, fmt.Sprintf("%s: a bond in mode %s runs no XDP natively", members, f.bonding), instead}
	case len(f.foreign) > 0:
		return Finding{LevelWarn, subject, fmt.Sprintf("%s: native XDP on the bond is not possible while %s has a program of its own",
			members, strings.Join(f.foreign, ", ")), "bpftool net says which; ip link set NAME xdp off removes one"}
	case len(f.doubtful) > 0:
		u := unknown(subject, "%s: whether %s can run XDP natively", members, strings.Join(f.doubtful, ", "))
		u.Advice = "gabion run tries it and says; all members must, or none does"
		return u
	}
	return okay(subject, "%s can run the filter natively", members)
}

func checkVLAN(own stack.Device, devices stack.Devices) Finding {
	f := Finding{Level: LevelWarn, Subject: own.Name + " VLAN", Detail: "a VLAN device runs no XDP natively",
		Advice: "to filter in the driver name the interface that it stands on, outside of this network namespace"}
	if carriers := devices.Carriers(own); len(carriers) > 0 {
		lowest := carriers[len(carriers)-1].Name
		f.Advice = fmt.Sprintf("to filter in the driver name %s, and with it all it carries: the filter looks through two tags", lowest)
	}
	return f
}

// checkMember is about a member of a bond that the filter does not run on.
func checkMember(own, bond stack.Device, members stack.Devices, ifaces []string) Finding {
	var open []string
	for _, m := range members {
		if !slices.Contains(ifaces, m.Name) {
			open = append(open, m.Name)
		}
	}
	subject := own.Name + " bond"
	if slices.Contains(ifaces, bond.Name) || len(open) == 0 {
		return okay(subject, "member of %s, which is protected as a whole", bond.Name)
	}
	return Finding{LevelWarn, subject, fmt.Sprintf("member of %s; what arrives at %s is not filtered", bond.Name, strings.Join(open, ", ")),
		fmt.Sprintf("name the bond, or all its members: interfaces: [%s]", bond.Name)}
}
