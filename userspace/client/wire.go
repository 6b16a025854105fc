// Package client speaks to the Local API of a gabion daemon: the types on the wire and one method
// per route.
//
// Alerts and decisions have the shapes of the CrowdSec Local API, so that the same types serve
// both. What gabion adds is left out of answers to clients that do not ask for it.
package client

import (
	"time"

	"gabion/userspace/decision"
)

// Alert is one detection, as GET and POST /v1/alerts carry it.
type Alert struct {
	Capacity        int32           `json:"capacity"`
	CreatedAt       string          `json:"created_at,omitempty"`
	Decisions       []Decision      `json:"decisions"`
	Events          []Event         `json:"events"`
	EventsCount     int32           `json:"events_count"`
	ID              int64           `json:"id,omitempty"`
	Kind            string          `json:"kind,omitempty"`
	Labels          []string        `json:"labels"`
	Leakspeed       string          `json:"leakspeed"`
	MachineID       string          `json:"machine_id,omitempty"`
	Message         string          `json:"message"`
	Meta            []decision.Meta `json:"meta,omitempty"`
	Remediation     bool            `json:"remediation,omitempty"`
	Scenario        string          `json:"scenario"`
	ScenarioHash    string          `json:"scenario_hash"`
	ScenarioVersion string          `json:"scenario_version"`
	Simulated       bool            `json:"simulated"`
	Source          *Source         `json:"source"`
	StartAt         string          `json:"start_at"`
	StopAt          string          `json:"stop_at"`
	UUID            string          `json:"uuid,omitempty"`
}

// Event is one log line of an alert. Line is gabion's own: the raw text.
type Event struct {
	Line      string          `json:"line,omitempty"`
	Meta      []decision.Meta `json:"meta"`
	Timestamp string          `json:"timestamp"`
}

// Source is who caused an alert.
type Source struct {
	AsName    string  `json:"as_name,omitempty"`
	AsNumber  string  `json:"as_number,omitempty"`
	Cn        string  `json:"cn,omitempty"`
	IP        string  `json:"ip,omitempty"`
	Latitude  float32 `json:"latitude,omitempty"`
	Longitude float32 `json:"longitude,omitempty"`
	Range     string  `json:"range,omitempty"`
	Scope     string  `json:"scope"`
	Value     string  `json:"value"`
}

// Decision is what is done about one value. Duration is what is left of it, in Go's syntax.
type Decision struct {
	Duration  string `json:"duration"`
	ID        uint64 `json:"id,omitempty"`
	Origin    string `json:"origin"`
	Scenario  string `json:"scenario"`
	Scope     string `json:"scope"`
	Simulated *bool  `json:"simulated,omitempty"`
	Type      string `json:"type"`
	Until     string `json:"until,omitempty"`
	UUID      string `json:"uuid,omitempty"`
	Value     string `json:"value"`

	// Sent when the request says details=true.
	AlertID   int64   `json:"alert_id,omitempty"`
	CreatedAt string  `json:"created_at,omitempty"`
	Hits      *uint64 `json:"hits,omitempty"`       // packets; nil when the kernel table has no such entry
	AllowedBy string  `json:"allowed_by,omitempty"` // why the ban has no effect: what allows its whole prefix
}

// Deleted is the answer to DELETE: a count, as text.
type Deleted struct {
	NbDeleted string `json:"nbDeleted"`
}

// Message is the body of every error answer.
type Message struct {
	Message string `json:"message"`
}

// Health is the answer of GET /health.
type Health struct {
	Status string `json:"status"`
}

// Allow is one entry of the allowlist, which wins over every ban.
type Allow struct {
	Prefix    string     `json:"prefix"`
	Reason    string     `json:"reason"` // user or guard
	Origin    string     `json:"origin"` // cli, config, or what the guard protects
	Comment   string     `json:"comment,omitempty"`
	CreatedAt *time.Time `json:"created_at,omitempty"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
	Hits      uint64     `json:"hits"` // packets that a ban would have dropped
}

// AllowRequest asks for an allowlist entry; without Duration it stays until removed.
type AllowRequest struct {
	Value    string `json:"value"`
	Comment  string `json:"comment,omitempty"`
	Duration string `json:"duration,omitempty"`
}
