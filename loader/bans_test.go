package loader

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gabion/userspace/decision"
)

func mustHits(t testing.TB, p *Plane, prefix string) uint64 {
	t.Helper()
	r, ok, err := p.BanHit(netip.MustParsePrefix(prefix))
	if err != nil || !ok {
		t.Fatalf("ban of %s: found %v, error %v", prefix, ok, err)
	}
	return r.Hits
}

func TestRenewingABanKeepsItsHits(t *testing.T) {
	p := mustOpen(t, small(pinDir(t)))
	for _, tt := range []struct{ prefix, source string }{
		{"192.0.2.1/32", "192.0.2.1"}, {"198.51.100.0/24", "198.51.100.1"}, {"2001:db8::/48", "2001:db8::1"},
	} {
		mustBan(t, p, ban(tt.prefix, decision.ClassBan, inAnHour()))
		for range 3 {
			mustVerdict(t, p, probe(t, tt.source))
		}
		until := time.Now().Add(2 * time.Hour)
		mustBan(t, p, ban(tt.prefix, decision.ClassShadow, until))
		mustVerdict(t, p, probe(t, tt.source))
		want := decision.Rule{Prefix: netip.MustParsePrefix(tt.prefix), Class: decision.ClassShadow, DecisionID: 7, Until: until, Hits: 4}
		got, _, err := p.BanHit(want.Prefix)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, sameRules()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.prefix, diff)
		}
	}
}

func TestOnlyTheExactPrefixIsFoundAndEnded(t *testing.T) {
	p := mustOpen(t, small(pinDir(t)))
	mustBan(t, p, ban("198.51.100.0/24", 0, inAnHour()), ban("198.51.100.7/32", 0, inAnHour()))
	if _, ok, err := p.BanHit(netip.MustParsePrefix("198.51.100.8/32")); ok || err != nil {
		t.Errorf("a host inside a banned prefix counts as banned itself: %v, %v", ok, err)
	}
	prefixes := []netip.Prefix{netip.MustParsePrefix("198.51.100.7/32"), netip.MustParsePrefix("203.0.113.1/32")}
	if err := p.Unban(prefixes); err != nil {
		t.Fatalf("unban one that is banned and one that is not: %v", err)
	}
	if got := rules(t, p); len(got) != 1 || got[0].Prefix.String() != "198.51.100.0/24" {
		t.Errorf("bans left = %v, want only 198.51.100.0/24", got)
	}
}

// An operator may type an entry into bpftool: all zeros but the key.
func TestAnEntryMadeByHandDropsHasNoEndAndCanBeRenewed(t *testing.T) {
	p := mustOpen(t, small(pinDir(t)))
	for _, s := range []string{"192.0.2.1/32", "198.51.100.0/24", "0.0.0.0/0"} {
		k := key4(netip.MustParsePrefix(s))
		if err := p.maps.Bans4.Put(&k, &bpfBan{}); err != nil {
			t.Fatal(err)
		}
	}
	rules(t, p) // as a reconcile does
	if got := mustVerdict(t, p, probe(t, "192.0.2.1")); got.Action != ActionDrop {
		t.Errorf("verdict = %+v, want drop", got)
	}
	r, ok, err := p.BanHit(netip.MustParsePrefix("192.0.2.1/32"))
	if err != nil || !ok || !r.Until.IsZero() || r.DecisionID != 0 || !r.Foreign {
		t.Errorf("entry made by hand = %+v, %v, %v; want one without end and decision", r, ok, err)
	}
	if _, ok, err := p.BanHit(netip.MustParsePrefix("198.51.100.7/32")); ok || err != nil {
		t.Errorf("a host below an entry made by hand counts as banned itself: %v, %v", ok, err)
	}
	mustBan(t, p, ban("192.0.2.1/32", 0, inAnHour()), ban("203.0.113.5/32", 0, inAnHour()))
	if got := mustHits(t, p, "192.0.2.1/32"); got != 1 {
		t.Errorf("hits after renewing = %d, want 1", got)
	}
	if got := mustHits(t, p, "203.0.113.5/32"); got != 0 {
		t.Errorf("hits of a new ban below a hand-made 0.0.0.0/0 = %d, want 0", got)
	}
}

func TestAFullTableNamesWhatIsNotInForce(t *testing.T) {
	o := small(pinDir(t))
	o.MaxBans = 4
	p := mustOpen(t, o)
	var all []decision.Rule
	for i := range 6 {
		all = append(all, ban(fmt.Sprintf("192.0.2.%d/32", i), 0, inAnHour()))
	}
	err := p.Ban(append(all, ban("2001:db8::1/128", 0, inAnHour())))
	var full *FullError
	if !errors.As(err, &full) {
		t.Fatalf("error = %v, want a FullError", err)
	}
	if got := len(full.Prefixes); got != 2 || full.Table != "bans4" || full.Capacity != 4 {
		t.Errorf("error = %+v, want 2 prefixes missing in bans4 of 4", full)
	}
	if got := len(rules(t, p)); got != 5 {
		t.Errorf("%d bans are in force, want 4 of IPv4 and 1 of IPv6", got)
	}
	for _, missing := range full.Prefixes {
		if _, ok, _ := p.BanHit(missing); ok {
			t.Errorf("%s is reported as not in force, but is", missing)
		}
	}
	if err := p.Ban(all[:1]); err != nil {
		t.Errorf("renewing in a full table: %v", err)
	}
}

