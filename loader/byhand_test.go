package loader

import (
	"iter"
	"net/netip"
	"testing"

	"gabion/userspace/decision"
)

// walked counts what may take a walk through the whole trie.
type walked struct {
	trie
	n int
}

func (t *walked) find(p netip.Prefix) (entry, bool, error) {
	t.n++
	return t.trie.find(p)
}

func (t *walked) all() iter.Seq2[entry, error] {
	t.n++
	return t.trie.all()
}

// Thousands of entries typed into bpftool must not cost the square of that, with bans waiting.
func TestManyEntriesMadeByHandAreWalkedThroughAFewTimes(t *testing.T) {
	p := mustOpen(t, Options{Dir: pinDir(t)})
	f := p.tables.v4
	trie := &walked{trie: f.trie}
	f.trie = trie
	var hosts []netip.Addr
	for i := range 100 {
		hosts = append(hosts, scattered("v4", i))
		k := key4(host(hosts[i]))
		if err := p.maps.Bans4.Put(&k, &bpfBan{Hits: uint64(i)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		name string
		most int
		do   func() error
	}{
		{"the first reading", 2, func() error { rules(t, p); return nil }},
		{"another reading", 1, func() error { rules(t, p); return nil }},
		{"a new table", 0, func() error { return f.rebuild(0, nil, nil) }},
		{"a swap of some", 1, func() error { return swapAll(p, hostBans(hosts[:50]), nil) }},
		{"a ban of others", 1, func() error { return p.Ban(hostBans(hosts[50:])) }},
	} {
		trie.n = 0
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		if trie.n > step.most {
			t.Errorf("%s: %d walks and searches, want at most %d", step.name, trie.n, step.most)
		}
		for _, a := range hosts {
			if got := mustReason(t, p, a); got != "dropped" {
				t.Fatalf("%s: %s is %s, want dropped", step.name, a, got)
			}
		}
	}
}

func TestAnAllowEntryMadeByHandHoldsFromTheNextReadingOn(t *testing.T) {
	p := mustOpen(t, Options{Dir: pinDir(t)})
	mustBan(t, p, ban("192.0.2.0/24", decision.ClassBan, inAnHour()), ban("2001:db8::/48", decision.ClassBan, inAnHour()))
	k4, k6 := key4(netip.MustParsePrefix("192.0.2.1/32")), key6(netip.MustParsePrefix("2001:db8::1/128"))
	if err := p.maps.Allow4.Put(&k4, &bpfAllow{}); err != nil {
		t.Fatal(err)
	}
	if err := p.maps.Allow6.Put(&k6, &bpfAllow{}); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range p.Allows() {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 2 {
		t.Errorf("%d allow entries, want 2", n)
	}
	for source, want := range map[string]string{
		"192.0.2.1": "allowed", "2001:db8::1": "allowed", "192.0.2.2": "dropped", "2001:db8::2": "dropped",
	} {
		if got := mustReason(t, p, netip.MustParseAddr(source)); got != want {
			t.Errorf("%s is %s, want %s", source, got, want)
		}
	}
}
