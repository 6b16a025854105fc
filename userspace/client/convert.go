package client

import (
	"time"

	"gabion/userspace/decision"
	"gabion/userspace/yamlpos"
)

// FromAlert returns the wire form of an alert. The time left of its decisions is counted from now.
func FromAlert(a *decision.Alert, now time.Time) Alert {
	out := Alert{
		ID: a.ID, UUID: a.UUID, MachineID: a.MachineID, Kind: a.Kind, Message: a.Message,
		Scenario: a.Scenario, ScenarioHash: a.ScenarioHash, ScenarioVersion: a.ScenarioVersion,
		Capacity: a.Capacity, EventsCount: a.EventsCount, Leakspeed: a.Leakspeed,
		Simulated: a.Simulated, Remediation: a.Remediation, Meta: a.Meta,
		CreatedAt: wireTime(a.CreatedAt), StartAt: wireTime(a.StartAt), StopAt: wireTime(a.StopAt),
	}
	if s := a.Source; s != nil {
		out.Source = &Source{
			Scope: s.Scope, Value: s.Value, IP: s.IP, Range: s.Range, AsNumber: s.AsNumber,
			AsName: s.AsName, Cn: s.Cn, Latitude: s.Latitude, Longitude: s.Longitude,
		}
	}
	for _, e := range a.Events {
		out.Events = append(out.Events, Event{Timestamp: e.Timestamp, Meta: e.Meta, Line: e.Line})
	}
	for _, d := range a.Decisions {
		simulated := d.Simulated
		w := FromDecision(d, now)
		w.Simulated = &simulated
		out.Decisions = append(out.Decisions, w)
	}
	return out
}

// FromDecision returns the wire form of a decision, with the fields that every bouncer knows.
func FromDecision(d *decision.Decision, now time.Time) Decision {
	w := Decision{ID: d.ID, Origin: d.Origin, Type: d.Type, Scope: d.Scope, Value: d.Value, Scenario: d.Scenario}
	if !d.Until.IsZero() { // one that was put into the kernel by hand may have no end
		w.Duration = d.Until.Sub(now).Round(time.Second).String()
	}
	return w
}

// WithDetails adds the fields of a request that says details=true.
func (w Decision) WithDetails(d *decision.Decision, hits *uint64) Decision {
	simulated := d.Simulated
	w.Simulated, w.Hits, w.AlertID, w.UUID = &simulated, hits, d.AlertID, d.UUID
	w.Until, w.CreatedAt = wireTime(d.Until), wireTime(d.CreatedAt)
	return w
}

// Alert returns what a client sent as the model has it. Texts of times that cannot be read become
// now, as the CrowdSec server does; identifiers are left for the server to assign.
func (w *Alert) Alert(now time.Time) (*decision.Alert, error) {
	a := &decision.Alert{
		Kind: w.Kind, Message: w.Message, Scenario: w.Scenario, ScenarioHash: w.ScenarioHash,
		ScenarioVersion: w.ScenarioVersion, Capacity: w.Capacity, EventsCount: w.EventsCount,
		Leakspeed: w.Leakspeed, Simulated: w.Simulated, Remediation: w.Remediation, Meta: w.Meta,
		CreatedAt: now, StartAt: readTime(w.StartAt, now), StopAt: readTime(w.StopAt, now),
	}
	if s := w.Source; s != nil {
		a.Source = &decision.Source{
			Scope: CanonicalScope(s.Scope), Value: s.Value, IP: s.IP, Range: s.Range, AsNumber: s.AsNumber,
			AsName: s.AsName, Cn: s.Cn, Latitude: s.Latitude, Longitude: s.Longitude,
		}
	}
	for _, e := range w.Events {
		a.Events = append(a.Events, decision.Event{Timestamp: e.Timestamp, Meta: e.Meta, Line: cut(e.Line)})
	}
	for i := range w.Decisions {
		d, err := w.Decisions[i].decision(a)
		if err != nil {
			return nil, err
		}
		a.Decisions = append(a.Decisions, d)
	}
	return a, nil
}

// decision counts the duration from the alert's end: a replayed old log gives decisions that are
// over already.
func (w *Decision) decision(a *decision.Alert) (*decision.Decision, error) {
	d, err := yamlpos.ParseDuration(w.Duration)
	if err != nil {
		return nil, err
	}
	return &decision.Decision{
		Origin: w.Origin, Type: w.Type, Scope: CanonicalScope(w.Scope), Value: w.Value, Scenario: w.Scenario,
		Duration: d, CreatedAt: a.CreatedAt, Until: a.StopAt.Add(d), Simulated: a.Simulated,
	}, nil
}

func wireTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func readTime(s string, now time.Time) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return now
	}
	return t
}

func cut(s string) string { return s[:min(len(s), decision.MaxLine)] }
