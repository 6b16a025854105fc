package loader

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"gabion/loader/model"
	"gabion/userspace/decision"
)

// The full run of the comparison: go test ./loader -run Differential -packets 10000000
var (
	fuzzPackets = flag.Int("packets", 200_000, "packets on which the filter is compared with its model")
	fuzzSeed    = flag.Uint64("seed", 1, "where their random numbers begin")
)

const (
	packetsPerRound = 4 * trialCount // with one configuration
	shippedPerRound = 64             // of them through the shipped program, which takes one per system call
)

// rig is the filter in both forms: the test object with a clock of its own, and the shipped program.
type rig struct {
	plane *Plane
	batch *batch
	clock Clock
	allow []netip.Prefix          // in force
	hits  map[netip.Prefix]uint64 // that each ban must have
	modes [decision.Classes]decision.Mode
}

func mustRig(t testing.TB) *rig {
	t.Helper()
	wall, boot := SystemClock()
	clock := func() (time.Time, time.Duration) {
		// Both clocks by the one that the kernel compares, so that nobody who sets the time disturbs.
		_, now := SystemClock()
		return wall.Add(now - boot), now
	}
	o := Options{Dir: pinDir(t), MaxBans: 1 << 16, MaxAllows: 1 << 10, Clock: clock}
	p := mustOpen(t, o)
	modes, err := p.ClassModes()
	if err != nil {
		t.Fatal(err)
	}
	return &rig{plane: p, batch: mustLoadBatch(t, p, 0, 0), clock: clock, modes: modes, hits: map[netip.Prefix]uint64{}}
}

// apply leads the plane to a configuration, in one of two ways.
func (r *rig) apply(c *model.Config, put []model.Ban, gone []netip.Prefix, swap bool) error {
	var rules []decision.Rule
	for _, b := range put {
		rules = append(rules, decision.Rule{Prefix: b.Prefix, Class: b.Class, DecisionID: 1, Until: b.Until})
	}
	var errs []error
	if swap {
		errs = append(errs, swapAll(r.plane, rules, gone))
	} else {
		errs = append(errs, r.plane.Ban(rules), r.plane.Unban(gone))
	}
	for _, p := range gone {
		delete(r.hits, p)
	}
	errs = append(errs, r.plane.Disallow(r.allow))
	r.allow = slices.Clone(c.Allows)
	for _, a := range c.Allows {
		errs = append(errs, r.plane.Allow([]decision.Allow{{Prefix: a, Reason: decision.AllowUser}}))
	}
	for class, mode := range c.Modes {
		if r.modes[class] != mode {
			errs = append(errs, r.plane.SetClass(decision.Class(class), mode))
			r.modes[class] = mode
		}
	}
	return errors.Join(errs...)
}

// mustClock returns what tells the kernel's jiffies at a moment of the world.
func (r *rig) mustClock(t testing.TB) func(time.Time) uint64 {
	t.Helper()
	now, err := r.plane.ticks.now()
	if err != nil {
		t.Fatal(err)
	}
	return func(at time.Time) uint64 {
		return now.jiffies + uint64(int64(at.Sub(now.wall).Seconds()*float64(now.hz)))
	}
}

// difference is a packet about which filter and model do not agree.
type difference struct {
	model.Config
	frame     []byte
	at        time.Time
	got, want seen
}

func expect(v model.Verdict) seen {
	switch {
	case !v.Source.IsValid():
		return seen{Outcome: v.Outcome}
	case v.Source.Is4():
		return seen{v.Outcome, "ipv4"}
	}
	return seen{v.Outcome, "ipv6"}
}

// expect is the counter that a verdict raises; the hits of its bans are put down.
func (r *rig) expect(v model.Verdict) seen {
	for _, p := range []netip.Prefix{v.Shadow, v.By} {
		if p.IsValid() {
			r.hits[p]++
		}
	}
	return expect(v)
}

// mustHaveHits compares the hits of all bans.
func (r *rig) mustHaveHits(t *testing.T, w *world) {
	t.Helper()
	for _, b := range w.Bans {
		if got := mustHits(t, r.plane, b.Prefix.String()); got != r.hits[b.Prefix] {
			t.Fatalf("seed %d: ban of %s has %d hits, want %d", *fuzzSeed, b.Prefix, got, r.hits[b.Prefix])
		}
	}
}

// roundsAlike is after how many configurations the prefix table comes into use or goes out of it.
const roundsAlike = 3

