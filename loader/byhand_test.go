package loader

import (
	"iter"
	"net/netip"
	"testing"
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
		{"a swap of some", 1, func() error { return p.Swap(hostBans(hosts[:50]), nil) }},
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
