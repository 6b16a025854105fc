// Package report is what the kernel benchmark found: its JSON form, its tables and its plot.
package report

import (
	"math"
	"slices"
)

// Report holds medians with the smallest and the largest repetition.
type Report struct {
	Lookup  []Lookup  `json:"lookup"`
	Receive []Receive `json:"receive"`
	Load    []Load    `json:"load"`
	Machine Machine   `json:"machine"`
	Notes   []string  `json:"notes"` // what is missing, and why
}

// New returns an empty report: its lists are there, so that they are in the JSON too.
func New(m Machine) *Report {
	return &Report{Lookup: []Lookup{}, Receive: []Receive{}, Load: []Load{}, Notes: []string{}, Machine: m}
}

// Machine is where it was measured.
type Machine struct {
	Kernel string `json:"kernel"`
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
}

// Lookup is what finding out about one source costs, in ns.
type Lookup struct {
	Family string  `json:"family"`
	Bans   int     `json:"bans"`
	Mix    string  `json:"mix"`
	Layout string  `json:"layout"`
	Set    string  `json:"set"`
	NS     float64 `json:"ns"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// Receive is what receiving and dropping one packet costs, in ns.
type Receive struct {
	Family   string  `json:"family"`
	Receiver string  `json:"receiver"`
	Bans     int     `json:"bans"`
	Mix      string  `json:"mix"`
	Set      string  `json:"set"`
	NS       float64 `json:"ns"`
	Min      float64 `json:"min"`
	Max      float64 `json:"max"`
}

// Load is what filling a structure costs. Min and Max are seconds.
type Load struct {
	Family    string  `json:"family"`
	Structure string  `json:"structure"`
	Entries   int     `json:"entries"`
	Set       string  `json:"set"`
	Seconds   float64 `json:"seconds"`
	Bytes     int64   `json:"bytes"` // of kernel memory, all entries together
	Min       float64 `json:"min"`
	Max       float64 `json:"max"`
}

// Spread summarises repetitions: the median, and between what they lie. All are 0 without samples.
func Spread(samples []float64) (median, lowest, highest float64) {
	if len(samples) == 0 {
		return 0, 0, 0
	}
	s := slices.Sorted(slices.Values(samples))
	median = s[len(s)/2]
	if len(s)%2 == 0 {
		median = (s[len(s)/2-1] + median) / 2
	}
	return median, s[0], s[len(s)-1]
}

// Round rounds to so many digits behind the point.
func Round(x float64, digits int) float64 {
	unit := math.Pow(10, float64(digits))
	return math.Round(x*unit) / unit
}
