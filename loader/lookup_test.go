package loader

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"gabion/loader/table"
	"gabion/userspace/decision"
)

// scattered returns the i-th of many addresses that lie all over the place.
func scattered(family string, i int) netip.Addr {
	var four [4]byte
	binary.BigEndian.PutUint32(four[:], uint32(i+1)*2654435761)
	if family == "v4" {
		return netip.AddrFrom4(four)
	}
	six := [16]byte{0x20, 0x01, 0x0d, 0xb8}
	copy(six[4:], four[:])
	return netip.AddrFrom16(six)
}

func host(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

func mustReason(t testing.TB, p *Plane, source netip.Addr) string {
	t.Helper()
	return mustVerdict(t, p, probe(t, source.String())).Reason
}

// Growing takes the tables through every size; what is in them must be found at each.
func TestHostsAreFoundWhileTablesGrowAndShrink(t *testing.T) {
	const most = 20_000
	for _, family := range []string{"v4", "v6"} {
		t.Run(family, func(t *testing.T) {
			p := mustOpen(t, Options{Dir: pinDir(t)})
			f := p.tables.family(host(scattered(family, 0)))
			small := f.hosts.lines
			check := func(from, to int, want string) {
				t.Helper()
				for range 200 {
					i := from + rand.IntN(to-from)
					if got := mustReason(t, p, scattered(family, i)); got != want {
						t.Fatalf("address %d of %d..%d is %q, want %q", i, from, to, got, want)
					}
				}
			}
			for n := 0; n < most; n += most / 20 {
				var rules []decision.Rule
				for i := n; i < n+most/20; i++ {
					rules = append(rules, decision.Rule{Prefix: host(scattered(family, i)), DecisionID: uint64(i + 1), Until: inAnHour()})
				}
				mustBan(t, p, rules...)
				check(0, n+most/20, "dropped")
				check(n+most/20, 4*most, "passed")
			}
			if f.hosts.lines <= small || f.size() != most {
				t.Errorf("table of %d lines holds %d, want a larger one than %d with %d", f.hosts.lines, f.size(), small, most)
			}
			var all []netip.Prefix
			for i := range most {
				all = append(all, host(scattered(family, i)))
			}
			big := f.hosts.lines
			if err := p.Unban(all[10:]); err != nil {
				t.Fatal(err)
			}
			check(0, 10, "dropped")
			check(10, most, "passed")
			if f.hosts.lines >= big || f.size() != 10 {
				t.Errorf("table of %d lines holds %d, want a smaller one than %d with 10", f.hosts.lines, f.size(), big)
			}
		})
	}
}

func TestHitsAndIdsOutliveGrowthAndSwap(t *testing.T) {
	p := mustOpen(t, Options{Dir: pinDir(t)})
	for _, source := range []string{"192.0.2.1", "2001:db8:1::1"} {
		r := ban(source+"/"+fmt.Sprint(netip.MustParseAddr(source).BitLen()), 0, inAnHour())
		mustBan(t, p, r)
		for range 3 {
			mustVerdict(t, p, probe(t, source))
		}
		for i := range 5000 {
			mustBan(t, p, decision.Rule{Prefix: host(scattered(map[bool]string{true: "v4", false: "v6"}[r.Prefix.Addr().Is4()], i)), Until: inAnHour()})
		}
		if err := swapAll(p, []decision.Rule{ban("203.0.113.9/32", 2, inAnHour()), ban("2001:db8:9::/64", 2, inAnHour())}, nil); err != nil {
			t.Fatal(err)
		}
		got, ok, err := p.BanHit(r.Prefix)
		if err != nil || !ok || got.Hits != 3 || got.DecisionID != r.DecisionID {
			t.Errorf("ban of %s = %+v, %v, %v; want 3 hits and decision %d", source, got, ok, err, r.DecisionID)
		}
	}
}

func TestASwapReplacesOneListAndTouchesNothingElse(t *testing.T) {
	p := mustOpen(t, Options{Dir: pinDir(t)})
	if err := p.SetClass(decision.ClassFirstList, decision.ModeDrop); err != nil {
		t.Fatal(err)
	}
	mustBan(t, p, ban("192.0.2.1/32", 0, inAnHour()), ban("198.51.100.0/24", 0, inAnHour()), ban("2001:db8:1::/48", 0, inAnHour()))
	version := func(first, n int) (rules []decision.Rule, prefixes []netip.Prefix) {
		for i := first; i < first+n; i++ {
			for _, prefix := range []netip.Prefix{
				host(scattered("v4", i)), host(scattered("v6", i)),
				netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}), 31).Masked(),
			} {
				rules = append(rules, decision.Rule{Prefix: prefix, Class: decision.ClassFirstList, Until: inAnHour()})
				prefixes = append(prefixes, prefix)
			}
		}
		return rules, prefixes
	}
	v1, p1 := version(0, 3000)
	v2, _ := version(1500, 3000)
	if err := swapAll(p, v1, nil); err != nil {
		t.Fatal(err)
	}
	if err := swapAll(p, v2, p1); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		source string
		want   string
	}{
		{"192.0.2.1", "dropped"}, {"198.51.100.77", "dropped"}, {"2001:db8:1::77", "dropped"},
		{scattered("v4", 100).String(), "passed"}, {scattered("v4", 2000).String(), "dropped"}, {scattered("v4", 4000).String(), "dropped"},
		{scattered("v6", 100).String(), "passed"}, {scattered("v6", 2000).String(), "dropped"}, {scattered("v6", 4000).String(), "dropped"},
		{"198.18.0.100", "passed"}, {"198.18.7.208", "dropped"}, {"198.18.15.160", "dropped"},
	} {
		if got := mustReason(t, p, netip.MustParseAddr(tt.source)); got != tt.want {
			t.Errorf("%s is %q, want %q", tt.source, got, tt.want)
		}
	}
	n := 0
	for range p.Bans() {
		n++
	}
	if want := 3 + 3000*2 + 1500; n != want { // neighbours share a /31
		t.Errorf("%d bans, want %d", n, want)
	}
}

