// Package report holds what a run of the lab showed, checks it against what gabion promises and
// prints it.
package report

import "gabion/bench/lab/topology"

// Report is what a run showed.
type Report struct {
	XDPMode string   `json:"xdp_mode"` // native, unless the kernel could not
	Attacks []Attack `json:"attacks"`
	Client  Client   `json:"client"`
	// SYNFlood comes after the attacks.
	SYNFlood *SYNFlood `json:"syn_flood"`
	*Chaos
	LostObservations uint32             `json:"lost_observations"` // packets that were not seen: then leaks may be missed
	Leftovers        topology.Leftovers `json:"leftovers"`
}

// Attack is how one attack over one family ended.
type Attack struct {
	Name           string        `json:"name"`
	Family         string        `json:"family"`
	Banned         bool          `json:"banned"` // every source
	Sources        int           `json:"sources"`
	BannedSources  int           `json:"banned_sources"`
	Scenarios      []string      `json:"scenarios"` // those that banned them
	LineToDropMS   *Distribution `json:"line_to_drop_ms,omitempty"`
	EventsToDropMS *Distribution `json:"events_to_drop_ms,omitempty"` // from the connection that passed the limit
	DroppedPackets uint64        `json:"dropped_packets"`
	LeakedAfterBan uint64        `json:"leaked_after_ban"`
	ArrivedBefore  uint64        `json:"arrived_before_ban"`
	// PassedAboveLimit counts the connections of a flood that reached the server and that the meter
	// should have shed: more than any windows of the limit explain.
	PassedAboveLimit *int `json:"passed_above_limit,omitempty"`

	Disturbed int      `json:"disturbed,omitempty"` // sources left out of the times: no daemon ran meanwhile
	Errors    []string `json:"errors,omitempty"`
}

// Slow is the time from line to drop that the 99th percentile stays below, in milliseconds.
const Slow = 50

// Client is how the client fared.
type Client struct {
	Requests  int           `json:"requests"`
	Failed    int           `json:"failed"`
	LatencyMS *Distribution `json:"latency_ms"`
	Failures  []string      `json:"failures,omitempty"` // the first few
}

// SYNFlood is how a flood of SYNs from made-up sources ended.
type SYNFlood struct {
	Sources          int     `json:"sources"`
	Seconds          float64 `json:"seconds"`
	Sent             uint64  `json:"sent"`
	Rate             float64 `json:"rate"`               // sent per second
	Shed             uint64  `json:"shed"`               // in the kernel
	Passed           int     `json:"passed"`             // to the server's network stack
	PassedAboveLimit int     `json:"passed_above_limit"` // of these, more than any windows of the limit explain
	Bans             int     `json:"bans"`               // made because of it
	Calm             Client  `json:"calm"`               // the client just before
	Flood            Client  `json:"flood"`              // the client meanwhile
}

// Chaos is what happened around the daemon's death.
type Chaos struct {
	Kind             string   `json:"chaos"`
	BannedBefore     int      `json:"banned_before"` // in the kernel when the daemon was killed, the short ban left out
	BannedAfter      int      `json:"banned_after"`  // of those, in the kernel, with no earlier end, once it ran again
	Prolonged        int      `json:"prolonged"`     // of those, with a later end: lines that the old daemon had read were read again
	Restored         int      `json:"restored"`      // of those, decisions that the new daemon knew from its store
	Adopted          int      `json:"adopted"`       // of those, decisions that it found only in the kernel
	DeadMS           float64  `json:"dead_ms"`
	DroppedWhileDead uint64   `json:"dropped_while_dead"`
	ExpiredWhileDead bool     `json:"expired_while_dead"` // the short ban was let in again while no daemon ran
	ExpiredLateMS    float64  `json:"expired_late_ms"`    // how long after its time
	ShortBanHeld     int      `json:"short_ban_held"`     // attempts it turned away before
	BansAfterRestart int      `json:"bans_after_restart"` // sources in mid-attack at the kill, banned afterwards
	Problems         []string `json:"chaos_problems,omitempty"`
}
