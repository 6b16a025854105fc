package loader

import (
	"math"
	"math/rand/v2"
	"testing"
)

// What bpf/proof.h is made of.
const (
	proofFlows  = 8
	proofNeeded = 6
)

// proofModel is a second writing of the rule of bpf/proof.h, for the attempts of one source in one
// window: which of them are drawn, and whether they prove the source.
type proofModel struct {
	limit    int
	rand     *rand.Rand // nil when no more than proofFlows attempts can be drawn
	attempts int
	sample   []bool // of each that is drawn, whether its handshake was completed
}

// drawn returns the first and the last attempt that may be drawn.
func (m *proofModel) drawn() (first, last int) {
	first = m.limit/2 + 1
	for first > 1 && m.limit-first+1 < proofNeeded {
		first--
	}
	first = max(first, 2)
	return first, max(m.limit, first+proofFlows-1)
}

// attempt adds one and returns whether the source is above its limit and proven.
func (m *proofModel) attempt(completed bool) bool {
	m.attempts++
	first, last := m.drawn()
	switch nth := m.attempts - first; {
	case m.attempts < first || m.attempts > last:
	case nth < proofFlows:
		m.sample = append(m.sample, completed)
	default:
		if at := m.rand.IntN(nth + 1); at < proofFlows {
			m.sample[at] = completed
		}
	}
	return m.proven() && m.attempts > m.limit
}

// proven says whether the sample is.
func (m *proofModel) proven() bool {
	n := 0
	for _, completed := range m.sample {
		if completed {
			n++
		}
	}
	return n >= proofNeeded || n > m.limit
}

// mustComplete is how many of a sample must be completed.
func mustComplete(limit int) int { return min(proofNeeded, limit+1) }

func choose(n, k int) float64 {
	if k < 0 || k > n {
		return 0
	}
	out := 1.0
	for i := range k {
		out *= float64(n-i) / float64(i+1)
	}
	return out
}

// provenByShare is the chance that a sample is proven of whose attempts a share is completed.
func provenByShare(limit int, share float64) (p float64) {
	for k := mustComplete(limit); k <= proofFlows; k++ {
		p += choose(proofFlows, k) * math.Pow(share, float64(k)) * math.Pow(1-share, float64(proofFlows-k))
	}
	return p
}

// provenByAim is that chance when all connections of a source's own are among those that may be drawn,
// and the others are forged.
func provenByAim(limit, own int) (p float64) {
	first, last := (&proofModel{limit: limit}).drawn()
	n := last - first + 1
	own = min(own, n)
	for k := mustComplete(limit); k <= proofFlows; k++ {
		p += choose(own, k) * choose(n-own, proofFlows-k) / choose(n, proofFlows)
	}
	return p
}

func TestEverySampleIsFullAndBeginsBehindTheFirstAttempt(t *testing.T) {
	for limit := 1; limit <= 1000; limit++ {
		m := proofModel{limit: limit, rand: rand.New(rand.NewPCG(1, 2))}
		first, last := m.drawn()
		reported := 0
		for m.attempts < max(last, m.limit+1) {
			if m.attempt(true) && reported == 0 {
				reported = m.attempts
			}
		}
		if len(m.sample) != proofFlows || first < 2 || first > limit/2+1 && limit > 1 {
			t.Errorf("limit %d: %d attempts drawn from the %dth on, want 8, from half the limit on or earlier", limit, len(m.sample), first)
		}
		want := limit + 1
		if limit < proofNeeded {
			want++ // the first is not drawn, and more than the limit must be
		}
		if reported != want {
			t.Errorf("limit %d: a source that completes everything is proven at attempt %d, want %d", limit, reported, want)
		}
	}
}

// The figures in bpf/proof.h.
func TestProofFindsAndSparesAsDocumented(t *testing.T) {
	for _, tt := range []struct {
		share float64
		want  [2]float64 // with a limit of 5 or more, and of 1
	}{
		{0.1, [2]float64{1 / 42_700.0, 0.19}}, {0.25, [2]float64{1 / 237.0, 0.63}}, {0.5, [2]float64{0.14, 0.96}},
		{0.75, [2]float64{0.68, 1}}, {0.9, [2]float64{0.96, 1}}, {1, [2]float64{1, 1}},
	} {
		for i, limits := range [2][]int{{5, 6, 10, 14, 15, 16, 40, 500}, {1}} {
			for _, limit := range limits {
				got := provenByShare(limit, tt.share)
				rounded := 0.005 // of a percentage
				if tt.want[i] < rounded {
					rounded *= tt.want[i]
				}
				if math.Abs(got-tt.want[i]) > rounded {
					t.Errorf("limit %d, %v of the attempts completed: proven with a chance of %v, documented is %v", limit, tt.share, got, tt.want[i])
				}
				mustHappenAsOften(t, got, func(rng *rand.Rand) bool {
					m, proven := proofModel{limit: limit, rand: rng}, false
					for m.attempts < 2*limit+proofFlows {
						proven = m.attempt(rng.Float64() < tt.share)
					}
					return proven
				})
			}
		}
	}
}

// A forger knows when the window begins and when his victim connects.
func TestAForgerWhoLeavesTheSampleToItsVictimGetsNothingForAFewConnections(t *testing.T) {
	for limit := 1; limit <= 2000; limit++ {
		for own := range limit + 1 {
			p := provenByAim(limit, own)
			switch {
			case own < proofNeeded && p > 0:
				t.Errorf("limit %d: %d of the source's own are proof with a chance of %v, want none below %d", limit, own, p, proofNeeded)
			case own <= limit/10 && p > 1/800.0:
				t.Errorf("limit %d: %d of the source's own, a tenth, are proof with a chance of %v, want 1 in 800 at most", limit, own, p)
			case own < limit/3 && p >= 0.5:
				t.Errorf("limit %d: %d of the source's own, less than a third, are proof with a chance of %v, want less than even", limit, own, p)
			}
		}
	}
	for _, tt := range []struct{ limit, own int }{{4, 4}, {5, 5}, {14, 5}, {14, 6}, {20, 6}, {40, 12}, {500, 50}, {500, 170}} {
		mustHappenAsOften(t, provenByAim(tt.limit, tt.own), func(rng *rand.Rand) bool {
			m, proven := proofModel{limit: tt.limit, rand: rng}, false
			first, last := m.drawn()
			for m.attempts < max(last, m.limit+1) {
				at := m.attempts + 1 - first
				proven = m.attempt(at >= 0 && at < tt.own)
			}
			return proven
		})
	}
}

// mustHappenAsOften tries something many times. It fails for 2 in 1,000,000,000 seeds; this one is fixed.
func mustHappenAsOften(t *testing.T, p float64, try func(*rand.Rand) bool) {
	t.Helper()
	const tries, sigmas = 20_000, 6
	rng := rand.New(rand.NewPCG(3, 4))
	n := 0
	for range tries {
		if try(rng) {
			n++
		}
	}
	if off := math.Abs(float64(n) - tries*p); off > sigmas*math.Sqrt(tries*p*(1-p))+1 {
		t.Errorf("it happened %d times in %d, want about %.1f", n, tries, tries*p)
	}
}
