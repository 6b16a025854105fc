package lab

import (
	"math"
	"slices"
	"time"
)

// triggers returns, for each source, the moment of the line, or of the crossing, that overflowed its
// bucket. Sources of one script all need the same number, so it is the smallest number after which
// one was banned: a ban that comes late, after yet another line, is measured from the right one.
func triggers(lines [][]time.Time, bans []time.Time) []time.Time {
	need := math.MaxInt
	counts := make([]int, len(lines))
	for i, at := range lines {
		for _, t := range at {
			if !t.After(bans[i]) {
				counts[i]++
			}
		}
		need = min(need, counts[i])
	}
	out := make([]time.Time, len(lines))
	for i := range lines {
		if need > 0 && need <= len(lines[i]) {
			out[i] = lines[i][need-1]
		}
	}
	return out
}

// span is from before a connection was opened until it had ended or was given up: if its SYN arrived,
// then in between.
type span struct{ from, to time.Time }

// crossings returns when the connections that passed the limit were begun: those that did not arrive,
// behind one that did. Which window the kernel counts in is not seen from here, but what it shed is.
func crossings(opened []span, arrived []time.Time) []time.Time {
	var out []time.Time
	through := false
	for _, o := range opened {
		for len(arrived) > 0 && arrived[0].Before(o.from) {
			arrived = arrived[1:]
		}
		shed := len(arrived) == 0 || arrived[0].After(o.to)
		if shed && through {
			out = append(out, o.from)
		}
		through = !shed
	}
	return out
}

// tick is how much shorter than asked for a window may be, for the kernel counts it in ticks of its
// clock, of 10 ms on the coarsest.
const tick = 10 * time.Millisecond

// aboveLimit returns how many of the connections that arrived must have been above the limit in their
// window, wherever the kernel's windows began: it takes the windows, each beginning when the one
// before has ended or later, with which the fewest are. So it accuses nobody wrongly, and what nothing
// holds up shows.
func aboveLimit(arrived []time.Time, limit int, window time.Duration) int {
	window -= tick
	ends := windowEnds(arrived, window)
	most := max(0, len(arrived)-limit) // all in one window
	fewest := make([]int, len(ends))   // of those up to an end, when a window ends there
	for i, end := range ends {
		fewest[i] = max(0, end.count-limit)
		for j := i - 1; j >= 0; j-- {
			above := max(0, end.count-ends[j].count-limit)
			if above >= fewest[i] {
				break // windows that begin still earlier hold more
			}
			if end.at.Sub(ends[j].at) >= window {
				fewest[i] = min(fewest[i], fewest[j]+above)
			}
		}
		most = min(most, fewest[i]+max(0, len(arrived)-end.count-limit))
	}
	return most
}

// windowEnd is a moment at which a window may end, and how many arrived up to then.
type windowEnd struct {
	at    time.Time
	count int
}

// windowEnds returns the moments that matter, in order: any windows hold the same connections when
// each is moved to an earlier end, until it is at a connection or as long as a window is behind
// another such end.
func windowEnds(arrived []time.Time, window time.Duration) []windowEnd {
	if len(arrived) == 0 {
		return nil
	}
	var ends []windowEnd
	last := arrived[len(arrived)-1]
	for _, at := range arrived {
		for ; !at.After(last); at = at.Add(window) {
			ends = append(ends, windowEnd{at: at})
		}
	}
	slices.SortFunc(ends, func(a, b windowEnd) int { return a.at.Compare(b.at) })
	count := 0
	for i := range ends {
		for count < len(arrived) && !arrived[count].After(ends[i].at) {
			count++
		}
		ends[i].count = count
	}
	return ends
}

// lastBefore returns the last of the times that is not after t.
func lastBefore(times []time.Time, t time.Time) (time.Time, bool) {
	for _, at := range slices.Backward(times) {
		if !at.After(t) {
			return at, true
		}
	}
	return time.Time{}, false
}
