package loader

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gabion/userspace/decision"
)

// A ban that does not drop must not hide one of a shorter prefix that does.
func TestEveryBanThatCoversASourceHasItsSay(t *testing.T) {
	p := mustOpen(t, small(pinDir(t)))
	past := time.Now().Add(-time.Minute)
	const off = decision.ClassFirstList // lists start switched off
	mustBan(t, p,
		ban("198.51.100.0/24", decision.ClassBan, inAnHour()),
		ban("198.51.100.1/32", decision.ClassBan, past),
		ban("198.51.100.2/32", decision.ClassShadow, inAnHour()),
		ban("198.51.100.3/32", off, inAnHour()),
		ban("198.51.100.128/25", decision.ClassBan, past),
		ban("198.51.100.130/31", off, inAnHour()),
		ban("203.0.113.0/24", decision.ClassShadow, inAnHour()),
		ban("203.0.113.1/32", decision.ClassBan, past),
		ban("203.0.113.2/32", off, inAnHour()),
		ban("203.0.113.128/25", decision.ClassShadow, past),
		ban("192.0.2.0/24", decision.ClassBan, past),
		ban("192.0.2.1/32", off, past),
		ban("192.0.2.2/32", decision.ClassShadow, past),
		ban("2001:db8:1::/48", decision.ClassBan, inAnHour()),
		ban("2001:db8:1:2::/64", decision.ClassBan, past),
		ban("2001:db8:1:2::1/128", decision.ClassShadow, inAnHour()),
	)
	mustAllow(t, p, "198.51.100.64/26", "2001:db8:1:3::/64", "203.0.113.7/32")
	for _, tt := range []struct{ name, source, want string }{
		{"over, inside a banned prefix", "198.51.100.1", "dropped"},
		{"shadow inside a banned prefix", "198.51.100.2", "dropped"},
		{"class off inside a banned prefix", "198.51.100.3", "dropped"},
		{"off, then over, then banned", "198.51.100.131", "dropped"},
		{"allowed prefix inside a banned prefix", "198.51.100.65", "allowed"},
		{"over, inside a shadow", "203.0.113.1", "shadowed"},
		{"class off inside a shadow", "203.0.113.2", "shadowed"},
		{"shadow that is over inside one that is not", "203.0.113.130", "shadowed"},
		{"an allow entry says nothing about a shadow", "203.0.113.7", "shadowed"},
		{"a ban that is over and off, inside one that is over", "192.0.2.1", "disabled"},
		{"a shadow that is over, inside a ban that is over", "192.0.2.2", "expired"},
		{"v6 ban that is over inside a banned prefix", "2001:db8:1:2::2", "dropped"},
		{"v6 shadow, then over, then banned", "2001:db8:1:2::1", "dropped"},
		{"allowed inside a banned v6 prefix", "2001:db8:1:3::1", "allowed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := Verdict{Action: ActionPass, Reason: tt.want}
			if tt.want == "dropped" {
				want.Action = ActionDrop
			}
			if diff := cmp.Diff(want, mustVerdict(t, p, probe(t, tt.source))); diff != "" {
				t.Errorf("verdict (-want +got):\n%s", diff)
			}
		})
	}
}

// The search is bounded: a host, and so many prefixes that cover it.
func TestSoManyPrefixesOfASourceAreLookedAt(t *testing.T) {
	for _, tt := range []struct {
		name, source string
		bits         int // of the longest prefix
	}{
		{"v4", "198.51.100.1", 31},
		{"v6", "2001:db8:1:2::1", 127},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := mustOpen(t, small(pinDir(t)))
			source := netip.MustParseAddr(tt.source)
			mustBan(t, p, decision.Rule{Prefix: host(source), Class: decision.ClassShadow, Until: inAnHour()})
			for i := range covering {
				drop := decision.Rule{Prefix: netip.PrefixFrom(source, tt.bits-i).Masked(), Until: inAnHour()}
				mustBan(t, p, drop)
				if got := mustReason(t, p, source); got != "dropped" {
					t.Fatalf("source in %d shadows and then in a banned prefix is %q, want dropped", i, got)
				}
				drop.Class = decision.ClassShadow
				mustBan(t, p, drop)
			}
			mustBan(t, p, decision.Rule{Prefix: netip.PrefixFrom(source, tt.bits-covering).Masked(), Until: inAnHour()})
			if got := mustReason(t, p, source); got != "shadowed" {
				t.Errorf("source in %d shadows is %q, want shadowed: nothing is looked for behind them", covering, got)
			}
		})
	}
}

