package sockets

import (
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// network is a server's network namespace and a client's, joined by a veth pair. They have no name, so
// they end with the test.
type network struct {
	server, client netns.NsHandle
}

const (
	server4, server6 = "198.51.100.1", "2001:db8::1"
	// The client has two addresses of each family: one is banned.
	bad4, good4 = "198.51.100.2", "198.51.100.3"
	bad6, good6 = "2001:db8::2", "2001:db8::3"
)

// mustNetwork needs root, and a kernel that can close connections: everything else is tested without.
func mustNetwork(t testing.TB) network {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root to make network namespaces")
	}
	if err := Probe(); err != nil {
		t.Skipf("SKIPPED: NO CONNECTION IS REALLY CLOSED in this run: %v", err)
	}
	n := network{server: mustNamespace(t), client: mustNamespace(t)}
	in(t, n.server, func() {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = "srv0"
		veth := &netlink.Veth{LinkAttrs: attrs, PeerName: "cli0", PeerNamespace: netlink.NsFd(n.client)}
		if err := netlink.LinkAdd(veth); err != nil {
			t.Fatalf("add veth pair: %v", err)
		}
		mustUp(t, "srv0", server4+"/24", server6+"/64")
	})
	in(t, n.client, func() { mustUp(t, "cli0", bad4+"/24", good4+"/24", bad6+"/64", good6+"/64") })
	return n
}

// mustNamespace returns a new namespace and leaves the thread where it was.
func mustNamespace(t testing.TB) netns.NsHandle {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	old, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	ns, err := netns.New()
	if err != nil {
		t.Fatalf("make namespace: %v", err)
	}
	if err := netns.Set(old); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	return ns
}

// in runs f inside a namespace.
func in(t testing.TB, ns netns.NsHandle, f func()) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	old, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if err := netns.Set(ns); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := netns.Set(old); err != nil {
			t.Errorf("leave namespace: %v", err)
		}
	}()
	f()
}

func mustUp(t testing.TB, ifname string, addrs ...string) {
	t.Helper()
	var l netlink.Link
	for _, name := range []string{"lo", ifname} { // package net tries on lo whether there is IPv6
		var err error
		if l, err = netlink.LinkByName(name); err != nil {
			t.Fatalf("find %s: %v", name, err)
		}
		if err := netlink.LinkSetUp(l); err != nil {
			t.Fatalf("set %s up: %v", name, err)
		}
	}
	for _, s := range addrs {
		a, err := netlink.ParseAddr(s)
		if err != nil {
			t.Fatal(err)
		}
		a.Flags = unix.IFA_F_NODAD
		if err := netlink.AddrAdd(l, a); err != nil {
			t.Fatalf("add %s: %v", s, err)
		}
	}
}

// table opens the server's sock_diag.
func (n network) table(t testing.TB) func() (Table, error) {
	return func() (d Table, err error) {
		in(t, n.server, func() { d, err = Open() })
		return d, err
	}
}

// mustListen listens in the server's namespace; option, if not 0, is one of TCP's to set first.
func (n network) mustListen(t testing.TB, family, host string, option int) *net.TCPListener {
	t.Helper()
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if option != 0 {
			_ = c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, option, 60) })
		}
		return err
	}}
	var l net.Listener
	in(t, n.server, func() {
		var err error
		if l, err = lc.Listen(t.Context(), family, net.JoinHostPort(host, "0")); err != nil {
			t.Fatalf("listen: %v", err)
		}
	})
	t.Cleanup(func() { l.Close() })
	if got := l.Addr().(*net.TCPAddr).IP; (got.To4() == nil) != strings.Contains(host, ":") {
		t.Fatalf("listen on %s: it is %s", host, got)
	}
	return l.(*net.TCPListener)
}

// mustDial connects from one of the client's addresses.
func (n network) mustDial(t testing.TB, from, to string, l *net.TCPListener) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	var c net.Conn
	in(t, n.client, func() {
		var err error
		if c, err = d.Dial("tcp", net.JoinHostPort(to, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))); err != nil {
			t.Fatalf("connect from %s: %v", from, err)
		}
	})
	t.Cleanup(func() { c.Close() })
	return c
}

// mustPair connects and returns both ends.
func (n network) mustPair(t testing.TB, from, to string, l *net.TCPListener) (server, client net.Conn) {
	t.Helper()
	client = n.mustDial(t, from, to, l)
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server, client
}
