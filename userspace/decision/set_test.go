package decision

import (
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func t0() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

func ban(id uint64, value string, minutes int) *Decision {
	scope := ScopeIP
	if p, err := netip.ParsePrefix(value); err == nil && !p.IsSingleIP() {
		scope = ScopeRange
	}
	return &Decision{ID: id, Type: TypeBan, Scope: scope, Value: value, Until: t0().Add(time.Duration(minutes) * time.Minute)}
}

func shadow(id uint64, value string, minutes int) *Decision {
	d := ban(id, value, minutes)
	d.Simulated = true
	return d
}

func ids(ds []*Decision) []uint64 {
	var out []uint64
	for _, d := range ds {
		out = append(out, d.ID)
	}
	return out
}

func TestTheStrongestDecisionOfAPrefixIsEffective(t *testing.T) {
	for _, tt := range []struct {
		name string
		ds   []*Decision
		want uint64
	}{
		{"one", []*Decision{ban(1, "192.0.2.1", 5)}, 1},
		{"the latest end wins", []*Decision{ban(1, "192.0.2.1", 5), ban(2, "192.0.2.1", 9), ban(3, "192.0.2.1", 7)}, 2},
		{"drop beats a longer shadow", []*Decision{shadow(1, "192.0.2.1", 60), ban(2, "192.0.2.1", 5)}, 2},
		{"of equals the older stays", []*Decision{ban(2, "192.0.2.1", 5), ban(1, "192.0.2.1", 5)}, 1},
		{"a mapped address is the same prefix", []*Decision{ban(1, "192.0.2.1", 5), ban(2, "::ffff:192.0.2.1", 9)}, 2},
		{"a wider ban is another entry", []*Decision{ban(1, "192.0.2.1", 5), ban(2, "192.0.2.0/24", 9)}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := NewSet()
			for _, d := range tt.ds {
				if _, err := s.Add(d); err != nil {
					t.Fatal(err)
				}
			}
			r, ok := s.Effective(netip.MustParsePrefix("192.0.2.1/32"))
			if !ok || r.DecisionID != tt.want {
				t.Errorf("effective = %+v, %v; want decision %d", r, ok, tt.want)
			}
		})
	}
}

func TestRemovingTheStrongestFallsBackToTheNext(t *testing.T) {
	s := NewSet()
	for _, d := range []*Decision{shadow(1, "192.0.2.1", 60), ban(2, "192.0.2.1", 5), ban(3, "192.0.2.1", 30)} {
		if _, err := s.Add(d); err != nil {
			t.Fatal(err)
		}
	}
	p := netip.MustParsePrefix("192.0.2.1/32")
	for _, want := range []uint64{3, 2, 1} {
		r, ok := s.Effective(p)
		if !ok || r.DecisionID != want {
			t.Errorf("effective = %+v, %v; want decision %d", r, ok, want)
		}
		if got := ids(s.Remove(want, 99)); !slices.Equal(got, []uint64{want}) {
			t.Errorf("removed %v, want %d", got, want)
		}
	}
	if _, ok := s.Effective(p); ok || s.Len() != 0 {
		t.Errorf("the set is not empty: %d", s.Len())
	}
}

func TestExpireTakesOutWhatHasEnded(t *testing.T) {
	s := NewSet()
	for i, minutes := range []int{5, 1, 3, 2, 4} {
		if _, err := s.Add(ban(uint64(i+1), fmt.Sprintf("192.0.2.%d", i), minutes)); err != nil {
			t.Fatal(err)
		}
	}
	got := ids(s.Expire(t0().Add(3*time.Minute), math.MaxInt)) // the end itself counts as ended
	if diff := cmp.Diff([]uint64{2, 4, 3}, got); diff != "" {
		t.Errorf("expired (-want +got):\n%s", diff)
	}
	if s.Len() != 2 || len(slices.Collect(s.Rules())) != 2 {
		t.Errorf("%d decisions are left, want 2", s.Len())
	}
}

func TestFindListsTheMostSpecificFirst(t *testing.T) {
	s := NewSet()
	for _, d := range []*Decision{ban(1, "192.0.0.0/16", 5), ban(2, "192.0.2.7", 5), ban(3, "192.0.2.0/24", 5),
		ban(4, "192.0.2.8", 5), ban(5, "2001:db8::/32", 5), ban(6, "0.0.0.0/0", 5)} {
		if _, err := s.Add(d); err != nil {
			t.Fatal(err)
		}
	}
	for addr, want := range map[string][]uint64{
		"192.0.2.7": {2, 3, 1, 6}, "::ffff:192.0.2.7": {2, 3, 1, 6}, "198.51.100.1": {6}, "2001:db8::7": {5}, "2001:db9::": nil,
	} {
		if got := ids(s.Find(netip.MustParseAddr(addr))); !slices.Equal(got, want) {
			t.Errorf("find %s = %v, want %v", addr, got, want)
		}
	}
}

