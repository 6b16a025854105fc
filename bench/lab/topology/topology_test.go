package topology

import (
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root to create network namespaces")
	}
}

func mustBuild(t *testing.T) *Topology {
	t.Helper()
	top, err := Build(Plan{
		Services: []netip.Addr{netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("2001:db8:5::1")},
		Spokes: []Spoke{{
			Role:     "attacker",
			Gateways: []netip.Prefix{netip.MustParsePrefix("198.51.100.1/24"), netip.MustParsePrefix("2001:db8:a::1/64")},
			Hosts: []netip.Addr{
				netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("198.51.100.8"), netip.MustParseAddr("2001:db8:a::7"),
			},
		}, {
			Role:     "client",
			Gateways: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")},
			Hosts:    []netip.Addr{netip.MustParseAddr("192.0.2.10")},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return top
}

func mustCleanUp(t *testing.T, top *Topology) {
	t.Helper()
	if err := top.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	left, err := top.Leftovers()
	if err != nil || left.Total() != 0 {
		t.Errorf("leftovers = %+v, %v, want none", left, err)
	}
	top.Release()
}

// dial connects from inside ns and returns what the far end says.
func dial(ns *Namespace, from, to string) (string, error) {
	var out []byte
	err := ns.Do(func() error {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c, err := d.Dial("tcp", to)
		if err != nil {
			return err
		}
		defer c.Close()
		out, err = io.ReadAll(c)
		return err
	})
	return string(out), err
}

// runEcho owns the listener's accept loop: it tells every peer its address until ln is closed.
func runEcho(ln net.Listener, done chan<- struct{}) {
	defer close(done)
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
		_, _ = io.WriteString(c, host)
		_ = c.Close()
	}
}

func TestEverySpokeReachesTheServiceFromEachOfItsAddresses(t *testing.T) {
	needRoot(t)
	top := mustBuild(t)
	defer mustCleanUp(t, top)
	var ln net.Listener
	err := top.Server.Do(func() error {
		var err error
		ln, err = net.Listen("tcp", ":8080")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go runEcho(ln, done)
	for _, tt := range []struct{ role, from, to string }{
		{"attacker", "198.51.100.7", "203.0.113.1:8080"},
		{"attacker", "198.51.100.8", "203.0.113.1:8080"},
		{"attacker", "2001:db8:a::7", "[2001:db8:5::1]:8080"},
		{"client", "192.0.2.10", "203.0.113.1:8080"},
	} {
		got, err := dial(top.Spokes[tt.role], tt.from, tt.to)
		if err != nil || got != tt.from {
			t.Errorf("from %s: server saw %q, %v", tt.from, got, err)
		}
	}
	if err := ln.Close(); err != nil {
		t.Error(err)
	}
	<-done
}

func TestAProcessInANamespaceIsCountedAndEndsWithTheTopology(t *testing.T) {
	needRoot(t)
	top := mustBuild(t)
	p, err := top.Server.Start(exec.Command("sleep", "600"))
	if err != nil {
		t.Fatal(err)
	}
	if got := top.Server.Processes(); !cmp.Equal(got, []int{p.PID()}) {
		t.Errorf("processes = %v, want %d", got, p.PID())
	}
	left, err := top.Leftovers()
	if err != nil {
		t.Fatal(err)
	}
	if want := (Leftovers{Namespaces: 3, Links: 4, Processes: 1}); left != want {
		t.Errorf("leftovers while it runs = %+v, want %+v", left, want)
	}
	// Its end is not awaited before the check: Close has to see to that.
	defer func() { <-p.Done() }()
	if err := top.Close(); err != nil {
		t.Error(err)
	}
	<-p.Done()
	mustHaveNoLeftovers(t, top)
	top.Release()
}

func mustHaveNoLeftovers(t *testing.T, top *Topology) {
	t.Helper()
	left, err := top.Leftovers()
	if err != nil || left.Total() != 0 {
		t.Errorf("leftovers = %+v, %v, want none", left, err)
	}
}

func TestAStartThatFailsSaysWhatAndWhere(t *testing.T) {
	needRoot(t)
	top := mustBuild(t)
	defer mustCleanUp(t, top)
	if _, err := top.Server.Start(exec.Command("/nonexistent/program")); err == nil {
		t.Error("a program that does not exist started")
	}
}

func TestTheNamespacesOfADeadLabAreRemoved(t *testing.T) {
	needRoot(t)
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	pid := gone.Process.Pid
	n, err := newNamespace(namespaceName(pid, "server"))
	if err != nil {
		t.Fatal(err)
	}
	defer n.handle.Close()
	p, err := n.Start(exec.Command("sleep", "600"))
	if err != nil {
		t.Fatal(err)
	}
	// A lab that starts at the same time may be faster, so the owners it returns say nothing.
	if _, err := RemoveStale(); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if left, _ := filepath.Glob(n.Path()); len(left) != 0 {
		t.Errorf("%v is still there", left)
	}
}

func TestOwnerReadsTheProcessNumber(t *testing.T) {
	for _, tt := range []struct {
		name string
		want int
		ok   bool
	}{
		{"gabion-lab-123-server", 123, true},
		{"gabion-lab-123", 123, true},
		{"gabion-lab-x-server", 0, false},
		{"gabion", 0, false},
		{"other-lab-123-server", 0, false},
	} {
		if got, ok := Owner(tt.name); ok != tt.ok || ok && got != tt.want {
			t.Errorf("Owner(%q) = %d, %v", tt.name, got, ok)
		}
	}
}