func TestSwitchingAClassIsEffectiveAtOnce(t *testing.T) {
	p := mustOpen(t, small(pinDir(t)))
	mustBan(t, p, ban("192.0.2.1/32", 5, inAnHour()))
	for _, tt := range []struct {
		mode decision.Mode
		want string
	}{{decision.ModeOff, "disabled"}, {decision.ModeDrop, "dropped"}, {decision.ModeShadow, "shadowed"}, {decision.ModeOff, "disabled"}} {
		if err := p.SetClass(5, tt.mode); err != nil {
			t.Fatal(err)
		}
		if got := mustVerdict(t, p, probe(t, "192.0.2.1")); got.Reason != tt.want {
			t.Errorf("class %v: reason = %q, want %q", tt.mode, got.Reason, tt.want)
		}
	}
	if err := p.SetClass(decision.Classes, decision.ModeDrop); err == nil {
		t.Error("a class beyond the last one was accepted")
	}
}

func TestABanEndsAtItsTickAndTheClockIsTheKernels(t *testing.T) {
	p := mustOpen(t, small(pinDir(t)))
	objs := mustBindTest(t, p, nil)
	for _, prefix := range []string{"192.0.2.1/32", "198.51.100.0/24", "2001:db8::1/128", "2001:db8:1::/48"} {
		mustBan(t, p, ban(prefix, decision.ClassBan, inAnHour()))
		e, ok, err := p.tables.family(netip.MustParsePrefix(prefix)).find(netip.MustParsePrefix(prefix))
		if !ok || err != nil {
			t.Fatalf("entry of %s: %v, %v", prefix, ok, err)
		}
		end := uint64(e.Expiry) << p.abi.TickShift
		source := netip.MustParsePrefix(prefix).Addr().String()
		for _, tt := range []struct {
			name string
			now  uint64 // jiffies
			want uint32
		}{
			{"long before", 1, xdpDrop},
			{"one jiffy before its end", end - 1, xdpDrop},
			{"at its end", end, xdpPass},
			{"long after its end", end << 4, xdpPass},
		} {
			t.Run(prefix+" "+tt.name, func(t *testing.T) {
				mustSetJiffies(t, objs, tt.now)
				if got := mustRun(t, objs.TestFilter, probe(t, source)); got != tt.want {
					t.Errorf("program returned %d, want %d", got, tt.want)
				}
			})
		}
	}
}

// Keys of the test object's clocks (enum clock in bpf/clock.h).
const (
	clockJiffies = uint32(0)
	clockBoot    = uint32(1)
)

func mustSetJiffies(t testing.TB, objs *testbpfObjects, now uint64) {
	t.Helper()
	if err := objs.Clocks.Put(clockJiffies, &now); err != nil {
		t.Fatal(err)
	}
}

func mustSetClock(t testing.TB, objs *testbpfObjects, now uint64) {
	t.Helper()
	if err := objs.Clocks.Put(clockBoot, &now); err != nil {
		t.Fatal(err)
	}
}

func TestCountersNameEveryFieldOfTheKernelsStruct(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range (Stats{}).Counters() {
		name := c.Name + "/" + c.Family
		if seen[name] {
			t.Errorf("counter %s is listed twice", name)
		}
		seen[name] = true
	}
	spec, err := loadBpf()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(seen), int(spec.Maps[bpfMapStats].ValueSize/8); got != want {
		t.Errorf("%d counters are listed, the kernel has %d", got, want)
	}
}
