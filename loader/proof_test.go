package loader

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"gabion/bench/packet"
	"gabion/userspace/decision"
	"gabion/userspace/meter"
)

// connections returns a meter of new connections per source and day: windows begin at a time of the
// kernel's, and none must end in the middle of a test.
func connections(limit uint64) *meter.Meter {
	return &meter.Meter{
		Name: "test/connections", Match: meter.Match{Protocol: meter.TCP}, Count: meter.Connections,
		Per: meter.Source, Limit: limit, Window: 24 * time.Hour,
	}
}

// attachedServer attaches a plane with meters to the server's interface and
// delivers its events.
func attachedServer(t *testing.T, n network, meters ...*meter.Meter) (*Plane, <-chan Event) {
	t.Helper()
	p := mustOpen(t, small(pinDir(t)))
	if err := p.SetMeters(meters); err != nil {
		t.Fatal(err)
	}
	in(t, n.server, func() {
		if _, err := p.Attach(serverIf, ModeNative); err != nil {
			t.Fatalf("attach: %v", err)
		}
	})
	events := make(chan Event, 100)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- p.RunEvents(ctx, func(e Event) { events <- e }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run events: %v", err)
		}
	})
	return p, events
}

func TestASourceWithRealConnectionsIsReportedAsEstablishedOnce(t *testing.T) {
	for _, tt := range []struct {
		name           string
		client, server string
		close          bool // each connection at once
	}{
		{"v4, connections that stay open and silent", client4, server4, false},
		{"v6, connections that stay open and silent", client6, server6, false},
		{"v4, connections that close at once", client4, server4, true},
		{"v6, connections that close at once", client6, server6, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := mustNetwork(t)
			l := mustListen(t, n, tt.server)
			p, events := attachedServer(t, n, connections(10))
			for range 10 {
				if c := mustDial(t, n, l.Addr().String()); tt.close {
					c.Close()
				}
			}
			if got := mustStats(t, p); got.Events != 0 {
				t.Errorf("%d events at the limit, want none", got.Events)
			}
			for range 10 {
				if c := mustDial(t, n, l.Addr().String()); tt.close {
					c.Close()
				}
			}
			e := <-events
			if !e.Established || e.Count != 11 || e.Limit != 10 || e.Window != 24*time.Hour || e.Meter != "test/connections" ||
				e.Source != netip.MustParseAddr(tt.client) || e.DstPort != uint16(l.Addr().(*net.TCPAddr).Port) {
				t.Errorf("event = %+v, want an established one of %s at its 11th connection", e, tt.client)
			}
			if d := time.Since(e.Time); d < 0 || d > time.Minute {
				t.Errorf("event time is %s ago", d)
			}
			for range 20 {
				mustDial(t, n, l.Addr().String())
			}
			if got := mustStats(t, p).Events; got != 1 {
				t.Errorf("%d events in one window, want 1", got)
			}
		})
	}
}

// Somebody sends SYNs in the name of a client that has a connection, uses it, and answers the
// server's SYN-ACKs with RST as any real host does. That must not look like proof.
func TestSYNsInTheNameOfAConnectedClientProveNothing(t *testing.T) {
	for _, tt := range []struct{ name, client, server string }{
		{"v4", client4, server4}, {"v6", client6, server6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := mustNetwork(t)
			l := mustListen(t, n, tt.server)
			p, events := attachedServer(t, n, connections(10))
			old := mustDial(t, n, l.Addr().String())
			port := uint16(l.Addr().(*net.TCPAddr).Port)
			local := uint16(old.LocalAddr().(*net.TCPAddr).Port)
			send := mustRawSender(t, n)
			for i := range uint16(30) {
				sport := 1024 + i
				if i%3 == 0 {
					sport = local // even its own port
				}
				send(forgedSYN(t, n, tt.client, tt.server, sport, port))
				if _, err := old.Write([]byte("x")); err != nil {
					t.Fatal(err)
				}
			}
			if e := <-events; e.Established || e.Count != 21 {
				t.Errorf("event = %+v, want one that is not established, at the 21st connection", e)
			}
			if got := mustStats(t, p); got.Events != 1 || got.EventsUnproven != 1 {
				t.Errorf("%d events, %d unproven; want 1 and 1", got.Events, got.EventsUnproven)
			}
		})
	}
}

// Somebody who knows when a client's window began sends SYNs in its name up to where proof is looked
// for, leaves that to the client, which opens a few connections, and sends the rest.
func TestSYNsAroundAClientsOwnConnectionsProveNothing(t *testing.T) {
	for _, tt := range []struct{ limit, own int }{{1, 1}, {2, 2}, {3, 3}, {4, 4}, {5, 5}, {7, 5}, {10, 5}, {14, 5}, {16, 5}, {200, 8}} {
		t.Run(fmt.Sprintf("limit %d, %d of its own", tt.limit, tt.own), func(t *testing.T) {
			n := mustNetwork(t)
			l := mustListen(t, n, server4)
			p, events := attachedServer(t, n, connections(uint64(tt.limit)))
			port := uint16(l.Addr().(*net.TCPAddr).Port)
			send := mustRawSender(t, n)
			first, _ := (&proofModel{limit: tt.limit}).drawn()
			forge := func(from, count int) {
				for i := range count {
					send(forgedSYN(t, n, client4, server4, uint16(from+i), port))
				}
			}
			before := min(first, tt.limit+1) - 1
			forge(1024, before)
			for range tt.own {
				c := mustDial(t, n, l.Addr().String())
				if _, err := c.Write([]byte("x")); err != nil {
					t.Fatal(err)
				}
				mustAcknowledged(t, c)
			}
			forge(4096, 2*tt.limit+1-before-tt.own)
			if e := <-events; e.Established || e.Count != uint64(2*tt.limit+1) {
				t.Errorf("event = %+v, want one that is not established, at connection %d", e, 2*tt.limit+1)
			}
			if got := mustStats(t, p); got.Events != 1 || got.EventsUnproven != 1 {
				t.Errorf("%d events, %d unproven; want 1 and 1", got.Events, got.EventsUnproven)
			}
		})
	}
}

