package client

import "time"

// Verdicts of Why.
const (
	VerdictBanned  = "banned"
	VerdictShadow  = "shadow" // counted, not dropped
	VerdictAllowed = "allowed"
	VerdictClean   = "not banned"
)

// Why answers "why is this address dropped": everything the daemon and the kernel know of it.
type Why struct {
	IP      string    `json:"ip"`
	Verdict string    `json:"verdict"`
	Bans    []WhyBan  `json:"bans"`
	Allows  []Allow   `json:"allows"`
	Past    []WhyPast `json:"past"` // decisions that ended, latest first

	Meters []WhyMeter `json:"meters"` // whose limits it was above lately, latest first
}

// WhyMeter is a meter whose limit the address, or its network, was above.
type WhyMeter struct {
	Name        string    `json:"name"`
	Rule        string    `json:"rule,omitempty"` // in words; empty when the meter is gone
	Sheds       bool      `json:"sheds"`          // what is above the limit is dropped
	At          time.Time `json:"at"`
	Count       uint64    `json:"count"` // when it was reported
	Limit       uint64    `json:"limit"`
	Established bool      `json:"established"` // else the address may be forged
}

// WhyBan is one active decision that covers the address.
type WhyBan struct {
	Decision
	InKernel bool     `json:"in_kernel"`
	Message  string   `json:"message,omitempty"`
	Events   int32    `json:"events_count,omitempty"`
	Lines    []string `json:"lines"` // the log lines that led to it, oldest first
}

// WhyPast is a decision that ended.
type WhyPast struct {
	Scenario  string    `json:"scenario"`
	Value     string    `json:"value"`
	CreatedAt time.Time `json:"created_at"`
	Until     time.Time `json:"until"`
}

// Status is the daemon's state on one page.
type Status struct {
	Version    string            `json:"version"`
	PID        int               `json:"pid"`
	StartedAt  time.Time         `json:"started_at"`
	ReloadedAt time.Time         `json:"reloaded_at"`
	StateDir   string            `json:"state_dir"`
	Config     string            `json:"config,omitempty"`
	PinDir     string            `json:"pin_dir,omitempty"` // empty when the kernel side is off
	Interfaces []InterfaceStatus `json:"interfaces"`
	Sources    []SourceStatus    `json:"sources"`
	Rules      RulesStatus       `json:"rules"`
	Meters     []MeterStatus     `json:"meters"` // in force; none when the kernel side is off
	Decisions  int               `json:"decisions"`
	Lists      []List            `json:"lists,omitempty"`
	Drift      DriftStatus       `json:"drift"`
	Problems   []string          `json:"problems"` // what does not work now; empty when all is well
}

// InterfaceStatus says how one interface is protected.
type InterfaceStatus struct {
	Name string `json:"name"`
	Mode string `json:"mode,omitempty"` // native, generic, tcx, clsact; empty when not protected
	// Through is the interface that the filter runs on instead: the bond of a member, or what carries the
	// frames of a VLAN device. Empty when it is this one.
	Through string `json:"through,omitempty"`
	Error   string `json:"error,omitempty"`
}

// SourceStatus says how one input is doing.
type SourceStatus struct {
	Name     string `json:"name"`
	Running  bool   `json:"running"`
	Events   uint64 `json:"events"`
	Restarts uint64 `json:"restarts"`
	Error    string `json:"error,omitempty"`
}

// MeterStatus says what one meter did since it was set.
type MeterStatus struct {
	Name    string `json:"name"`
	Rule    string `json:"rule"`    // in words
	Matched uint64 `json:"matched"` // packets
	Shed    uint64 `json:"shed"`    // packets
	Events  uint64 `json:"events"`
}

// RulesStatus counts the loaded rules.
type RulesStatus struct {
	Scenarios int `json:"scenarios"`
	Errors    int `json:"errors"` // faults for which rules were left out
}

// DriftStatus is the last comparison of the desired bans with the kernel's.
type DriftStatus struct {
	CheckedAt time.Time `json:"checked_at"`
	Missing   int       `json:"missing"`
	Extra     int       `json:"extra"`
	Wrong     int       `json:"wrong"`
	Adopted   int       `json:"adopted"`
	Error     string    `json:"error,omitempty"`
}

// Metric is one time series: what Prometheus reads at /metrics, as JSON.
type Metric struct {
	Name   string            `json:"name"`
	Help   string            `json:"help"`
	Labels map[string]string `json:"labels,omitempty"`
	Value  float64           `json:"value"`
}
