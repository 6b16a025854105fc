package loader

import (
	"bytes"
	"errors"
	"log/slog"
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"
	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"gabion/userspace/decision"
)

func mustAttach(t testing.TB, n network, p *Plane, want Mode) Attachment {
	t.Helper()
	var a Attachment
	in(t, n.server, func() {
		var err error
		if a, err = p.Attach(serverIf, want); err != nil {
			t.Fatalf("attach %s: %v", want, err)
		}
	})
	return a
}

func mustAttachments(t testing.TB, n network, p *Plane) []Attachment {
	t.Helper()
	var out []Attachment
	in(t, n.server, func() {
		var err error
		if out, err = p.Attachments(); err != nil {
			t.Fatalf("attachments: %v", err)
		}
	})
	return out
}

// mustLinkDelete takes the veth pair away, as unplugging would.
func mustLinkDelete(t testing.TB, n network) {
	t.Helper()
	in(t, n.server, func() {
		if err := netlink.LinkDel(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: serverIf}}); err != nil {
			t.Fatalf("delete %s: %v", serverIf, err)
		}
	})
}

// mustDrop sends n frames from a banned source over the wire and waits until they are counted.
func mustDrop(t testing.TB, net network, p *Plane, n int) {
	t.Helper()
	before := mustStats(t, p).Dropped()
	send := mustRawSender(t, net)
	for range n {
		send(forgedSYN(t, net, banned4, server4, 4242, 22))
	}
	// Frames cross a veth pair in a softirq of this machine: no time limit, only a turn of the CPU.
	for mustStats(t, p).Dropped() < before+uint64(n) {
		if t.Context().Err() != nil {
			t.Fatalf("%d frames dropped, want %d", mustStats(t, p).Dropped()-before, n)
		}
	}
}

const banned4 = "203.0.113.66"

// mustForeignXDP attaches somebody else's program to the server's interface.
func mustForeignXDP(t testing.TB, n network) ebpf.ProgramID {
	t.Helper()
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "somebody", Type: ebpf.XDP, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, xdpPass), asm.Return()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { prog.Close() })
	in(t, n.server, func() {
		l, err := netlink.LinkByName(serverIf)
		if err != nil {
			t.Fatal(err)
		}
		foreign, err := link.AttachXDP(link.XDPOptions{Program: prog, Interface: l.Attrs().Index, Flags: link.XDPDriverMode})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { foreign.Close() })
	})
	info, err := prog.Info()
	if err != nil {
		t.Fatal(err)
	}
	id, _ := info.ID()
	return id
}

func attachedXDP(t testing.TB, n network) ebpf.ProgramID {
	t.Helper()
	var id ebpf.ProgramID
	in(t, n.server, func() {
		l, err := netlink.LinkByName(serverIf)
		if err != nil {
			t.Fatal(err)
		}
		id = ebpf.ProgramID(l.Attrs().Xdp.ProgId)
	})
	return id
}

func TestTheLadderGoesDownOnlyAsFarAsItMustAndSaysWhy(t *testing.T) {
	for _, tt := range []struct {
		name            string
		want            Mode
		foreign, legacy bool
		mode            Mode
		warnings        int
	}{
		{name: "auto takes native XDP", want: ModeAuto, mode: ModeNative},
		{name: "generic on demand", want: ModeGeneric, mode: ModeGeneric},
		{name: "tc on demand", want: ModeTC, mode: ModeTCX},
		{name: "tc on a kernel without tcx", want: ModeTC, legacy: true, mode: ModeClsact},
		{name: "a foreign XDP program sends it to tc", want: ModeAuto, foreign: true, mode: ModeTCX, warnings: 2},
		{name: "a foreign XDP program on a kernel without tcx", want: ModeAuto, foreign: true, legacy: true, mode: ModeClsact, warnings: 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.mode == ModeTCX {
				needTCX(t)
			}
			n := mustNetwork(t)
			var foreign ebpf.ProgramID
			if tt.foreign {
				foreign = mustForeignXDP(t, n)
			}
			var logged bytes.Buffer
			o := small(pinDir(t))
			o.Log = slog.New(slog.NewTextHandler(&logged, nil))
			p := mustOpen(t, o)
			p.legacyTC = tt.legacy
			mustBan(t, p, ban(banned4+"/32", decision.ClassBan, inAnHour()))

			a := mustAttach(t, n, p, tt.want)
			if a.Mode != tt.mode || a.Interface != serverIf {
				t.Errorf("attachment = %+v, want %s on %s", a, tt.mode, serverIf)
			}
			if got := bytes.Count(logged.Bytes(), []byte("attach mode not available")); got != tt.warnings {
				t.Errorf("%d steps down logged, want %d:\n%s", got, tt.warnings, &logged)
			}
			mustDrop(t, n, p, 3)
			if diff := cmp.Diff([]Attachment{a}, mustAttachments(t, n, p)); diff != "" {
				t.Errorf("attachments (-want +got):\n%s", diff)
			}
			if again := mustAttach(t, n, p, tt.want); again != a {
				t.Errorf("attached again = %+v, want %+v", again, a)
			}
			if tt.foreign {
				if got := attachedXDP(t, n); got != foreign {
					t.Errorf("XDP program on the interface is %d, want the foreign one, %d", got, foreign)
				}
			}
			in(t, n.server, func() {
				if err := p.Detach(serverIf); err != nil {
					t.Errorf("detach: %v", err)
				}
			})
			if got := mustAttachments(t, n, p); len(got) != 0 {
				t.Errorf("attachments after detaching = %+v, want none", got)
			}
			in(t, n.server, func() {
				l, err := netlink.LinkByName(serverIf)
				if err != nil {
					t.Fatal(err)
				}
				qdiscs, err := netlink.QdiscList(l)
				if err != nil {
					t.Fatal(err)
				}
				for _, q := range qdiscs {
					if q.Type() == "clsact" {
						t.Error("the clsact qdisc is left behind")
					}
				}
			})
		})
	}
}