func TestAddRefusesWhatTheKernelCannotHold(t *testing.T) {
	for name, d := range map[string]*Decision{
		"no id":        ban(0, "192.0.2.1", 5),
		"no address":   ban(1, "root", 5),
		"no end":       {ID: 1, Scope: ScopeIP, Value: "192.0.2.1"},
		"other scope":  {ID: 1, Scope: "username", Value: "192.0.2.1", Until: t0()},
		"with a zone":  ban(1, "fe80::1%eth0", 5),
		"empty":        {ID: 1, Scope: ScopeIP, Until: t0()},
		"absurd range": {ID: 1, Scope: ScopeRange, Value: "192.0.2.0/33", Until: t0()},
	} {
		s := NewSet()
		if _, err := s.Add(d); err == nil || s.Len() != 0 {
			t.Errorf("%s: added, %v", name, err)
		}
	}
}

func TestAddingAnIDAgainReplacesIt(t *testing.T) {
	s := NewSet()
	for _, d := range []*Decision{ban(1, "192.0.2.1", 5), ban(1, "192.0.2.2", 5)} {
		if _, err := s.Add(d); err != nil {
			t.Fatal(err)
		}
	}
	if s.Len() != 1 || len(s.Find(netip.MustParseAddr("192.0.2.1"))) != 0 {
		t.Errorf("the old prefix is still banned")
	}
}

// prefixes draws few different prefixes, so that they meet.
func prefixes() *rapid.Generator[netip.Prefix] {
	return rapid.Custom(func(t *rapid.T) netip.Prefix {
		if rapid.Bool().Draw(t, "v6") {
			a := netip.MustParseAddr("2001:db8::").As16()
			a[7] = rapid.SampledFrom([]byte{0, 1, 0x80, 0xff}).Draw(t, "byte 7")
			a[15] = rapid.SampledFrom([]byte{0, 1, 0x80}).Draw(t, "byte 15")
			return netip.PrefixFrom(netip.AddrFrom16(a), rapid.SampledFrom([]int{0, 32, 57, 64, 65, 127, 128}).Draw(t, "bits")).Masked()
		}
		a := [4]byte{192, 0, rapid.SampledFrom([]byte{0, 1, 2}).Draw(t, "byte 2"), rapid.Byte().Draw(t, "byte 3")}
		return netip.PrefixFrom(netip.AddrFrom4(a), rapid.SampledFrom([]int{0, 8, 16, 23, 24, 31, 32}).Draw(t, "bits")).Masked()
	})
}

func TestEndsThatDifferByTheClocksAreTheSame(t *testing.T) {
	r := Rule{Prefix: netip.MustParsePrefix("192.0.2.1/32"), Until: t0(), DecisionID: 1}
	near, far := r, r
	near.Until, near.Hits = t0().Add(-UntilSlack), 7
	far.Until = t0().Add(UntilSlack + 1)
	if !Same(r, near) || Same(r, far) {
		t.Errorf("same = %v for near, %v for far", Same(r, near), Same(r, far))
	}
}

func TestSetAgreesWithASlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, model := NewSet(), map[uint64]*Decision{}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				d := ban(rapid.Uint64Range(1, 30).Draw(t, "id"), prefixes().Draw(t, "prefix").String(), rapid.IntRange(0, 50).Draw(t, "minutes"))
				d.Scope, d.Simulated = ScopeRange, rapid.Bool().Draw(t, "simulated")
				if _, err := s.Add(d); err != nil {
					t.Fatal(err)
				}
				model[d.ID] = d
			},
			"remove": func(t *rapid.T) {
				id := rapid.Uint64Range(1, 30).Draw(t, "id")
				if _, ok := model[id]; ok != (len(s.Remove(id)) == 1) {
					t.Fatalf("remove %d differs", id)
				}
				delete(model, id)
			},
			"expire": func(t *rapid.T) {
				now := t0().Add(time.Duration(rapid.IntRange(0, 50).Draw(t, "minutes")) * time.Minute)
				for _, d := range s.Expire(now, math.MaxInt) {
					if d.Until.After(now) {
						t.Fatalf("%d expired too early", d.ID)
					}
					delete(model, d.ID)
				}
				for _, d := range model {
					if !d.Until.After(now) {
						t.Fatalf("%d did not expire", d.ID)
					}
				}
			},
			"": func(t *rapid.T) { compare(t, s, model) },
		})
	})
}

