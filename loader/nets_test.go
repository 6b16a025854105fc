package loader

import (
	"bytes"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"testing"
	"time"

	"gabion/userspace/decision"
)

// useNets has a plane use a prefix table for any number of prefixes, or for none.
func useNets(p *Plane, on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.tables.v4
	if f.nets.above, f.nets.below = -1, 0; !on {
		f.nets.above, f.nets.below = math.MaxInt, math.MaxInt
	}
	f.fitNets()
}

func mustUseNets(t testing.TB, p *Plane, on bool) {
	t.Helper()
	useNets(p, on)
	if got := p.tables.v4.nets.inUse(); got != on {
		t.Fatalf("a prefix table is in use: %v, want %v", got, on)
	}
}

func TestWithAPrefixTableEveryBanThatCoversASourceHasItsSay(t *testing.T) {
	p := mustOpen(t, small(pinDir(t)))
	mustUseNets(t, p, true)
	past := time.Now().Add(-time.Minute)
	const off = decision.ClassFirstList // lists start switched off
	mustBan(t, p,
		ban("198.51.0.0/16", decision.ClassBan, inAnHour()),
		ban("198.51.100.0/24", decision.ClassBan, past),
		ban("198.51.101.0/24", decision.ClassShadow, inAnHour()),
		ban("198.51.102.0/23", off, inAnHour()),
		ban("198.51.103.0/24", decision.ClassBan, inAnHour()),
		ban("198.51.104.128/25", decision.ClassShadow, inAnHour()),
		ban("203.0.112.0/23", decision.ClassShadow, inAnHour()),
		ban("203.0.113.0/24", decision.ClassBan, past),
		ban("192.0.2.0/24", decision.ClassBan, inAnHour()),
		ban("192.0.2.1/32", decision.ClassShadow, inAnHour()),
	)
	mustAllow(t, p, "198.51.103.7/32")
	for _, tt := range []struct{ name, source, want, by string }{
		{"over, inside a banned /16", "198.51.100.1", "dropped", "198.51.0.0/16"},
		{"shadow inside a banned /16", "198.51.101.1", "dropped", "198.51.0.0/16"},
		{"off inside a banned /16", "198.51.102.1", "dropped", "198.51.0.0/16"},
		{"banned inside off inside banned", "198.51.103.1", "dropped", "198.51.103.0/24"},
		{"allowed inside a banned /24", "198.51.103.7", "allowed", ""},
		{"beside a longer prefix than the table knows", "198.51.104.1", "dropped", "198.51.0.0/16"},
		{"in a longer prefix than the table knows", "198.51.104.129", "dropped", "198.51.104.128/25"},
		{"in the first part of a prefix", "198.51.0.0", "dropped", "198.51.0.0/16"},
		{"in the last part of a prefix", "198.51.255.255", "dropped", "198.51.0.0/16"},
		{"right before it", "198.50.255.255", "passed", ""},
		{"right behind it", "198.52.0.0", "passed", ""},
		{"over, inside a shadow", "203.0.113.1", "shadowed", "203.0.112.0/23"},
		{"shadowed host inside a banned /24", "192.0.2.1", "dropped", "192.0.2.0/24"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := uint64(0)
			if tt.by != "" {
				before = mustHits(t, p, tt.by)
			}
			if got := mustReason(t, p, netip.MustParseAddr(tt.source)); got != tt.want {
				t.Errorf("%s is %s, want %s", tt.source, got, tt.want)
			}
			if tt.by == "" {
				return
			}
			if got := mustHits(t, p, tt.by); got != before+1 {
				t.Errorf("%s has %d hits, want %d", tt.by, got, before+1)
			}
		})
	}
}

