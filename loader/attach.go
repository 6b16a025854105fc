package loader

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
)

// Mode is where on an interface the filter runs.
type Mode string

// Modes to ask for. Auto takes the first that works, in this order; the others are demands.
const (
	ModeAuto    Mode = "auto"
	ModeNative  Mode = "native"  // XDP in the driver
	ModeGeneric Mode = "generic" // XDP behind the driver
	ModeTC      Mode = "tc"      // tc ingress: tcx, else clsact
)

// Modes that an Attachment has besides ModeNative and ModeGeneric.
const (
	ModeTCX    Mode = "tcx"    // tc ingress through a link, from kernel 6.6 on
	ModeClsact Mode = "clsact" // tc ingress through a filter of the clsact qdisc
)

// Attachment is one interface that the filter runs on.
type Attachment struct {
	Interface string
	Ifindex   int
	Mode      Mode
	Stale     bool // the interface is gone, or somebody removed the filter: Attach again
}

// ParseMode reads a mode of the configuration.
func ParseMode(s string) (Mode, error) {
	switch m := Mode(s); m {
	case ModeAuto, ModeNative, ModeGeneric, ModeTC:
		return m, nil
	case "":
		return ModeAuto, nil
	}
	return "", fmt.Errorf("unknown mode %q: use auto, native, generic or tc", s)
}

