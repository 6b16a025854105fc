package loader

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
)

// bondMode is what auto makes of a bond whose members can run XDP.
func bondMode(t testing.TB) Mode {
	t.Helper()
	if nativeBonds(t) {
		return ModeNative
	}
	return ModeGeneric
}

func TestABondIsFilteredInEveryModeOfBonding(t *testing.T) {
	for _, tt := range []struct {
		mode   netlink.BondMode
		native bool  // from Linux 5.15 on
		wires  []int // on which a bond in this mode takes packets
	}{
		{netlink.BOND_MODE_BALANCE_RR, true, []int{0, 1}},
		{netlink.BOND_MODE_ACTIVE_BACKUP, true, []int{0}},
		{netlink.BOND_MODE_BALANCE_XOR, true, []int{0, 1}},
		{netlink.BOND_MODE_BROADCAST, false, []int{0, 1}},
		{netlink.BOND_MODE_802_3AD, true, nil}, // needs a partner on the wire
		{netlink.BOND_MODE_BALANCE_TLB, false, []int{0}},
		{netlink.BOND_MODE_BALANCE_ALB, false, []int{0}},
	} {
		t.Run(tt.mode.String(), func(t *testing.T) {
			var logged bytes.Buffer
			o := small(pinDir(t))
			o.Log = slog.New(slog.NewTextHandler(&logged, nil))
			s := mustSite(t, 2, o)
			s.mustBond(t, tt.mode, 0, 1)
			want := ModeGeneric
			if tt.native {
				want = bondMode(t)
			}
			if a := s.mustAttach(t, "bond0", ModeAuto); a.Mode != want {
				t.Errorf("attached as %s, want %s", a.Mode, want)
			}
			if got := bytes.Contains(logged.Bytes(), []byte("attach mode not available")); got != (want != ModeNative) {
				t.Errorf("a step down is logged: %v\n%s", got, &logged)
			}
			for _, i := range tt.wires {
				s.mustFilter(t, i, "bond0")
			}
		})
	}
}

func TestABondIsFilteredBesideEveryModeOfTheFilter(t *testing.T) {
	for _, mode := range []Mode{ModeGeneric, ModeTC} {
		t.Run(string(mode), func(t *testing.T) {
			s := mustSite(t, 2, small(pinDir(t)))
			s.mustBond(t, netlink.BOND_MODE_BALANCE_RR, 0, 1)
			s.mustAttach(t, "bond0", mode)
			s.mustFilter(t, 0, "bond0")
			s.mustFilter(t, 1, "bond0")
		})
	}
}

// mustActivate waits until a bond takes packets from the server's end of a wire.
func (s *site) mustActivate(t testing.TB, i int) {
	t.Helper()
	name, _ := wire(i)
	want := s.mustLink(t, name).Attrs().Index
	for {
		if got := s.mustLink(t, "bond0").(*netlink.Bond).ActiveSlave; got == want {
			return
		}
		if t.Context().Err() != nil {
			t.Fatalf("%s never became the active member", name)
		}
	}
}

func TestABondStaysFilteredWhenAnotherMemberTakesOver(t *testing.T) {
	s := mustSite(t, 2, small(pinDir(t)))
	s.mustBond(t, netlink.BOND_MODE_ACTIVE_BACKUP, 0, 1)
	s.mustAttach(t, "bond0", ModeAuto)
	s.mustActivate(t, 0)
	s.mustFilter(t, 0, "bond0")
	for _, step := range []struct{ down, active int }{{0, 1}, {1, 0}} {
		in(t, s.client, func() {
			_, down := wire(step.down)
			_, up := wire(step.active)
			for name, set := range map[string]func(netlink.Link) error{down: netlink.LinkSetDown, up: netlink.LinkSetUp} {
				l, err := netlink.LinkByName(name)
				if err := errors.Join(err, set(l)); err != nil {
					t.Fatal(err)
				}
			}
		})
		s.mustActivate(t, step.active)
		s.mustFilter(t, step.active, "bond0")
	}
}

func TestMembersComeAndGoWhileTheirBondIsFiltered(t *testing.T) {
	s := mustSite(t, 3, small(pinDir(t)))
	s.mustBond(t, netlink.BOND_MODE_BALANCE_RR, 0, 1)
	s.mustAttach(t, "bond0", ModeAuto)
	if err := s.join(t, 2); err != nil {
		t.Fatalf("join: %v", err)
	}
	s.mustFilter(t, 2, "bond0")
	s.mustLeave(t, 0)
	s.mustFilter(t, 1, "bond0")
	before := mustStats(t, s.plane)
	s.mustSender(t, 0)(s.datagram(t, banned4, "srv0"))
	s.mustFilter(t, 2, "bond0")
	if got := mustStats(t, s.plane).Dropped() - before.Dropped(); got != 3 {
		t.Errorf("%d dropped, want 3: what left the bond is not the filter's business", got)
	}
	s.mustAttach(t, "srv0", ModeNative) // its hook is free
	if diff := cmp.Diff([]string{"native srv0", string(bondMode(t)) + " bond0"}, s.attached(t)); diff != "" {
		t.Errorf("attached (-want +got):\n%s", diff)
	}
}

