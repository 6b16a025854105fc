package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"gabion/bench/lab/topology"
	"gabion/loader"
)

func TestMain(m *testing.M) {
	time.Local = time.UTC
	testscript.Main(m, map[string]func(){"gabion": main})
}

// TestScripts runs commands that need neither root nor a daemon.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", RequireExplicitExec: true, Setup: emptyHome})
}

// emptyHome keeps the machine's own configuration and daemon out of the tests.
func emptyHome(e *testscript.Env) error {
	e.Setenv("GABION_SOCKET", filepath.Join(e.WorkDir, "gabion.sock"))
	e.Setenv("TZ", "UTC")
	return nil
}

// daemonConfig is the file that root scripts find as gabion.yaml.
const daemonConfig = `state_dir: %s/state
interfaces: [%s]
sources:
  - {source: file, filenames: [%s/auth.log], labels: {type: syslog}}
api: {socket: %s/gabion.sock, listen: ""}
kernel: {pin_dir: %s}
`

// TestDaemon runs the real daemon in network namespaces of its own: server and attacker, joined by
// a veth pair.
func TestDaemon(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root to create network namespaces and load BPF programs")
	}
	if _, err := exec.LookPath("nsenter"); err != nil {
		t.Skip("SKIPPED: needs nsenter (Debian package util-linux)")
	}
	scripts, err := filepath.Glob("testdata/root/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, script := range scripts {
		// One after the other: they share the names of interfaces and the machine's two cores.
		t.Run(filepath.Base(script), func(t *testing.T) {
			top := mustTopology(t)
			pins := fmt.Sprintf("/sys/fs/bpf/gabion-test-%d", os.Getpid())
			t.Cleanup(func() {
				if err := loader.Remove(pins); err != nil {
					t.Errorf("remove pins: %v", err)
				}
			})
			testscript.Run(t, testscript.Params{
				Files: []string{script}, RequireExplicitExec: true,
				Setup: func(e *testscript.Env) error {
					e.Setenv("PINS", pins)
					e.Setenv("SERVER", "--net="+top.Server.Path())
					if err := emptyHome(e); err != nil {
						return err
					}
					return os.WriteFile(filepath.Join(e.WorkDir, "gabion.yaml"), []byte(fmt.Sprintf(daemonConfig,
						e.WorkDir, top.Interfaces[0], e.WorkDir, e.WorkDir, pins)), 0o644)
				},
				Cmds: map[string]func(*testscript.TestScript, bool, []string){
					"until":  until,
					"append": appendLines,
					"hangup": hangup,
					"send":   func(ts *testscript.TestScript, _ bool, args []string) { send(ts, top.Spokes["attacker"], args) },
				},
			})
		})
	}
}

// TestLabShell runs a command in the lab, as the README shows it.
func TestLabShell(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root to create network namespaces and load BPF programs")
	}
	if _, err := exec.LookPath("bpftool"); err != nil {
		t.Skip("SKIPPED: needs bpftool (Debian package bpftool)")
	}
	testscript.Run(t, testscript.Params{Dir: "testdata/lab", RequireExplicitExec: true})
}

func mustTopology(t *testing.T) *topology.Topology {
	t.Helper()
	top, err := topology.Build(topology.Plan{
		Spokes: []topology.Spoke{{
			Role:     "attacker",
			Gateways: []netip.Prefix{netip.MustParsePrefix("198.51.100.1/24"), netip.MustParsePrefix("2001:db8:a::1/64")},
			Hosts:    []netip.Addr{netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("198.51.100.8"), netip.MustParseAddr("2001:db8:a::7")},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := top.Close(); err != nil {
			t.Error(err)
		}
		top.Release()
	})
	return top
}

// until runs a command again and again until its standard output matches: until REGEXP COMMAND...
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until regexp command [args...]")
	}
	re := regexp.MustCompile("(?m)" + args[0])
	const tries, pause = 400, 50 * time.Millisecond
	for range tries {
		err := ts.Exec(args[1], args[2:]...)
		if err == nil && re.MatchString(ts.ReadFile("stdout")) {
			return
		}
		time.Sleep(pause) // another process is being waited for, and it has no channel
	}
	ts.Fatalf("%s never matched %q; last: %s%s", args[1:], args[0], ts.ReadFile("stdout"), ts.ReadFile("stderr"))
}

// hangup sends SIGHUP to the last program started in the background.
func hangup(ts *testscript.TestScript, _ bool, _ []string) {
	running := ts.BackgroundCmds()
	ts.Check(running[len(running)-1].Process.Signal(syscall.SIGHUP))
}

// appendLines adds the lines of one file to another: append TO FROM
func appendLines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: append to from")
	}
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o644)
	ts.Check(err)
	_, err = f.WriteString(ts.ReadFile(args[1]))
	ts.Check(err)
	ts.Check(f.Close())
}

// send sends datagrams from the attacker: send FROM TO COUNT
func send(ts *testscript.TestScript, ns *topology.Namespace, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: send from to count")
	}
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	ts.Check(ns.Do(func() error {
		d := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(args[0])}}
		c, err := d.Dial("udp", net.JoinHostPort(args[1], "9"))
		if err != nil {
			return err
		}
		defer c.Close()
		for range n {
			// Port 9 is closed, and an ICMP error of an earlier datagram fails a later write.
			_, _ = c.Write([]byte("x"))
		}
		return nil
	}))
}
