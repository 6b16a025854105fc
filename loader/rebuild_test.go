package loader

import (
	"errors"
	"math"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gabion/loader/table"
	"gabion/userspace/decision"
)

// prefixes4 returns n banned prefixes outside the documentation addresses.
func prefixes4(n int) (out []decision.Rule) {
	for i := range n {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18, byte(i >> 7), byte(i << 1)}), 31)
		out = append(out, decision.Rule{Prefix: p, DecisionID: 1, Until: inAnHour()})
	}
	return out
}

func TestALongListOfPrefixesLeavesTheHostTableAlone(t *testing.T) {
	p := mustOpen(t, Options{Dir: pinDir(t)})
	mustBan(t, p, prefixes4(10_000)...)
	mustBan(t, p, ban("192.0.2.1/32", 0, inAnHour()))
	table := p.tables.v4.hosts
	mustBan(t, p, ban("192.0.2.2/32", 0, inAnHour()))
	if err := p.Unban([]netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}); err != nil {
		t.Fatal(err)
	}
	if p.tables.v4.hosts != table || table.lines != leastLines {
		t.Errorf("one ban and one unban made a new host table of %d lines, want the old one of %d",
			p.tables.v4.hosts.lines, leastLines)
	}
}

// failing makes a trie fail after some entries, as when the kernel has no memory left.
type failing struct {
	trie
	after int
}

var errNoMemory = errors.New("no memory")

func (t *failing) put(entries []entry) ([]netip.Prefix, error) {
	n := min(t.after, len(entries))
	full, err := t.trie.put(entries[:n])
	if err == nil && n < len(entries) {
		err = errNoMemory
	}
	return full, err
}

func mustBeConsistent(t *testing.T, p *Plane, f *family) {
	t.Helper()
	inTrie, known := map[string]bool{}, map[string]bool{}
	for prefix := range f.known.in {
		known[prefix.String()] = true
	}
	for e, err := range f.trie.all() {
		if err != nil {
			t.Fatal(err)
		}
		inTrie[e.prefix.String()] = true
	}
	if diff := cmp.Diff(inTrie, known); diff != "" {
		t.Errorf("entries of the trie, and those known of (-trie +known):\n%s", diff)
	}
	var all []netip.Prefix
	for _, r := range rules(t, p) {
		if r.Prefix.Addr().BitLen() == f.bits {
			all = append(all, r.Prefix)
			if got := mustReason(t, p, r.Prefix.Addr()); got != "dropped" {
				t.Errorf("%s is %s, want dropped", r.Prefix, got)
			}
		}
	}
	if f.size() != len(all) {
		t.Errorf("the size is %d, want %d", f.size(), len(all))
	}
	if err := p.Unban(all); err != nil {
		t.Fatal(err)
	}
	for _, prefix := range all {
		if got := mustReason(t, p, prefix.Addr()); got != "passed" {
			t.Errorf("after the unban %s is %s, want passed", prefix, got)
		}
	}
}

func hostBans(addrs []netip.Addr) (out []decision.Rule) {
	for _, a := range addrs {
		out = append(out, decision.Rule{Prefix: host(a), DecisionID: 1, Until: inAnHour()})
	}
	return out
}

// mustCrowd returns hosts that have not enough slots in small tables.
func mustCrowd(t *testing.T, p *Plane, family string) []netip.Addr {
	t.Helper()
	n := 0
	return crowd(p.abi.HashKey, crowdLines, func() netip.Addr { n++; return scattered(family, n) })
}

func TestATrieWithoutMemoryCostsOnlyWhatItDidNotTake(t *testing.T) {
	for _, family := range []string{"v4", "v6"} {
		t.Run(family, func(t *testing.T) {
			p := mustOpen(t, Options{Dir: pinDir(t)})
			hosts := mustCrowd(t, p, family)
			f := p.tables.family(host(hosts[0]))
			whole := f.trie
			f.trie = &failing{trie: whole, after: 3}
			if err := p.Ban(hostBans(hosts)); !errors.Is(err, errNoMemory) {
				t.Fatalf("error = %v, want that of the trie", err)
			}
			f.trie = whole
			mustBeConsistent(t, p, f)
		})
	}
}