func TestABondThatComesBackIsAttachedAgain(t *testing.T) {
	s := mustSite(t, 2, small(pinDir(t)))
	s.mustBond(t, netlink.BOND_MODE_BALANCE_RR, 0, 1)
	first := s.mustAttach(t, "bond0", ModeAuto)
	s.mustDelete(t, "bond0")
	first.Stale = true
	if diff := cmp.Diff([]Attachment{first}, mustAttachments(t, s.network, s.plane)); diff != "" {
		t.Errorf("attachments while the bond is away (-want +got):\n%s", diff)
	}
	s.mustBond(t, netlink.BOND_MODE_BALANCE_RR, 0, 1)
	s.mustAttach(t, "bond0", ModeAuto)
	if diff := cmp.Diff([]string{string(bondMode(t)) + " bond0"}, s.attached(t)); diff != "" {
		t.Errorf("attached (-want +got):\n%s", diff)
	}
	s.mustFilter(t, 0, "bond0")
	s.mustFilter(t, 1, "bond0")
}

func TestAnUpgradeReachesAllMembersOfABond(t *testing.T) {
	s := mustSite(t, 2, small(pinDir(t)))
	s.mustBond(t, netlink.BOND_MODE_BALANCE_RR, 0, 1)
	s.mustAttach(t, "bond0", ModeAuto)
	before := s.mustProgram(t, "bond0")
	mustOlder(t, s.plane)
	if after := s.mustProgram(t, "bond0"); after == before {
		t.Errorf("program %d runs as before", after)
	}
	s.mustFilter(t, 0, "bond0")
	s.mustFilter(t, 1, "bond0")
	s.mustDetach(t, "bond0")
	for i := range 2 {
		name, _ := wire(i)
		s.mustAttach(t, name, ModeNative) // nothing is left in their hooks
	}
}

func (s *site) mustProgram(t testing.TB, name string) ebpf.ProgramID {
	t.Helper()
	xdp := s.mustLink(t, name).Attrs().Xdp
	if xdp == nil {
		t.Fatalf("%s shows no XDP program", name)
	}
	return ebpf.ProgramID(xdp.ProgId)
}

// A bond in native mode takes no member that cannot run XDP. That is the kernel's rule, and why a bond
// without members is left alone by the daemon.
func TestABondWithoutNativeXDPAtAMemberStepsDown(t *testing.T) {
	s := mustSite(t, 1, small(pinDir(t)))
	s.mustBond(t, netlink.BOND_MODE_BALANCE_RR, 0)
	in(t, s.server, func() {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = "srv1" // a dummy has no XDP
		if err := netlink.LinkAdd(&netlink.Dummy{LinkAttrs: attrs}); err != nil {
			t.Fatal(err)
		}
	})
	s.mustAttach(t, "bond0", ModeAuto)
	if err := s.join(t, 1); (err != nil) != nativeBonds(t) {
		t.Errorf("a member without XDP joins: %v", err)
	}
	s.mustDetach(t, "bond0")
	if err := s.join(t, 1); err != nil {
		t.Fatalf("join: %v", err)
	}
	if a := s.mustAttach(t, "bond0", ModeAuto); a.Mode != ModeGeneric {
		t.Errorf("attached as %s, want %s", a.Mode, ModeGeneric)
	}
	s.mustFilter(t, 0, "bond0")
}

func TestMembersAloneAreFilteredInTheDriver(t *testing.T) {
	s := mustSite(t, 2, small(pinDir(t)))
	s.mustAttach(t, "srv0", ModeNative)
	s.mustBond(t, netlink.BOND_MODE_BALANCE_RR, 0, 1) // srv0 joins with its program
	s.mustAttach(t, "srv1", ModeNative)
	s.mustFilter(t, 0, "bond0")
	s.mustFilter(t, 1, "bond0")
}

// mustAttachAll attaches to the server's ends of the first wires.
func (s *site) mustAttachAll(t testing.TB, want Mode, wires int) {
	t.Helper()
	for i := range wires {
		name, _ := wire(i)
		s.mustAttach(t, name, want)
	}
}

