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

// span is from before a connection was opened until it had ended: its SYN arrived in between.
type span struct{ from, to time.Time }

// crossings returns when the connections that passed the limit were begun: one per window, which
// begins with the source's first connection after the one before, as the kernel counts. At a window's
// end only the kernel knows on which side of it a SYN arrived. Here the windows begin as early as
// they can, so that a crossing is never later than the kernel's, and a ban never without its own:
// with windows that began later, a ban was measured from the crossing of the window before.
func crossings(opened []span, limit int, window time.Duration) []time.Time {
	var out []time.Time
	var start time.Time
	count := 0
	for _, o := range opened {
		if count == 0 || o.to.Sub(start) >= window {
			start, count = o.from, 0
		}
		count++
		if count == limit+1 {
			out = append(out, o.from)
		}
	}
	return out
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
