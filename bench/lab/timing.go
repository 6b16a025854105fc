package lab

import (
	"math"
	"slices"
	"time"
)

// triggers returns, for each source, the moment of the line that overflowed its bucket. Sources of
// one script all need the same number of lines, so it is the smallest number after which one was
// banned: a ban that comes late, after yet another line, is measured from the right one.
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
		if need > 0 {
			out[i] = lines[i][need-1]
		}
	}
	return out
}

// crossings returns when the connections that passed the limit were opened: one per window, which
// begins with the source's first connection after the one before, as the kernel counts.
func crossings(opened []time.Time, limit int, window time.Duration) []time.Time {
	var out []time.Time
	var start time.Time
	count := 0
	for _, t := range opened {
		if count == 0 || t.Sub(start) >= window {
			start, count = t, 0
		}
		count++
		if count == limit+1 {
			out = append(out, t)
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
