package loader

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"gabion/userspace/decision"
)

// mustOlder makes the plane run older programs.
func mustOlder(t *testing.T, p *Plane) {
	t.Helper()
	if err := p.replacePrograms(mustLoadOlder(t, p)); err != nil {
		t.Fatal(err)
	}
}

// mustLoadOlder loads programs that do the same as the shipped ones and have other tags.
func mustLoadOlder(t *testing.T, p *Plane) programs {
	t.Helper()
	spec, err := newSpec(small(p.dir))
	if err != nil {
		t.Fatal(err)
	}
	for _, prog := range spec.Programs {
		first, rest := prog.Instructions[0], prog.Instructions[1:]
		prog.Instructions = append(asm.Instructions{first, asm.Mov.Imm(asm.R0, 0)}, rest...)
	}
	progs, err := loadPrograms(spec, p.abi, replacements(&p.maps))
	if err != nil {
		t.Fatalf("load older programs: %+v", err)
	}
	return progs
}

// runFlood sends frame until ctx is done and returns how many it sent.
func runFlood(ctx context.Context, fd, ifindex int, frame []byte) (sent int) {
	for ctx.Err() == nil {
		if unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: ifindex}) == nil {
			sent++
		}
	}
	return sent
}

// mustTap returns a function that counts the frames from src which reached the server's stack.
func mustTap(t *testing.T, n network, src netip.Addr) func() int {
	t.Helper()
	var fd int
	in(t, n.server, func() {
		l, err := netlink.LinkByName(serverIf)
		if err != nil {
			t.Fatal(err)
		}
		const protocol = unix.ETH_P_IP<<8&0xff00 | unix.ETH_P_IP>>8
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, protocol); err != nil {
			t.Fatal(err)
		}
		if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: l.Attrs().Index, Protocol: protocol}); err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(func() { unix.Close(fd) })
	return func() (seen int) {
		buf := make([]byte, 2048)
		for {
			size, _, err := unix.Recvfrom(fd, buf, 0)
			if errors.Is(err, unix.EAGAIN) {
				return seen
			}
			if err != nil {
				t.Fatal(err)
			}
			if size >= 34 && bytes.Equal(buf[26:30], src.AsSlice()) {
				seen++
			}
		}
	}
}

func TestRestartsAndUpgradesNeverPauseTheFilter(t *testing.T) {
	for _, mode := range []Mode{ModeNative, ModeGeneric, ModeTCX, ModeClsact} {
		t.Run(string(mode), func(t *testing.T) {
			if mode == ModeTCX {
				needTCX(t)
			}
			n := mustNetwork(t)
			dir := pinDir(t)
			var logged bytes.Buffer
			o := small(dir)
			o.Log = slog.New(slog.NewTextHandler(&logged, nil))
			p := mustOpen(t, o)
			mustBan(t, p, ban(banned4+"/32", decision.ClassBan, inAnHour()))
			want := mode
			if mode == ModeTCX || mode == ModeClsact {
				want = ModeTC
			}
			p.legacyTC = mode == ModeClsact
			mustAttach(t, n, p, want)
			shipped := mustTag(t, p.program(mode))

			fd, index := mustFloodSocket(t, n)
			frame := forgedSYN(t, n, banned4, server4, 4242, 22)
			leaked := mustTap(t, n, netip.MustParseAddr(banned4))
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan int)
			go func() { done <- runFlood(ctx, fd, index, frame) }()

			for range 3 {
				in(t, n.server, func() { mustOlder(t, p) })
				before := mustStats(t, p).Dropped()
				if got := mustTag(t, p.program(mode)); got == shipped {
					t.Fatalf("the older program has the shipped one's tag, %s", got)
				}
				mustClose(t, p)
				in(t, n.server, func() { p = mustOpen(t, o) })
				if got := mustTag(t, p.program(mode)); got != shipped {
					t.Errorf("tag after opening = %s, want %s", got, shipped)
				}
				if after := mustStats(t, p).Dropped(); after <= before {
					t.Errorf("nothing was dropped while nobody had it open: %d, then %d", before, after)
				}
			}
			cancel()
			sent := <-done
			// tc runs behind the point where taps listen, so there the counters have to do.
			if mode == ModeNative || mode == ModeGeneric {
				if got := leaked(); got != 0 {
					t.Errorf("%d of %d frames got through", got, sent)
				}
			}
			if s := mustStats(t, p); s.PassedV4+s.DisabledV4+s.ExpiredV4 != 0 {
				t.Errorf("the filter passed IPv4 frames: %+v", s)
			}
			if got := bytes.Count(logged.Bytes(), []byte("programs upgraded")); got != 6 {
				t.Errorf("%d upgrades logged, want 6:\n%s", got, &logged)
			}
		})
	}
}

