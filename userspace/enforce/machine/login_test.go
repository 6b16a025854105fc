package machine

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// process is a line of a made-up process table.
type process struct {
	pid, parent, comm, title string
	uids                     string // real, effective, saved, of the file system
	loginUID, auditSession   string
	sockets                  []string
}

const (
	asRoot = "0\t0\t0\t0"
	asSSHD = "105\t105\t105\t105"
	asUser = "1000\t1000\t1000\t1000"
)

func mustMakeProcess(t *testing.T, proc string, p process) {
	t.Helper()
	dir := filepath.Join(proc, p.pid)
	mustWrite(t, filepath.Join(dir, "comm"), p.comm+"\n")
	mustWrite(t, filepath.Join(dir, "cmdline"), p.title+"\x00\x00")
	mustWrite(t, filepath.Join(dir, "status"), fmt.Sprintf("Name:\t%s\nPPid:\t%s\nUid:\t%s\nGid:\t0\t0\t0\t0\n", p.comm, p.parent, p.uids))
	mustWrite(t, filepath.Join(dir, "loginuid"), p.loginUID)
	mustWrite(t, filepath.Join(dir, "sessionid"), p.auditSession)
	mustWrite(t, filepath.Join(dir, "environ"), "")
	if err := os.MkdirAll(filepath.Join(dir, "fd"), 0o755); err != nil {
		t.Fatal(err)
	}
	for i, inode := range p.sockets {
		if err := os.Symlink("socket:["+inode+"]", filepath.Join(dir, "fd", fmt.Sprint(3+i))); err != nil {
			t.Fatal(err)
		}
	}
}

// Of the sockets 10 listens on port 22, 11 is a connection from 192.0.2.1 to it, 12 one from
// 192.0.2.2 to port 8080, 13 one from 192.0.2.3 to port 22 in another state, 14 one from
// 192.0.2.4 to port 22.
const socketLines = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 10 1 0 100
   1: 076433C6:0016 010200C0:1092 01 00000000:00000000 00:00000000 00000000     0        0 11 1 0 20
   2: 076433C6:1F90 020200C0:1092 01 00000000:00000000 00:00000000 00000000  1000        0 12 1 0 20
   3: 076433C6:0016 030200C0:1092 08 00000000:00000000 00:00000000 00000000     0        0 13 1 0 20
   4: 076433C6:0016 040200C0:1092 01 00000000:00000000 00:00000000 00000000     0        0 14 1 0 20
