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
	"gabion/loader/table"
	"gabion/userspace/decision"
)

// The full run of the comparison: go test ./loader -run Differential -packets 10000000
var (
	fuzzPackets = flag.Int("packets", 200_000, "packets on which the filter is compared with its model")
	fuzzSeed    = flag.Uint64("seed", 1, "where their random numbers begin")
)

const (
	packetsPerRound = 4 * trialCount // with one configuration
	slack           = 100 * time.Millisecond
	shippedPerRound = 64 // of them through the shipped program, which takes one per system call
)

// rig is the filter in both forms: the test object with a clock of its own, and the shipped program.
type rig struct {
	plane *Plane
	batch *batch
	clock Clock
	start moment         // from which times and jiffies are counted
	allow []netip.Prefix // in force
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
	start, err := p.ticks.now()
	if err != nil {
		t.Fatal(err)
	}
	return &rig{plane: p, batch: mustLoadBatch(t, p, 0, 0), clock: clock, start: start, modes: modes}
}

// apply leads the plane to a configuration.
func (r *rig) apply(c *model.Config, put []model.Ban, gone []netip.Prefix) error {
	var rules []decision.Rule
	for _, b := range put {
		rules = append(rules, decision.Rule{Prefix: b.Prefix, Class: b.Class, DecisionID: 1, Until: b.Until})
	}
	errs := []error{r.plane.Ban(rules), r.plane.Unban(gone), r.plane.Disallow(r.allow)}
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
	return errors.Join(append(errs, r.settle(c))...)
}

// jiffies is a moment of the world as the kernel counts.
func (r *rig) jiffies(t time.Time) uint64 {
	since := t.Sub(r.start.wall)
	seconds := since / time.Second
	if since < 0 {
		seconds--
	}
	part := since - seconds*time.Second
	return uint64(int64(r.start.jiffies) + int64(seconds)*int64(r.start.hz) + int64(part)*int64(r.start.hz)/int64(time.Second))
}

// until is the first moment at which the kernel says that it is that tick.
func (r *rig) until(expiry uint32) time.Time {
	if expiry == table.NoEnd {
		return r.start.wall.Add(100 * 365 * 24 * time.Hour)
	}
	hz := int64(r.start.hz)
	left := int64(uint64(expiry)<<r.start.shift) - int64(r.start.jiffies)
	seconds := left / hz
	part := (left - seconds*hz) * int64(time.Second)
	return r.start.wall.Add(time.Duration(seconds)*time.Second + time.Duration((part+hz-1)/hz))
}

// settle tells the model when the bans really end, which is up to a tick later than they were asked to.
func (r *rig) settle(c *model.Config) error {
	for i, b := range c.Bans {
		e, ok, err := r.plane.tables.family(b.Prefix).find(b.Prefix)
		if err != nil || !ok {
			return fmt.Errorf("ban of %s is not there: %v", b.Prefix, err)
		}
		c.Bans[i].Until = r.until(e.Expiry)
	}
	return nil
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

func TestDifferentialFilterAndModelAgreeOnEveryPacket(t *testing.T) {
	r := mustRig(t)
	start, _ := r.clock()
	w := newWorld(*fuzzSeed, start)
	outcomes := map[seen]int{}
	total, shipped, rounds := 0, 0, 0
	for ; total < *fuzzPackets; rounds++ {
		put, gone := w.change()
		if err := r.apply(&w.Config, put, gone); err != nil {
			t.Fatalf("seed %d, round %d: %v", *fuzzSeed, rounds, err)
		}
		for range packetsPerRound / trialCount {
			for _, d := range r.mustCompare(t, w, outcomes) {
				t.Fatalf("seed %d, round %d: %s", *fuzzSeed, rounds, r.mustMinimise(t, d))
			}
		}
		r.mustCompareShipped(t, w)
		total, shipped = total+packetsPerRound, shipped+shippedPerRound
	}
	for _, c := range outcomeCounters() {
		if outcomes[c] == 0 {
			t.Errorf("none of %d packets was %v", total, c)
		}
	}
	t.Logf("%d packets, and %d through the shipped program, in %d configurations: no difference; outcomes %v", total, shipped, rounds, outcomes)
}

// mustCompare judges one batch of packets by both and returns the first difference, if any.
func (r *rig) mustCompare(t *testing.T, w *world, outcomes map[seen]int) []difference {
	t.Helper()
	var (
		want  [trialCount]seen
		at    [trialCount]time.Time
		diffs []difference
	)
	for i := range trialCount {
		frame := w.packet()
		at[i] = w.moment()
		want[i] = expect(w.Judge(frame, at[i]))
		outcomes[want[i]]++
		r.batch.add(frame, r.jiffies(at[i]))
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
		got := mustSee(t, r.plane, h, frame)
		want := expect(w.Judge(frame, now))
		// A ban may end just now: then either answer is right.
		if got != want && got != expect(w.Judge(frame, now.Add(-slack))) && got != expect(w.Judge(frame, now.Add(slack))) {
			t.Fatalf("shipped program: seed %d: %s", *fuzzSeed, difference{w.Config, frame, now, got, want})
		}
	}
}

// mustMinimise takes away what the difference does not need. A difference that does not show in tables
// built afresh comes from what was done to them before: then it is left whole.
func (r *rig) mustMinimise(t *testing.T, d difference) string {
	t.Helper()
	fresh := mustRig(t)
	var old []netip.Prefix
	differs := func(d difference) bool {
		if err := errors.Join(fresh.plane.Unban(old), fresh.apply(&d.Config, d.Bans, nil)); err != nil {
			t.Fatal(err)
		}
		old = nil
		for _, b := range d.Bans {
			old = append(old, b.Prefix)
		}
		fresh.batch.add(d.frame, fresh.jiffies(d.at))
		differs := false
		fresh.batch.mustJudge(t, func(_ int, got seen) { differs = got != expect(d.Judge(d.frame, d.at)) })
		return differs
	}
	if !differs(d) {
		return "only with what was done to the tables before: " + d.String()
	}
	for i := 0; i < len(d.Bans); {
		less := d
		less.Bans = slices.Delete(slices.Clone(d.Bans), i, i+1)
		if differs(less) {
			d = less
		} else {
			i++
		}
	}
	for i := 0; i < len(d.Allows); {
		less := d
		less.Allows = slices.Delete(slices.Clone(d.Allows), i, i+1)
		if differs(less) {
			d = less
		} else {
			i++
		}
	}
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
