package enforce

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gabion/userspace/decision"
)

func TestListsGiveWayToDecisionsAndReturn(t *testing.T) {
	r := newRig(t, func(c *Config, _ *GuardConfig) { c.MaxBans = 6 })
	r.mustReplace(t, listOf(first, 60, hostsOf(0, 3)...))
	got := r.mustReplace(t, listOf(second, 60, hostsOf(10, 5)...))
	if diff := cmp.Diff(ListReport{Entries: 5, Enforced: 3, Held: 2}, got); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	r.mustBan(t, ban("192.0.2.1", 5), ban("192.0.2.2", 5), ban("192.0.2.3", 5), ban("192.0.2.4", 5))
	r.wantKernel(t, "192.0.2.1/32 #1 +5m", "192.0.2.2/32 #2 +5m", "192.0.2.3/32 #3 +5m", "192.0.2.4/32 #4 +5m",
		"198.18.0.0/32 #0 +60m list2", "198.18.0.1/32 #0 +60m list2")
	if held := slices.Collect(r.Held(first)); len(held) != 1 || held[0] != netip.MustParsePrefix("198.18.0.2/32") {
		t.Errorf("held back: %v", held)
	}
	if n := len(slices.Collect(r.Held(second))); n != 5 {
		t.Errorf("%d held back of the second list, want all 5", n)
	}
	if st := r.Stats(); st.Entries != 6 || st.Lists[0].Held != 1 || st.Lists[1].Held != 5 {
		t.Errorf("stats = %+v", st)
	}
	if refused := r.Ban([]*decision.Decision{ban("192.0.2.5", 5), ban("192.0.2.6", 5), ban("192.0.2.7", 5)}); len(refused) != 1 {
		t.Errorf("refused %v; only what decisions alone have no room for is", refused)
	}
	r.wantNoDrift(t)
	r.clock = t0().Add(10 * time.Minute)
	r.wantNoDrift(t) // what returns is none
	r.wantKernel(t, "198.18.0.0/32 #0 +60m list2", "198.18.0.1/32 #0 +60m list2", "198.18.0.2/32 #0 +60m list2",
		"198.18.0.10/32 #0 +60m list3", "198.18.0.11/32 #0 +60m list3", "198.18.0.12/32 #0 +60m list3")
}

func TestAKernelWithoutMemoryHoldsWhatIsWorthMost(t *testing.T) {
	r := newRig(t, nil)
	r.table.size = 10
	r.mustReplace(t, listOf(first, 60, hostsOf(0, 4)...))
	got := r.mustReplace(t, listOf(second, 60, hostsOf(10, 20)...))
	if diff := cmp.Diff(ListReport{Entries: 20, Enforced: 6, Held: 14}, got); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	r.mustBan(t, ban("192.0.2.1", 5), ban("192.0.2.2", 5))
	if st := r.Stats(); st.KernelErrors != 0 || st.Lists[0].Held != 0 || st.Lists[1].Held != 16 {
		t.Errorf("stats = %+v", st)
	}
	r.wantNoDrift(t)
	if n := len(r.kernel()); n != 10 {
		t.Errorf("%d entries in the kernel, want all that fit", n)
	}
	r.table.size = 0
	r.mustReconcile(t)
	if st := r.Stats(); st.Entries != 26 || st.Lists[1].Held != 0 || len(r.kernel()) != 26 {
		t.Errorf("with memory again: %+v", st)
	}
	r.table.size = 1 // not even for decisions, once the lists are gone
	r.mustBan(t, ban("192.0.2.3", 5))
	for i := range 40 {
		r.mustBan(t, ban(fmt.Sprintf("203.0.113.%d", i), 5))
	}
	if st := r.Stats(); st.KernelErrors == 0 || st.Active != 43 {
		t.Errorf("stats = %+v; a decision that has no room must be counted", st)
	}
}

func TestAListThatIsMissingComesBackAtOnce(t *testing.T) {
	r := newRig(t, func(c *Config, g *GuardConfig) {
		c.MaxBans = bulk + 100
		g.Peers = prefixesOf(hostsOf(3, 1)...)
	})
	r.bulk = bulk
	mine := withID(1, ban("198.18.0.5", 5))
	if err := r.Restore([]*decision.Decision{mine, withID(2, ban("203.0.113.1", 5))}); err != nil {
		t.Fatal(err)
	}
	r.mustMode(t, first, decision.ModeDrop)
	if _, err := r.RestoreList(listOf(first, 60, hostsOf(0, bulk+200)...)); err != nil {
		t.Fatal(err)
	}
	drift := r.mustReconcile(t)
	if drift.Missing != bulk+100 || drift.Wrong+drift.Extra != 0 || r.table.swaps != 1 {
		t.Errorf("drift = %+v after %d swaps; want all in one", drift, r.table.swaps)
	}
	if n := len(r.kernel()); n != bulk+99 { // one is on the list and banned
		t.Errorf("%d entries in the kernel", n)
	}
	if rule, ok, _ := r.table.BanHit(prefixesOf("198.18.0.5/32")[0]); !ok || rule.DecisionID != 1 || !rule.Until.Equal(t0().Add(time.Hour)) {
		t.Errorf("the entry of a decision is %+v", rule)
	}
	r.wantNoDrift(t)
}
