// Package topology builds a small star of network namespaces out of veth pairs: one server in the
// middle, one namespace per spoke. Nothing is created in the namespace of the caller, so nothing
// of it can be in the way of the machine's own network.
//
// Namespaces are named after the process that owns them (Prefix, process number, role), so that
// the leftovers of a process that was killed are found and removed by RemoveStale.
package topology

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Spoke is one network around the server.
type Spoke struct {
	Role     string         // names the namespace and, on the server, the interface
	Gateways []netip.Prefix // the server's address in this network, one per family
	Hosts    []netip.Addr   // the addresses of the far end
	Behind   []netip.Prefix // IPv4 networks that the server reaches through the first host; nobody answers there
}

// Plan says what to build.
type Plan struct {
	Services []netip.Addr // addresses on the server's loopback, reached through the gateways
	Spokes   []Spoke
}

// Topology is a star of namespaces that exists.
type Topology struct {
	Server *Namespace
	Spokes map[string]*Namespace // by role
	// Interfaces are the names of the server's ends, in the order of the plan's spokes.
	Interfaces []string
}

// ServerEnd is the name of the veth end in a spoke's namespace: it leads to the server.
const ServerEnd = "lab-server"

// Build creates the namespaces, links, addresses and routes of the plan. On failure everything
// that was made is removed again.
func Build(plan Plan) (*Topology, error) {
	t := &Topology{Spokes: map[string]*Namespace{}}
	if err := t.build(plan); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

func (t *Topology) build(plan Plan) error {
	var err error
	if t.Server, err = newNamespace(namespaceName(os.Getpid(), "server")); err != nil {
		return err
	}
	for _, a := range plan.Services {
		if err := t.Server.addAddress("lo", netip.PrefixFrom(a, a.BitLen())); err != nil {
			return err
		}
	}
	for _, s := range plan.Spokes {
		ns, err := newNamespace(namespaceName(os.Getpid(), s.Role))
		if err != nil {
			return err
		}
		t.Spokes[s.Role] = ns
		if err := t.addSpoke(s, ns); err != nil {
			return err
		}
	}
	return nil
}

func (t *Topology) addSpoke(s Spoke, ns *Namespace) error {
	name := "lab-" + s.Role
	err := t.Server.Do(func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = name
		veth := &netlink.Veth{LinkAttrs: attrs, PeerName: ServerEnd, PeerNamespace: netlink.NsFd(int(ns.handle))}
		if err := netlink.LinkAdd(veth); err != nil {
			return fmt.Errorf("create veth pair %s: %w", name, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	t.Interfaces = append(t.Interfaces, name)
	for _, g := range s.Gateways {
		if err := t.Server.addAddress(name, g); err != nil {
			return err
		}
		for _, h := range s.Hosts {
			if h.Is4() != g.Addr().Is4() {
				continue
			}
			if err := ns.addAddress(ServerEnd, netip.PrefixFrom(h, g.Bits())); err != nil {
				return err
			}
		}
	}
	if err := errors.Join(t.Server.setUp(name), ns.setUp(ServerEnd)); err != nil {
		return err
	}
	if err := errors.Join(t.Server.awaitUp(name), ns.awaitUp(ServerEnd)); err != nil {
		return err
	}
	for _, g := range s.Gateways {
		if err := ns.addRoute(ServerEnd, nil, g.Addr()); err != nil {
			return err
		}
	}
	for _, p := range s.Behind {
		to := &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
		if err := t.Server.addRoute(name, to, s.Hosts[0]); err != nil {
			return err
		}
	}
	return nil
}

// addAddress adds an address without duplicate address detection, which would take a second.
func (n *Namespace) addAddress(link string, p netip.Prefix) error {
	return n.Do(func() error {
		l, err := netlink.LinkByName(link)
		if err != nil {
			return fmt.Errorf("find %s in %s: %w", link, n.Name, err)
		}
		addr := &netlink.Addr{IPNet: &net.IPNet{
			IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()),
		}}
		if p.Addr().Is6() {
			addr.Flags = unix.IFA_F_NODAD
		}
		if err := netlink.AddrAdd(l, addr); err != nil {
			return fmt.Errorf("add %s to %s in %s: %w", p, link, n.Name, err)
		}
		return nil
	})
}

func (n *Namespace) setUp(link string) error {
	return n.Do(func() error {
		l, err := netlink.LinkByName(link)
		if err == nil {
			err = netlink.LinkSetUp(l)
		}
		if err != nil {
			return fmt.Errorf("bring up %s in %s: %w", link, n.Name, err)
		}
		return nil
	})
}

// awaitUp waits until a link that was set up carries packets. Until the kernel's link watch has got
// to it they are dropped, and what is lost first, a question for the neighbour's address, is only
// asked again after a second.
func (n *Namespace) awaitUp(link string) error {
	return n.Do(func() error {
		for range 3000 {
			l, err := netlink.LinkByName(link)
			if err != nil {
				return fmt.Errorf("find %s in %s: %w", link, n.Name, err)
			}
			if l.Attrs().OperState == netlink.OperUp {
				return nil
			}
			time.Sleep(time.Millisecond)
		}
		return fmt.Errorf("%s in %s does not come up", link, n.Name)
	})
}

// addRoute adds a route to a network, nil for the default route.
func (n *Namespace) addRoute(link string, to *net.IPNet, via netip.Addr) error {
	return n.Do(func() error {
		l, err := netlink.LinkByName(link)
		if err == nil {
			err = netlink.RouteAdd(&netlink.Route{LinkIndex: l.Attrs().Index, Dst: to, Gw: via.AsSlice()})
		}
		if err != nil {
			return fmt.Errorf("route %s through %s: %w", n.Name, via, err)
		}
		return nil
	})
}