// A host that loses its slot goes to the trie before the new table is shown.
func TestARebuildThatFailsLeavesEverythingAsItWas(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(*family) (mend func())
	}{
		{"no memory for a table", func(f *family) func() {
			spec := f.row.spec
			f.row.spec = spec.Copy()
			f.row.spec.ValueSize = 1 << 31
			return func() { f.row.spec = spec }
		}},
		{"no memory in the trie", func(f *family) func() {
			whole := f.trie
			f.trie = &failing{trie: whole, after: 3}
			return func() { f.trie = whole }
		}},
	} {
		for _, family := range []string{"v4", "v6"} {
			t.Run(tt.name+" "+family, func(t *testing.T) {
				p := mustOpen(t, Options{Dir: pinDir(t)})
				hosts := mustCrowd(t, p, family)
				f := p.tables.family(host(hosts[0]))
				mustBan(t, p, hostBans(hosts)...)
				// Room for all, which the small table after that has not.
				if err := f.rebuild(1<<20, nil, nil); err != nil || len(f.known.in) > 0 {
					t.Fatalf("%d hosts of %d have no slot in a large table: %v", len(f.known.in), len(hosts), err)
				}
				mend := tt.spoil(f)
				err := f.fit(0)
				mend()
				if err == nil {
					t.Fatal("rebuilding works without memory")
				}
				mustBeConsistent(t, p, f)
			})
		}
	}
}

// When nobody can say that the old tables are out of use, both have to stay.
func TestATableThatMayBeInUseStays(t *testing.T) {
	for _, family := range []string{"v4", "v6"} {
		t.Run(family, func(t *testing.T) {
			p := mustOpen(t, Options{Dir: pinDir(t)})
			hosts := mustCrowd(t, p, family)
			f := p.tables.family(host(hosts[0]))
			mustBan(t, p, hostBans(hosts)...)
			if len(f.known.in) == 0 {
				t.Fatal("no host is in the trie")
			}
			for _, a := range hosts[:len(hosts):len(hosts)] {
				hosts = append(hosts, a.Next()) // marked by the same bit
			}
			mustBan(t, p, hostBans(hosts)...)
			old := f.hosts
			next, err := f.newTables(1<<18, 1<<18)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(next.fill(nil, nil), f.takeOver(next)); err != nil {
				t.Fatal(err)
			}
			outer := f.row.outer
			closed, err := outer.Clone()
			if err != nil {
				t.Fatal(err)
			}
			closed.Close()
			f.row.outer = closed
			if err := f.retire(old, next); err == nil {
				t.Error("waiting for packets works without a map")
			}
			f.row.outer = outer
			still, err := f.row.open(old.half, old.lines, true)
			if err != nil {
				t.Fatal(err)
			}
			seen, err := f.kind.open(still.words, old.lines, f.key)
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := seen.find(hosts[0]); !ok {
				t.Error("the old table lost a host")
			}
			if err := still.close(); err != nil {
				t.Fatal(err)
			}
			for i, a := range hosts {
				if err := f.remove(host(a)); err != nil { // an unban would make the tables anew
					t.Fatal(err)
				}
				if got := mustReason(t, p, a); got != "passed" {
					t.Errorf("%s is %s after the unban, want passed", a, got)
				}
				for _, b := range hosts[i+1:] {
					if got := mustReason(t, p, b); got != "dropped" {
						t.Fatalf("%s is %s after the unban of %s, want dropped", b, got, a)
					}
				}
			}
		})
	}
}

// An operator's own entry is not taken for one of gabion's, wherever its host has a slot as well.
func TestAHostPutInByHandStaysApart(t *testing.T) {
	for _, s := range []string{"192.0.2.1/32", "192.0.2.2/32"} {
		p := mustOpen(t, Options{Dir: pinDir(t)})
		prefix := netip.MustParsePrefix(s)
		if s == "192.0.2.2/32" {
			mustBan(t, p, ban(s, 0, inAnHour()))
		}
		k := key4(prefix)
		if err := p.maps.Bans4.Put(&k, &bpfBan{}); err != nil {
			t.Fatal(err)
		}
		foreign := func() (n int) {
			for _, r := range rules(t, p) {
				if r.Prefix == prefix && r.Foreign {
					n++
				}
			}
			return n
		}
		if foreign() != 1 {
			t.Fatal("the entry is not read")
		}
		if err := p.tables.v4.rebuild(0, nil, nil); err != nil {
			t.Fatal(err)
		}
		if foreign() != 1 {
			t.Errorf("%s: a new table took the entry over: %v", s, rules(t, p))
		}
		mustBan(t, p, ban(s, decision.ClassShadow, inAnHour()))
		if got := mustReason(t, p, prefix.Addr()); got != "shadowed" {
			t.Errorf("%s is %s after a ban that only counts, want shadowed", s, got)
		}
		if got := rules(t, p); len(got) != 1 {
			t.Errorf("%s: bans = %v, want one", s, got)
		}
		if err := p.maps.Bans4.Put(&k, &bpfBan{}); err != nil {
			t.Fatal(err)
		}
		rules(t, p)
		if err := p.Unban([]netip.Prefix{prefix}); err != nil {
			t.Fatal(err)
		}
		if got := mustReason(t, p, prefix.Addr()); got != "passed" {
			t.Errorf("%s is %s after the unban, want passed", s, got)
		}
	}
}

