package loader

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
)

// Modes of pins that are no attachments of the filter: they watch what leaves. Meters that count this
// machine's answers, and those that spare proven sources, depend on them; dropping does not.
const (
	modeEgress       Mode = "egress"    // through a tcx link
	modeEgressClsact Mode = "egressold" // through a filter of the clsact qdisc
)

// isEgress tells the watchers from the attachments of the filter.
func (m Mode) isEgress() bool { return m == modeEgress || m == modeEgressClsact }

// isClsact says whether there is no link behind a pin.
func (m Mode) isClsact() bool { return m == ModeClsact || m == modeEgressClsact }

// watchEgress makes what leaves an interface watched, as far as it is not yet. When that cannot be, the
// filter works without it; it is logged once for each interface.
func (p *Plane) watchEgress(nic *netlink.LinkAttrs) {
	if nic.EncapType == "loopback" {
		return // what this machine tells itself
	}
	err := p.tryEgress(nic)
	if err == nil || p.unwatched[nic.Index] {
		return
	}
	p.unwatched[nic.Index] = true
	p.log.Warn("egress not watched", "interface", nic.Name, "err", err,
		"lost", "meters of answers count nothing, and no source is known as proven")
}

func (p *Plane) tryEgress(nic *netlink.LinkAttrs) error {
	pins, err := p.linkPins()
	if err != nil {
		return err
	}
	for _, pin := range pins {
		if !pin.mode.isEgress() || pin.ifindex != nic.Index && pin.ifname != nic.Name {
			continue
		}
		a, err := p.inspect(pin)
		if err != nil {
			return err
		}
		if !a.Stale && a.Ifindex == nic.Index {
			return nil
		}
		if !a.Stale {
			continue // an interface that has been renamed since
		}
		if err := p.release(pin); err != nil {
			return err
		}
	}
	if !p.legacyTC {
		l, err := link.AttachTCX(tcxOptions(nic.Index, p.egress, ebpf.AttachTCXEgress))
		if err == nil {
			return p.pinLink(l, nic, modeEgress)
		}
		if !errors.Is(err, link.ErrNotSupported) {
			return fmt.Errorf("attach tcx program: %w", err)
		}
	}
	return p.attachClsact(nic, modeEgressClsact)
}