// Many hosts of one line find no slot and go to the trie; they are as banned as the others.
func TestHostsWithoutASlotAreBannedThroughTheTrie(t *testing.T) {
	p := mustOpen(t, Options{Dir: pinDir(t)})
	f := p.tables.v4
	// Addresses that hash to the first line: more than its slots and those of the lines after it.
	var crowd []netip.Addr
	for i := uint32(1); len(crowd) < 60; i++ {
		a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		if table.Share(f.kind.hash(a, f.key), f.hosts.lines) == 0 {
			crowd = append(crowd, a)
		}
	}
	for _, a := range crowd {
		mustBan(t, p, ban(host(a).String(), 0, inAnHour()))
	}
	if len(f.known.in) == 0 {
		t.Fatalf("none of %d hosts of one line is in the trie", len(crowd))
	}
	for _, a := range crowd {
		if got := mustReason(t, p, a); got != "dropped" {
			t.Errorf("%s is %q, want dropped", a, got)
		}
	}
	// A larger table has slots for them.
	if err := swapAll(p, []decision.Rule{ban("192.0.2.1/32", 0, inAnHour())}, []netip.Prefix{host(crowd[0])}); err != nil {
		t.Fatal(err)
	}
	for i, a := range crowd {
		want := map[bool]string{true: "passed", false: "dropped"}[i == 0]
		if got := mustReason(t, p, a); got != want {
			t.Errorf("after the swap %s is %q, want %q", a, got, want)
		}
	}
	var all []netip.Prefix
	for _, a := range crowd {
		all = append(all, host(a))
	}
	if err := p.Unban(all); err != nil {
		t.Fatal(err)
	}
	for _, a := range crowd {
		if got := mustReason(t, p, a); got != "passed" {
			t.Errorf("after the unban %s is %q, want passed", a, got)
		}
	}
	if n := len(f.known.in); n != 0 {
		t.Errorf("%d entries are left in the trie", n)
	}
}

