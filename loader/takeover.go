package loader

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"gabion/loader/stack"
)

// attachFresh attaches to an interface that has no attachment, and takes over from those behind it
// (package stack): VLAN devices on it, or its members if it is a bond. They would judge and count its
// packets again, and from Linux 5.15 on their XDP programs keep the kernel from taking one here.
//
// In between tc runs on it, so that no packet passes unseen. When a demanded mode is not possible, tc
// stays.
func (p *Plane) attachFresh(nic *netlink.LinkAttrs, want Mode) (Attachment, error) {
	behind, err := p.behind(nic)
	if err != nil {
		return Attachment{}, err
	}
	if len(behind) == 0 {
		return p.climbDown(nic, want, ladder(want))
	}
	between, err := p.climbDown(nic, ModeTC, ladder(ModeTC))
	if err != nil {
		return between, err
	}
	for _, pin := range behind {
		if err := p.release(pin); err != nil {
			return between, err
		}
		p.log.Info("attachment taken over", "interface", pin.ifname, "mode", pin.mode, "by", nic.Name)
	}
	if want == ModeTC {
		return between, nil
	}
	steps := slices.DeleteFunc(ladder(want), func(m Mode) bool { return m == ModeTC })
	a, err := p.climbDown(nic, want, steps)
	if err != nil && want == ModeAuto {
		return between, nil // each step said why
	}
	if err != nil {
		return a, err
	}
	return a, p.release(linkPin{path: p.pinPath(nic, between.Mode), mode: between.Mode, ifindex: nic.Index, ifname: nic.Name})
}

// behind returns the pins of interfaces all of whose packets pass nic.
func (p *Plane) behind(nic *netlink.LinkAttrs) ([]linkPin, error) {
	pins, err := p.linkPins()
	if err != nil || len(pins) == 0 {
		return nil, err
	}
	devices, err := stack.List()
	if err != nil {
		return nil, err
	}
	behind := devices.Behind(nic.Index)
	return slices.DeleteFunc(pins, func(pin linkPin) bool {
		_, ok := behind.Numbered(pin.ifindex)
		return !ok
	}), nil
}

// explain says what the kernel leaves out when it refuses an XDP program because of another interface.
func explain(nic *netlink.LinkAttrs, refusal error) error {
	if !errors.Is(refusal, unix.EEXIST) && !errors.Is(refusal, unix.EOPNOTSUPP) {
		return refusal
	}
	devices, err := stack.List()
	if err != nil {
		return errors.Join(refusal, err)
	}
	own, ok := devices.Numbered(nic.Index)
	if !ok {
		return refusal
	}
	var others stack.Devices
	if own.IsBond() {
		others = devices.Members(nic.Index)
	} else {
		others = devices.Above(nic.Index)
	}
	var names []string
	for _, d := range others {
		if d.XDP {
			names = append(names, d.Name)
		}
	}
	switch {
	case len(names) > 0:
		return fmt.Errorf("%w (in the way is the XDP program of %s)", refusal, strings.Join(names, ", "))
	case own.IsBond() && errors.Is(refusal, unix.EOPNOTSUPP):
		return fmt.Errorf("%w (a bond runs XDP natively from Linux 5.15 on, if all its members do, in the modes "+
			"balance-rr, active-backup, balance-xor and 802.3ad)", refusal)
	}
	return refusal
}
