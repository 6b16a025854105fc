package loader

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
)

func TestAVLANDeviceIsFilteredBehindTheDriver(t *testing.T) {
	for _, tt := range []struct {
		name     string
		want     Mode
		mode     Mode
		warnings int
	}{
		{"auto steps down to generic XDP", ModeAuto, ModeGeneric, 1},
		{"tc", ModeTC, ModeTCX, 0},
		{"tc without tcx", ModeTC, ModeClsact, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.mode == ModeTCX {
				needTCX(t)
			}
			var logged bytes.Buffer
			o := small(pinDir(t))
			o.Log = slog.New(slog.NewTextHandler(&logged, nil))
			s := mustSite(t, 1, o)
			s.plane.legacyTC = tt.mode == ModeClsact
			s.mustVLAN(t, "srv0.100", "srv0", 100, netlink.VLAN_PROTOCOL_8021Q, server4+"/24")
			if a := s.mustAttach(t, "srv0.100", tt.want); a.Mode != tt.mode {
				t.Errorf("attached as %s, want %s", a.Mode, tt.mode)
			}
			if got := bytes.Count(logged.Bytes(), []byte("attach mode not available")); got != tt.warnings {
				t.Errorf("%d steps down logged, want %d:\n%s", got, tt.warnings, &logged)
			}
			s.mustFilter(t, 0, "srv0", 100)
			s.mustDelete(t, "srv0.100")
			if got := s.attached(t); len(got) != 0 {
				t.Errorf("attached while it is away: %q", got)
			}
			s.mustVLAN(t, "srv0.100", "srv0", 100, netlink.VLAN_PROTOCOL_8021Q, server4+"/24")
			s.mustAttach(t, "srv0.100", tt.want)
			s.mustFilter(t, 0, "srv0", 100)
		})
	}
}

func TestAVLANDeviceWithoutNativeXDPRefusesADemandForIt(t *testing.T) {
	s := mustSite(t, 1, small(pinDir(t)))
	s.mustVLAN(t, "srv0.100", "srv0", 100, netlink.VLAN_PROTOCOL_8021Q)
	in(t, s.server, func() {
		if a, err := s.plane.Attach("srv0.100", ModeNative); err == nil {
			t.Errorf("attached as %s, want an error", a.Mode)
		}
	})
}

// QinQ: a VLAN device of a customer on one of the provider.
func TestEveryStoryOfQinQIsFiltered(t *testing.T) {
	for _, on := range []string{"srv0", "outer", "inner"} {
		for _, mode := range []Mode{ModeAuto, ModeTC} {
			t.Run(on+" "+string(mode), func(t *testing.T) {
				s := mustSite(t, 1, small(pinDir(t)))
				s.mustVLAN(t, "outer", "srv0", 200, netlink.VLAN_PROTOCOL_8021AD)
				s.mustVLAN(t, "inner", "outer", 100, netlink.VLAN_PROTOCOL_8021Q, server4+"/24")
				s.mustAttach(t, on, mode)
				s.mustFilter(t, 0, "srv0", 200, 100)
			})
		}
	}
}

func TestAVLANDeviceOfABondIsFilteredByEither(t *testing.T) {
	for _, on := range []string{"bond0", "bond0.100"} {
		t.Run(on, func(t *testing.T) {
			s := mustSite(t, 2, small(pinDir(t)))
			s.mustBond(t, netlink.BOND_MODE_BALANCE_RR, 0, 1)
			s.mustVLAN(t, "bond0.100", "bond0", 100, netlink.VLAN_PROTOCOL_8021Q)
			in(t, s.server, func() {
				addr, err := netlink.ParseAddr(server4 + "/24")
				if err != nil {
					t.Fatal(err)
				}
				if err := netlink.AddrDel(s.mustLink(t, "bond0"), addr); err != nil {
					t.Fatal(err)
				}
				mustUp(t, "bond0.100", server4+"/24")
			})
			s.mustAttach(t, on, ModeAuto)
			s.mustFilter(t, 0, "bond0", 100)
			s.mustFilter(t, 1, "bond0", 100)
		})
	}
}

// A filter that is put below another one takes its packets over: none is judged twice.
func TestAVLANDeviceYieldsToWhatItStandsOn(t *testing.T) {
	for _, want := range []Mode{ModeAuto, ModeGeneric, ModeTC} {
		t.Run(string(want), func(t *testing.T) {
			s := mustSite(t, 1, small(pinDir(t)))
			s.mustVLAN(t, "srv0.100", "srv0", 100, netlink.VLAN_PROTOCOL_8021Q, server4+"/24")
			s.mustAttach(t, "srv0.100", ModeAuto)
			a := s.mustAttach(t, "srv0", want)
			if diff := cmp.Diff([]string{string(a.Mode) + " srv0"}, s.attached(t)); diff != "" {
				t.Errorf("attached (-want +got):\n%s", diff)
			}
			if want == ModeAuto && a.Mode != ModeNative {
				t.Errorf("attached as %s, want %s", a.Mode, ModeNative)
			}
			s.mustFilter(t, 0, "srv0", 100)
		})
	}
}