func TestAListOfPrefixesIsSwappedAtTheLimit(t *testing.T) {
	p := mustOpen(t, Options{Dir: pinDir(t), MaxBans: 100})
	all := prefixes4(200)
	mustBan(t, p, all[:100]...)
	var gone []netip.Prefix
	for _, r := range all[:100] {
		gone = append(gone, r.Prefix)
	}
	if err := swapAll(p, all[100:], gone); err != nil {
		t.Errorf("swap 100 prefixes for 100 of 100: %v", err)
	}
	if got := mustReason(t, p, all[150].Prefix.Addr()); got != "dropped" {
		t.Errorf("a source of the new list is %s, want dropped", got)
	}
}

// The new version of a list is mostly the old one, of which there need not be room for two.
func TestAListThatIsSwappedForItselfTakesNoMoreRoom(t *testing.T) {
	for _, family := range []string{"v4", "v6"} {
		t.Run(family, func(t *testing.T) {
			p := mustOpen(t, Options{Dir: pinDir(t)})
			f := p.tables.family(host(scattered(family, 0)))
			var hosts []netip.Addr
			for n := range 20_000 {
				hosts = append(hosts, scattered(family, n))
			}
			list := hostBans(hosts)
			var prefixes []netip.Prefix
			for _, r := range list {
				prefixes = append(prefixes, r.Prefix)
			}
			if err := swapAll(p, list[:10_000], nil); err != nil {
				t.Fatal(err)
			}
			lines, scale := f.hosts.lines, f.front.scale()
			for _, next := range [][2]int{{0, 0}, {0, 10_000}, {10_000, 0}} {
				if err := swapAll(p, list[next[1]:next[1]+10_000], prefixes[next[0]:next[0]+10_000]); err != nil {
					t.Fatal(err)
				}
				if f.hosts.lines != lines || f.front.scale() != scale {
					t.Errorf("10000 hosts swapped for as many: %d lines behind marks of scale %d, want %d and %d as before",
						f.hosts.lines, f.front.scale(), lines, scale)
				}
			}
		})
	}
}

// A writer that dies while it moves hosts from the trie to the table leaves two entries of each.
func TestAHalfMovedHostIsCountedOnce(t *testing.T) {
	dir := pinDir(t)
	p := mustOpen(t, Options{Dir: dir})
	all := prefixes4(10)
	mustBan(t, p, all...)
	var hosts []netip.Addr
	var both []entry
	for i := range chunk + chunk/8 {
		hosts = append(hosts, scattered("v4", i))
		both = append(both, entry{prefix: host(hosts[i]), Entry: table.Entry{Expiry: table.NoEnd}})
	}
	mustBan(t, p, hostBans(hosts)...)
	without := p.tables.v4.known.lengths[32] // by chance, a host or two have found no slot
	if _, err := p.tables.v4.trie.put(both); err != nil {
		t.Fatal(err)
	}
	mustClose(t, p)
	p = mustOpen(t, Options{Dir: dir})
	f := p.tables.v4
	if n := f.known.lengths[31]; n != len(all) || f.known.lengths[32] != without {
		t.Errorf("%d prefixes and %d hosts in the trie, want %d and %d", n, f.known.lengths[32], len(all), without)
	}
	mustBeConsistent(t, p, f)
}

// A table of a million entries takes its time to grow; the ban that makes it grow does not wait for that.
func TestABanIsInForceBeforeTheTableGrowsForIt(t *testing.T) {
	for _, family := range []string{"v4", "v6"} {
		t.Run(family, func(t *testing.T) {
			p := mustOpen(t, Options{Dir: pinDir(t)})
			f := p.tables.family(host(scattered(family, 0)))
			banned, grown, make := 0, 0, f.kind.open
			f.kind.open = func(words []uint64, lines int, key [2]uint64) (hosts, error) {
				grown++
				if got := mustReason(t, p, scattered(family, banned)); got != "dropped" {
					t.Errorf("ban %d is looked for and %s while the table grows, want dropped", banned, got)
				}
				return make(words, lines, key)
			}
			for ; grown < 2; banned++ {
				mustBan(t, p, hostBans([]netip.Addr{scattered(family, banned)})...)
			}
		})
	}
}

// Four billion packets are a quarter of an hour of a flood.
func TestHitsThatAreFullStayFull(t *testing.T) {
	p := mustOpen(t, Options{Dir: pinDir(t)})
	mustBan(t, p, ban("192.0.2.1/32", 0, inAnHour()))
	const nearly = math.MaxUint32 - 1
	p.tables.v4.hosts.addHits(netip.MustParseAddr("192.0.2.1"), nearly)
	for range 5 {
		if got := mustReason(t, p, netip.MustParseAddr("192.0.2.1")); got != "dropped" {
			t.Errorf("the source is %s, want dropped", got)
		}
	}
	if got := mustHits(t, p, "192.0.2.1/32"); got != nearly {
		t.Errorf("%d hits, want %d still", got, uint64(nearly))
	}
}