func TestRulesWithoutMeaningAreRefusedAndTheOthersHold(t *testing.T) {
	p := mustOpen(t, small(pinDir(t)))
	for _, tt := range []struct {
		name string
		rule decision.Rule
		want string
	}{
		{"no prefix", decision.Rule{Until: inAnHour()}, "not a prefix"},
		{"host bits", ban("192.0.2.1/24", 0, inAnHour()), "write 192.0.2.0/24"},
		{"mapped address", ban("::ffff:192.0.2.1/128", 0, inAnHour()), "write it as IPv4"},
		{"no such class", ban("192.0.2.1/32", 16, inAnHour()), "classes 0 to 15"},
		{"no end", ban("192.0.2.1/32", 0, time.Time{}), "needs an end"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			good := ban("203.0.113.1/32", 0, inAnHour())
			err := p.Ban([]decision.Rule{tt.rule, good})
			if err == nil || !contains(err, tt.want) {
				t.Errorf("error = %v, want one that says %q", err, tt.want)
			}
			if _, ok, _ := p.BanHit(good.Prefix); !ok {
				t.Error("the rule beside it is not in force")
			}
			if err := p.Unban([]netip.Prefix{good.Prefix}); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestManyBansGoInAndOutWithEveryOneOfThem(t *testing.T) {
	o := small(pinDir(t))
	o.MaxBans = 20_000
	p := mustOpen(t, o)
	const n = 10_000
	var many []decision.Rule
	for i := range n {
		a := netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)})
		many = append(many, decision.Rule{Prefix: netip.PrefixFrom(a, 32), DecisionID: uint64(i), Until: inAnHour()})
	}
	mustBan(t, p, many...)
	mustBan(t, p, many...) // once more, into a table that is not empty
	seen := map[uint64]bool{}
	for _, r := range rules(t, p) {
		seen[r.DecisionID] = true
	}
	if len(seen) != n {
		t.Errorf("%d bans come back, want %d", len(seen), n)
	}
}

func TestAnAllowEntryCountsWhatItSaved(t *testing.T) {
	p := mustOpen(t, small(pinDir(t)))
	mustBan(t, p, ban("192.0.2.0/24", 0, inAnHour()))
	mustAllow(t, p, "192.0.2.1/32", "198.51.100.0/24")
	for range 2 {
		mustVerdict(t, p, probe(t, "192.0.2.1"))
	}
	mustVerdict(t, p, probe(t, "198.51.100.1"))
	mustAllow(t, p, "192.0.2.1/32") // again: the count stays
	got := map[string]uint64{}
	for a, err := range p.Allows() {
		if err != nil {
			t.Fatal(err)
		}
		got[a.Prefix.String()] = a.Hits
	}
	if diff := cmp.Diff(map[string]uint64{"192.0.2.1/32": 2, "198.51.100.0/24": 0}, got); diff != "" {
		t.Errorf("hits of allow entries (-want +got):\n%s", diff)
	}
	if got := mustHits(t, p, "192.0.2.0/24"); got != 0 {
		t.Errorf("the ban counted %d packets that were not dropped", got)
	}
	if err := p.Disallow([]netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}); err != nil {
		t.Fatal(err)
	}
	if got := mustVerdict(t, p, probe(t, "192.0.2.1")); got.Action != ActionDrop {
		t.Errorf("verdict after taking the entry back = %+v, want drop", got)
	}
}

func TestABanEndsNeverEarlyAndAtMostATickLate(t *testing.T) {
	wall := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, hz := range []uint64{100, 250, 300, 1000} {
		now := moment{wall: wall, jiffies: 1<<32 + 7, hz: hz, shift: tickShift(hz)}
		tick := time.Duration(float64(time.Second) * float64(uint64(1)<<now.shift) / float64(hz))
		if tick < 800*time.Millisecond || tick > 1300*time.Millisecond {
			t.Errorf("%d Hz: a tick is %v, want about a second", hz, tick)
		}
		for _, left := range []time.Duration{0, 1, time.Millisecond, time.Second, time.Hour, 4 * 365 * 24 * time.Hour} {
			end, ends := now.until(now.expiry(wall.Add(left)))
			if late := end.Sub(wall) - left; left > 0 && late < 0 || late > tick || !ends {
				t.Errorf("%d Hz: a ban of %v ends %v late (%v)", hz, left, late, ends)
			}
		}
		end, ends := now.until(now.expiry(wall.Add(40 * 365 * 24 * time.Hour)))
		if ends || end.Sub(wall) < 5*365*24*time.Hour {
			t.Errorf("%d Hz: a ban of 40 years ends at %v, %v; want no end, shown as years away", hz, end, ends)
		}
		if e := now.expiry(wall.Add(-time.Hour)); uint64(e)<<now.shift > now.jiffies+2<<now.shift {
			t.Errorf("%d Hz: a ban that is over has the expiry %d", hz, e)
		}
	}
}

func TestTheFrequencyOfJiffiesIsMeasured(t *testing.T) {
	p := mustOpen(t, small(pinDir(t)))
	first, err := readJiffies(p.ticks.prog)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond)
	second, err := readJiffies(p.ticks.prog)
	if err != nil {
		t.Fatal(err)
	}
	counted := float64(second.jiffies-first.jiffies) / (second.mono - first.mono).Seconds()
	if got := float64(p.abi.Hz); counted < got*0.9 || counted > got*1.1 {
		t.Errorf("measured %v Hz, counted %v", got, counted)
	}
}