func TestAReaderFollowsTheWriterToItsNextTable(t *testing.T) {
	dir := pinDir(t)
	p := mustOpen(t, Options{Dir: dir})
	r, err := OpenReadOnly(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	last := 0
	for _, n := range []int{1000, 2000, 3000, 30_000, 60_000, 90_000, 120_000} { // the last ones in some maps
		var bans []decision.Rule
		for i := last; i < n; i++ {
			bans = append(bans, decision.Rule{Prefix: host(scattered("v4", i)), Until: inAnHour()})
		}
		last = n
		mustBan(t, p, bans...)
		if got := len(rules(t, r)); got != n {
			t.Errorf("the reader sees %d bans, want %d", got, n)
		}
	}
	if n := p.tables.v4.hosts.count; n < 3 {
		t.Errorf("the table is in %d maps, want some", n)
	}
	if err := r.Ban([]decision.Rule{ban("192.0.2.1/32", 0, inAnHour())}); !errors.Is(err, ErrReadOnly) {
		t.Errorf("ban through a reader: %v, want ErrReadOnly", err)
	}
}

// crowdLines is the size of the largest table in which a crowd has not enough room.
const crowdLines = 1 << 12

// crowd draws addresses until so many of them have to be in the same lines of a table of this size, and
// of any smaller one, that some find no slot there.
func crowd(key [2]uint64, lines int, draw func() netip.Addr) []netip.Addr {
	line := func(a netip.Addr) int {
		if a.Is4() {
			return table.Share(table.Hash4(table.Key4Of(a), key), lines)
		}
		return table.Share(table.Hash6(table.Key6Of(a), key), lines)
	}
	first := draw()
	out := []netip.Addr{first}
	for want := line(first); len(out) < table.Slots4*table.Probes4*2; {
		if a := draw(); line(a) == want && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

// Hosts that find no slot in the table take another way through a swap.
func TestASwapGivesEveryHostItsNewBanAndKeepsItsHits(t *testing.T) {
	for _, family := range []string{"v4", "v6"} {
		t.Run(family, func(t *testing.T) {
			p := mustOpen(t, Options{Dir: pinDir(t)})
			n := 0
			hosts := crowd(p.abi.HashKey, crowdLines, func() netip.Addr { n++; return scattered(family, n) })
			list := func(class decision.Class) (out []decision.Rule) {
				for _, a := range hosts {
					out = append(out, decision.Rule{Prefix: host(a), Class: class, DecisionID: 1, Until: inAnHour()})
				}
				return out
			}
			mustBan(t, p, list(decision.ClassBan)...)
			for hits, tt := range []struct {
				class decision.Class
				want  string
			}{{decision.ClassBan, "dropped"}, {decision.ClassShadow, "shadowed"}, {decision.ClassBan, "dropped"}} {
				if err := swapAll(p, list(tt.class), nil); err != nil {
					t.Fatal(err)
				}
				for _, a := range hosts {
					if got := mustReason(t, p, a); got != tt.want {
						t.Errorf("%s is %s after the swap, want %s", a, got, tt.want)
					}
					if got := mustHits(t, p, host(a).String()); got != uint64(hits+1) {
						t.Errorf("%s has %d hits, want %d", a, got, hits+1)
					}
				}
			}
		})
	}
}

// A large load makes room once and comes in pieces; a renewal of the same makes none.
func TestALargeLoadComesInPiecesAndARenewalMakesNoRoom(t *testing.T) {
	const n = 3*piece + 17
	for _, family := range []string{"v4", "v6"} {
		t.Run(family, func(t *testing.T) {
			p := mustOpen(t, Options{Dir: pinDir(t)})
			f := p.tables.family(host(scattered(family, 0)))
			all := func(yield func(decision.Rule) bool) {
				for i := range n {
					if !yield(decision.Rule{Prefix: host(scattered(family, i)), DecisionID: uint64(i + 1), Until: inAnHour()}) {
						return
					}
				}
			}
			if err := p.Ban(slices.Collect(all)); err != nil {
				t.Fatal(err)
			}
			lines := f.hosts.lines
			if want := f.linesFor(n); f.size() != n || lines != want || f.planned != 0 {
				t.Fatalf("%d entries in %d lines, %d planned; want %d in %d, none", f.size(), lines, f.planned, n, want)
			}
			if err := p.Ban(slices.Collect(all)); err != nil {
				t.Fatal(err)
			}
			if f.size() != n || f.hosts.lines != lines {
				t.Errorf("after a renewal %d entries in %d lines, want %d in %d", f.size(), f.hosts.lines, n, lines)
			}
			for _, i := range []int{0, piece, n - 1} {
				got, ok, err := p.BanHit(host(scattered(family, i)))
				if err != nil || !ok || got.DecisionID != uint64(i+1) {
					t.Errorf("ban %d = %+v, %v, %v", i, got, ok, err)
				}
				if reason := mustReason(t, p, scattered(family, i)); reason != "dropped" {
					t.Errorf("source %d is %q, want dropped", i, reason)
				}
			}
		})
	}
}

func swapAll(p *Plane, put []decision.Rule, remove []netip.Prefix) error {
	return p.Swap(len(put), slices.Values(put), remove)
}