// Attach makes the filter run on an interface, now and after this process ends. It may be called at any
// time and again: an attachment that serves is kept, one whose interface was replaced is renewed.
//
// With ModeAuto it goes down from native XDP to generic XDP to tc, and says why at each step. An XDP
// program that is not gabion's is never replaced: the filter goes to tc ingress then. It fails with
// ErrNoInterface when there is no such interface. What leaves the interface is watched as well, if the
// kernel can; if not, that is logged.
//
// gabion's attachments to VLAN devices on the interface and to members of a bond that it is end, since
// the one here sees all their packets.
func (p *Plane) Attach(ifname string, want Mode) (Attachment, error) {
	if err := p.writable(); err != nil {
		return Attachment{}, fmt.Errorf("attach to %s: %w", ifname, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	nic, err := findInterface(ifname)
	if err != nil {
		return Attachment{}, fmt.Errorf("attach to %s: %w", ifname, err)
	}
	have, old, err := p.keep(nic, want)
	if err != nil {
		return Attachment{}, fmt.Errorf("attach to %s: %w", ifname, err)
	}
	if have != nil {
		p.watchEgress(nic)
		return *have, nil
	}
	a, err := p.replace(nic, want, old)
	if err != nil {
		return a, fmt.Errorf("attach to %s: %w", ifname, err)
	}
	p.watchEgress(nic)
	p.log.Info("filter attached", "interface", ifname, "ifindex", nic.Index, "mode", a.Mode)
	return a, nil
}

// keep returns the interface's attachment if it serves, else the live one of another mode, if any. It
// clears away what is stale.
func (p *Plane) keep(nic *netlink.LinkAttrs, want Mode) (have *Attachment, old *linkPin, err error) {
	pins, err := p.linkPins()
	if err != nil {
		return nil, nil, err
	}
	for _, pin := range pins {
		if pin.mode.isEgress() || pin.ifindex != nic.Index && pin.ifname != nic.Name {
			continue
		}
		a, err := p.inspect(pin)
		switch {
		case err != nil:
			return nil, nil, err
		case a.Stale:
			p.log.Warn("stale attachment removed", "interface", pin.ifname, "ifindex", pin.ifindex, "mode", pin.mode)
			if err := p.release(pin); err != nil {
				return nil, nil, err
			}
		case a.Ifindex != nic.Index:
			// An interface that has been renamed since and is still served.
		case satisfies(a.Mode, want):
			return &a, nil, nil
		default:
			old = &pin
		}
	}
	return nil, old, nil
}

// replace attaches in a mode other than that of old, which may be nil. Between XDP and tc the new filter
// runs before the old one ends; an interface takes only one XDP program, so there old ends first
// and comes back if the new mode fails.
func (p *Plane) replace(nic *netlink.LinkAttrs, want Mode, old *linkPin) (Attachment, error) {
	if old == nil {
		return p.attachFresh(nic, want)
	}
	p.log.Warn("attachment replaced", "interface", nic.Name, "mode", old.mode, "wanted", want)
	if want == ModeTC || p.program(old.mode) == p.tc {
		a, err := p.climbDown(nic, want, ladder(want))
		if err != nil {
			return a, err
		}
		return a, p.release(*old)
	}
	if err := p.release(*old); err != nil {
		return Attachment{}, err
	}
	nic.Xdp = nil // it was the program just released
	a, err := p.climbDown(nic, want, ladder(want))
	if err != nil {
		_, back := p.attachAs(nic, old.mode)
		return a, errors.Join(err, back)
	}
	return a, nil
}

// climbDown attaches in the first mode of steps that works.
func (p *Plane) climbDown(nic *netlink.LinkAttrs, want Mode, steps []Mode) (Attachment, error) {
	var errs []error
	for _, step := range steps {
		mode, err := p.attachAs(nic, step)
		if err == nil {
			return Attachment{Interface: nic.Name, Ifindex: nic.Index, Mode: mode}, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", step, err))
		if want == ModeAuto {
			p.log.Warn("attach mode not available", "interface", nic.Name, "mode", step, "err", err)
		}
	}
	return Attachment{}, errors.Join(errs...)
}

// Detach stops the filter on an interface. It is no error if it did not run there.
func (p *Plane) Detach(ifname string) error {
	if err := p.writable(); err != nil {
		return fmt.Errorf("detach from %s: %w", ifname, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	pins, err := p.linkPins()
	if err != nil {
		return err
	}
	var errs []error
	for _, pin := range pins {
		a, err := p.inspect(pin)
		if err != nil || a.Interface == ifname {
			errs = append(errs, err, p.release(pin))
		}
	}
	return errors.Join(errs...)
}

// Attachments lists where the filter is attached, in the order of interface numbers.
func (p *Plane) Attachments() ([]Attachment, error) {
	pins, err := p.linkPins()
	if err != nil {
		return nil, err
	}
	out := make([]Attachment, 0, len(pins))
	for _, pin := range pins {
		if pin.mode.isEgress() {
			continue
		}
		a, err := p.inspect(pin)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

func ladder(want Mode) []Mode {
	if want == ModeAuto {
		return []Mode{ModeNative, ModeGeneric, ModeTC}
	}
	return []Mode{want}
}

func satisfies(have, want Mode) bool {
	switch want {
	case ModeAuto:
		return true
	case ModeTC:
		return have == ModeTCX || have == ModeClsact
	}
	return have == want
}

func (p *Plane) attachAs(nic *netlink.LinkAttrs, step Mode) (Mode, error) {
	switch step {
	case ModeNative:
		return step, p.attachXDP(nic, step, link.XDPDriverMode)
	case ModeGeneric:
		return step, p.attachXDP(nic, step, link.XDPGenericMode)
	case ModeTC:
		return p.attachTC(nic)
	}
	return "", fmt.Errorf("unknown mode %q", step)
}

// attachXDP never replaces: creating a link fails when any XDP program is there. The check before
// is for the message.
func (p *Plane) attachXDP(nic *netlink.LinkAttrs, mode Mode, flags link.XDPAttachFlags) error {
	if nic.Xdp != nil && nic.Xdp.Attached {
		return fmt.Errorf("interface carries another XDP program (id %d), which is left alone", nic.Xdp.ProgId)
	}
	var errs []error
	for _, prog := range p.forms(nic.MTU) {
		l, err := link.AttachXDP(link.XDPOptions{Program: prog, Interface: nic.Index, Flags: flags})
		if err == nil {
			return p.pinLink(l, nic, mode)
		}
		errs = append(errs, err)
	}
	return explain(nic, fmt.Errorf("attach XDP program: %w", errs[0]))
}

// usualMTU is the largest that is not for jumbo frames.
const usualMTU = 1500

// forms returns the forms of the XDP program to try. The one for jumbo frames costs every packet a call;
// drivers refuse the other one when the MTU is too large for it, and to raise the MTU while it runs.
func (p *Plane) forms(mtu int) []*ebpf.Program {
	switch {
	case p.jumbo == nil:
		return []*ebpf.Program{p.xdp}
	case mtu > usualMTU:
		return []*ebpf.Program{p.jumbo, p.xdp}
	}
	return []*ebpf.Program{p.xdp, p.jumbo}
}

// attachTC prefers a tcx link, at the head, and falls back to a filter of the clsact qdisc.
func (p *Plane) attachTC(nic *netlink.LinkAttrs) (Mode, error) {
	if !p.legacyTC {
		l, err := link.AttachTCX(tcxOptions(nic.Index, p.tc, ebpf.AttachTCXIngress))
		if err == nil {
			return ModeTCX, p.pinLink(l, nic, ModeTCX)
		}
		if !errors.Is(err, link.ErrNotSupported) {
			return "", fmt.Errorf("attach tcx program: %w", err)
		}
		p.log.Warn("attach mode not available", "interface", nic.Name, "mode", ModeTCX, "err", err)
	}
	return ModeClsact, p.attachClsact(nic, ModeClsact)
}

// findInterface returns a named interface of this network namespace.
func findInterface(ifname string) (*netlink.LinkAttrs, error) {
	l, err := netlink.LinkByName(ifname)
	if err != nil {
		var missing netlink.LinkNotFoundError
		if errors.As(err, &missing) {
			return nil, fmt.Errorf("%w: %q (ip link shows those that exist)", ErrNoInterface, ifname)
		}
		return nil, fmt.Errorf("find interface: %w", err)
	}
	attrs := l.Attrs()
	if attrs.EncapType != "ether" && attrs.EncapType != "loopback" {
		return nil, fmt.Errorf("interface has no Ethernet header (%s): attach to the interface its packets arrive on", attrs.EncapType)
	}
	return attrs, nil
}
