package loader

import (
	"net/netip"
	"testing"
)

// Packets that look while a prefix gives way to a host in it see one or the other.
func TestAPrefixGoesWhenNoPacketMissesWhatTakesOver(t *testing.T) {
	p := mustOpen(t, Options{Dir: pinDir(t)})
	f := p.tables.v4
	wide := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24")}
	mustBan(t, p, ban(wide[0].String(), 0, inAnHour()), ban(wide[1].String(), 0, inAnHour()))
	waits, wait := 0, f.wait
	f.wait = func() error {
		waits++
		if !f.known.has(wide[0]) || !f.known.has(wide[1]) || !f.has(netip.MustParsePrefix("192.0.2.1/32")) {
			t.Error("a prefix went before packets were waited for")
		}
		return wait()
	}
	mustBan(t, p, ban("192.0.2.1/32", 0, inAnHour()))
	if err := p.Unban(wide); err != nil {
		t.Fatal(err)
	}
	if waits != 1 {
		t.Errorf("waited %d times for packets, want once", waits)
	}
}

// The marks of hosts that lose their slot are seen by whoever sees the table without them.
func TestATableIsShownWhenPacketsSeeWhatFoundNoSlotInIt(t *testing.T) {
	p := mustOpen(t, Options{Dir: pinDir(t)})
	hosts := mustCrowd(t, p, "v4")
	f := p.tables.v4
	mustBan(t, p, hostBans(hosts)...)
	if err := f.rebuild(1<<18, nil, nil); err != nil || len(f.known.in) > 0 {
		t.Fatalf("%d hosts of %d have no slot in a large table: %v", len(f.known.in), len(hosts), err)
	}
	old, wait, between := f.hosts, f.wait, 0
	f.wait = func() error {
		if f.hosts == old && len(f.known.in) > 0 {
			between++
		}
		return wait()
	}
	if err := f.fit(0); err != nil || len(f.known.in) == 0 {
		t.Fatalf("no host lost its slot: %v", err)
	}
	if between != 1 {
		t.Errorf("waited %d times between the trie and the table, want once", between)
	}
}
