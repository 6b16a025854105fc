package daemon

import (
	"fmt"
	"log/slog"
	"time"

	"gabion/userspace/daemon/record"
	"gabion/userspace/decision"
	"gabion/userspace/enforce"
)

// judge carries alerts out: kernel first, record second. It is called on the goroutine that found
// the attack, so it waits for nothing but the enforcer's short lock.
type judge struct {
	enforcer *enforce.Enforcer
	record   *record.Record
	history  *decision.History
	others   *others
	ids      *decision.IDs
	machine  string
	log      *slog.Logger
	now      func() time.Time
}

// sink takes an alert of the engine.
func (j *judge) sink(a *decision.Alert) {
	_, _ = j.take(a) // a loss is counted and logged by the record
}

// take numbers an alert, enforces its decisions and hands it to the record. Refused decisions are
// taken out of the alert, which says so. The error is the record's.
func (j *judge) take(a *decision.Alert) ([]enforce.Refusal, error) {
	now := j.now()
	a.ID = j.ids.NextAlert()
	if a.UUID == "" {
		a.UUID = decision.NewUUID()
	}
	a.MachineID = j.machine
	if a.CreatedAt.IsZero() {
		a.CreatedAt = now
	}
	refused := j.enforce(a, now)
	for _, d := range a.Decisions {
		j.history.Note(d.Value, d.CreatedAt)
		j.log.Info("decision", "type", d.Type, "value", d.Value, "scenario", a.Scenario, "until", d.Until, "id", d.ID)
	}
	for _, r := range refused {
		a.Meta = append(a.Meta, decision.Meta{Key: "refused", Value: fmt.Sprintf("%s %s: %s", r.Decision.Type, r.Decision.Value, r.Reason)})
		j.log.Warn("decision refused", "type", r.Decision.Type, "value", r.Decision.Value, "scenario", a.Scenario, "reason", r.Reason)
	}
	return refused, j.record.Append(a)
}

// enforce bans what the kernel can ban, and leaves in the alert what is in force or only for the
// record: other types, other scopes, and decisions that are over already.
func (j *judge) enforce(a *decision.Alert, now time.Time) []enforce.Refusal {
	var bans []*decision.Decision
	for _, d := range a.Decisions {
		d.AlertID = a.ID
		if forKernel(d) && d.Until.After(now) {
			bans = append(bans, d)
			continue
		}
		d.ID = j.ids.NextDecision()
		if d.UUID == "" {
			d.UUID = decision.NewUUID()
		}
		if d.Until.After(now) {
			j.others.add(d)
		}
	}
	refused := j.enforcer.Ban(bans)
	if len(refused) == 0 {
		return nil
	}
	no := map[*decision.Decision]bool{}
	for _, r := range refused {
		no[r.Decision] = true
	}
	var kept []*decision.Decision
	for _, d := range a.Decisions {
		if !no[d] {
			kept = append(kept, d)
		}
	}
	a.Decisions = kept
	return refused
}

// adopt records bans that were found in the kernel and nowhere else.
func (j *judge) adopt(ds []*decision.Decision) {
	now := j.now()
	for _, d := range ds {
		j.log.Warn("ban found in the kernel is adopted", "value", d.Value, "origin", d.Origin, "until", d.Until, "id", d.ID)
		recorded := *d // the enforcer's must not change
		a := &decision.Alert{
			ID: j.ids.NextAlert(), UUID: decision.NewUUID(), MachineID: j.machine, Scenario: d.Scenario,
			Message: "a ban of " + d.Value + " was " + d.Scenario, Kind: d.Origin, Leakspeed: "0", Remediation: true,
			CreatedAt: now, StartAt: now, StopAt: now, Simulated: d.Simulated,
			Source:    &decision.Source{Scope: d.Scope, Value: d.Value},
			Decisions: []*decision.Decision{&recorded},
		}
		recorded.AlertID = a.ID
		_ = j.record.Append(a) // a loss is counted and logged by the record
	}
}
