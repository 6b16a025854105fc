package enforce

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"gabion/userspace/decision"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func t0() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

func TestABanIsInTheKernelWhenBanReturns(t *testing.T) {
	r := newRig(t, nil)
	d := ban("192.0.2.1", 60)
	r.mustBan(t, d, ban("2001:db8::/64", 30), shadow("192.0.2.2", 10))
	r.wantKernel(t, "192.0.2.1/32 #1 +60m", "192.0.2.2/32 #3 +10m shadow", "2001:db8::/64 #2 +30m")
	if d.ID != 1 || len(d.UUID) != 36 {
		t.Errorf("id = %d, uuid = %q", d.ID, d.UUID)
	}
	if got := r.Find(netip.MustParseAddr("192.0.2.1")); len(got) != 1 || got[0] != d {
		t.Errorf("find = %v", got)
	}
	if st := r.Stats(); st.Active != 3 || st.Banned != 3 || st.KernelErrors != 0 {
		t.Errorf("stats = %+v", st)
	}
}

func TestWhatMustNotBeBannedIsRefusedWithTheReason(t *testing.T) {
	r := newRig(t, func(c *Config, g *GuardConfig) {
		c.MaxBans = 3
		g.Peers = prefixesOf("198.51.100.0/24")
		g.System.Addresses = func() ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("203.0.113.5"), netip.MustParseAddr("fe80::1%eth0")}, nil
		}
	})
	if err := r.Allow(prefixesOf("192.0.2.64/26"), time.Time{}); err != nil {
		t.Fatal(err)
	}
	captcha := ban("192.0.2.1", 5)
	captcha.Type = "captcha"
	user := ban("192.0.2.1", 5)
	user.Scope = "username"
	for _, tt := range []struct {
		name   string
		d      *decision.Decision
		reason string
	}{
		{"own address", ban("203.0.113.5", 5), "address of this machine"},
		{"own address, mapped", ban("::ffff:203.0.113.5", 5), "address of this machine"},
		{"own link-local address", ban("fe80::1", 5), "address of this machine"},
		{"loopback", ban("127.0.0.9", 5), "loopback"},
		{"a host of a peer network", ban("198.51.100.7", 5), "configured peer"},
		{"part of a peer network", ban("198.51.100.128/25", 5), "configured peer"},
		{"on the allowlist", ban("192.0.2.70", 5), "on the allowlist: 192.0.2.64/26"},
		{"everything", ban("0.0.0.0/0", 5), "every address"},
		{"everything, mapped", ban("::ffff:0.0.0.0/96", 5), "every address"},
		{"everything of IPv6", ban("::/0", 5), "every address"},
		{"an address of a network that is allowed", ban("192.0.2.127/32", 5), "on the allowlist: 192.0.2.64/26"},
		{"ended", ban("192.0.2.1", 0), "ended"},
		{"another type", captcha, "captcha"},
		{"another scope", user, "username"},
		{"no address", ban("nonsense", 5), "nonsense"},
		{"an id out of range", withID(decision.MaxID+1, ban("192.0.2.1", 5)), "larger"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			refused := r.Ban([]*decision.Decision{tt.d})
			if len(refused) != 1 || !strings.Contains(refused[0].Reason, tt.reason) {
				t.Errorf("refused = %v; want a reason with %q", refused, tt.reason)
			}
		})
	}
	r.wantKernel(t)
	r.mustBan(t, ban("192.0.2.1", 5), ban("192.0.2.2", 5), ban("192.0.2.3", 5))
	if refused := r.Ban([]*decision.Decision{ban("192.0.2.4", 5)}); len(refused) != 1 || !strings.Contains(refused[0].Reason, "max_bans") {
		t.Errorf("beyond the limit: %v", refused)
	}
}

func TestAWideBanLeavesProtectedAddressesAllowed(t *testing.T) {
	r := newRig(t, func(_ *Config, g *GuardConfig) { g.Peers = prefixesOf("198.51.100.7/32") })
	r.table.fail(errors.New("map is full"))
	refused := r.Ban([]*decision.Decision{ban("198.51.100.0/24", 5)})
	if len(refused) != 1 || !strings.Contains(refused[0].Reason, "198.51.100.7/32") {
		t.Errorf("refused = %v; without the allow entry the ban would lock out", refused)
	}
	r.table.fail(nil)
	r.mustBan(t, ban("198.51.100.0/24", 5))
	allows, err := r.Allows()
	want := decision.Allow{Prefix: netip.MustParsePrefix("198.51.100.7/32"), Reason: decision.AllowGuard}
	if err != nil || !slices.Contains(allows, want) {
		t.Errorf("allow entries = %v, %v; want %v among them", allows, err, want)
	}
}

func TestABanIsRenewedAndFallsBackWithoutAGap(t *testing.T) {
	r := newRig(t, nil)
	first, second, third := ban("192.0.2.1", 60), ban("192.0.2.1", 30), ban("192.0.2.1", 90)
	r.mustBan(t, first, second)
	r.wantKernel(t, "192.0.2.1/32 #1 +60m") // the latest end wins
	r.mustBan(t, third)
	r.wantKernel(t, "192.0.2.1/32 #3 +90m")
	if err := r.Unban([]uint64{third.ID, 99}); err != nil {
		t.Error(err)
	}
	r.wantKernel(t, "192.0.2.1/32 #1 +60m")
	if err := r.Unban([]uint64{first.ID, second.ID}); err != nil {
		t.Error(err)
	}
	if left := r.Active(); len(left) != 0 {
		t.Errorf("still active: %v, want none", left)
	}
	r.wantKernel(t)
}