func needTCX(t testing.TB) {
	t.Helper()
	v, err := features.LinuxVersionCode()
	if err != nil {
		t.Fatal(err)
	}
	if v < 6<<16|6<<8 {
		t.Skip("SKIPPED: needs tcx links (Linux 6.6)")
	}
}

func TestADemandedModeThatIsNotPossibleFails(t *testing.T) {
	n := mustNetwork(t)
	foreign := mustForeignXDP(t, n)
	p := mustOpen(t, small(pinDir(t)))
	in(t, n.server, func() {
		_, err := p.Attach(serverIf, ModeNative)
		if err == nil || !contains(err, "carries another XDP program") {
			t.Errorf("error = %v, want one that names the other program", err)
		}
	})
	if got := attachedXDP(t, n); got != foreign {
		t.Errorf("XDP program on the interface is %d, want the foreign one, %d", got, foreign)
	}
}

func TestAnInterfaceThatIsNotThereIsNamed(t *testing.T) {
	p := mustOpen(t, small(pinDir(t)))
	if _, err := p.Attach("nosuch0", ModeAuto); !errors.Is(err, ErrNoInterface) || !contains(err, "nosuch0") {
		t.Errorf("error = %v, want ErrNoInterface naming nosuch0", err)
	}
	if err := p.Detach("nosuch0"); err != nil {
		t.Errorf("detach: %v", err)
	}
}

func TestAnInterfaceThatComesBackIsAttachedAgain(t *testing.T) {
	for _, tt := range []struct {
		mode   Mode
		legacy bool
	}{{ModeNative, false}, {ModeTC, false}, {ModeTC, true}} {
		n := mustNetwork(t)
		p := mustOpen(t, small(pinDir(t)))
		p.legacyTC = tt.legacy
		mustBan(t, p, ban(banned4+"/32", decision.ClassBan, inAnHour()))
		first := mustAttach(t, n, p, tt.mode)

		mustLinkDelete(t, n)
		first.Stale = true
		if diff := cmp.Diff([]Attachment{first}, mustAttachments(t, n, p)); diff != "" {
			t.Errorf("%s: attachments while the interface is away (-want +got):\n%s", first.Mode, diff)
		}
		in(t, n.server, func() { mustVeth(t, n) })
		in(t, n.client, func() { mustUp(t, clientIf) })
		second := mustAttach(t, n, p, tt.mode)
		if second.Ifindex == first.Ifindex || second.Stale {
			t.Errorf("%s: attachment = %+v, want a live one of a new interface number", first.Mode, second)
		}
		if diff := cmp.Diff([]Attachment{second}, mustAttachments(t, n, p)); diff != "" {
			t.Errorf("%s: attachments afterwards (-want +got):\n%s", first.Mode, diff)
		}
		mustDrop(t, n, p, 3)
	}
}

