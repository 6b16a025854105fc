package enforce

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gabion/userspace/decision"
	"gabion/userspace/enforce/machine"
)

func TestWhatIsDroppedIsWhatABanCoversAndNothingAllows(t *testing.T) {
	r := newRig(t, func(_ *Config, g *GuardConfig) { g.Peers = prefixesOf("198.51.100.7/32") })
	if err := r.Allow(prefixesOf("198.51.100.64/26"), time.Time{}); err != nil {
		t.Fatal(err)
	}
	soon := t0().Add(time.Minute)
	if err := r.Allow(prefixesOf("198.51.100.200/32"), soon); err != nil {
		t.Fatal(err)
	}
	r.mustBan(t, ban("198.51.100.0/24", 60), ban("203.0.113.1", 1), ban("2001:db8::/64", 60), shadow("192.0.2.1", 60))
	for _, tt := range []struct {
		addr       string
		now, later bool // two minutes later
	}{
		{"198.51.100.1", true, true},
		{"::ffff:198.51.100.1", true, true},
		{"198.51.100.7", false, false},  // a peer
		{"198.51.100.70", false, false}, // allowed
		{"198.51.100.200", false, true}, // allowed for a minute
		{"203.0.113.1", true, false},    // banned for a minute
		{"2001:db8::5", true, true},
		{"2001:db8::5%eth0", true, true},
		{"2001:db8:1::5", false, false},
		{"192.0.2.1", false, false}, // shadow
		{"192.0.2.2", false, false},
	} {
		r.clock = t0()
		if got := r.Drops(netip.MustParseAddr(tt.addr)); got != tt.now {
			t.Errorf("drops %s: %v, want %v", tt.addr, got, tt.now)
		}
		r.clock = t0().Add(2 * time.Minute)
		if got := r.Drops(netip.MustParseAddr(tt.addr)); got != tt.later {
			t.Errorf("drops %s later: %v, want %v", tt.addr, got, tt.later)
		}
	}
}

func TestWhoLogsInWhileHeIsBannedIsLetThroughAtTheNextLook(t *testing.T) {
	var sys machine.System
	r := newRig(t, func(_ *Config, g *GuardConfig) {
		g.System.Established = func(s []machine.Session) ([]machine.Session, error) { return s, nil }
		sys = g.System
	})
	r.mustBan(t, ban("192.0.2.1", 60))
	mustWrite(t, filepath.Join(sys.Proc, "100/environ"), "SSH_CONNECTION=192.0.2.1 4242 198.51.100.7 22\x00")
	addr := netip.MustParseAddr("192.0.2.1")
	if !r.Drops(addr) {
		t.Error("nobody has looked and the session is known")
	}
	r.Look()
	if r.Drops(addr) {
		t.Error("the client of a session is dropped")
	}
	allows, err := r.Allows()
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, a := range allows {
		found = found || a.Prefix == prefixesOf("192.0.2.1/32")[0]
	}
	if !found {
		t.Error("the kernel has no allow entry for the client")
	}
}

// TestBansAreToldOfBehindTheKernel asks the table in the middle of what is told.
func TestBansAreToldOfBehindTheKernel(t *testing.T) {
	var told []string
	var r *rig
	r = newRig(t, func(c *Config, g *GuardConfig) {
		g.Peers = prefixesOf("198.51.100.7/32")
		c.Dropped = func(prefixes []netip.Prefix) {
			for _, p := range prefixes {
				_, in, _ := r.table.BanHit(p)
				told = append(told, fmt.Sprint(p, " in the kernel: ", in))
			}
			r.Stats() // no lock is held
		}
	})
	r.Ban([]*decision.Decision{ban("192.0.2.1", 60), shadow("192.0.2.2", 60), ban("198.51.100.7", 60), ban("::ffff:192.0.2.3", 60), ban("2001:db8::5/64", 60)})
	r.Ban([]*decision.Decision{shadow("192.0.2.9", 60)})
	if err := r.Restore([]*decision.Decision{withID(77, ban("192.0.2.77", 60))}); err != nil {
		t.Fatal(err)
	}
	r.mustReconcile(t)
	want := []string{"192.0.2.1/32 in the kernel: true", "192.0.2.3/32 in the kernel: true", "2001:db8::/64 in the kernel: true"}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}
