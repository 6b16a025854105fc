package enforce

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gabion/userspace/decision"
	"gabion/userspace/lists"
)

// world is what an Enforcer has been told, without any of its shortcuts.
type world struct {
	t     *rapid.T
	rig   *rig
	own   map[uint64]*decision.Decision
	lists map[decision.Class]List
	modes map[decision.Class]decision.Mode
	all   []netip.Prefix
}

const modelLimit = 7

func newWorld(t *testing.T, rt *rapid.T) *world {
	w := &world{
		t: rt, rig: newRig(t, func(c *Config, _ *GuardConfig) { c.MaxBans = modelLimit }),
		own: map[uint64]*decision.Decision{}, lists: map[decision.Class]List{},
		modes: map[decision.Class]decision.Mode{decision.ClassBan: decision.ModeDrop, decision.ClassShadow: decision.ModeShadow},
		all:   prefixesOf("198.51.100.0/24", "2001:db8::/48", "2001:db8::1/128"),
	}
	for i := range 7 {
		w.all = append(w.all, netip.MustParsePrefix(fmt.Sprintf("192.0.2.%d/32", i)))
	}
	w.rig.bulk = rapid.SampledFrom([]int{0, 3, bulk}).Draw(rt, "bulk")
	return w
}

func (w *world) minutes() int { return rapid.IntRange(1, 90).Draw(w.t, "minutes") }

func (w *world) class() decision.Class {
	return decision.Class(rapid.IntRange(int(decision.ClassFirstList), int(decision.ClassFirstList)+2).Draw(w.t, "class"))
}

func (w *world) ban() {
	p := rapid.SampledFrom(w.all).Draw(w.t, "prefix")
	d := ban(p.String(), 0)
	d.Until, d.Simulated = w.rig.clock.Add(time.Duration(w.minutes())*time.Minute), rapid.Bool().Draw(w.t, "shadow")
	refused := w.rig.Ban([]*decision.Decision{d})
	if (len(refused) > 0) != (len(w.own) >= modelLimit) {
		w.t.Fatalf("with %d decisions: refused %v", len(w.own), refused)
	}
	if len(refused) == 0 {
		w.own[d.ID] = d
	}
}