func TestExpireSweepsSetKernelAndAllowlist(t *testing.T) {
	r := newRig(t, nil)
	r.mustBan(t, ban("192.0.2.1", 5), shadow("192.0.2.1", 60), ban("192.0.2.2", 60))
	if err := r.Allow(prefixesOf("203.0.113.0/24"), t0().Add(5*time.Minute)); err != nil {
		t.Fatal(err)
	}
	r.clock = t0().Add(5 * time.Minute)
	if gone := r.Expire(r.clock); len(gone) != 1 || gone[0].ID != 1 {
		t.Errorf("expired %v, want decision 1", gone)
	}
	r.wantKernel(t, "192.0.2.1/32 #2 +60m shadow", "192.0.2.2/32 #3 +60m")
	if _, ok := r.Allowed(netip.MustParsePrefix("203.0.113.1/32")); ok {
		t.Error("the allow entry has not expired")
	}
	allows, _ := r.Allows()
	for _, a := range allows {
		if a.Reason == decision.AllowUser {
			t.Errorf("%v is still in the kernel", a)
		}
	}
}

func TestAKernelFailureIsRepairedByReconcile(t *testing.T) {
	r := newRig(t, nil)
	r.mustReconcile(t)
	r.mustBan(t, ban("192.0.2.9", 60))
	r.table.fail(errors.New("map is full"))
	r.mustBan(t, ban("192.0.2.1", 60), ban("192.0.2.2", 60))
	if err := r.Unban([]uint64{1}); err == nil {
		t.Error("unban does not say that the kernel failed")
	}
	if st := r.Stats(); st.KernelErrors != 2 {
		t.Errorf("kernel errors = %d, want 2", st.KernelErrors)
	}
	if n := strings.Count(r.log.String(), "kernel table not written"); n != 1 {
		t.Errorf("logged %d times within a minute, want once", n)
	}
	if _, err := r.Reconcile(r.clock); err == nil {
		t.Error("reconcile does not say that the kernel fails")
	}
	r.table.fail(nil)
	drift := r.mustReconcile(t)
	if drift.Missing != 2 || drift.Extra != 1 || len(drift.Adopted) != 0 {
		t.Errorf("drift = %+v; want 2 missing and the revoked ban extra", drift)
	}
	r.wantKernel(t, "192.0.2.1/32 #2 +60m", "192.0.2.2/32 #3 +60m")
	if again := r.mustReconcile(t); again.Total() != 0 {
		t.Errorf("drift after repair = %+v", again)
	}
}

func TestHitsBelongToTheEffectiveDecision(t *testing.T) {
	r := newRig(t, nil)
	weak, strong := ban("192.0.2.1", 5), ban("192.0.2.1", 60)
	r.mustBan(t, weak, strong)
	p := netip.MustParsePrefix("192.0.2.1/32")
	rule, _ := r.table.bans.Get(p)
	rule.Hits = 42
	r.table.bans.Put(p, rule)
	for d, want := range map[*decision.Decision]uint64{weak: 0, strong: 42, ban("192.0.2.8", 5): 0} {
		if got, err := r.Hits(d); got != want || err != nil {
			t.Errorf("hits of %d = %d, %v; want %d", d.ID, got, err, want)
		}
	}
}

func TestBansAndUnbansFromManyGoroutinesSurviveReconcile(t *testing.T) {
	r := newRig(t, nil)
	var bans sync.WaitGroup
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				if drift, err := r.Reconcile(t0()); err != nil || drift.Total() > len(loopback()) {
					t.Errorf("drift = %+v, %v: it took a fresh change for drift", drift, err)
				}
			}
		}
	}()
	for g := range 4 {
		bans.Go(func() {
			for i := range 300 {
				d := ban(fmt.Sprintf("192.0.2.%d", (g*61+i)%256), 60+i)
				r.Ban([]*decision.Decision{d})
				if i%3 == 0 {
					if err := r.Unban([]uint64{d.ID}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	bans.Wait()
	close(stop)
	<-stopped
	want := map[netip.Prefix]uint64{}
	for _, d := range r.Active() {
		p, _ := d.Prefix()
		rule, _ := r.set.Effective(p)
		want[p] = rule.DecisionID
	}
	got := map[netip.Prefix]uint64{}
	for rule := range r.table.Memory.Bans() {
		got[rule.Prefix] = rule.DecisionID
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("kernel (-want +got):\n%s", diff)
	}
}

func TestRunGuardAllowsANewSessionSoonAfterABan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var own []netip.Addr
		r := newRig(t, func(c *Config, g *GuardConfig) {
			c.Now = time.Now // the bubble's clock
			g.System.Addresses = func() ([]netip.Addr, error) {
				mu.Lock()
				defer mu.Unlock()
				return own, nil
			}
		})
		ctx, cancel := contextWithCancel(t)
		done := make(chan error)
		go func() { done <- r.RunGuard(ctx) }()
		mu.Lock()
		own = []netip.Addr{netip.MustParseAddr("192.0.2.1")}
		mu.Unlock()
		time.Sleep(machineAge + guardInterval)
		synctest.Wait()
		d := ban("192.0.2.1", 0)
		d.Until = time.Now().Add(time.Hour)
		if refused := r.Ban([]*decision.Decision{d}); len(refused) != 1 {
			t.Errorf("a new address of this machine can be banned")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
