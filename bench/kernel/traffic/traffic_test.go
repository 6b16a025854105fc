package traffic

import (
	"math"
	"net/netip"
	"testing"
)

func sets(bans int) []Set {
	var out []Set
	for _, f := range []Family{IPv4, IPv6} {
		for _, clustered := range []bool{false, true} {
			out = append(out, Set{Family: f, Bans: bans, Clustered: clustered})
		}
	}
	return out
}

func TestEveryIndexHasASourceOfItsOwn(t *testing.T) {
	for _, s := range sets(0) {
		seen := map[netip.Addr]uint32{}
		for i := range uint32(200_000) {
			for _, index := range []uint32{i, 1<<31 + i, math.MaxUint32 - i} {
				a := s.Host(index)
				if other, ok := seen[a]; ok {
					t.Fatalf("%s %s: indexes %d and %d are both %s", s.Family, s.Name(), index, other, a)
				}
				seen[a] = index
				if a.IsUnspecified() && index != math.MaxUint32 {
					t.Errorf("%s %s: index %d is %s, which no set can hold", s.Family, s.Name(), index, a)
				}
			}
		}
	}
}

func TestSetsAreAsTheirNameSays(t *testing.T) {
	const bans = 4096
	for _, tt := range []struct {
		set          Set
		bits         int // of the networks that are counted
		fewest, most int
	}{
		{Set{Family: IPv4, Bans: bans}, 24, bans - 10, bans},
		{Set{Family: IPv4, Bans: bans}, 8, 256, 256},
		{Set{Family: IPv4, Bans: bans, Clustered: true}, 24, bans / 64, bans / 64},
		{Set{Family: IPv4, Bans: bans, Clustered: true}, 16, bans / 1024, bans / 1024},
		{Set{Family: IPv6, Bans: bans}, 48, bans, bans},
		{Set{Family: IPv6, Bans: bans, Clustered: true}, 48, bans / 64, bans / 64},
		{Set{Family: IPv6, Bans: bans, Clustered: true}, 64, bans / 4, bans / 4},
	} {
		seen := map[netip.Prefix]bool{}
		for i := range uint32(bans) {
			p, err := tt.set.Host(i).Prefix(tt.bits)
			if err != nil {
				t.Fatal(err)
			}
			seen[p] = true
		}
		if n := len(seen); n < tt.fewest || n > tt.most {
			t.Errorf("%d %s %s hosts lie in %d networks of /%d, want %d to %d", bans, tt.set.Family, tt.set.Name(), n, tt.bits, tt.fewest, tt.most)
		}
	}
}

func TestMixesDrawWhatTheyPromise(t *testing.T) {
	const draws, bans = 100_000, 1000
	want := map[string]float64{"clean": 0, "banned": 1, "hot": 1, "mix90": 0.9}
	for _, m := range Mixes() {
		s := Set{Family: IPv4, Bans: bans}
		d := s.Draw(m, 7)
		banned, seen := 0, map[uint32]bool{}
		for range draws {
			index := d.Next()
			if index < bans {
				banned++
				seen[index] = true
			}
		}
		if got := float64(banned) / draws; math.Abs(got-want[m.Name]) > 0.01 {
			t.Errorf("mix %s: %.3f of the sources are banned, want %.3f", m.Name, got, want[m.Name])
		}
		if m.Name == "hot" && len(seen) != 1 || (m.Name == "banned" || m.Name == "mix90") && len(seen) != bans {
			t.Errorf("mix %s: %d different banned sources of %d", m.Name, len(seen), bans)
		}
	}
}

func TestTheOracleKnowsHostsNetworksAndAllowEntries(t *testing.T) {
	for _, s := range sets(100) {
		all, hosts := s.Oracle(true, nil), s.Oracle(false, nil)
		if !all.Banned(99) || !hosts.Banned(99) {
			t.Errorf("%s %s: the last banned host is not banned", s.Family, s.Name())
		}
		if hosts.Banned(100) {
			t.Errorf("%s %s: the first host behind the set is banned", s.Family, s.Name())
		}
		host := s.Host(7)
		if s.Oracle(true, []netip.Prefix{netip.PrefixFrom(host, host.BitLen())}).Banned(7) {
			t.Errorf("%s %s: %s is allowed and banned", s.Family, s.Name(), host)
		}
	}
}

func TestTheOracleFindsTheSourcesThatLieInNetworks(t *testing.T) {
	for _, s := range sets(0) {
		if s.Family == IPv6 && s.Clustered {
			continue // its sources and the networks never meet
		}
		o, found := s.Oracle(true, nil), 0
		networks := map[netip.Prefix]bool{}
		for i := range Networks {
			networks[s.Network(i)] = true
		}
		bits := 24
		if s.Family == IPv6 {
			bits = 48
		}
		for i := range uint32(1_000_000) {
			index := i * 4294 // all over
			p, err := s.Host(index).Prefix(bits)
			if err != nil {
				t.Fatal(err)
			}
			if got := o.Banned(index); got != networks[p] {
				t.Fatalf("%s: Banned = %v, in a banned network: %v", s.Host(index), got, networks[p])
			} else if got {
				found++
			}
		}
		if s.Family == IPv4 && found == 0 {
			t.Errorf("%s: none of the sources lies in a network: the test proves nothing", s.Name())
		}
	}
}

func TestAllowEntriesArePrefixesOfTheirFamily(t *testing.T) {
	for _, s := range sets(0) {
		for _, p := range s.Allows() {
			if p != p.Masked() || p.Addr().Is4() != (s.Family == IPv4) {
				t.Errorf("%s: allow entry %s", s.Family, p)
			}
		}
	}
}

func TestOnlyFamiliesThatExistAreRead(t *testing.T) {
	for _, f := range []Family{IPv4, IPv6} {
		if got, err := ParseFamily(f.String()); err != nil || got != f {
			t.Errorf("ParseFamily(%q) = %v, %v", f, got, err)
		}
	}
	if _, err := ParseFamily("ipv5"); err == nil {
		t.Error("ipv5 is a family")
	}
}