func mustFloodSocket(t *testing.T, n network) (fd, ifindex int) {
	t.Helper()
	in(t, n.client, func() {
		l, err := netlink.LinkByName(clientIf)
		if err != nil {
			t.Fatal(err)
		}
		ifindex = l.Attrs().Index
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(func() { unix.Close(fd) })
	return fd, ifindex
}

func mustTag(t *testing.T, prog *ebpf.Program) string {
	t.Helper()
	info, err := prog.Info()
	if err != nil {
		t.Fatal(err)
	}
	return info.Tag
}

func TestAPlaneThatNobodyHasOpenGoesOnDroppingAndExpiring(t *testing.T) {
	n := mustNetwork(t)
	dir := pinDir(t)
	p := mustOpen(t, small(dir))
	mustBan(t, p, ban(banned4+"/32", decision.ClassBan, inAnHour()))
	mustAttach(t, n, p, ModeNative)
	mustClose(t, p)
	r, err := OpenReadOnly(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	mustDrop(t, n, r, 5)
	p = mustOpen(t, small(dir))
	if got := mustHits(t, p, banned4+"/32"); got != 5 {
		t.Errorf("hits = %d, want 5", got)
	}
	if got := mustAttachments(t, n, p); len(got) != 1 || got[0].Mode != ModeNative || got[0].Stale {
		t.Errorf("attachments = %+v, want the native one", got)
	}
}

func TestAnUnchangedBinaryKeepsTheProgramThatRuns(t *testing.T) {
	dir := pinDir(t)
	p := mustOpen(t, small(dir))
	id := func() ebpf.ProgramID {
		info, err := p.xdp.Info()
		if err != nil {
			t.Fatal(err)
		}
		id, _ := info.ID()
		return id
	}
	before := id()
	mustClose(t, p)
	p = mustOpen(t, small(dir))
	if after := id(); after != before {
		t.Errorf("program %d was replaced by %d", before, after)
	}
}

func TestAnotherModeReplacesTheAttachment(t *testing.T) {
	n := mustNetwork(t)
	p := mustOpen(t, small(pinDir(t)))
	mustBan(t, p, ban(banned4+"/32", decision.ClassBan, inAnHour()))
	for _, mode := range []Mode{ModeGeneric, ModeNative, ModeTC, ModeNative} {
		mustAttach(t, n, p, mode)
		if got := mustAttachments(t, n, p); len(got) != 1 || !satisfies(got[0].Mode, mode) {
			t.Fatalf("attachments = %+v, want one of mode %s", got, mode)
		}
		mustDrop(t, n, p, 2)
	}
}

func TestBPFToolSeesNamedFields(t *testing.T) {
	dir := pinDir(t)
	if _, err := exec.LookPath("bpftool"); err != nil {
		t.Skip("SKIPPED: needs bpftool")
	}
	p := mustOpen(t, small(dir))
	mustBan(t, p, ban("192.0.2.0/24", 0, inAnHour()), ban("2001:db8::/32", 0, inAnHour()))
	mustAllow(t, p, "198.51.100.0/24", "2001:db8:1::/48")
	for name, fields := range map[string][]string{
		"bans4":   {"prefixlen", "addr", "expiry", "decision_id", "hits", "class"},
		"bans6":   {"prefixlen", "addr", "expiry", "decision_id", "hits", "class"},
		"allow4":  {"prefixlen", "hits", "reason"},
		"allow6":  {"prefixlen", "hits", "reason"},
		"stats":   {"received", "dropped_v4", "events_over_budget"},
		"meters":  {"name", "limit", "window_ns"},
		"abi":     {"version", "max_bans", "hz", "tick_shift"},
		"control": {"scale", "half", "table", "flags", "lines", "mode", "origin"},
	} {
		out, err := exec.Command("bpftool", "map", "dump", "pinned", filepath.Join(dir, name)).CombinedOutput()
		if err != nil {
			t.Fatalf("bpftool map dump %s: %v: %s", name, err, out)
		}
		for _, f := range fields {
			if !bytes.Contains(out, []byte(`"`+f+`":`)) {
				t.Errorf("bpftool map dump %s does not name %s:\n%.500s", name, f, out)
			}
		}
	}
}

func TestNamesAreShortEnoughForBPFTool(t *testing.T) {
	spec, err := loadBpf()
	if err != nil {
		t.Fatal(err)
	}
	var maps planeMaps
	known := byName(&maps)
	for name := range spec.Maps {
		if name == ".rodata" || name == ".bss" {
			continue
		}
		if len(name) > 15 {
			t.Errorf("map name %s has more than 15 characters", name)
		}
		if known[name] == nil {
			t.Errorf("map %s is not pinned", name)
		}
	}
	for name := range spec.Programs {
		if len(name) > 15 {
			t.Errorf("program name %s has more than 15 characters", name)
		}
	}
}

func TestRemoveLeavesNothingBehind(t *testing.T) {
	n := mustNetwork(t)
	dir := pinDir(t)
	p := mustOpen(t, small(dir))
	mustAttach(t, n, p, ModeNative)
	mustClose(t, p)
	if err := Remove(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("pin directory: stat error = %v, want not found", err)
	}
	if got := attachedXDP(t, n); got != 0 {
		t.Errorf("XDP program %d is still attached", got)
	}
	if err := Remove(dir); err != nil {
		t.Errorf("removing what is not there: %v", err)
	}
}
