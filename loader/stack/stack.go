// Package stack tells how network interfaces stand on each other: VLAN devices on the interface that
// carries their frames, bonds on their members. A packet passes several interfaces of a stack, and a
// filter on each of them would judge and count it again.
package stack

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Device is one network interface.
type Device struct {
	Name  string
	Index int
	Kind  string // "bond", "vlan", "veth" and so on; "device" is hardware and lo
	Up    bool   // by its administrator, whether or not it has a carrier
	XDP   bool   // it carries a program; members do not show that of their bond
	Below int    // index of the interface that a VLAN device stands on; 0 if it is none or that is elsewhere
	Bond  int    // index of the bond that it is a member of; 0 for none
}

// mostNested is how many devices the kernel lets stand on each other.
const mostNested = 8

// Devices are the interfaces of one network namespace at one time.
type Devices []Device

// List returns the interfaces of this network namespace.
func List() (Devices, error) {
	const attempts = 4 // at a list that no change interrupts
	var links []netlink.Link
	var err error
	for range attempts {
		if links, err = netlink.LinkList(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	ds := make(Devices, 0, len(links))
	bonds := map[int]bool{}
	for _, l := range links {
		a := l.Attrs()
		d := Device{Name: a.Name, Index: a.Index, Kind: l.Type(), Up: a.RawFlags&unix.IFF_UP != 0, Bond: a.MasterIndex}
		d.XDP = a.Xdp != nil && a.Xdp.Attached
		if d.Kind == "vlan" && a.NetNsID < 0 {
			d.Below = a.ParentIndex
		}
		bonds[d.Index] = d.IsBond()
		ds = append(ds, d)
	}
	for i, d := range ds {
		if !bonds[d.Bond] { // a port of a bridge, for example
			ds[i].Bond = 0
		}
	}
	return ds, nil
}

// IsBond says whether the device is made of members, whose packets it takes for its own.
func (d Device) IsBond() bool { return d.Kind == "bond" }

// Named returns the device with a name.
func (ds Devices) Named(name string) (Device, bool) {
	for _, d := range ds {
		if d.Name == name {
			return d, true
		}
	}
	return Device{}, false
}

// Numbered returns the device with an index.
func (ds Devices) Numbered(index int) (Device, bool) {
	for _, d := range ds {
		if d.Index == index {
			return d, true
		}
	}
	return Device{}, false
}

// Members returns the members of a bond.
func (ds Devices) Members(bond int) Devices {
	var out Devices
	for _, d := range ds {
		if d.Bond == bond && bond != 0 {
			out = append(out, d)
		}
	}
	return out
}

// Carriers returns the devices on each of which a filter judges all packets of d, the nearest first:
// what a VLAN device stands on, and the bond of a member. What stands on a member is no matter of the
// bond: its packets leave the member before the bond takes the rest.
func (ds Devices) Carriers(d Device) Devices {
	var out Devices
	below := d
	for range mostNested {
		next, ok := ds.Numbered(below.Below)
		if !ok {
			break
		}
		out, below = append(out, next), next
	}
	if bond, ok := ds.Numbered(d.Bond); ok {
		out = append(out, bond)
	}
	return out
}

// Depth returns how many devices come one after the other before d, 0 for one without carriers.
func (ds Devices) Depth(d Device) int { return ds.depth(d, mostNested) }

func (ds Devices) depth(d Device, most int) int {
	deepest := 0
	for _, index := range []int{d.Below, d.Bond} {
		if next, ok := ds.Numbered(index); ok && most > 0 {
			deepest = max(deepest, 1+ds.depth(next, most-1))
		}
	}
	return deepest
}

// Behind returns the devices that the one with an index is a carrier of.
func (ds Devices) Behind(index int) Devices {
	var out Devices
	for _, d := range ds {
		if _, ok := ds.Carriers(d).Numbered(index); ok {
			out = append(out, d)
		}
	}
	return out
}

// Above returns the devices that stand right on the one with an index: VLAN devices on it, and the bond
// that it is a member of.
func (ds Devices) Above(index int) Devices {
	var out Devices
	own, _ := ds.Numbered(index)
	for _, d := range ds {
		if index != 0 && (d.Below == index || d.Index == own.Bond) {
			out = append(out, d)
		}
	}
	return out
}
