package loader

import (
	"net/netip"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"

	"gabion/userspace/decision"
)

func TestBansAllowEntriesAndClassesDecide(t *testing.T) {
	p := mustOpen(t, small(pinDir(t)))
	past := time.Now().Add(-time.Second)
	const off = decision.ClassFirstList // lists start switched off
	mustBan(t, p,
		ban("192.0.2.1/32", decision.ClassBan, inAnHour()),
		ban("192.0.2.2/32", decision.ClassShadow, inAnHour()),
		ban("192.0.2.3/32", off, inAnHour()),
		ban("192.0.2.4/32", decision.ClassBan, past),
		ban("192.0.2.5/32", decision.ClassBan, inAnHour()),
		ban("198.51.100.0/24", decision.ClassBan, inAnHour()),
		ban("198.51.100.1/32", decision.ClassBan, past),
		ban("198.51.100.2/32", decision.ClassShadow, inAnHour()),
		ban("198.51.100.3/32", off, inAnHour()),
		ban("198.51.100.128/25", decision.ClassBan, past),
		ban("198.51.100.130/31", off, inAnHour()),
		ban("2001:db8:1::/48", decision.ClassBan, inAnHour()),
		ban("2001:db8:1:2::/64", decision.ClassBan, past),
		ban("2001:db8:2::1/128", decision.ClassShadow, inAnHour()),
	)
	mustAllow(t, p, "192.0.2.5/32", "198.51.100.64/26", "2001:db8:1:3::/64", "203.0.113.0/24")
	l4 := tcp(4242, 22, synFlag)
	for _, tt := range []struct {
		name  string
		frame []byte
		want  Verdict
	}{
		{"clean v4 source", probe(t, "203.0.113.9"), Verdict{ActionPass, "passed"}},
		{"clean v6 source", probe(t, "2001:db8:9::1"), Verdict{ActionPass, "passed"}},
		{"banned v4 source", probe(t, "192.0.2.1"), Verdict{ActionDrop, "dropped"}},
		{"banned source behind two tags", frame(eth(ethAD), vlan(ethQ), vlan(ethIPv4), ipv4("192.0.2.1", protoTCP, 0), l4), Verdict{ActionDrop, "dropped"}},
		{"banned source in PPPoE", frame(eth(ethPPP), pppoe(0x21), ipv4("192.0.2.1", protoTCP, 0), l4), Verdict{ActionDrop, "dropped"}},
		{"source hidden by a third tag", frame(eth(ethQ), vlan(ethQ), vlan(ethQ), vlan(ethIPv4), ipv4("192.0.2.1", protoTCP, 0), l4), Verdict{ActionDrop, "dropped_tags"}},
		{"banned source with IP options", frame(eth(ethIPv4), ipv4("192.0.2.1", protoTCP, 40), l4), Verdict{ActionDrop, "dropped"}},
		{"later fragment of a banned source", frame(eth(ethIPv4), fragment(ipv4("192.0.2.1", protoUDP, 0), 99, false), l4), Verdict{ActionDrop, "dropped"}},
		{"banned source cut off behind its IP header", frame(eth(ethIPv4), ipv4("192.0.2.1", protoTCP, 0)), Verdict{ActionDrop, "dropped"}},
		{"source in shadow", probe(t, "192.0.2.2"), Verdict{ActionPass, "shadowed"}},
		{"source of a class that is off", probe(t, "192.0.2.3"), Verdict{ActionPass, "disabled"}},
		{"ban that is over", probe(t, "192.0.2.4"), Verdict{ActionPass, "expired"}},
		{"banned and allowed", probe(t, "192.0.2.5"), Verdict{ActionPass, "allowed"}},
		{"banned prefix", probe(t, "198.51.100.200"), Verdict{ActionDrop, "dropped"}},
		{"ban that is over inside a banned prefix", probe(t, "198.51.100.1"), Verdict{ActionDrop, "dropped"}},
		{"shadow inside a banned prefix", probe(t, "198.51.100.2"), Verdict{ActionDrop, "dropped"}},
		{"class off inside a banned prefix", probe(t, "198.51.100.3"), Verdict{ActionDrop, "dropped"}},
		{"off, then over, then banned", probe(t, "198.51.100.131"), Verdict{ActionDrop, "dropped"}},
		{"allowed prefix inside a banned prefix", probe(t, "198.51.100.65"), Verdict{ActionPass, "allowed"}},
		{"banned v6 prefix", probe(t, "2001:db8:1::1"), Verdict{ActionDrop, "dropped"}},
		{"v6 ban that is over inside a banned prefix", probe(t, "2001:db8:1:2::1"), Verdict{ActionDrop, "dropped"}},
		{"allowed inside a banned v6 prefix", probe(t, "2001:db8:1:3::1"), Verdict{ActionPass, "allowed"}},
		{"banned v6 source with too many extension headers",
			frame(eth(ethIPv6), ipv6("2001:db8:1::1", protoDst), chain(protoTCP, 9), l4), Verdict{ActionDrop, "dropped"}},
		{"v6 source in shadow", probe(t, "2001:db8:2::1"), Verdict{ActionPass, "shadowed"}},
		{"ARP", frame(eth(ethARP), make([]byte, 28)), Verdict{ActionPass, "passed_non_ip"}},
		{"half an IP header", frame(eth(ethIPv4), ipv4("192.0.2.1", protoTCP, 0)[:19]), Verdict{ActionPass, "truncated"}},
		{"wrong IP version", frame(eth(ethIPv4), ipv6("2001:db8:1::1", protoTCP), l4), Verdict{ActionPass, "malformed"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, mustVerdict(t, p, tt.frame)); diff != "" {
				t.Errorf("verdict (-want +got):\n%s", diff)
			}
			ret, err := p.tc.Run(&ebpf.RunOptions{Data: tt.frame})
			if err != nil {
				return // the kernel refuses frames this short for tc
			}
			if dropped := ret == 2; dropped != (tt.want.Action == ActionDrop) {
				t.Errorf("tc program returned %#x, want it to %s", ret, tt.want.Action)
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

func TestABanEndsAtItsNanosecondAndTheClockIsTheKernels(t *testing.T) {
	objs := mustLoadTest(t)
	const end = 1_000_000
	key := key4(netip.MustParsePrefix("192.0.2.1/32"))
	if err := objs.Bans4.Put(&key, &testbpfBan{Expiry: end, Prefixlen: 32}); err != nil {
		t.Fatal(err)
	}
	if err := objs.Classes.Put(uint32(0), &testbpfClass{Mode: uint32(decision.ModeDrop)}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		now  uint64
		want uint32
	}{
		{"long before", 1, xdpDrop},
		{"one ns before its end", end - 1, xdpDrop},
		{"at its end", end, xdpPass},
		{"one ns after its end", end + 1, xdpPass},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mustSetClock(t, objs, tt.now)
			if got := mustRun(t, objs.TestFilter, probe(t, "192.0.2.1")); got != tt.want {
				t.Errorf("program returned %d, want %d", got, tt.want)
			}
		})
	}
}

func mustSetClock(t testing.TB, objs *testbpfObjects, now uint64) {
	t.Helper()
	if err := objs.Clocks.Put(uint32(0), &now); err != nil {
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
