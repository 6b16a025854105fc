package sockets

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func prefixes(text ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range text {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// allBut drops every address but some.
func allBut(spared ...string) func(netip.Addr) bool {
	return func(a netip.Addr) bool { return !slices.Contains(spared, a.String()) }
}

func newCloser(open func() (Table, error), drops func(netip.Addr) bool) *Closer {
	return New(Config{Drops: drops, Look: func() {}, Open: open, Log: slog.New(slog.DiscardHandler), Now: time.Now})
}

// mustStay fails unless bytes still go from one end to the other.
func mustStay(t *testing.T, from, to net.Conn) {
	t.Helper()
	if _, err := from.Write([]byte("x")); err != nil {
		t.Errorf("write to a connection that must stay: %v", err)
		return
	}
	if _, err := io.ReadFull(to, make([]byte, 1)); err != nil {
		t.Errorf("read from a connection that must stay: %v", err)
	}
}

// mustBeCut reads until the kernel says that somebody closed the socket.
func mustBeCut(t *testing.T, c net.Conn) {
	t.Helper()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNABORTED) {
		t.Errorf("read = %v, want %v", err, unix.ECONNABORTED)
	}
}

// remotes counts the server's connections that the kernel names when it is asked for those of an
// address, by their remote address.
func (n network) remotes(t *testing.T, remote string) map[string]int {
	t.Helper()
	d, err := n.table(t)()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	out := map[string]int{}
	addr := netip.MustParseAddr(remote)
	err = d.Connections([]netip.Prefix{netip.PrefixFrom(addr, addr.BitLen())}, func(s Socket) bool {
		out[s.Remote.String()]++
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestABanClosesTheConnectionsOfItsSourceAndNoOthers(t *testing.T) {
	for _, tt := range []struct {
		name, network, host string // where the server listens
		bad, good, to       string
		ban                 string
	}{
		{"a host of IPv4", "tcp4", server4, bad4, good4, server4, bad4 + "/32"},
		{"a prefix of IPv4", "tcp4", server4, bad4, good4, server4, "198.51.100.2/31"},
		{"a host of IPv4 at a socket of IPv6", "tcp", "::", bad4, good4, server4, bad4 + "/32"},
		{"a host of IPv6", "tcp6", server6, bad6, good6, server6, bad6 + "/128"},
		{"a prefix of IPv6", "tcp", "::", bad6, good6, server6, "2001:db8::/64"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := mustNetwork(t)
			l := n.mustListen(t, tt.network, tt.host, 0)
			worker, attacker := n.mustPair(t, tt.bad, tt.to, l)
			other, friend := n.mustPair(t, tt.good, tt.to, l)
			// The wide bans cover the friend, whom an allow entry lets through.
			c := newCloser(n.table(t), allBut(tt.good))
			c.Add(prefixes(tt.ban))
			c.round(t.Context(), c.take())
			mustBeCut(t, worker)
			if _, err := attacker.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
				t.Errorf("the remote end reads %v, want a reset", err)
			}
			mustStay(t, friend, other)
			mustStay(t, other, friend)
			if n.mustDial(t, tt.good, tt.to, l); c.Stats().Failures != 0 { // the listener is still there
				t.Errorf("stats = %+v", c.Stats())
			}
			if st := c.Stats(); st.Closed != 1 || st.Rounds != 1 {
				t.Errorf("stats = %+v, want one connection closed in one round", st)
			}
		})
	}
}

// TestHalfOpenConnectionsAreClosed leaves a connection half open: the server puts off accepting it until
// the client says something.
func TestHalfOpenConnectionsAreClosed(t *testing.T) {
	for _, tt := range []struct{ name, network, host, bad, to string }{
		{"IPv4", "tcp4", server4, bad4, server4},
		{"IPv4 at a socket of IPv6", "tcp", "::", bad4, server4},
		{"IPv6", "tcp6", server6, bad6, server6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := mustNetwork(t)
			l := n.mustListen(t, tt.network, tt.host, unix.TCP_DEFER_ACCEPT)
			n.mustDial(t, tt.bad, tt.to, l)
			if got := n.remotes(t, tt.bad)[tt.bad]; got != 1 {
				t.Fatalf("%d connections before, want 1", got)
			}
			c := newCloser(n.table(t), allBut())
			addr := netip.MustParseAddr(tt.bad)
			c.round(t.Context(), []netip.Prefix{netip.PrefixFrom(addr, addr.BitLen())})
			if st := c.Stats(); st.Closed != 1 || st.Failures != 0 {
				t.Errorf("stats = %+v, want one connection closed", st)
			}
			if got := n.remotes(t, tt.bad)[tt.bad]; got != 0 {
				t.Errorf("%d connections after, want none", got)
			}
		})
	}
}

// TestConnectionsThatAreBeingClosedDoNotLinger covers what an application has left behind (FIN_WAIT), and
// what a remote end has (CLOSE_WAIT), which a worker may hold for long.
func TestConnectionsThatAreBeingClosedDoNotLinger(t *testing.T) {
	n := mustNetwork(t)
	l := n.mustListen(t, "tcp4", server4, 0)
	left, _ := n.mustPair(t, bad4, server4, l)
	if err := left.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	held, gone := n.mustPair(t, bad4, server4, l)
	if err := gone.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := held.Read(make([]byte, 1)); err != io.EOF {
		t.Fatal(err)
	}
	c := newCloser(n.table(t), allBut())
	c.round(t.Context(), prefixes(bad4+"/32"))
	if st := c.Stats(); st.Closed != 2 || st.Failures != 0 {
		t.Errorf("stats = %+v, want two connections closed", st)
	}
	mustBeCut(t, left)
	if _, err := held.Write([]byte("x")); !errors.Is(err, unix.ECONNABORTED) && !errors.Is(err, unix.EPIPE) {
		t.Errorf("write = %v, want an error", err)
	}
}

// TestManyBansAreChosenByTheCaller has more prefixes than the kernel is asked to choose by.
func TestManyBansAreChosenByTheCaller(t *testing.T) {
	for _, count := range []int{1, maxFilter, maxFilter + 1} {
		n := mustNetwork(t)
		l := n.mustListen(t, "tcp", "::", 0)
		first, _ := n.mustPair(t, bad4, server4, l)
		second, _ := n.mustPair(t, bad6, server6, l)
		other, friend := n.mustPair(t, good4, server4, l)
		bans := prefixes("2001:db8::2/128")
		for i := range count - 1 {
			bans = append(bans, netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), 32))
		}
		bans = append(bans, prefixes(bad4+"/32")...)
		c := newCloser(n.table(t), allBut())
		c.round(t.Context(), bans)
		mustBeCut(t, first)
		mustBeCut(t, second)
		mustStay(t, friend, other)
		if st := c.Stats(); st.Closed != 2 || st.Spared+st.Failures != 0 {
			t.Errorf("%d bans: stats = %+v, want two connections closed", len(bans), st)
		}
	}
}