func TestAFilterThatSomebodyRemovedIsRenewed(t *testing.T) {
	n := mustNetwork(t)
	p := mustOpen(t, small(pinDir(t)))
	p.legacyTC = true
	a := mustAttach(t, n, p, ModeTC)
	in(t, n.server, func() {
		if err := netlink.QdiscDel(clsact(a.Ifindex)); err != nil {
			t.Fatal(err)
		}
	})
	if got := mustAttachments(t, n, p); len(got) != 1 || !got[0].Stale {
		t.Errorf("attachments = %+v, want one that is stale", got)
	}
	mustAttach(t, n, p, ModeTC)
	if got := mustAttachments(t, n, p); len(got) != 1 || got[0].Stale {
		t.Errorf("attachments = %+v, want one that is not stale", got)
	}
}

func TestAnInterfaceNameWithADotCanBePinned(t *testing.T) {
	n := mustNetwork(t)
	p := mustOpen(t, small(pinDir(t)))
	in(t, n.server, func() {
		l, err := netlink.LinkByName(serverIf)
		if err != nil {
			t.Fatal(err)
		}
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.ParentIndex = "srv0.42", l.Attrs().Index
		if err := netlink.LinkAdd(&netlink.Vlan{LinkAttrs: attrs, VlanId: 42}); err != nil {
			t.Skipf("SKIPPED: no VLAN interfaces here: %v", err)
		}
		if _, err := p.Attach("srv0.42", ModeAuto); err != nil {
			t.Fatalf("attach: %v", err)
		}
	})
	if got := mustAttachments(t, n, p); len(got) != 1 || got[0].Interface != "srv0.42" {
		t.Errorf("attachments = %+v, want one of srv0.42", got)
	}
}

func TestADownInterfaceStaysAttached(t *testing.T) {
	n := mustNetwork(t)
	p := mustOpen(t, small(pinDir(t)))
	mustBan(t, p, ban(banned4+"/32", decision.ClassBan, inAnHour()))
	a := mustAttach(t, n, p, ModeNative)
	in(t, n.server, func() {
		l, err := netlink.LinkByName(serverIf)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(netlink.LinkSetDown(l), netlink.LinkSetUp(l)); err != nil {
			t.Fatal(err)
		}
	})
	if again := mustAttach(t, n, p, ModeNative); again != a {
		t.Errorf("attachment = %+v, want %+v", again, a)
	}
	mustDrop(t, n, p, 3)
}

func TestProbePacketsNeedOneFamily(t *testing.T) {
	if _, err := ProbePacket(netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1"), 22); err == nil {
		t.Error("addresses of two families were accepted")
	}
	if _, err := ProbePacket(netip.Addr{}, netip.Addr{}, 22); err == nil {
		t.Error("no source was accepted")
	}
}

// An interface with jumbo frames gets the program that takes them, and every other one the cheaper one.
// A restart leaves each as it is.
func TestOnlyJumboFramesCostTheirPrice(t *testing.T) {
	n := mustNetwork(t)
	p := mustOpen(t, small(pinDir(t)))
	if p.jumbo == nil {
		t.Skip("SKIPPED: needs XDP programs that take frames of several buffers (kernel 5.18)")
	}
	name := func(p *Plane) string {
		prog, err := ebpf.NewProgramFromID(attachedXDP(t, n))
		if err != nil {
			t.Fatal(err)
		}
		defer prog.Close()
		info, err := prog.Info()
		if err != nil {
			t.Fatal(err)
		}
		return info.Name
	}
	for _, tt := range []struct {
		mtu  int
		want string
	}{{1500, bpfProgGabionXdp}, {9000, jumboProgram}} {
		in(t, n.server, func() {
			l, err := netlink.LinkByName(serverIf)
			if err != nil {
				t.Fatal(err)
			}
			if err := netlink.LinkSetMTU(l, tt.mtu); err != nil {
				t.Fatal(err)
			}
		})
		mustAttach(t, n, p, ModeNative)
		if got := name(p); got != tt.want {
			t.Errorf("MTU %d: program %s runs, want %s", tt.mtu, got, tt.want)
		}
		dir := p.dir
		older := mustLoadOlder(t, p)
		if err := p.replacePrograms(older); err != nil {
			t.Fatal(err)
		}
		mustClose(t, p)
		p = mustOpen(t, small(dir)) // upgrades
		if got := name(p); got != tt.want {
			t.Errorf("MTU %d: after an upgrade program %s runs, want %s", tt.mtu, got, tt.want)
		}
		in(t, n.server, func() {
			if err := p.Detach(serverIf); err != nil {
				t.Fatal(err)
			}
		})
	}
}
