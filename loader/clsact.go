package loader

import (
	"errors"
	"fmt"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Where the filter sits in the clsact qdisc. The handle is ours by convention; the name decides.
const (
	filterName   = "gabion_tc"
	egressName   = "gabion_egress"
	filterHandle = 0x6761 // "ga"
	filterPrio   = 1      // first of the chain
)

// attachClsact is for kernels before 6.6, which have no tcx. A filter belongs to the interface, not
// to a process, so the pin next to it only remembers that it is there.
func (p *Plane) attachClsact(nic *netlink.LinkAttrs, mode Mode) error {
	err := netlink.QdiscAdd(clsact(nic.Index))
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add clsact qdisc: %w", err)
	}
	// The pin first: one without a filter is stale, a filter without a pin would stay for ever.
	pin := linkPin{path: p.pinPath(nic, mode), mode: mode, ifindex: nic.Index, ifname: nic.Name}
	if err := pinProgram(p.program(mode), pin.path); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	if err := p.updateClsact(pin); err != nil {
		return errors.Join(err, os.Remove(pin.path))
	}
	return nil
}

// updateClsact puts the current program into the interface's filter, in one step when there is one.
func (p *Plane) updateClsact(pin linkPin) error {
	if _, err := netlink.LinkByIndex(pin.ifindex); err != nil {
		return nil // gone, and the filter with it; Attach clears the pin away
	}
	parent, name := sideOf(pin.mode)
	f := &netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{
			LinkIndex: pin.ifindex, Parent: parent,
			Handle: filterHandle, Priority: filterPrio, Protocol: unix.ETH_P_ALL,
		},
		Fd: p.program(pin.mode).FD(), Name: name, DirectAction: true,
	}
	if err := netlink.FilterReplace(f); err != nil {
		return fmt.Errorf("add tc filter: %w", err)
	}
	return nil
}

// sideOf returns the side of the qdisc that a mode is on, and the name of its filter there.
func sideOf(mode Mode) (parent uint32, name string) {
	if mode == modeEgressClsact {
		return netlink.HANDLE_MIN_EGRESS, egressName
	}
	return netlink.HANDLE_MIN_INGRESS, filterName
}

// findFilter returns gabion's filter of an interface; nil when there is none, or no interface.
func findFilter(ifindex int, mode Mode) (*netlink.BpfFilter, error) {
	parent, name := sideOf(mode)
	l, err := netlink.LinkByIndex(ifindex)
	if err != nil {
		return nil, nil
	}
	filters, err := netlink.FilterList(l, parent)
	if err != nil {
		return nil, fmt.Errorf("list tc filters of %s: %w", l.Attrs().Name, err)
	}
	for _, f := range filters {
		if b, ok := f.(*netlink.BpfFilter); ok && b.Name == name && b.Handle == filterHandle {
			return b, nil
		}
	}
	return nil, nil
}

// removeFilter deletes gabion's filter, and the qdisc when nobody else uses it.
func removeFilter(ifindex int, mode Mode) error {
	f, err := findFilter(ifindex, mode)
	if err != nil || f == nil {
		return err
	}
	if err := netlink.FilterDel(f); err != nil {
		return fmt.Errorf("remove tc filter: %w", err)
	}
	l, err := netlink.LinkByIndex(ifindex)
	if err != nil {
		return nil
	}
	for _, parent := range []uint32{netlink.HANDLE_MIN_INGRESS, netlink.HANDLE_MIN_EGRESS} {
		rest, err := netlink.FilterList(l, parent)
		if err != nil || len(rest) > 0 {
			return err
		}
	}
	if err := netlink.QdiscDel(clsact(ifindex)); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove clsact qdisc: %w", err)
	}
	return nil
}

func clsact(ifindex int) netlink.Qdisc {
	return &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: ifindex, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
	}}
}
