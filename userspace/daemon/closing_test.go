package daemon

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"gabion/loader"
	"gabion/userspace/client"
	"gabion/userspace/daemon/health"
	"gabion/userspace/sockets"
)

// ownNamespace is set in a process that has a network namespace of its own.
const ownNamespace = "GABION_TEST_OWN_NAMESPACE"

// inOwnNamespace runs the test again, in a process with a network namespace of its own: a daemon acts in
// that of its process. It reports whether this is that process.
func inOwnNamespace(t *testing.T) bool {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root to load BPF programs")
	}
	if err := sockets.Probe(); err != nil {
		t.Skipf("SKIPPED: NO CONNECTION IS REALLY CLOSED in this run: %v", err)
	}
	if os.Getenv(ownNamespace) != "" {
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run", "^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), ownNamespace+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: unix.SIGKILL}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("in a namespace of its own: %v\n%s", err, out)
	}
	return false
}

const (
	serverAddr            = "198.51.100.1"
	attacker, friend      = "198.51.100.2", "198.51.100.3"
	serverLink, otherLink = "srv0", "cli0"
)

// mustPeer makes a namespace for clients, joined to that of the process, and returns what connects from
// one of its addresses.
func mustPeer(t *testing.T) (dial func(from, to string) net.Conn) {
	t.Helper()
	runtime.LockOSThread() // for good: the thread ends with the test
	home, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	peer, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close(); home.Close() })
	enter := func(ns netns.NsHandle) {
		if err := netns.Set(ns); err != nil {
			t.Fatal(err)
		}
	}
	enter(home)
	attrs := netlink.NewLinkAttrs()
	attrs.Name = serverLink
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: otherLink, PeerNamespace: netlink.NsFd(peer)}); err != nil {
		t.Fatal(err)
	}
	mustAddresses(t, serverLink, serverAddr)
	enter(peer)
	mustAddresses(t, otherLink, attacker, friend)
	enter(home)
	return func(from, to string) net.Conn {
		enter(peer)
		defer enter(home)
		c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).Dial("tcp", to)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
}

func mustAddresses(t *testing.T, ifname string, addrs ...string) {
	t.Helper()
	for _, name := range []string{"lo", ifname} {
		l, err := netlink.LinkByName(name)
		if err == nil {
			err = netlink.LinkSetUp(l)
		}
		if err != nil {
			t.Fatal(err)
		}
		if name == "lo" {
			continue
		}
		for _, s := range addrs {
			a, err := netlink.ParseAddr(s + "/24")
			if err == nil {
				err = netlink.AddrAdd(l, a)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestAKernelThatCannotCloseConnectionsIsNamedOnceAndBansGoOn(t *testing.T) {
	var log syncBuffer
	d := &Daemon{health: health.New(slog.New(slog.NewTextHandler(&log, nil)))}
	d.closer = sockets.New(sockets.Config{Log: slog.New(slog.DiscardHandler), Now: time.Now})
	ban := func() (waiting int) {
		d.dropped([]netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")})
		return d.closer.Stats().Waiting
	}
	cannot := func() error { return sockets.ErrNoDestroy }
	d.switchClosing(true, cannot)
	d.switchClosing(true, cannot) // a reload
	if n := ban(); n != 0 {
		t.Errorf("%d bans wait for what the kernel cannot do", n)
	}
	if n := strings.Count(log.String(), "CONFIG_INET_DIAG_DESTROY"); n != 1 || len(d.health.List()) != 1 {
		t.Errorf("named %d times, want once; problems = %v\n%s", n, d.health.List(), log.String())
	}
	d.switchClosing(false, cannot)
	if n := ban(); n != 0 || len(d.health.List()) != 0 {
		t.Errorf("%d bans wait although it is off; problems = %v", n, d.health.List())
	}
	d.switchClosing(true, func() error { return nil })
	if n := ban(); n != 1 {
		t.Errorf("%d bans wait, want 1", n)
	}
}

// metric returns the value of a metric without labels.
func (r *rig) metric(name string) float64 {
	r.t.Helper()
	list, err := r.client.Metrics(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	for _, m := range list {
		if m.Name == name {
			return m.Value
		}
	}
	r.t.Fatalf("no metric %s", name)
	return 0
}

// pins has the daemon use a kernel side of its own, and removes it in the end.
func (r *rig) pins() {
	dir := fmt.Sprintf("/sys/fs/bpf/gabion-test-daemon-%d", os.Getpid())
	r.t.Cleanup(func() {
		if err := loader.Remove(dir); err != nil {
			r.t.Error(err)
		}
	})
	r.mode, r.kernel = "auto", ", pin_dir: "+dir
}

// TestABanClosesEstablishedConnectionsWhenItIsToldTo goes from a line in a log to a worker that reads
// from a connection: with the default it goes on waiting, and after a reload with close_connections it
// gets an error. The ban is of a network, and who is allowed in it keeps his connection.
func TestABanClosesEstablishedConnectionsWhenItIsToldTo(t *testing.T) {
	if !inOwnNamespace(t) {
		return
	}
	dial := mustPeer(t)
	l, err := net.Listen("tcp", serverAddr+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	accept := func() net.Conn {
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	dial(attacker, l.Addr().String())
	worker := accept()
	good := dial(friend, l.Addr().String())
	other := accept()

	r := newRig(t)
	r.pins()
	plain := r.kernel
	extra := "interfaces: [" + serverLink + "]\nallow: [" + friend + "]\n"
	r.start(extra)
	r.attack(attacker)
	r.until("ban", func() bool { return r.banned(attacker) })
	if n := r.metric("gabion_connections_waiting") + r.metric("gabion_connections_rounds_total"); n != 0 {
		t.Errorf("connections are looked for although nobody wants it")
	}
	if n, err := r.client.DeleteDecisions(t.Context(), url.Values{"ip": {attacker}}); n != 1 || err != nil {
		t.Fatalf("delete = %d, %v", n, err)
	}

	r.kernel = plain + ", close_connections: true"
	r.config(extra)
	r.hangup <- os.Interrupt
	r.until("reload", func() bool { return strings.Contains(r.log.String(), "msg=reloaded") })
	now := time.Now().UTC().Format(time.RFC3339)
	_, err = r.client.PushAlerts(t.Context(), []client.Alert{{
		Scenario: "manual", StartAt: now, StopAt: now, Source: &client.Source{Scope: "Range", Value: "198.51.100.2/31"},
		Decisions: []client.Decision{{Type: "ban", Scope: "Range", Value: "198.51.100.2/31", Duration: "1h", Origin: "test", Scenario: "manual"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := worker.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNABORTED) {
		t.Errorf("the worker reads %v, want %v", err, unix.ECONNABORTED)
	}
	r.until("count", func() bool { return r.metric("gabion_connections_closed_total") == 1 })
	if n := r.metric("gabion_connections_spared_total"); n != 1 {
		t.Errorf("%v connections are spared, want that of %s", n, friend)
	}
	if _, err := good.Write([]byte("x")); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadFull(other, make([]byte, 1)); err != nil {
		t.Errorf("the connection of %s: %v", friend, err)
	}
	if st, err := r.client.Status(t.Context()); err != nil || strings.Contains(strings.Join(st.Problems, " "), "connections") {
		t.Errorf("problems = %v, %v", st.Problems, err)
	}
	if !strings.Contains(r.log.String(), `msg="connections of banned sources closed" count=1 spared=1 bans=1`) {
		t.Errorf("the log does not count:\n%s", r.log)
	}
	r.stop()
}
