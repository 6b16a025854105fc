package loader

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"gabion/bench/packet"
	"gabion/loader/model"
	"gabion/userspace/decision"
)

// tableHits is what was dropped by way of the table.
func tableHits(f *family) (sum uint64) {
	if !f.nets.inUse() {
		return 0
	}
	for _, hits := range f.nets.current.All() {
		sum += hits
	}
	return sum
}

// nested draws bans inside each other of a prefix, at most one of each length: a source is in no more of
// them than the trie is asked for.
func nested(r *rand.Rand, seen map[netip.Prefix]bool, until func() time.Time) model.Ban {
	lengths := [covering]int{0, 7, 13, 16, 20, 24, 24, 28}
	for {
		a := netip.AddrFrom4([4]byte{10 + byte(r.IntN(2)), byte(r.IntN(64)), byte(r.Uint32()), byte(r.Uint32())})
		p := netip.PrefixFrom(a, lengths[r.IntN(covering)]).Masked()
		if !seen[p] {
			seen[p] = true
			return model.Ban{Prefix: p, Class: decision.Class(r.IntN(4)), Until: until()}
		}
		if p.Bits() < 20 { // there are only so many
			continue
		}
	}
}

func TestManyPrefixesAreJudgedAsAWalkThroughAllOfThemSays(t *testing.T) {
	r := mustRig(t)
	random := rand.New(rand.NewPCG(*fuzzSeed, 2))
	start, _ := r.clock()
	w := &world{Config: model.Config{Modes: r.modes}, start: start}
	seen := map[netip.Prefix]bool{}
	until := func() time.Time { return start.Add(untilStep * time.Duration(2*random.IntN(3)-1)) }
	draw := func(n int) (bans []model.Ban) {
		for range n {
			bans = append(bans, nested(random, seen, until))
		}
		return bans
	}
	w.Modes[1], w.Modes[2], w.Modes[3] = decision.ModeDrop, decision.ModeShadow, decision.ModeOff
	f := r.plane.tables.v4
	outcomes := map[model.Outcome]int{}
	for _, step := range []struct {
		name  string
		step  func() (put []model.Ban, gone []netip.Prefix)
		table bool
	}{
		{"fewer than it takes", func() ([]model.Ban, []netip.Prefix) {
			w.Bans = draw(9000)
			return w.Bans, nil
		}, false},
		{"more", func() ([]model.Ban, []netip.Prefix) {
			put := draw(9000)
			w.Bans = append(w.Bans, put...)
			return put, nil
		}, true},
		{"some go, some are renewed", func() (put []model.Ban, gone []netip.Prefix) {
			random.Shuffle(len(w.Bans), func(i, j int) { w.Bans[i], w.Bans[j] = w.Bans[j], w.Bans[i] })
			for _, b := range w.Bans[14_000:] {
				gone = append(gone, b.Prefix)
			}
			w.Bans = w.Bans[:14_000]
			for i := range 4000 {
				w.Bans[i].Class, w.Bans[i].Until = decision.Class(random.IntN(4)), until()
				put = append(put, w.Bans[i])
			}
			return put, gone
		}, true},
		{"a class that dropped is off, and one that was off drops", func() ([]model.Ban, []netip.Prefix) {
			w.Modes[0], w.Modes[3] = decision.ModeOff, decision.ModeDrop
			return nil, nil
		}, true},
		{"most go", func() (put []model.Ban, gone []netip.Prefix) {
			for _, b := range w.Bans[4000:] {
				gone = append(gone, b.Prefix)
			}
			w.Bans = w.Bans[:4000]
			return nil, gone
		}, false},
	} {
		put, gone := step.step()
		if err := r.apply(&w.Config, put, gone, random.IntN(2) == 0); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if f.nets.inUse() != step.table {
			t.Fatalf("%s: a prefix table is in use: %v, with %d prefixes", step.name, !step.table, len(f.known.in))
		}
		for _, at := range []time.Time{start.Add(untilStep / 2), start.Add(2 * untilStep)} {
			r.mustJudgeInside(t, w, random, at, outcomes)
		}
		if step.table && tableHits(f) == 0 {
			t.Errorf("%s: the table dropped nothing", step.name)
		}
		r.mustHaveHits(t, w)
	}
	t.Logf("outcomes %v", outcomes)
	for _, o := range []model.Outcome{model.Dropped, model.Shadowed, model.Expired, model.Disabled, model.Passed} {
		if outcomes[o] == 0 {
			t.Errorf("no source was %s", o)
		}
	}
}

// mustJudgeInside compares filter and model on sources inside the bans and next to them.
func (r *rig) mustJudgeInside(t *testing.T, w *world, random *rand.Rand, at time.Time, outcomes map[model.Outcome]int) {
	t.Helper()
	to := netip.MustParseAddrPort("198.51.100.254:80")
	jiffies := r.mustClock(t)
	w.rand = random
	var want []model.Verdict
	for range trialCount {
		source := w.within(w.Bans[random.IntN(len(w.Bans))].Prefix)
		if random.IntN(4) == 0 {
			source = beside(source, netip.Addr.Next)
		}
		frame := packet.UDP(netip.AddrPortFrom(source, 4242), to)
		want = append(want, w.Judge(frame, at))
		r.batch.add(frame, jiffies(at))
	}
	r.batch.mustJudge(t, func(i int, got seen) {
		outcomes[want[i].Outcome]++
		if want := r.expect(want[i]); got != want {
			t.Fatalf("filter: %v, model: %v\nframe %x", got, want, r.batch.trial(i))
		}
	})
}
