package hubtest

import (
	"encoding/json"
	"fmt"
	"io"

	"gabion/userspace/decision"
)

// dumpedResult, dumpedOverflow and what is in them are the results of a test as a dump shows them.
type dumpedResult struct {
	Success bool        `json:"success"`
	Event   dumpedEvent `json:"evt"`
}

type dumpedEvent struct {
	Parsed          map[string]string `json:"parsed"`
	Meta            map[string]string `json:"meta"`
	Enriched        map[string]string `json:"enriched"`
	Unmarshaled     map[string]any    `json:"unmarshaled"`
	Whitelisted     bool              `json:"whitelisted"`
	WhitelistReason string            `json:"whitelist_reason"`
}

type dumpedOverflow struct {
	Whitelisted bool                    `json:"whitelisted"`
	Sources     map[string]dumpedSource `json:"sources"`
	Alert       dumpedAlert             `json:"alert"`
}

type dumpedSource struct {
	IP    string `json:"ip"`
	Range string `json:"range"`
	Scope string `json:"scope"`
	Value string `json:"value"`
}

type dumpedAlert struct {
	Scenario    string             `json:"scenario"`
	EventsCount int32              `json:"events_count"`
	Remediation bool               `json:"remediation"`
	Source      dumpedSource       `json:"source"`
	Events      []dumpedAlertEvent `json:"events"`
	Meta        []decision.Meta    `json:"meta,omitempty"`
}

type dumpedAlertEvent struct {
	Meta []decision.Meta `json:"meta"`
}

// Write writes everything that a test recorded as one JSON object: what every document of the rules
// made of every event that came to it, and the overflows.
func (s *State) Write(w io.Writer) error {
	out := struct {
		Parsers   map[string]map[string][]dumpedResult `json:"parsers"`
		Overflows []dumpedOverflow                     `json:"overflows"`
	}{map[string]map[string][]dumpedResult{}, []dumpedOverflow{}}
	for stage, nodes := range s.Parsers {
		out.Parsers[stage] = map[string][]dumpedResult{}
		for name, results := range nodes {
			list := []dumpedResult{}
			for i := range results {
				list = append(list, dumpResult(&results[i]))
			}
			out.Parsers[stage][name] = list
		}
	}
	for i := range s.Scenarios {
		out.Overflows = append(out.Overflows, dumpOverflow(&s.Scenarios[i]))
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(out); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return nil
}

func dumpResult(r *ParserResult) dumpedResult {
	e := &r.Evt
	return dumpedResult{Success: r.Success, Event: dumpedEvent{
		Parsed: e.Parsed, Meta: e.Meta, Enriched: e.Enriched, Unmarshaled: e.Unmarshaled,
		Whitelisted: e.Whitelisted, WhitelistReason: e.WhitelistReason,
	}}
}

func dumpOverflow(r *ScenarioResult) dumpedOverflow {
	a := r.Overflow.Alert
	out := dumpedOverflow{Whitelisted: r.Overflow.Whitelisted, Sources: map[string]dumpedSource{}, Alert: dumpedAlert{
		Scenario: a.Scenario, EventsCount: a.EventsCount, Remediation: a.Remediation, Source: dumpSource(a.Source), Meta: a.Meta,
	}}
	for value, source := range r.Overflow.Sources {
		out.Sources[value] = dumpSource(source)
	}
	for _, e := range a.Events {
		out.Alert.Events = append(out.Alert.Events, dumpedAlertEvent{e.Meta})
	}
	return out
}

func dumpSource(s *decision.Source) dumpedSource {
	return dumpedSource{IP: s.IP, Range: s.Range, Scope: s.Scope, Value: s.Value}
}