// Hits are counted in two places, and a table is made and given back at any time.
func TestHitsOutliveThePrefixTable(t *testing.T) {
	dir := pinDir(t)
	p := mustOpen(t, small(dir))
	mustBan(t, p, ban("192.0.2.0/24", 0, inAnHour()), ban("198.51.100.0/24", 0, inAnHour()))
	by, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.1")
	want := uint64(0)
	hit := func(what string) {
		t.Helper()
		for range 2 {
			mustReason(t, p, by)
			want++
		}
		mustReason(t, p, other)
		if got := mustHits(t, p, "192.0.2.0/24"); got != want {
			t.Errorf("%s: %d hits, want %d", what, got, want)
		}
		if got := mustHits(t, p, "198.51.100.0/24"); got != want/2 {
			t.Errorf("%s: %d hits of the other prefix, want %d", what, got, want/2)
		}
	}
	hit("trie")
	mustUseNets(t, p, true)
	hit("table")
	mustBan(t, p, ban("192.0.2.0/24", 0, inAnHour()))
	hit("table, ban renewed")
	if err := p.tables.v4.renewNets(); err != nil {
		t.Fatal(err)
	}
	hit("another table")
	r, err := OpenReadOnly(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got := mustHits(t, r, "192.0.2.0/24"); got != want {
		t.Errorf("a reader sees %d hits, want %d", got, want)
	}
	mustUseNets(t, p, false)
	hit("trie again")
	mustUseNets(t, p, true)
	hit("table again")
	for _, rule := range rules(t, r) {
		if rule.Prefix.Contains(by) && rule.Hits != want {
			t.Errorf("a reader that walks sees %d hits, want %d", rule.Hits, want)
		}
	}
	mustClose(t, p)
	p = mustOpen(t, small(dir))
	if p.tables.v4.nets.inUse() {
		t.Error("a prefix table for two prefixes is still there after a restart")
	}
	hit("restart")
	if err := p.Unban([]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}); err != nil {
		t.Fatal(err)
	}
	mustUseNets(t, p, true)
	mustBan(t, p, ban("192.0.2.0/24", 0, inAnHour()))
	if got := mustHits(t, p, "192.0.2.0/24"); got != 0 {
		t.Errorf("%d hits of a new ban, want 0", got)
	}
}

// A writer may die between the trie and the table. The next one finds what it left.
func TestAPrefixTableThatADeadWriterLeftIsMadeAnew(t *testing.T) {
	dir := pinDir(t)
	o := small(dir)
	o.MaxBans = 1 << 16
	p := mustOpen(t, o)
	var all []decision.Rule
	for i := range netsAbove + 1 {
		all = append(all, ban(fmt.Sprintf("10.%d.%d.0/24", i>>8, i&255), 0, inAnHour()))
	}
	mustBan(t, p, all...)
	if !p.tables.v4.nets.inUse() {
		t.Fatalf("no prefix table with %d prefixes", len(all))
	}
	mustReason(t, p, all[2].Prefix.Addr())
	f := p.tables.v4
	gone, added := all[0].Prefix, netip.MustParsePrefix("203.0.113.0/24")
	if err := f.trie.remove(gone); err != nil {
		t.Fatal(err)
	}
	e := entry{prefix: added}
	e.Expiry = 1 << 27
	if _, err := f.trie.put([]entry{e, {prefix: all[1].Prefix, Entry: e.Entry}}); err != nil {
		t.Fatal(err)
	}
	mustClose(t, p)
	p = mustOpen(t, o)
	if !p.tables.v4.nets.inUse() {
		t.Error("no prefix table after the restart")
	}
	for source, want := range map[netip.Prefix]string{gone: "passed", added: "dropped", all[1].Prefix: "dropped", all[2].Prefix: "dropped"} {
		if got := mustReason(t, p, source.Addr()); got != want {
			t.Errorf("%s is %s, want %s", source, got, want)
		}
	}
	if got := mustHits(t, p, all[2].Prefix.String()); got != 2 {
		t.Errorf("%d hits after the restart, want 2", got)
	}
}

