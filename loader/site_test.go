package loader

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/cilium/ebpf/features"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"gabion/bench/packet"
	"gabion/userspace/decision"
)

// site is a server and a client with any number of wires between them, and a plane that bans banned4.
// A wire is a veth pair: srv0 and cli0, srv1 and cli1 and so on, without addresses.
type site struct {
	network
	plane *Plane
}

func wire(i int) (server, client string) { return fmt.Sprintf("srv%d", i), fmt.Sprintf("cli%d", i) }

func mustSite(t testing.TB, wires int, o Options) *site {
	t.Helper()
	needRoot(t)
	s := &site{network: network{server: mustNamespace(t), client: mustNamespace(t)}}
	for i := range wires {
		s.mustWire(t, i)
	}
	s.plane = mustOpen(t, o)
	mustBan(t, s.plane, ban(banned4+"/32", decision.ClassBan, inAnHour()))
	return s
}

func (s *site) mustWire(t testing.TB, i int) {
	t.Helper()
	server, client := wire(i)
	in(t, s.server, func() {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = server
		veth := &netlink.Veth{LinkAttrs: attrs, PeerName: client, PeerNamespace: netlink.NsFd(s.client)}
		if err := netlink.LinkAdd(veth); err != nil {
			t.Fatalf("add veth pair: %v", err)
		}
		mustUp(t, server)
	})
	in(t, s.client, func() { mustUp(t, client) })
}

// mustLink returns an interface of the server.
func (s *site) mustLink(t testing.TB, name string) netlink.Link {
	t.Helper()
	var l netlink.Link
	in(t, s.server, func() {
		var err error
		if l, err = netlink.LinkByName(name); err != nil {
			t.Fatalf("find %s: %v", name, err)
		}
	})
	return l
}

// mustBond makes bond0 of the server's ends of wires.
func (s *site) mustBond(t testing.TB, mode netlink.BondMode, wires ...int) {
	t.Helper()
	var members []string
	for _, i := range wires {
		name, _ := wire(i)
		members = append(members, name)
	}
	mustBondOf(t, s.server, mode, members...)
	in(t, s.server, func() { mustUp(t, "bond0", server4+"/24") })
}

// mustBondOf makes a bond0 in a namespace. It skips the test when the kernel has no bonds.
func mustBondOf(t testing.TB, ns netns.NsHandle, mode netlink.BondMode, members ...string) {
	t.Helper()
	in(t, ns, func() {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = "bond0"
		bond := netlink.NewLinkBond(attrs)
		bond.Mode, bond.Miimon = mode, 10
		if err := netlink.LinkAdd(bond); errors.Is(err, unix.EOPNOTSUPP) {
			t.Skip("SKIPPED: this kernel has no bonds (modprobe bonding)")
		} else if err != nil {
			t.Fatalf("add bond: %v", err)
		}
		for _, name := range members {
			if err := join(name); err != nil {
				t.Fatalf("add member: %v", err)
			}
		}
		mustUp(t, "bond0")
	})
}

// join makes an interface of the present namespace a member of bond0.
func join(name string) error {
	member, err := netlink.LinkByName(name)
	bond, err2 := netlink.LinkByName("bond0")
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	return errors.Join(netlink.LinkSetDown(member), netlink.LinkSetMaster(member, bond))
}

// join makes the server's end of a wire a member of bond0.
func (s *site) join(t testing.TB, i int) (err error) {
	t.Helper()
	name, _ := wire(i)
	in(t, s.server, func() { err = join(name) })
	return err
}

// mustLeave takes the server's end of a wire out of bond0. It is up afterwards.
func (s *site) mustLeave(t testing.TB, i int) {
	t.Helper()
	name, _ := wire(i)
	member := s.mustLink(t, name)
	in(t, s.server, func() {
		if err := errors.Join(netlink.LinkSetNoMaster(member), netlink.LinkSetUp(member)); err != nil {
			t.Fatalf("take %s out of the bond: %v", name, err)
		}
	})
}

// mustVLAN makes a VLAN device with the server's address. It skips the test when the kernel has none.
func (s *site) mustVLAN(t testing.TB, name, on string, id int, protocol netlink.VlanProtocol, addrs ...string) {
	t.Helper()
	parent := s.mustLink(t, on)
	in(t, s.server, func() {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.ParentIndex = name, parent.Attrs().Index
		err := netlink.LinkAdd(&netlink.Vlan{LinkAttrs: attrs, VlanId: id, VlanProtocol: protocol})
		if errors.Is(err, unix.EOPNOTSUPP) {
			t.Skip("SKIPPED: this kernel has no VLAN devices (modprobe 8021q)")
		} else if err != nil {
			t.Fatalf("add VLAN device: %v", err)
		}
		mustUp(t, name, addrs...)
	})
}

