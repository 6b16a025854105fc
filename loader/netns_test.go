package loader

import (
	"net"
	"runtime"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// pinCPU keeps the test on one CPU: budgets and counters are per CPU.
func pinCPU(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	var old, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &old); err != nil {
		t.Fatal(err)
	}
	for cpu := range 1024 {
		if old.IsSet(cpu) {
			one.Set(cpu)
			break
		}
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unix.SchedSetaffinity(0, &old)
		runtime.UnlockOSThread()
	})
}

// network is two network namespaces without a name, joined by a veth pair. They end with the test's
// process at the latest, so nothing can be left behind.
type network struct {
	server, client netns.NsHandle
}

const (
	serverIf, clientIf = "srv0", "cli0"
	server4, client4   = "198.51.100.1", "198.51.100.2"
	server6, client6   = "2001:db8::1", "2001:db8::2"
)

func mustNetwork(t testing.TB) network {
	t.Helper()
	needRoot(t)
	n := network{server: mustNamespace(t), client: mustNamespace(t)}
	in(t, n.server, func() { mustVeth(t, n) })
	in(t, n.client, func() { mustUp(t, clientIf, client4+"/24", client6+"/64") })
	return n
}

// mustVeth makes the pair, seen from the server's namespace.
func mustVeth(t testing.TB, n network) {
	t.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = serverIf
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: clientIf, PeerNamespace: netlink.NsFd(n.client)}
	if err := netlink.LinkAdd(veth); err != nil {
		t.Fatalf("add veth pair: %v", err)
	}
	mustUp(t, serverIf, server4+"/24", server6+"/64")
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
	for _, name := range []string{"lo", ifname} {
		l, err := netlink.LinkByName(name)
		if err != nil {
			t.Fatalf("find %s: %v", name, err)
		}
		if err := netlink.LinkSetUp(l); err != nil {
			t.Fatalf("set %s up: %v", name, err)
		}
		if name == "lo" {
			continue
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
}

// mustListen accepts connections in the server's namespace and keeps them open until the test ends.
func mustListen(t testing.TB, n network, host string) net.Listener {
	t.Helper()
	var l net.Listener
	in(t, n.server, func() {
		var err error
		if l, err = net.Listen("tcp", net.JoinHostPort(host, "0")); err != nil {
			t.Fatalf("listen: %v", err)
		}
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		runAccept(l)
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l
}

// runAccept owns the connections it accepts and ends when the listener is closed. It reads, so that
// closing by the peer is seen.
func runAccept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			buf := make([]byte, 64)
			for {
				if _, err := c.Read(buf); err != nil {
					return
				}
			}
		}()
	}
}

func mustDial(t testing.TB, n network, addr string) net.Conn {
	t.Helper()
	var c net.Conn
	in(t, n.client, func() {
		var err error
		if c, err = net.Dial("tcp", addr); err != nil {
			t.Fatalf("connect to %s: %v", addr, err)
		}
	})
	t.Cleanup(func() { c.Close() })
	return c
}
