package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"time"

	"gabion/userspace/decision"
)

// A row that is there already is left alone: a commit whose success was not reported is repeated.
const (
	insertAlert = `INSERT INTO alerts (id, uuid, machine, scenario, scenario_hash, scenario_version,
	message, kind, capacity, events_count, leakspeed, simulated, remediation, created_at, start_at,
	stop_at, scope, value, prefix, source, meta, labels, events)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
	ON CONFLICT (id) DO NOTHING`
	insertDecision = `INSERT INTO decisions (id, uuid, alert_id, origin, type, scope, value, prefix,
	scenario, duration, created_at, until, planned, simulated)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
	ON CONFLICT (id) DO NOTHING`
	alertColumns = `id, uuid, machine, scenario, scenario_hash, scenario_version, message, kind,
	capacity, events_count, leakspeed, simulated, remediation, created_at, start_at, stop_at, source,
	meta, labels`
	decisionColumns = `id, uuid, coalesce(alert_id, 0), origin, type, scope, value, scenario,
	duration, created_at, until, simulated`
)

// alert inserts an alert and its decisions.
func (in *inserter) alert(ctx context.Context, a *decision.Alert) error {
	var source decision.Source
	if a.Source != nil {
		source = *a.Source
	}
	var text [4]string
	for i, v := range []any{source, a.Meta, a.Labels, a.Events} {
		b, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("%w: encode alert %d: %w", errContent, a.ID, err)
		}
		text[i] = string(b)
	}
	err := in.exec(ctx, &in.alerts, insertAlert, a.ID, a.UUID, a.MachineID, a.Scenario, a.ScenarioHash,
		a.ScenarioVersion, a.Message, a.Kind, a.Capacity, a.EventsCount, a.Leakspeed, a.Simulated,
		a.Remediation, toNano(a.CreatedAt), toNano(a.StartAt), toNano(a.StopAt), source.Scope,
		source.Value, sourcePrefix(source), text[0], text[1], text[2], text[3])
	if err != nil {
		return fmt.Errorf("insert alert %d: %w", a.ID, err)
	}
	for _, d := range a.Decisions {
		if err := in.decision(ctx, d, a.ID); err != nil {
			return err
		}
	}
	return nil
}

func (in *inserter) decision(ctx context.Context, d *decision.Decision, alert int64) error {
	var prefix sql.NullString
	if p, err := d.Prefix(); err == nil {
		prefix = sql.NullString{String: p.String(), Valid: true}
	}
	err := in.exec(ctx, &in.decisions, insertDecision, int64(d.ID), d.UUID,
		sql.NullInt64{Int64: alert, Valid: alert != 0}, d.Origin, d.Type, d.Scope, d.Value, prefix,
		d.Scenario, int64(d.Duration), toNano(d.CreatedAt), toNano(d.Until), toNano(d.Until), d.Simulated)
	if err != nil {
		return fmt.Errorf("insert decision %d: %w", d.ID, err)
	}
	return nil
}

// sourcePrefix returns the addresses a source stands for: its value, or else the address that a
// source of another scope (a user name) came from.
func sourcePrefix(s decision.Source) sql.NullString {
	for _, text := range []string{s.Value, s.IP, s.Range} {
		if p, err := decision.ParsePrefix(text); err == nil {
			return sql.NullString{String: p.String(), Valid: true}
		}
	}
	return sql.NullString{}
}

// covering returns the text of every prefix that contains addr, as arguments for an IN list: an
// index finds them at once, and no row has to be read to see whether it covers addr.
func covering(addr netip.Addr) []any {
	addr = addr.Unmap().WithZone("")
	out := make([]any, 0, addr.BitLen()+1)
	for bits := addr.BitLen(); bits >= 0; bits-- {
		out = append(out, netip.PrefixFrom(addr, bits).Masked().String())
	}
	return out
}

// scanAlert reads a row of alertColumns and, when events is set, the events after them. Fields
// that do not decode are left empty and counted.
func (s *Store) scanAlert(rows *sql.Rows, events bool) (*decision.Alert, error) {
	a := &decision.Alert{Source: &decision.Source{}}
	var created, start, stop int64
	var source, meta, labels, lines string
	to := []any{&a.ID, &a.UUID, &a.MachineID, &a.Scenario, &a.ScenarioHash, &a.ScenarioVersion,
		&a.Message, &a.Kind, &a.Capacity, &a.EventsCount, &a.Leakspeed, &a.Simulated, &a.Remediation,
		&created, &start, &stop, &source, &meta, &labels}
	if events {
		to = append(to, &lines)
	}
	if err := rows.Scan(to...); err != nil {
		return nil, err
	}
	a.CreatedAt, a.StartAt, a.StopAt = fromNano(created), fromNano(start), fromNano(stop)
	s.decode(source, a.Source)
	s.decode(meta, &a.Meta)
	s.decode(labels, &a.Labels)
	if events {
		s.decode(lines, &a.Events)
	}
	return a, nil
}

// interned keeps one copy of each word that most rows share. It is bounded: values may be chosen by
// whoever posts alerts.
type interned map[string]string

func (in interned) one(s string) string {
	const most = 1000
	if known, ok := in[s]; ok {
		return known
	}
	if len(in) < most {
		in[s] = s
	}
	return s
}

func scanDecision(rows *sql.Rows, words interned) (*decision.Decision, error) {
	d := &decision.Decision{}
	var id, created, until int64
	err := rows.Scan(&id, &d.UUID, &d.AlertID, &d.Origin, &d.Type, &d.Scope, &d.Value, &d.Scenario,
		(*int64)(&d.Duration), &created, &until, &d.Simulated)
	d.ID, d.CreatedAt, d.Until = uint64(id), fromNano(created), fromNano(until)
	for _, word := range []*string{&d.Origin, &d.Type, &d.Scope, &d.Scenario} {
		*word = words.one(*word)
	}
	return d, err
}

// decode reads a JSON column. Damage in one must not hide the rest of the row.
func (s *Store) decode(text string, into any) {
	if err := json.Unmarshal([]byte(text), into); err != nil {
		s.badRows.Add(1)
	}
}

// toNano is exact from 1678 to 2262; times beyond are taken as the ends of that span.
func toNano(t time.Time) int64 {
	switch {
	case t.IsZero():
		return 0
	case t.Year() > 2261:
		return math.MaxInt64
	case t.Year() < 1679:
		return math.MinInt64
	}
	return t.UnixNano()
}

func fromNano(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}
