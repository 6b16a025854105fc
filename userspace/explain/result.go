package explain

import "time"

// Line is what became of one line of a log.
type Line struct {
	Number    int         `json:"number"`
	Raw       string      `json:"line"`
	Outcome   Outcome     `json:"outcome"`
	Reason    string      `json:"reason,omitempty"` // why it was not parsed, or is harmless
	Time      time.Time   `json:"time,omitzero"`    // that buckets count it in
	Near      []Near      `json:"near,omitempty"`   // of a line that was not parsed: parsers that it is nearly for
	Nodes     []*Node     `json:"parsers"`
	Passed    int         `json:"parsers_passed"` // documents whose filter said no, or that were not asked
	Scenarios []*Scenario `json:"scenarios"`
	Unmoved   int         `json:"scenarios_unmoved"` // scenarios that the line has nothing for, but for those listed
	Overflows []*Overflow `json:"overflows"`
}

// Outcome says how far a line came.
type Outcome string

// Outcomes of a line.
const (
	Parsed      Outcome = "parsed"
	Unparsed    Outcome = "unparsed"
	Whitelisted Outcome = "whitelisted"
)

// Node is what one node of a parser did.
type Node struct {
	Stage     string     `json:"stage"`
	Name      string     `json:"name"`
	At        string     `json:"at"` // file:line
	OK        bool       `json:"ok"`
	Filter    *Filter    `json:"filter,omitempty"` // nil without a filter
	Grok      *Grok      `json:"grok,omitempty"`
	Whitelist *Whitelist `json:"whitelist,omitempty"`
	Set       []Change   `json:"set,omitempty"`
	Stash     []Stash    `json:"stash,omitempty"`
	Faults    []string   `json:"faults,omitempty"`
	Next      string     `json:"next_stage,omitempty"` // where the node sent the event
	Children  []*Node    `json:"nodes,omitempty"`
}

// Filter is what a filter said.
type Filter struct {
	Source string `json:"filter"`
	OK     bool   `json:"ok"`
	Why    string `json:"why,omitempty"` // the first part that is not true, and what it looked at
}

// Grok is a try of a pattern.
type Grok struct {
	Pattern string `json:"pattern"`
	Input   string `json:"input"` // what the pattern is matched with
	Text    string `json:"text"`
	OK      bool   `json:"ok"`
	Stuck   *Stuck `json:"stuck,omitempty"` // how far it came, when it does not match
}

// Whitelist is what a whitelist said.
type Whitelist struct {
	OK     bool   `json:"ok"`
	Reason string `json:"reason"`
}

// Change is a value of the event that a node set.
type Change struct {
	By     string `json:"by"` // "grok", "filter", or what the static is called
	Field  string `json:"field"`
	Before string `json:"before,omitempty"`
	After  string `json:"after"`
}

// Stash is a value that was remembered for later lines.
type Stash struct {
	Name string `json:"name"`
	Text string `json:"text"` // key = value
}

// Scenario is what one scenario made of the line, or of an overflow that was fed back.
type Scenario struct {
	Name     string  `json:"name"`
	At       string  `json:"at"`
	Of       string  `json:"overflow_of,omitempty"` // the scenario whose overflow it was offered
	Asked    bool    `json:"asked"`                 // false when the index settled it
	Counts   bool    `json:"counts"`
	Why      string  `json:"why,omitempty"` // it does not count
	Key      string  `json:"key"`
	Outcome  string  `json:"result,omitempty"` // counted, repeated, cancelled, overflowed, muted, filtered, lost
	Events   int     `json:"events,omitempty"`
	Level    float64 `json:"level,omitempty"` // of a leaky bucket, which overflows above its capacity
	Capacity int     `json:"capacity,omitempty"`
	Opened   bool    `json:"opened,omitempty"`
	Error    string  `json:"error,omitempty"`
}

// Overflow is a bucket that was poured over, and what came of it.
type Overflow struct {
	Scenario    string     `json:"scenario"`
	Key         string     `json:"key"`
	Events      int        `json:"events"`
	Message     string     `json:"message,omitempty"`
	Nodes       []*Node    `json:"postoverflows"`
	Whitelisted bool       `json:"whitelisted,omitempty"`
	Reason      string     `json:"reason,omitempty"`
	Simulated   bool       `json:"simulated,omitempty"`
	Remediation bool       `json:"remediation"`
	Decisions   []Decision `json:"decisions"`

	Notifications []string `json:"notifications,omitempty"` // that profiles ask for
	Error         string   `json:"error,omitempty"`
}

// Decision is what a profile would do.
type Decision struct {
	Type      string `json:"type"`
	Scope     string `json:"scope"`
	Value     string `json:"value"`
	Duration  string `json:"duration"`
	Simulated bool   `json:"simulated,omitempty"`
}