func TestWhatIsDoneToTheTrieByHandReachesThePrefixTable(t *testing.T) {
	p := mustOpen(t, small(pinDir(t)))
	mustUseNets(t, p, true)
	mustBan(t, p, ban("198.51.100.0/24", decision.ClassBan, inAnHour()), ban("203.0.113.0/24", decision.ClassShadow, inAnHour()))
	put := func(s string, value bpfBan) {
		t.Helper()
		k := key4(netip.MustParsePrefix(s))
		if err := p.maps.Bans4.Put(&k, &value); err != nil {
			t.Fatal(err)
		}
	}
	put("192.0.2.0/24", bpfBan{})
	put("203.0.113.0/24", bpfBan{})
	put("198.51.100.0/24", bpfBan{Class: 200, Prefixlen: 24}) // no such class
	rules(t, p)                                               // as a reconcile does
	for source, want := range map[string]string{"192.0.2.1": "dropped", "203.0.113.1": "dropped", "198.51.100.1": "disabled"} {
		if got := mustReason(t, p, netip.MustParseAddr(source)); got != want {
			t.Errorf("%s is %s, want %s", source, got, want)
		}
	}
	mustUseNets(t, p, false)
	r, ok, err := p.BanHit(netip.MustParsePrefix("192.0.2.0/24"))
	if err != nil || !ok || !r.Foreign || r.Hits != 1 {
		t.Errorf("entry made by hand, with the hits of the table = %+v, %v, %v; want a foreign one with 1 hit", r, ok, err)
	}
	mustUseNets(t, p, true)
	k := key4(netip.MustParsePrefix("192.0.2.0/24"))
	if err := p.maps.Bans4.Delete(&k); err != nil {
		t.Fatal(err)
	}
	rules(t, p)
	if got := mustReason(t, p, netip.MustParseAddr("192.0.2.1")); got != "passed" {
		t.Errorf("a source whose ban was taken out by hand is %s, want passed", got)
	}
}

func TestWithoutMemoryForAPrefixTableTheTrieAnswers(t *testing.T) {
	var logged bytes.Buffer
	o := small(pinDir(t))
	o.Log = slog.New(slog.NewTextHandler(&logged, nil))
	p := mustOpen(t, o)
	f := p.tables.v4
	add := func(from, to int) {
		t.Helper()
		for i := from; i < to; i++ {
			mustBan(t, p, ban(fmt.Sprintf("10.%d.7.0/24", i), 0, inAnHour()))
		}
		for i := range to {
			for source, want := range map[string]string{fmt.Sprintf("10.%d.7.9", i): "dropped", fmt.Sprintf("10.%d.8.9", i): "passed"} {
				if got := mustReason(t, p, netip.MustParseAddr(source)); got != want {
					t.Fatalf("with %d prefixes %s is %s, want %s", to, source, got, want)
				}
			}
		}
	}
	whole := f.nets.spec
	broken := whole.Copy()
	broken.ValueSize = math.MaxInt32
	f.nets.spec, f.nets.above, f.nets.below = broken, 3, 1
	add(0, 5)
	if f.nets.inUse() || !bytes.Contains(logged.Bytes(), []byte("prefix table not fitted")) {
		t.Errorf("a table is in use (%v), or nothing says that none could be made:\n%s", f.nets.inUse(), &logged)
	}
	f.nets.spec = whole
	add(5, 10) // there are twice as many as when it failed: it is tried again
	if !f.nets.inUse() {
		t.Error("no table is in use, now that there is memory")
	}
	f.nets.spec = broken
	add(10, 60) // more than the table has blocks for
	if !f.nets.inUse() || !f.nets.current.writer.Worn() {
		t.Error("the table has room for everything, or was given up")
	}
	f.nets.spec = whole
	add(60, 120)
	if f.nets.current.writer.Worn() {
		t.Error("the table was not made larger")
	}
}

// A walk must not hold up a ban, nor find what it is not asked for.
func TestWhatGoesWhileBansAreReadIsNotMissed(t *testing.T) {
	p := mustOpen(t, small(pinDir(t)))
	mustUseNets(t, p, true)
	var all []decision.Rule
	for i := range 20 {
		all = append(all, ban(fmt.Sprintf("10.0.%d.0/24", i), 0, inAnHour()))
	}
	mustBan(t, p, all...)
	read := 0
	for _, err := range p.Bans() {
		if err != nil {
			t.Fatal(err)
		}
		if read++; read == 1 {
			if err := p.Unban([]netip.Prefix{all[3].Prefix}); err != nil {
				t.Fatal(err)
			}
			mustBan(t, p, ban("192.0.2.0/24", 0, inAnHour()))
		}
	}
	for i, r := range all {
		want := map[bool]string{true: "passed", false: "dropped"}[i == 3]
		if got := mustReason(t, p, r.Prefix.Addr()); got != want {
			t.Errorf("%s is %s, want %s", r.Prefix, got, want)
		}
	}
	if got := mustReason(t, p, netip.MustParseAddr("192.0.2.1")); got != "dropped" {
		t.Errorf("a ban that came during the walk leaves its source %s, want dropped", got)
	}
	if read < len(all)-1 {
		t.Errorf("%d bans were read, want at least the %d that stayed", read, len(all)-1)
	}
}