// mustDelete removes an interface of the server.
func (s *site) mustDelete(t testing.TB, name string) {
	t.Helper()
	l := s.mustLink(t, name)
	in(t, s.server, func() {
		if err := netlink.LinkDel(l); err != nil {
			t.Fatalf("delete %s: %v", name, err)
		}
	})
}

func (s *site) mustAttach(t testing.TB, name string, want Mode) Attachment {
	t.Helper()
	var a Attachment
	in(t, s.server, func() {
		var err error
		if a, err = s.plane.Attach(name, want); err != nil {
			t.Fatalf("attach to %s: %v", name, err)
		}
	})
	return a
}

func (s *site) mustDetach(t testing.TB, name string) {
	t.Helper()
	in(t, s.server, func() {
		if err := s.plane.Detach(name); err != nil {
			t.Fatalf("detach from %s: %v", name, err)
		}
	})
}

// attached lists the live attachments, such as "native bond0".
func (s *site) attached(t testing.TB) (live []string) {
	t.Helper()
	for _, a := range mustAttachments(t, s.network, s.plane) {
		if !a.Stale {
			live = append(live, fmt.Sprintf("%s %s", a.Mode, a.Interface))
		}
	}
	return live
}

// mustInbox opens a socket that datagrams to the server's address arrive at.
func (s *site) mustInbox(t testing.TB) *net.UDPConn {
	t.Helper()
	var c *net.UDPConn
	in(t, s.server, func() {
		var err error
		if c, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(server4+":4000"))); err != nil {
			t.Fatalf("listen: %v", err)
		}
	})
	t.Cleanup(func() { c.Close() })
	return c
}

// datagram makes a frame from src for the server's address, behind VLAN tags, for the hardware address
// of one of its interfaces.
func (s *site) datagram(t testing.TB, src, to string, tags ...uint16) []byte {
	t.Helper()
	frame := packet.UDP(netip.AddrPortFrom(netip.MustParseAddr(src), 4242), netip.MustParseAddrPort(server4+":4000"), packet.VLAN(tags...))
	copy(frame, s.mustLink(t, to).Attrs().HardwareAddr)
	return frame
}

// mustSender returns a function that sends frames on a wire, from the client's end.
func (s *site) mustSender(t testing.TB, i int) func(frames ...[]byte) {
	t.Helper()
	var fd, index int
	in(t, s.client, func() {
		_, client := wire(i)
		l, err := netlink.LinkByName(client)
		if err != nil {
			t.Fatal(err)
		}
		index = l.Attrs().Index
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			t.Fatalf("open packet socket: %v", err)
		}
	})
	t.Cleanup(func() { unix.Close(fd) })
	return func(frames ...[]byte) {
		t.Helper()
		for _, f := range frames {
			if err := unix.Sendto(fd, f, 0, &unix.SockaddrLinklayer{Ifindex: index}); err != nil {
				t.Fatalf("send frame: %v", err)
			}
		}
	}
}

// mustFilter sends frames of a banned and of a clean source on a wire, to an interface's hardware
// address and behind tags: only the clean ones arrive, and each is judged once.
func (s *site) mustFilter(t testing.TB, i int, to string, tags ...uint16) {
	t.Helper()
	const rounds = 3
	inbox, send, before := s.mustInbox(t), s.mustSender(t, i), mustStats(t, s.plane)
	defer inbox.Close()
	for range rounds {
		send(s.datagram(t, banned4, to, tags...), s.datagram(t, client4, to, tags...))
	}
	buf := make([]byte, 64)
	for range rounds {
		_, from, err := inbox.ReadFromUDPAddrPort(buf)
		if err != nil {
			t.Fatal(err)
		}
		if got := from.Addr().String(); got != client4 {
			t.Errorf("wire %d, %s: a datagram of %s arrived, want those of %s only", i, to, got, client4)
		}
	}
	after := mustStats(t, s.plane)
	if dropped, passed := after.DroppedV4-before.DroppedV4, after.PassedV4-before.PassedV4; dropped != rounds || passed != rounds {
		t.Errorf("wire %d, %s: judged %d dropped and %d passed, want %d each", i, to, dropped, passed, rounds)
	}
}

// nativeBonds says whether this kernel runs native XDP on a bond.
func nativeBonds(t testing.TB) bool {
	t.Helper()
	v, err := features.LinuxVersionCode()
	if err != nil {
		t.Fatal(err)
	}
	return v >= 5<<16|15<<8
}