`

func TestASessionWithoutAProcessCountsOnceSSHDHasBecomeTheUser(t *testing.T) {
	listener := process{"1", "0", "sshd", "sshd: /usr/sbin/sshd -D [listener]", asRoot, unset, unset, []string{"10"}}
	monitor := process{"2", "1", "sshd", "sshd: u [priv]", asRoot, "1000", "7", []string{"11", "20"}}
	change := func(p process, change func(*process)) process { change(&p); return p }
	for _, tt := range []struct {
		name  string
		table []process
		want  string
	}{
		{"a user who only forwards ports", []process{listener, monitor,
			{"3", "2", "sshd", "sshd: u", asUser, "1000", "7", []string{"11", "20"}}}, "192.0.2.1"},
		{"a newer sshd with a program for sessions", []process{listener,
			change(monitor, func(p *process) { p.comm, p.title = "sshd-session", "sshd-session: u [priv]" }),
			{"3", "2", "sshd-session", "sshd-session: u@notty", asUser, "1000", "7", []string{"11"}}}, "192.0.2.1"},
		{"a password guesser who names a user", []process{listener,
			change(monitor, func(p *process) { p.loginUID, p.auditSession = unset, unset }),
			{"3", "2", "sshd", "sshd: u [net]", asSSHD, unset, unset, []string{"11"}}}, ""},
		{"a password guesser at an sshd that an administrator restarted by hand", []process{
			change(listener, func(p *process) { p.loginUID, p.auditSession = "1000", "5" }),
			change(monitor, func(p *process) { p.auditSession = "5" }),
			{"3", "2", "sshd", "sshd: u [net]", asSSHD, "1000", "5", []string{"11"}}}, ""},
		{"a password guesser at a user's own sshd", []process{
			change(listener, func(p *process) { p.uids, p.loginUID, p.auditSession = asUser, "1000", "5" }),
			{"3", "1", "sshd", "sshd: u [net]", asUser, "1000", "5", []string{"11"}}}, ""},
		{"a user's child that has not become the user for good", []process{listener, monitor,
			{"3", "2", "sshd", "sshd: u", "1000\t1000\t0\t1000", "1000", "7", []string{"11"}}}, ""},
		{"what a user forwards", []process{listener,
			change(monitor, func(p *process) { p.sockets = []string{"20"} }),
			{"3", "2", "sshd", "sshd: u", asUser, "1000", "7", []string{"12", "20"}}}, ""},
		{"another program of the user", []process{listener, monitor,
			{"3", "2", "nginx", "sshd: u", asUser, "1000", "7", []string{"11"}}}, ""},
		{"root who only forwards ports", []process{listener,
			{"2", "1", "sshd", "sshd: root@notty", asRoot, "0", "7", []string{"20", "11", "12"}}}, "192.0.2.1"},
		{"root where systemd listens", []process{
			change(listener, func(p *process) { p.comm, p.title = "systemd", "/sbin/init" }),
			{"2", "1", "sshd", "sshd: root", asRoot, "0", "7", []string{"11"}}}, "192.0.2.1"},
		{"a guesser of root's password", []process{listener,
			{"2", "1", "sshd", "sshd: root [priv]", asRoot, unset, unset, []string{"11"}},
			{"3", "2", "sshd", "sshd: root [net]", asSSHD, unset, unset, []string{"11"}}}, ""},
		{"a guesser of root's password at an sshd that root restarted by hand", []process{
			change(listener, func(p *process) { p.loginUID, p.auditSession = "0", "5" }),
			{"2", "1", "sshd", "sshd: root [priv]", asRoot, "0", "5", []string{"11"}}}, ""},
		{"the same with a title that says nothing", []process{
			change(listener, func(p *process) { p.loginUID, p.auditSession = "0", "5" }),
			{"2", "1", "sshd", "sshd: root", asRoot, "0", "5", []string{"11"}}}, ""},
		{"the same after the listener has ended", []process{
			{"1", "0", "init", "init", asRoot, unset, unset, nil},
			{"2", "1", "sshd", "sshd: root [priv]", asRoot, "0", "5", []string{"11"}}}, ""},
		{"a connection that is closing", []process{listener,
			change(monitor, func(p *process) { p.sockets = []string{"13"} }),
			{"3", "2", "sshd", "sshd: u", asUser, "1000", "7", []string{"13"}}}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sys := System{Proc: t.TempDir()}
			mustWrite(t, filepath.Join(sys.Proc, "thread-self/net/tcp"), socketLines)
			for _, p := range tt.table {
				mustMakeProcess(t, sys.Proc, p)
			}
			sys.Established = (&socketTable{proc: sys.Proc, probed: true}).established
			sys = sys.WithDefaults()
			var want []netip.Addr
			if tt.want != "" {
				want = addrs(tt.want)
			}
			for range 2 { // the second look knows the sockets
				got, err := sys.SessionClients()
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
					t.Errorf("clients (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestTheSocketTableIsReadOnlyForANewLogin(t *testing.T) {
	sys := System{Proc: t.TempDir(), Established: func(s []Session) ([]Session, error) { return s, nil }}
	tcp := filepath.Join(sys.Proc, "thread-self/net/tcp")
	mustWrite(t, tcp, socketLines)
	for _, p := range []process{
		{"1", "0", "sshd", "sshd: /usr/sbin/sshd -D [listener]", asRoot, unset, unset, []string{"10"}},
		{"2", "1", "sshd", "sshd: u [priv]", asRoot, "1000", "7", []string{"11", "20"}},
		{"3", "2", "sshd", "sshd: u", asUser, "1000", "7", []string{"11", "20"}},
		{"4", "1", "sshd", "sshd: root", asRoot, "0", "8", []string{"14", "12", "21"}},
	} {
		mustMakeProcess(t, sys.Proc, p)
	}
	sys = sys.WithDefaults()
	first, err := sys.SessionClients()
	if err != nil || len(first) != 2 {
		t.Fatalf("clients = %v, %v; want two", first, err)
	}
	if err := os.Remove(tcp); err != nil {
		t.Fatal(err)
	}
	again, err := sys.SessionClients()
	if err != nil || len(again) != 2 {
		t.Errorf("without the table clients = %v, %v; want what was known", again, err)
	}
	mustMakeProcess(t, sys.Proc, process{"5", "2", "sshd", "sshd: u", asUser, "1000", "7", []string{"11"}})
	if _, err := sys.SessionClients(); err == nil || !strings.Contains(err.Error(), "connections of sshd") {
		t.Errorf("a new login without the table: error %v", err)
	}
	if err := os.RemoveAll(filepath.Join(sys.Proc, "4")); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, tcp, socketLines)
	if _, err := sys.SessionClients(); err != nil {
		t.Fatal(err)
	}
	for held := range sys.logins.known {
		if held.pid == "4" {
			t.Errorf("%v is still known", held)
		}
	}
}