func TestASetExpiresInPiecesAndKnowsWhatNobodyMet(t *testing.T) {
	s := NewSet()
	for i, value := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"} {
		d := &Decision{ID: uint64(i + 1), Type: TypeBan, Scope: ScopeIP, Value: value, Until: t0().Add(time.Minute)}
		if _, err := s.Add(d); err != nil {
			t.Fatal(err)
		}
	}
	met := func(value string, round uint32) {
		if _, ok := s.Meet(netip.MustParsePrefix(value), round); !ok {
			t.Errorf("%s is not in the set", value)
		}
	}
	met("192.0.2.1/32", 1)
	met("192.0.2.2/32", 1)
	met("192.0.2.2/32", 2)
	if _, ok := s.Meet(netip.MustParsePrefix("192.0.2.9/32"), 2); ok {
		t.Error("a stranger is in the set")
	}
	var rounds []uint32
	for _, round := range s.RulesAfter(netip.Prefix{}) {
		rounds = append(rounds, round)
	}
	if want := []uint32{1, 2, 0}; !slices.Equal(rounds, want) {
		t.Errorf("rounds = %v, want %v", rounds, want)
	}
	for _, want := range []int{2, 1, 0} {
		if gone := s.Expire(t0().Add(time.Hour), 2); len(gone) != want {
			t.Errorf("%d have ended, want %d", len(gone), want)
		}
	}
}

func compare(t *rapid.T, s *Set, model map[uint64]*Decision) {
	if s.Len() != len(model) || len(slices.Collect(s.All())) != len(model) {
		t.Fatalf("%d decisions, want %d", s.Len(), len(model))
	}
	want := map[netip.Prefix]Rule{}
	for _, d := range model {
		r, _ := d.Rule()
		old, ok := want[r.Prefix]
		if !ok || Stronger(r, old) || !Stronger(old, r) && r.DecisionID < old.DecisionID {
			want[r.Prefix] = r
		}
	}
	got := slices.Collect(s.Rules())
	if len(got) != len(want) {
		t.Fatalf("%d rules, want %d", len(got), len(want))
	}
	for _, r := range got {
		if want[r.Prefix] != r {
			t.Fatalf("rule %v, want %v", r, want[r.Prefix])
		}
		var after []Rule
		for rule := range s.RulesAfter(r.Prefix) {
			after = append(after, rule)
		}
		if !slices.Equal(after, got[slices.Index(got, r)+1:]) {
			t.Fatalf("after %s: %v", r.Prefix, after)
		}
	}
}

func TestPrefixMapAgreesWithASlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m PrefixMap[int]
		model := map[netip.Prefix]int{}
		for i := range rapid.IntRange(0, 60).Draw(t, "steps") {
			p := prefixes().Draw(t, "prefix")
			if rapid.IntRange(0, 2).Draw(t, "delete") == 0 {
				_, ok := model[p]
				if m.Delete(p) != ok {
					t.Fatalf("delete %s differs", p)
				}
				delete(model, p)
				continue
			}
			m.Put(p, i)
			model[p] = i
		}
		if m.Len() != len(model) {
			t.Fatalf("len = %d, want %d", m.Len(), len(model))
		}
		probe := prefixes().Draw(t, "probe")
		order := slices.SortedFunc(maps.Keys(model), func(a, b netip.Prefix) int {
			if c := a.Addr().Compare(b.Addr()); c != 0 {
				return c
			}
			return a.Bits() - b.Bits()
		})
		var covering, within, all []netip.Prefix
		for _, p := range order {
			v, ok := m.Get(p)
			if !ok || v != model[p] {
				t.Fatalf("get %s = %d, %v", p, v, ok)
			}
			if p.Overlaps(probe) && p.Bits() <= probe.Bits() {
				covering = append(covering, p)
			}
			if p.Overlaps(probe) && p.Bits() >= probe.Bits() {
				within = append(within, p)
			}
		}
		collect := func(out *[]netip.Prefix) func(netip.Prefix, int) bool {
			return func(p netip.Prefix, _ int) bool { *out = append(*out, p); return true }
		}
		var gotCovering, gotWithin []netip.Prefix
		m.Covering(probe)(collect(&gotCovering))
		m.Within(probe)(collect(&gotWithin))
		m.All()(collect(&all))
		if !slices.Equal(all, order) || !slices.Equal(gotCovering, covering) || !slices.Equal(gotWithin, within) {
			t.Fatalf("probe %s: all %v want %v; covering %v want %v; within %v want %v", probe, all, order, gotCovering, covering, gotWithin, within)
		}
		if _, ok := m.Get(probe); ok != slices.Contains(order, probe) {
			t.Fatalf("get %s = %v", probe, ok)
		}
	})
}

func TestIDsAreNeverGivenOutTwice(t *testing.T) {
	var i IDs
	i.Raise(7, 9)
	i.Raise(3, MaxID+1) // lower, and garbage
	if a, d := i.NextAlert(), i.NextDecision(); a != 8 || d != 10 {
		t.Errorf("next ids = %d, %d; want 8, 10", a, d)
	}
}
