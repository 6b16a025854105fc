package report

import (
	"math"
	"slices"
	"time"
)

// Distribution Summarises durations, in Milliseconds.
type Distribution struct {
	P50     float64 `json:"p50"`
	P99     float64 `json:"p99"`
	Max     float64 `json:"max"`
	Samples int     `json:"samples"`
}

// Summarise returns the nearest-rank percentiles, nil without samples.
func Summarise(samples []time.Duration) *Distribution {
	if len(samples) == 0 {
		return nil
	}
	s := slices.Sorted(slices.Values(samples))
	at := func(p float64) float64 {
		rank := max(int(math.Ceil(p*float64(len(s)))), 1)
		return Milliseconds(s[rank-1])
	}
	return &Distribution{P50: at(0.50), P99: at(0.99), Max: at(1), Samples: len(s)}
}

// Milliseconds rounds to microseconds.
func Milliseconds(d time.Duration) float64 {
	return math.Round(float64(d)/float64(time.Microsecond)) / 1000
}
