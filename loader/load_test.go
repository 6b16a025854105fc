package loader

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"gabion/loader/table"
	"gabion/userspace/decision"
)

// A long list goes another way than a few bans, and must come to the same.
func TestALongListHasEverythingInForce(t *testing.T) {
	const n = 2 * piece
	for _, tt := range []struct {
		family, way string
		load        func(*Plane, []decision.Rule) error
	}{
		{"v4", "bans", (*Plane).Ban},
		{"v6", "bans", (*Plane).Ban},
		{"v4", "swap", func(p *Plane, list []decision.Rule) error { return swapAll(p, list, nil) }},
		{"v6", "swap", func(p *Plane, list []decision.Rule) error { return swapAll(p, list, nil) }},
	} {
		family := tt.family
		t.Run(tt.way+" "+family, func(t *testing.T) {
			p := mustOpen(t, Options{Dir: pinDir(t)})
			f := p.tables.family(host(scattered(family, 0)))
			want := map[netip.Prefix]decision.Class{}
			var list []decision.Rule
			add := func(prefix netip.Prefix, class decision.Class) {
				want[prefix] = class
				list = append(list, decision.Rule{Prefix: prefix, Class: class, DecisionID: uint64(len(list) + 1), Until: inAnHour()})
			}
			random := rand.New(rand.NewPCG(3, 0))
			draw := func() netip.Addr { return scattered(family, n+random.IntN(1<<30)) }
			crowded := crowd(f.key, f.linesFor(n+table.Slots4*table.Probes4*4), draw)
			mustBan(t, p, ban(host(crowded[0]).String(), decision.ClassShadow, inAnHour()))
			for i := range n {
				add(host(scattered(family, i)), decision.ClassBan)
			}
			for _, a := range crowded {
				add(host(a), decision.ClassShadow)
			}
			add(host(scattered(family, 7)), decision.ClassShadow) // a twin: the later one counts
			for _, a := range crowded {
				add(host(a), decision.ClassBan)
			}
			wide, inside := netip.MustParsePrefix("192.0.2.0/24"), netip.MustParseAddr("192.0.2.200")
			if family == "v6" {
				wide, inside = netip.MustParsePrefix("2001:db8:ffff::/48"), netip.MustParseAddr("2001:db8:ffff::1")
			}
			add(wide, decision.ClassBan)
			list = append(list, decision.Rule{Prefix: host(draw()), DecisionID: 1}) // without an end

			err := tt.load(p, list)
			if err == nil || !strings.HasSuffix(err.Error(), "a ban needs an end") || strings.Contains(err.Error(), "\n") {
				t.Errorf("err = %v, want that one ban needs an end", err)
			}
			if len(f.known.in) < 2 {
				t.Errorf("%d entries in the trie, want some hosts that found no slot", len(f.known.in))
			}
			got := map[netip.Prefix]decision.Class{}
			for r, err := range p.Bans() {
				if err != nil {
					t.Fatal(err)
				}
				if _, twice := got[r.Prefix]; twice {
					t.Errorf("%s has two entries", r.Prefix)
				}
				got[r.Prefix] = r.Class
			}
			for prefix, class := range want {
				if c, ok := got[prefix]; !ok || c != class {
					t.Errorf("%s is %v, %v; want class %d", prefix, c, ok, class)
				}
			}
			if len(got) != len(want) {
				t.Errorf("%d entries, want %d", len(got), len(want))
			}
			for _, a := range append(crowded, scattered(family, 0), scattered(family, n-1), inside) {
				if reason := mustReason(t, p, a); reason != "dropped" {
					t.Errorf("%s is %q, want dropped", a, reason)
				}
			}
			if reason := mustReason(t, p, scattered(family, 7)); reason != "shadowed" {
				t.Errorf("the twin is %q, want shadowed", reason)
			}
		})
	}
}

// Who is left out of a list that is too long are its last new hosts, and the table is made for the others.
func TestASwapThatIsTooLongLeavesOutItsLastHosts(t *testing.T) {
	const room, n = 2000, 40_000
	for _, family := range []string{"v4", "v6"} {
		t.Run(family, func(t *testing.T) {
			p := mustOpen(t, Options{Dir: pinDir(t), MaxBans: room})
			f := p.tables.family(host(scattered(family, 0)))
			stays := host(scattered(family, n-1)) // the last of the list, but not new
			mustBan(t, p, ban(stays.String(), decision.ClassShadow, inAnHour()))
			var list []decision.Rule
			for i := range n {
				list = append(list, decision.Rule{Prefix: host(scattered(family, i)), DecisionID: 1, Until: inAnHour()})
			}
			err := swapAll(p, list, nil)
			var full *FullError
			if !errors.As(err, &full) || len(full.Prefixes) != n-room {
				t.Fatalf("err = %v, want %d prefixes left out", err, n-room)
			}
			if want := f.linesFor(room); f.size() != room || f.hosts.lines != want {
				t.Errorf("%d entries in %d lines, want %d in %d", f.size(), f.hosts.lines, room, want)
			}
			for i, in := range map[int]bool{0: true, room - 2: true, room - 1: false, n - 2: false, n - 1: true} {
				if got := mustReason(t, p, scattered(family, i)) == "dropped"; got != in {
					t.Errorf("host %d is dropped: %v, want %v", i, got, in)
				}
			}
		})
	}
}
