package loader

import (
	"net/netip"
	"testing"

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
	if p.tables.v4.hosts != table || table.log2 != leastLog2 {
		t.Errorf("one ban and one unban made a new host table of 2^%d lines, want the old one of 2^%d",
			p.tables.v4.hosts.log2, leastLog2)
	}
}
