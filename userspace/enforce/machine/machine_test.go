package machine

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func mustWrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func addrs(text ...string) []netip.Addr {
	var out []netip.Addr
	for _, s := range text {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

func TestAnSSHSessionCountsWithProcessAndConnection(t *testing.T) {
	sys := System{Proc: t.TempDir()}
	env := func(pid, text string) { mustWrite(t, filepath.Join(sys.Proc, pid, "environ"), text) }
	env("100", "PATH=/bin\x00SSH_CONNECTION=192.0.2.1 4242 198.51.100.7 22\x00TERM=x\x00")
	env("101", "SSH_CONNECTION=192.0.2.1 4242 198.51.100.7 22\x00") // its child
	env("102", "SSH_CONNECTION=192.0.2.2 4242 198.51.100.7 22\x00") // left over in a terminal multiplexer
	env("103", "SSH_CONNECTION=2001:db8::1 4242 2001:db8::7 22")
	env("104", "SSH_CONNECTION=::ffff:192.0.2.4 4242 ::ffff:198.51.100.7 22")
	env("105", "NOT_SSH_CONNECTION=192.0.2.5 4242 198.51.100.7 22\x00")
	env("106", "SSH_CONNECTION=192.0.2.6 99999 198.51.100.7 22\x00")
	env("107", "SSH_CONNECTION=garbage\x00")
	env("108", "")
	env("111", "SSH_CONNECTION=192.0.2.6 4242 198.51.100.7 22\x00PAM_TYPE=auth\x00") // pam_exec, before authentication
	env("109", strings.Repeat("\x00\xff", maxEnviron)+"SSH_CONNECTION=192.0.2.9 1 198.51.100.7 22")
	env("self", "SSH_CONNECTION=192.0.2.10 4242 198.51.100.7 22\x00")
	if err := os.MkdirAll(filepath.Join(sys.Proc, "110"), 0o755); err != nil { // ended meanwhile
		t.Fatal(err)
	}
	// A password guesser has an established connection too: 192.0.2.66.
	mustWrite(t, filepath.Join(sys.Proc, "thread-self/net/tcp"), `  sl  local_address rem_address   st
   0: 076433C6:0016 010200C0:1092 01 00000000:00000000
   1: 076433C6:0016 420200C0:1092 01 00000000:00000000
   2: 076433C6:0016 020200C0:1092 06 00000000:00000000
   3: 076433C6:0016 060200C0:869F 01 00000000:00000000
   6: 076433C6:0016 060200C0:1092 01 00000000:00000000
   4: garbage
   5: zz:zz zz:zz 01
`)
	mustWrite(t, filepath.Join(sys.Proc, "thread-self/net/tcp6"), `  sl  local_address rem_address   st
   0: B80D0120000000000000000007000000:0016 B80D0120000000000000000001000000:1092 01 00000000:00000000
   1: 0000000000000000FFFF0000076433C6:0016 0000000000000000FFFF0000040200C0:1092 01 00000000:00000000
`)
	table := &socketTable{proc: sys.Proc, probed: true}
	sys.Established = table.established
	got, err := sys.WithDefaults().SessionClients()
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(got, netip.Addr.Compare)
	if diff := cmp.Diff(addrs("192.0.2.1", "192.0.2.4", "2001:db8::1"), got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("clients (-want +got):\n%s", diff)
	}
}

func TestARealConnectionIsFoundByBothWays(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			t.Logf("SKIPPED %s: %v", host, err)
			continue
		}
		defer listener.Close()
		client, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		server, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		live := Session{
			Client: client.LocalAddr().(*net.TCPAddr).AddrPort(),
			Server: client.RemoteAddr().(*net.TCPAddr).AddrPort(),
		}
		gone := live // only the listener is there
		gone.Client = netip.AddrPortFrom(live.Client.Addr(), live.Client.Port()^1)
		for name, table := range map[string]*socketTable{
			"sock_diag": {proc: "/proc"}, "proc": {proc: "/proc", probed: true},
		} {
			got, err := table.established([]Session{live, gone})
			if err != nil || !slices.Equal(got, []Session{live}) {
				t.Errorf("%s, %s: established = %v, %v; want %v", host, name, got, err, live)
			}
			if name == "sock_diag" && !table.diag {
				t.Log("SKIPPED: no sock_diag in this kernel")
			}
		}
	}
}

func TestARealProcessWithASessionIsFound(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	from, to := client.LocalAddr().(*net.TCPAddr), client.RemoteAddr().(*net.TCPAddr)
	cmd := exec.Command("cat")
	cmd.Env = []string{fmt.Sprintf("SSH_CONNECTION=%s %d %s %d", from.IP, from.Port, to.IP, to.Port)}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer in.Close()
	fmt.Fprintln(in, "there") // an echo means that cat has replaced the forked child
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	got, err := (System{}).WithDefaults().SessionClients()
	if err != nil && !errors.Is(err, ErrPartly) {
		t.Fatal(err)
	}
	if !slices.Contains(got, netip.MustParseAddr("127.0.0.1")) {
		t.Errorf("clients = %v, want 127.0.0.1 among them", got)
	}
}

func TestThisMachineCanBeRead(t *testing.T) {
	sys := System{}.WithDefaults()
	own, err := sys.Addresses()
	if err != nil || !slices.Contains(own, netip.MustParseAddr("127.0.0.1")) {
		t.Errorf("addresses = %v, %v", own, err)
	}
	if _, err := sys.Gateways(); err != nil {
		t.Error(err)
	}
	if _, err := sys.Resolvers(); err != nil {
		t.Error(err)
	}
}