func TestDifferentialFilterAndModelAgreeOnEveryPacket(t *testing.T) {
	r := mustRig(t)
	start, _ := r.clock()
	w := newWorld(*fuzzSeed, start, r.plane.abi.HashKey)
	outcomes := map[seen]int{}
	total, shipped, rounds, overflow, byTable := 0, 0, 0, 0, uint64(0)
	var sizes [2][]int // of the tables, by family
	for ; total < *fuzzPackets; rounds++ {
		if rounds%roundsAlike == 0 {
			byTable += tableHits(r.plane.tables.v4)
			mustUseNets(t, r.plane, !r.plane.tables.v4.nets.inUse())
		}
		put, gone := w.change()
		if err := r.apply(&w.Config, put, gone, w.rand.IntN(2) == 0); err != nil {
			t.Fatalf("seed %d, round %d: %v", *fuzzSeed, rounds, err)
		}
		for range packetsPerRound / trialCount {
			for _, d := range r.mustCompare(t, w, outcomes) {
				t.Fatalf("seed %d, round %d: %s", *fuzzSeed, rounds, r.mustMinimise(t, d))
			}
		}
		r.mustCompareShipped(t, w)
		r.mustHaveHits(t, w)
		for i, f := range []*family{r.plane.tables.v4, r.plane.tables.v6} {
			overflow += f.known.lengths[f.bits]
			sizes[i] = append(sizes[i], f.hosts.lines)
		}
		total, shipped = total+packetsPerRound, shipped+shippedPerRound
	}
	byTable += tableHits(r.plane.tables.v4)
	for _, c := range outcomeCounters() {
		if outcomes[c] == 0 && c.Outcome != "shed" { // no meter is in force
			t.Errorf("none of %d packets was %v", total, c)
		}
	}
	for _, s := range sizes {
		if slices.Min(s) == slices.Max(s) {
			t.Error("the tables never grew")
		}
	}
	if overflow == 0 {
		t.Error("no host was without a slot")
	}
	if byTable == 0 {
		t.Error("the prefix table dropped nothing")
	}
	t.Logf("%d packets, and %d through the shipped program, in %d configurations: no difference; %d hosts without a slot; tables of %d to %d lines; outcomes %v",
		total, shipped, rounds, overflow, slices.Min(sizes[0]), slices.Max(sizes[0]), outcomes)
}

// mustCompare judges one batch of packets by both and returns the first difference, if any.
func (r *rig) mustCompare(t *testing.T, w *world, outcomes map[seen]int) []difference {
	t.Helper()
	var (
		want  [trialCount]seen
		at    [trialCount]time.Time
		diffs []difference
	)
	jiffies := r.mustClock(t)
	for i := range trialCount {
		frame := w.packet()
		at[i] = w.moment()
		want[i] = r.expect(w.Judge(frame, at[i]))
		outcomes[want[i]]++
		r.batch.add(frame, jiffies(at[i]))
	}
	r.batch.mustJudge(t, func(i int, got seen) {
		if got != want[i] && len(diffs) == 0 {
			diffs = append(diffs, difference{w.Config, slices.Clone(r.batch.trial(i)), at[i], got, want[i]})
		}
	})
	return diffs
}

// mustCompareShipped judges packets by the model and the shipped program, at the time that it is.
func (r *rig) mustCompareShipped(t *testing.T, w *world) {
	t.Helper()
	h := hooks(r.plane)[0]
	for range shippedPerRound {
		frame := w.packet()
		now, _ := r.clock()
		want := r.expect(w.Judge(frame, now))
		if got := mustSee(t, r.plane, h, frame); got != want {
			t.Fatalf("shipped program: seed %d: %s", *fuzzSeed, difference{w.Config, frame, now, got, want})
		}
	}
}

// mustMinimise takes away what the difference does not need. A difference that does not show in tables
// built afresh comes from what was done to them before: then it is left whole.
func (r *rig) mustMinimise(t *testing.T, d difference) string {
	t.Helper()
	fresh := mustRig(t)
	mustUseNets(t, fresh.plane, r.plane.tables.v4.nets.inUse())
	var old []netip.Prefix
	differs := func(d difference) bool {
		if err := errors.Join(fresh.plane.Unban(old), fresh.apply(&d.Config, d.Bans, nil, false)); err != nil {
			t.Fatal(err)
		}
		old = nil
		for _, b := range d.Bans {
			old = append(old, b.Prefix)
		}
		fresh.batch.add(d.frame, fresh.mustClock(t)(d.at))
		differs := false
		fresh.batch.mustJudge(t, func(_ int, got seen) { differs = got != expect(d.Judge(d.frame, d.at)) })
		return differs
	}
	if !differs(d) {
		source, _ := model.Source(d.frame)
		d.Bans = slices.DeleteFunc(slices.Clone(d.Bans), func(b model.Ban) bool { return !b.Prefix.Contains(source) })
		return "only with what was done to the tables before; of the bans those that cover the source: " + d.String()
	}
	d.Bans = shrink(d.Bans, func(bans []model.Ban) bool {
		less := d
		less.Bans = bans
		return differs(less)
	})
	d.Allows = shrink(d.Allows, func(allows []netip.Prefix) bool {
		less := d
		less.Allows = allows
		return differs(less)
	})
	for len(d.frame) > minFrame {
		less := d
		less.frame = d.frame[:len(d.frame)-1]
		if !differs(less) {
			break
		}
		d = less
	}
	return d.String()
}

// shrink leaves out what enough is true without, in ever smaller parts.
func shrink[T any](all []T, enough func([]T) bool) []T {
	for part := len(all); part > 0; part /= 2 {
		for i := 0; i < len(all); {
			if less := slices.Delete(slices.Clone(all), i, min(i+part, len(all))); enough(less) {
				all = less
			} else {
				i += part
			}
		}
	}
	return all
}

// String is everything that is needed to see the difference again.
func (d difference) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "filter: %v, model: %v\n", d.got, d.want)
	fmt.Fprintf(&b, "frame %x\nat %s\n", d.frame, d.at.Format(time.RFC3339Nano))
	for _, ban := range d.Bans {
		fmt.Fprintf(&b, "ban %s class %d (%s) until %s\n", ban.Prefix, ban.Class, d.Modes[ban.Class], ban.Until.Format(time.RFC3339Nano))
	}
	for _, a := range d.Allows {
		fmt.Fprintf(&b, "allow %s\n", a)
	}
	return b.String()
}