func (w *world) unban() {
	if len(w.own) == 0 {
		return
	}
	var ids []uint64
	for id := range w.own {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	id := rapid.SampledFrom(ids).Draw(w.t, "id")
	delete(w.own, id)
	w.must(w.rig.Unban([]uint64{id}))
}

func (w *world) replace() {
	l := List{
		Class: w.class(), Name: "list", Entries: lists.New(slices.Values(rapid.SliceOf(rapid.SampledFrom(w.all)).Draw(w.t, "entries"))),
		Until: w.rig.clock.Add(time.Duration(w.minutes()) * time.Minute),
	}
	_, err := w.rig.ReplaceList(l)
	w.must(err)
	w.lists[l.Class] = l
}

func (w *world) remove() {
	class := w.class()
	w.must(w.rig.RemoveList(class))
	delete(w.lists, class)
	delete(w.modes, class)
}

func (w *world) mode() {
	class, mode := w.class(), decision.Mode(rapid.IntRange(0, 2).Draw(w.t, "mode"))
	w.must(w.rig.SetClassMode(class, mode))
	w.modes[class] = mode
}

func (w *world) wait() {
	w.rig.clock = w.rig.clock.Add(time.Duration(w.minutes()) * time.Minute)
	w.rig.Expire(w.rig.clock)
	for id, d := range w.own {
		if !d.Until.After(w.rig.clock) {
			delete(w.own, id)
		}
	}
	for class, l := range w.lists {
		if !l.Until.After(w.rig.clock) {
			delete(w.lists, class)
			delete(w.modes, class)
		}
	}
}

func (w *world) reconcile() {
	drift, err := w.rig.Reconcile(w.rig.clock)
	w.must(err)
	if drift.Missing+drift.Wrong+drift.Extra+len(drift.Adopted) > 0 {
		w.t.Fatalf("drift = %+v", drift)
	}
	st := w.rig.Stats()
	for _, l := range st.Lists {
		if l.Held > 0 && st.Entries < modelLimit {
			w.t.Fatalf("held back although there is room: %+v", st)
		}
	}
}

// restart begins anew on the same kernel, with the record and the lists, and with ids lost for hosts.
func (w *world) restart() {
	old := w.rig
	table := &flaky{Memory: Memory{modes: old.table.modes}}
	for r := range old.table.Bans() {
		if r.Prefix.IsSingleIP() {
			r.DecisionID = 0
		}
		w.must(table.Memory.Ban([]decision.Rule{r}))
	}
	c := Config{Table: table, Guard: old.guard, IDs: &decision.IDs{}, MaxBans: modelLimit, Log: old.Enforcer.log, Now: func() time.Time { return w.rig.clock }}
	w.rig = &rig{table: table, clock: old.clock, Enforcer: New(c)}
	w.rig.bulk = old.bulk
	var recorded []*decision.Decision
	for _, d := range w.own {
		recorded = append(recorded, d)
	}
	w.must(w.rig.Restore(recorded))
	for class, l := range w.lists {
		w.must(w.rig.SetClassMode(class, w.modes[class]))
		_, err := w.rig.RestoreList(l)
		w.must(err)
	}
	_, err := w.rig.Reconcile(w.rig.clock) // which lists give way may differ: that is no drift of anybody's making
	w.must(err)
}

func (w *world) must(err error) {
	if err != nil {
		w.t.Fatal(err)
	}
}

// check compares the kernel with what it must hold for each prefix.
func (w *world) check() {
	have := map[netip.Prefix]decision.Rule{}
	for r := range w.rig.table.Memory.Bans() {
		have[r.Prefix] = r
	}
	held := map[decision.Class]map[netip.Prefix]bool{}
	counted := len(w.ownPrefixes())
	for _, l := range w.rig.Stats().Lists {
		held[l.Class] = map[netip.Prefix]bool{}
		for p := range w.rig.Held(l.Class) {
			held[l.Class][p] = true
		}
		if len(held[l.Class]) != l.Held || l.Enforced+l.Held != l.Entries || l.Entries != w.lists[l.Class].Entries.Len() {
			w.t.Fatalf("stats %+v; %d are held back", l, len(held[l.Class]))
		}
		counted += l.Enforced
	}
	if len(held) != len(w.lists) || counted > modelLimit || len(have) > modelLimit || counted != w.rig.Stats().Entries {
		w.t.Fatalf("%d lists of %d, %d entries, %d in the kernel", len(held), len(w.lists), counted, len(have))
	}
	for _, p := range w.all {
		w.checkPrefix(p, have, held)
	}
}

func (w *world) ownPrefixes() map[netip.Prefix]bool {
	out := map[netip.Prefix]bool{}
	for _, d := range w.own {
		p, _ := d.Prefix()
		out[p] = true
	}
	return out
}

// checkPrefix: the mode of the entry is the strongest of all claims; own decisions have it before
// lists, lists by class; and it lasts as long as any claim of that strength.
func (w *world) checkPrefix(p netip.Prefix, have map[netip.Prefix]decision.Rule, held map[decision.Class]map[netip.Prefix]bool) {
	type claim struct {
		class decision.Class
		until time.Time
	}
	var claims []claim
	for _, d := range w.own {
		if r, _ := d.Rule(); r.Prefix == p {
			claims = append(claims, claim{r.Class, r.Until})
		}
	}
	for class, l := range w.lists {
		if l.Entries.Has(p) && !held[class][p] {
			claims = append(claims, claim{class, l.Until})
		}
	}
	is, ok := have[p]
	if ok != (len(claims) > 0) {
		w.t.Fatalf("%s: entry %+v, claims %v", p, is, claims)
	}
	if !ok {
		return
	}
	rank := func(c decision.Class) int { return w.modes[c].Rank() }
	best := claims[0]
	for _, c := range claims {
		if rank(c.class) > rank(best.class) || rank(c.class) == rank(best.class) && c.class < best.class {
			best = c
		}
	}
	until := best.until
	for _, c := range claims {
		if rank(c.class) == rank(best.class) && c.until.After(until) {
			until = c.until
		}
	}
	if is.Class != best.class || !is.Until.Equal(until) {
		w.t.Fatalf("%s: entry of class %d until %s, want class %d until %s; claims %v", p, is.Class, is.Until, best.class, until, claims)
	}
	if own := best.class < decision.ClassFirstList; own != (is.DecisionID != 0) || own && w.own[is.DecisionID] == nil {
		w.t.Fatalf("%s: entry of decision %d", p, is.DecisionID)
	}
}

func TestTheKernelHoldsWhatIsWantedWhateverHappens(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, rt)
		w.rig.Reconcile(w.rig.clock)
		steps := map[string]func(){"ban": w.ban, "unban": w.unban, "replace": w.replace, "remove": w.remove, "mode": w.mode,
			"wait": w.wait, "reconcile": w.reconcile, "restart": w.restart}
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			steps[rapid.SampledFrom([]string{"ban", "unban", "replace", "remove", "mode", "wait", "reconcile", "restart"}).Draw(rt, "step")]()
			w.check()
		}
	})
}
