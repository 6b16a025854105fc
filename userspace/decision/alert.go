// Package decision holds what gabion concludes: the alert a scenario raised, the decisions taken
// on it, and the kernel rules that enforce them.
//
// Alert, Source and Decision carry the field names of the CrowdSec model, because profile filters
// and post-overflow expressions name them (specs: engine, section 1.1). Times are time.Time and
// durations time.Duration; only the Local API turns them into text.
package decision

import (
	"strconv"
	"time"
)

// Scopes with a meaning of their own. Any other text is a scope that scenarios define.
const (
	ScopeIP      = "Ip"
	ScopeRange   = "Range"
	ScopeAS      = "AS"
	ScopeCountry = "Country"
)

// Alert is one overflow of one scenario, for one source.
type Alert struct {
	ID              int64  // assigned when the alert is raised; unique on this machine
	UUID            string // version 4, lower case
	MachineID       string
	Scenario        string // name, such as gabion/ssh-bruteforce
	ScenarioHash    string
	ScenarioVersion string
	Message         string
	Kind            string // "crowdsec" for a scenario, "cscli" for a manual decision
	Capacity        int32
	EventsCount     int32  // events poured; Events holds only those the bucket retained
	Leakspeed       string // Go duration text, "0s" for a trigger
	Simulated       bool
	Remediation     bool // the scenario asks for a decision (labels.remediation)
	CreatedAt       time.Time
	StartAt         time.Time // event time of the first event
	StopAt          time.Time // event time of the overflow
	Events          []Event
	Meta            []Meta // alert context
	Labels          []string
	Source          *Source
	Decisions       []*Decision
	Notifications   []string // names of those that profiles ask for, each once; not kept on record
}

// Event is one log line (or kernel event) that led to an alert.
type Event struct {
	Timestamp string // RFC 3339 with fraction, event time
	Meta      []Meta // sorted by key
	Line      string // the raw line, cut at MaxLine bytes; empty for events without one
}

// MaxLine is the number of bytes of a raw line that an alert keeps.
const MaxLine = 1024

// Meta is one key of an event's or an alert's metadata.
type Meta struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Source is who caused an alert. Scope says what Value is: an address, a prefix, a user name.
type Source struct {
	Scope     string
	Value     string
	IP        string
	Range     string
	AsNumber  string
	AsName    string
	Cn        string // ISO 3166 country code
	Latitude  float32
	Longitude float32
}

// GetScope returns the scope of the alert's source, empty without a source.
func (a *Alert) GetScope() string {
	if a.Source == nil {
		return ""
	}
	return a.Source.Scope
}

// GetValue returns the value of the alert's source, empty without a source.
func (a *Alert) GetValue() string {
	if a.Source == nil {
		return ""
	}
	return a.Source.Value
}

// GetScenario returns the name of the scenario that raised the alert.
func (a *Alert) GetScenario() string { return a.Scenario }

// GetEventsCount returns the number of events poured into the bucket.
func (a *Alert) GetEventsCount() int32 { return a.EventsCount }

// GetMeta returns the alert-level value for key, or "".
func (a *Alert) GetMeta(key string) string { return lookup(a.Meta, key) }

// GetMeta returns the event's value for key, or "".
func (e Event) GetMeta(key string) string { return lookup(e.Meta, key) }

// GetScope returns the source's scope.
func (s *Source) GetScope() string { return s.Scope }

// GetValue returns the source's value.
func (s *Source) GetValue() string { return s.Value }

// GetAsNumberName returns the AS number and name, as "64496 EXAMPLE", leaving out what is unknown.
func (s *Source) GetAsNumberName() string {
	var out string
	if s.AsNumber != "0" {
		out = s.AsNumber
	}
	if s.AsName != "" {
		out += " " + s.AsName
	}
	return out
}

// String names the source as messages do: "Ip 192.0.2.1".
func (s *Source) String() string {
	if s.Scope == "" {
		return s.Value
	}
	return s.Scope + " " + s.Value
}

// String names the alert for logs.
func (a *Alert) String() string {
	return "alert " + strconv.FormatInt(a.ID, 10) + " (" + a.Scenario + ", " + a.GetValue() + ")"
}

func lookup(meta []Meta, key string) string {
	for _, m := range meta {
		if m.Key == key {
			return m.Value
		}
	}
	return ""
}