func TestMembersYieldToTheirBond(t *testing.T) {
	for _, tt := range []struct{ members, want, mode Mode }{
		{ModeNative, ModeAuto, ModeNative},
		{ModeGeneric, ModeAuto, ModeNative},
		{ModeTC, ModeAuto, ModeNative},
		{ModeNative, ModeGeneric, ModeGeneric},
		{ModeNative, ModeTC, ModeTC},
	} {
		t.Run(fmt.Sprintf("members %s, bond %s", tt.members, tt.want), func(t *testing.T) {
			s := mustSite(t, 2, small(pinDir(t)))
			s.mustBond(t, netlink.BOND_MODE_BALANCE_RR, 0, 1)
			s.mustAttachAll(t, tt.members, 2)
			a := s.mustAttach(t, "bond0", tt.want)
			if tt.mode == ModeNative {
				tt.mode = bondMode(t)
			}
			if !satisfies(a.Mode, tt.mode) {
				t.Errorf("attached as %s, want %s", a.Mode, tt.mode)
			}
			if diff := cmp.Diff([]string{string(a.Mode) + " bond0"}, s.attached(t)); diff != "" {
				t.Errorf("attached (-want +got):\n%s", diff)
			}
			s.mustFilter(t, 0, "bond0")
			s.mustFilter(t, 1, "bond0")
		})
	}
}

// A flood of a banned source goes on while a bond takes over from its members: none of it passes.
func TestABondTakesOverFromItsMembersWithoutAGap(t *testing.T) {
	s := mustSite(t, 2, small(pinDir(t)))
	s.mustBond(t, netlink.BOND_MODE_BALANCE_RR, 0, 1)
	s.mustAttachAll(t, ModeNative, 2)
	inbox, send, before := s.mustInbox(t), s.mustSender(t, 0), mustStats(t, s.plane)
	flood, clean := s.datagram(t, banned4, "bond0"), s.datagram(t, client4, "bond0")
	fd, ifindex := mustFloodSocket(t, s.network)
	ctx, stop := context.WithCancel(t.Context())
	sent := make(chan int)
	go func() { sent <- runFlood(ctx, fd, ifindex, flood) }()
	for mustStats(t, s.plane).Dropped() == before.Dropped() {
	}
	s.mustAttach(t, "bond0", ModeAuto)
	stop()
	t.Logf("%d frames sent, %d dropped", <-sent, mustStats(t, s.plane).Dropped()-before.Dropped())
	send(clean) // the last to arrive
	_, from, err := inbox.ReadFromUDPAddrPort(make([]byte, 64))
	if err != nil || from.Addr().String() != client4 {
		t.Errorf("a datagram of %s arrived, want one of %s: %v", from, client4, err)
	}
}

func TestAProgramOfSomebodyElseAtAMemberIsNamed(t *testing.T) {
	var logged bytes.Buffer
	o := small(pinDir(t))
	o.Log = slog.New(slog.NewTextHandler(&logged, nil))
	s := mustSite(t, 2, o)
	foreign := mustForeignXDP(t, s.network) // on srv0
	s.mustBond(t, netlink.BOND_MODE_BALANCE_RR, 0, 1)
	if a := s.mustAttach(t, "bond0", ModeAuto); a.Mode != ModeGeneric {
		t.Errorf("attached as %s, want %s", a.Mode, ModeGeneric)
	}
	if want := "in the way is the XDP program of srv0"; nativeBonds(t) && !bytes.Contains(logged.Bytes(), []byte(want)) {
		t.Errorf("log does not say %q:\n%s", want, &logged)
	}
	if got := s.mustProgram(t, "srv0"); got != foreign {
		t.Errorf("program %d on srv0, want %d as before", got, foreign)
	}
	s.mustFilter(t, 0, "bond0")
	s.mustFilter(t, 1, "bond0")
}

// mustAggregate waits until LACP has made both members part of the bond.
func (s *site) mustAggregate(t testing.TB) {
	t.Helper()
	const working = 0x30 // collecting and distributing
	for i := 0; i < 2; {
		name, _ := wire(i)
		slave, ok := s.mustLink(t, name).Attrs().Slave.(*netlink.BondSlave)
		if ok && slave.AdActorOperPortState&working == working {
			i++
		}
		if t.Context().Err() != nil {
			t.Fatalf("%s is not part of the bond: %+v", name, slave)
		}
	}
}

// The frames in which the two ends of a bond agree are no IP: the filter lets them pass.
func TestLACPGoesOnBelowTheFilter(t *testing.T) {
	s := mustSite(t, 2, small(pinDir(t)))
	s.mustBond(t, netlink.BOND_MODE_802_3AD, 0, 1)
	s.mustAttach(t, "bond0", ModeAuto)
	_, first := wire(0)
	_, second := wire(1)
	mustBondOf(t, s.client, netlink.BOND_MODE_802_3AD, first, second)
	s.mustAggregate(t)
	if got := mustStats(t, s.plane).PassedNonIp; (got > 0) != nativeBonds(t) {
		t.Errorf("%d frames that are not IP passed; the bond takes them from its members before generic XDP", got)
	}
	s.mustFilter(t, 0, "bond0")
	s.mustFilter(t, 1, "bond0")
}
