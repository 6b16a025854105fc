package yamlpos

import (
	"iter"
	"strings"
)

// maxCompared bounds the words that Nearest compares: names are short, other text is no name.
const maxCompared = 64

// Nearest returns the candidate that a mistyped word most likely means, or "" when none is close.
// Case does not count; of candidates that are equally close the first in byte order is returned.
func Nearest(word string, candidates iter.Seq[string]) string {
	if len(word) > maxCompared {
		return ""
	}
	const most = 3 // changes
	best, bestDistance := "", most+1
	for c := range candidates {
		if len(c) > maxCompared {
			continue
		}
		d := editDistance(strings.ToLower(word), strings.ToLower(c), most+1)
		if d > max(1, min(most, max(len(word), len(c))/3)) {
			continue
		}
		if d < bestDistance || d == bestDistance && c < best {
			best, bestDistance = c, d
		}
	}
	return best
}

// editDistance counts insertions, deletions, replacements and swaps of neighbours between two
// names; it returns limit when there are at least that many.
func editDistance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	before, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, prev, row = prev, row, before
	}
	return min(prev[len(b)], limit)
}
