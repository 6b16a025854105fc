package loader

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gabion/userspace/meter"
)

// daily returns a meter whose window does not end during a test.
func daily(limit uint64, change ...func(*meter.Meter)) *meter.Meter {
	m := perSecond(limit, change...)
	m.Window = 24 * time.Hour
	return m
}

func closed(m *meter.Meter) { m.Match.Answer = meter.Closed }

func halfOpen(m *meter.Meter) {
	m.Match.Protocol, m.Match.Answer, m.Count = meter.TCP, meter.HalfOpen, meter.Connections
}

var families = []struct{ name, client, server string }{
	{"v4", client4, server4}, {"v6", client6, server6},
}

func TestWhoeverTriesClosedPortsIsReported(t *testing.T) {
	for _, tt := range families {
		for _, legacy := range []bool{false, true} {
			n := mustNetwork(t)
			p, events := attachedServer(t, n, daily(3, closed, func(m *meter.Meter) { m.Count = meter.Ports }))
			if legacy {
				mustWatchWithClsact(t, n, p)
			}
			in(t, n.client, func() {
				for port := range 3 {
					addr := netip.AddrPortFrom(netip.MustParseAddr(tt.server), uint16(9000+port)).String()
					if c, err := net.Dial("tcp", addr); !errors.Is(err, unix.ECONNREFUSED) {
						t.Errorf("connect to a closed port: %v, %v; want it refused", c, err)
					}
					if c, err := net.Dial("tcp", addr); err == nil { // the same port again is no other
						c.Close()
					}
				}
			})
			// Two ports in a hundred look like one in the sketch, so it may take another port or two.
			e, last := mustTryPorts(t, n, tt.server, events)
			if e.Source != netip.MustParseAddr(tt.client) || e.Count != 4 || e.DstPort < firstUDP || e.DstPort > last || e.Protocol != "udp" || e.Established {
				t.Errorf("%s: event = %+v, want one of %s at the fourth port, UDP port %d to %d", tt.name, e, tt.client, firstUDP, last)
			}
		}
	}
}

// UDP ports to try: fewer than the kernel lets answers through at once (icmp_ratelimit).
const firstUDP, maxTries = uint16(9999), 5

// mustTryPorts sends to closed UDP ports, one after the other, until there is an event, and returns the
// last one.
func mustTryPorts(t *testing.T, n network, server string, events <-chan Event) (e Event, last uint16) {
	t.Helper()
	for last = firstUDP; last < firstUDP+maxTries; last++ {
		in(t, n.client, func() {
			c, err := net.Dial("udp", netip.AddrPortFrom(netip.MustParseAddr(server), last).String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := c.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
		})
		select {
		case e = <-events:
			return e, last
		case <-time.After(200 * time.Millisecond): // if it is only late, the next round gets it
		}
	}
	return <-events, last
}

// mustWatchWithClsact replaces the watcher by one for kernels without tcx.
func mustWatchWithClsact(t *testing.T, n network, p *Plane) {
	t.Helper()
	in(t, n.server, func() {
		p.legacyTC = true
		if err := p.Detach(serverIf); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Attach(serverIf, ModeNative); err != nil {
			t.Fatal(err)
		}
		for _, pin := range mustPins(t, p) {
			if pin.mode == modeEgress {
				t.Errorf("egress is watched through %s", pin.mode)
			}
		}
	})
}

func TestConnectionsThatAreNotCompletedAreHalfOpen(t *testing.T) {
	for _, tt := range families {
		t.Run(tt.name, func(t *testing.T) {
			n := mustNetwork(t)
			l := mustListen(t, n, tt.server)
			p, events := attachedServer(t, n, daily(10, halfOpen))
			for range 50 { // each says something, so that the server answers, before the next
				c := mustDial(t, n, l.Addr().String())
				if _, err := c.Write([]byte("x")); err != nil {
					t.Fatal(err)
				}
				mustAcknowledged(t, c)
			}
			if got := mustStats(t, p).Events; got != 0 {
				t.Errorf("%d events of completed connections, want none", got)
			}
			send := mustRawSender(t, n)
			for i := range uint16(11) {
				send(forgedSYN(t, n, tt.client, tt.server, 1024+i, uint16(l.Addr().(*net.TCPAddr).Port)))
			}
			e := <-events
			if e.Source != netip.MustParseAddr(tt.client) || e.Count != 11 || e.Established {
				t.Errorf("event = %+v, want one of %s with 11 half-open connections", e, tt.client)
			}
		})
	}
}

// mustAcknowledged waits until the other side has acknowledged everything.
func mustAcknowledged(t *testing.T, c net.Conn) {
	t.Helper()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for open := 1; open > 0 && t.Context().Err() == nil; {
		if err := raw.Control(func(fd uintptr) { open, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) }); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAClientThatCompletedAHandshakeIsSparedByAMeterPerPort(t *testing.T) {
	for _, tt := range families {
		t.Run(tt.name, func(t *testing.T) {
			n := mustNetwork(t)
			l := mustListen(t, n, tt.server)
			p, _ := attachedServer(t, n, daily(1, shed, func(m *meter.Meter) {
				m.Match.Protocol, m.Per, m.SpareProven = meter.UDP, meter.Port, true
			}))
			datagrams := func(count int) {
				t.Helper()
				in(t, n.client, func() {
					c, err := net.Dial("udp", netip.AddrPortFrom(netip.MustParseAddr(tt.server), 53).String())
					if err != nil {
						t.Fatal(err)
					}
					defer c.Close()
					for range count {
						_, _ = c.Write([]byte("x")) // nobody listens: the second may be refused
					}
				})
			}
			shedOf := func(s Stats) uint64 { return s.ShedV4 + s.ShedV6 }
			for shedOf(mustStats(t, p)) == 0 && t.Context().Err() == nil {
				datagrams(1)
			}
			before := mustStats(t, p)
			if before.Spared != 0 {
				t.Errorf("%d packets are spared before there is a connection", before.Spared)
			}
			c := mustDial(t, n, l.Addr().String())
			if _, err := c.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			mustAcknowledged(t, c)
			for mustStats(t, p).Spared == 0 && shedOf(mustStats(t, p)) == shedOf(before) && t.Context().Err() == nil {
				datagrams(1)
			}
			if got := mustStats(t, p); got.Spared == 0 || shedOf(got) != shedOf(before) {
				t.Errorf("%d packets spared, %d shed since the connection; want some and none", got.Spared, shedOf(got)-shedOf(before))
			}
		})
	}
}

func TestAnInterfaceWithoutEgressIsFilteredAllTheSame(t *testing.T) {
	n := mustNetwork(t)
	p := mustOpen(t, small(pinDir(t)))
	if err := p.egress.Close(); err != nil { // nothing can be attached any more
		t.Fatal(err)
	}
	a := mustAttach(t, n, p, ModeNative)
	if a.Mode != ModeNative {
		t.Errorf("attachment = %+v", a)
	}
	if again := mustAttach(t, n, p, ModeNative); again != a {
		t.Errorf("attached again = %+v, want %+v", again, a)
	}
}