func TestTheKernelLeavesOutWhatNobodyAskedFor(t *testing.T) {
	n := mustNetwork(t)
	l := n.mustListen(t, "tcp4", server4, 0)
	n.mustPair(t, bad4, server4, l)
	n.mustPair(t, good4, server4, l)
	if got := n.remotes(t, bad4); len(got) != 1 || got[bad4] != 1 {
		t.Errorf("connections = %v, want those of %s only", got, bad4)
	}
}

func TestASocketIsNotTakenForALaterOneOfTheSameName(t *testing.T) {
	n := mustNetwork(t)
	l := n.mustListen(t, "tcp4", server4, 0)
	other, friend := n.mustPair(t, bad4, server4, l)
	d, err := n.table(t)()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var found []Socket
	if err := d.Connections(prefixes(bad4+"/32"), func(s Socket) bool { found = append(found, s); return true }); err != nil || len(found) != 1 {
		t.Fatalf("found %v, %v", found, err)
	}
	earlier := found[0]
	earlier.id[idSize-1]++ // the cookie, which counts sockets
	if err := d.Destroy(earlier); !errors.Is(err, errGone) {
		t.Errorf("destroy = %v, want %v", err, errGone)
	}
	mustStay(t, friend, other)
	if err := d.Destroy(found[0]); err != nil {
		t.Errorf("destroy = %v", err)
	}
	mustBeCut(t, other)
	if err := d.Destroy(found[0]); !errors.Is(err, errGone) {
		t.Errorf("destroy again = %v, want %v", err, errGone)
	}
}