// One connection of a client's own is one proof, even for who knows its ports beforehand, or addresses
// of this machine's network that look alike.
func TestSYNsThatShareAClientsOwnConnectionProveNothing(t *testing.T) {
	const limit, local = 10, 41000
	for _, tt := range []struct {
		name           string
		client, server string
		forged         func(i byte) (to string)
	}{
		{"v4, sent before it", client4, server4, func(byte) string { return server4 }},
		{"v6, sent before it", client6, server6, func(byte) string { return server6 }},
		// The words of the address xor-ed are the same for all of these.
		{"v6, sent to other addresses", client6, server6, func(i byte) string {
			a := netip.MustParseAddr(server6).As16()
			a[11] ^= 1 + i
			a[15] ^= 1 + i
			return netip.AddrFrom16(a).String()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := mustNetwork(t)
			l := mustListen(t, n, tt.server)
			p, events := attachedServer(t, n, connections(limit))
			port := uint16(l.Addr().(*net.TCPAddr).Port)
			send := mustRawSender(t, n)
			for i := range byte(limit) {
				send(forgedSYN(t, n, tt.client, tt.forged(i), local, port))
			}
			var c net.Conn
			in(t, n.client, func() {
				from := net.TCPAddr{IP: net.ParseIP(tt.client), Port: local}
				var err error
				if c, err = (&net.Dialer{LocalAddr: &from}).Dial("tcp", l.Addr().String()); err != nil {
					t.Fatal(err)
				}
			})
			defer c.Close()
			for range 3 {
				if _, err := c.Write([]byte("x")); err != nil {
					t.Fatal(err)
				}
				mustAcknowledged(t, c)
			}
			for i := range uint16(limit) {
				send(forgedSYN(t, n, tt.client, tt.server, 1024+i, port))
			}
			if e := <-events; e.Established {
				t.Errorf("event = %+v, want one that is not established", e)
			}
			if got := mustStats(t, p); got.Events != 1 || got.EventsUnproven != 1 {
				t.Errorf("%d events, %d unproven; want 1 and 1", got.Events, got.EventsUnproven)
			}
		})
	}
}

// The stack takes tags with id 0 away, any number of them: they must not hide a banned source.
func TestPriorityTagsDoNotCarryABannedSourcePastTheFilter(t *testing.T) {
	n := mustNetwork(t)
	p := mustOpen(t, small(pinDir(t)))
	mustAttach(t, n, p, ModeNative)
	const src = "198.51.100.77"
	arrived := mustTap(t, n, netip.MustParseAddr(src))
	send := mustRawSender(t, n)
	tagged := func(tags int) []byte { return forgedSYN(t, n, src, server4, 4242, 22, make([]uint16, tags)...) }
	send(tagged(2))
	for arrived() == 0 {
	}
	mustBan(t, p, ban(src+"/32", decision.ClassBan, inAnHour()))
	for tags := range 12 {
		send(tagged(tags))
	}
	for mustStats(t, p).Dropped() < 12 && arrived() == 0 {
	}
	if got := mustStats(t, p); got.Dropped() != 12 || arrived() > 0 {
		t.Errorf("%d of 12 packets dropped", got.Dropped())
	}
}

func mustStats(t testing.TB, p *Plane) Stats {
	t.Helper()
	s, err := p.Stats()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// mustRawSender returns a function that sends frames on the client's interface.
func mustRawSender(t testing.TB, n network) func([]byte) {
	t.Helper()
	var fd, index int
	in(t, n.client, func() {
		l, err := netlink.LinkByName(clientIf)
		if err != nil {
			t.Fatal(err)
		}
		index = l.Attrs().Index
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			t.Fatalf("open packet socket: %v", err)
		}
	})
	t.Cleanup(func() { unix.Close(fd) })
	return func(frame []byte) {
		t.Helper()
		if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: index}); err != nil {
			t.Fatalf("send frame: %v", err)
		}
	}
}

// forgedSYN makes a SYN that the server's stack takes for real: right addresses and checksums, behind
// VLAN tags with the given ids.
func forgedSYN(t testing.TB, n network, src, dst string, sport, dport uint16, tags ...uint16) []byte {
	t.Helper()
	syn := packet.TCP(netip.AddrPortFrom(netip.MustParseAddr(src), sport), netip.AddrPortFrom(netip.MustParseAddr(dst), dport),
		packet.SYN, packet.VLAN(tags...))
	in(t, n.server, func() {
		l, err := netlink.LinkByName(serverIf)
		if err != nil {
			t.Fatal(err)
		}
		copy(syn, l.Attrs().HardwareAddr)
	})
	return syn
}
