package doctor

import (
	"fmt"
	"os"
	"runtime"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"gabion/loader"
	"gabion/userspace/sockets"
)

const ifname = "doc0"

// mustNamespace moves the test's thread into a network namespace of its own with a veth pair, for the
// time of the test.
func mustNamespace(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root to load BPF programs")
	}
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	ns, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := netns.Set(home); err != nil {
			t.Fatal(err) // and the thread stays locked
		}
		runtime.UnlockOSThread()
		ns.Close()
		home.Close()
	})
	attrs := netlink.NewLinkAttrs()
	attrs.Name = ifname
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: "doc1"}
	if err := netlink.LinkAdd(veth); err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(veth); err != nil {
		t.Fatal(err)
	}
}

func mustPlane(t *testing.T) (dir string, p *loader.Plane) {
	t.Helper()
	dir = fmt.Sprintf("%s/gabion-test-doctor-%d", bpffs, os.Getpid())
	p, err := loader.Open(loader.Options{Dir: dir, MaxBans: 16, MaxAllows: 16})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Close()
		if err := loader.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	return dir, p
}

func find(t *testing.T, findings []Finding, subject string) Finding {
	t.Helper()
	for _, f := range findings {
		if f.Subject == subject {
			return f
		}
	}
	t.Fatalf("no finding about %q", subject)
	return Finding{}
}

func mustForeignXDP(t *testing.T) {
	t.Helper()
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "somebody", Type: ebpf.XDP, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	l, err := netlink.LinkByName(ifname)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := link.AttachXDP(link.XDPOptions{Program: prog, Interface: l.Attrs().Index})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { foreign.Close() })
}

func TestAMachineThatRunsTheFilterIsWell(t *testing.T) {
	mustNamespace(t)
	dir, p := mustPlane(t)
	if _, err := p.Attach(ifname, loader.ModeNative); err != nil {
		t.Fatal(err)
	}
	findings := Examine([]string{ifname}, dir)
	for _, subject := range []string{
		"kernel", "programs", "JIT", "bpffs", "data plane", ifname, ifname + " driver", ifname + " XDP",
	} {
		if f := find(t, findings, subject); f.Level != LevelOK {
			t.Errorf("%+v, want it to be ok", f)
		}
	}
}

// TestClosingConnectionsIsOnlyMissedWhereItIsWanted is about whatever kernel it runs on.
func TestClosingConnectionsIsOnlyMissedWhereItIsWanted(t *testing.T) {
	if f := CheckClosing(false); f.Level != LevelOK {
		t.Errorf("%+v, want it to be ok: nobody wants it", f)
	}
	want := LevelOK
	if err := sockets.Probe(); err != nil {
		t.Logf("this kernel cannot: %v", err)
		want = LevelWarn
	}
	if f := CheckClosing(true); f.Level != want || (f.Advice == "") != (want == LevelOK) {
		t.Errorf("%+v, want %s, and advice unless it is ok", f, want)
	}
}

func TestFindingsThatAreNotWellComeWithAdvice(t *testing.T) {
	mustNamespace(t)
	mustForeignXDP(t)
	findings := Examine([]string{ifname, "nosuch0"}, bpffs+"/gabion-test-doctor-none")
	for subject, want := range map[string]Level{
		"data plane": LevelWarn, ifname + " XDP": LevelWarn, "nosuch0": LevelFail,
	} {
		if f := find(t, findings, subject); f.Level != want {
			t.Errorf("%+v, want level %s", f, want)
		}
	}
	for _, f := range findings {
		if (f.Level == LevelWarn || f.Level == LevelFail) && f.Advice == "" {
			t.Errorf("finding without advice: %+v", f)
		}
	}
}
