package store

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"gabion/userspace/decision"
)

// Limits of a listing.
const (
	DefaultLimit = 100    // when a filter sets none
	MaxLimit     = 10_000 // a filter that asks for more gets this; use Before for the next page
)

// DecisionFilter selects decisions. The zero value selects the latest of all.
type DecisionFilter struct {
	ActiveAt time.Time  // only those in force at that time
	Covers   netip.Addr // only those that cover the address
	Since    time.Time  // made then or later
	Scope    string     // these compare whole values
	Value    string
	Type     string
	Origin   string
	Scenario string
	AlertID  int64
	Before   uint64 // only ids below: the last id of the page before
	Limit    int
}

// AlertFilter selects alerts. The zero value selects the latest of all.
type AlertFilter struct {
	Covers   netip.Addr // the source is the address or a network that contains it
	Since    time.Time  // raised then or later
	Until    time.Time  // raised before then
	Scope    string     // these compare whole values
	Value    string
	Scenario string
	Before   int64 // only ids below: the last id of the page before
	Limit    int
	Events   bool // load the log lines as well
}

// Active returns every decision in force at now, by id. It is meant for the start of the daemon.
func (s *Store) Active(ctx context.Context, now time.Time) ([]*decision.Decision, error) {
	w := &where{}
	w.add("until > ?", toNano(now))
	return s.decisions(ctx, w, " ORDER BY id")
}

// Decisions returns the decisions that pass the filter, the latest first.
func (s *Store) Decisions(ctx context.Context, f DecisionFilter) ([]*decision.Decision, error) {
	w := &where{}
	if !f.ActiveAt.IsZero() {
		w.add("until > ?", toNano(f.ActiveAt))
	}
	if !f.Since.IsZero() {
		w.add("created_at >= ?", toNano(f.Since))
	}
	w.covers(f.Covers)
	w.text("scope", f.Scope)
	w.text("value", f.Value)
	w.text("type", f.Type)
	w.text("origin", f.Origin)
	w.text("scenario", f.Scenario)
	if f.AlertID != 0 {
		w.add("alert_id = ?", f.AlertID)
	}
	if f.Before != 0 {
		w.add("id < ?", int64(min(f.Before, math.MaxInt64)))
	}
	return s.decisions(ctx, w, " ORDER BY id DESC LIMIT ?", limit(f.Limit))
}

// Alerts returns the alerts that pass the filter with their decisions, the latest first.
func (s *Store) Alerts(ctx context.Context, f AlertFilter) ([]*decision.Alert, error) {
	w := &where{}
	if !f.Since.IsZero() {
		w.add("created_at >= ?", toNano(f.Since))
	}
	if !f.Until.IsZero() {
		w.add("created_at < ?", toNano(f.Until))
	}
	w.covers(f.Covers)
	w.text("scope", f.Scope)
	w.text("value", f.Value)
	w.text("scenario", f.Scenario)
	if f.Before != 0 {
		w.add("id < ?", f.Before)
	}
	return s.alerts(ctx, w, limit(f.Limit), f.Events)
}

// Alert returns one alert with its log lines and decisions, or ErrNotFound.
func (s *Store) Alert(ctx context.Context, id int64) (*decision.Alert, error) {
	w := &where{}
	w.add("id = ?", id)
	found, err := s.alerts(ctx, w, 1, true)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("alert %d: %w", id, ErrNotFound)
	}
	return found[0], nil
}

// MaxIDs returns the largest alert id and decision id that were ever recorded, also when their
// rows have been pruned since. Ids that gabion does not give out (decision.MaxID) do not count.
func (s *Store) MaxIDs(ctx context.Context) (alert int64, decisionID uint64, err error) {
	err = s.rows(ctx, `SELECT name, seq FROM sqlite_sequence`, nil, func(rows *sql.Rows) error {
		var name string
		var seq int64
		if err := rows.Scan(&name, &seq); err != nil {
			return err
		}
		switch {
		case seq < 0 || seq > decision.MaxID:
		case name == "alerts":
			alert = seq
		case name == "decisions":
			decisionID = uint64(seq)
		}
		return nil
	})
	return alert, decisionID, err
}

// History notes in h every decision made since then.
func (s *Store) History(ctx context.Context, since time.Time, h *decision.History) error {
	const query = "SELECT value, created_at FROM decisions WHERE created_at >= ? ORDER BY created_at"
	return s.rows(ctx, query, []any{toNano(since)}, func(rows *sql.Rows) error {
		var value string
		var created int64
		err := rows.Scan(&value, &created)
		if err == nil {
			h.Note(value, fromNano(created))
		}
		return err
	})
}

func (s *Store) decisions(ctx context.Context, w *where, tail string, args ...any) ([]*decision.Decision, error) {
	var out []*decision.Decision
	words := interned{}
	query := "SELECT " + decisionColumns + " FROM decisions" + w.String() + tail
	err := s.rows(ctx, query, append(w.args, args...), func(rows *sql.Rows) error {
		d, err := scanDecision(rows, words)
		if err == nil {
			out = append(out, d)
		}
		return err
	})
	return out, err
}

func (s *Store) alerts(ctx context.Context, w *where, limit int, events bool) ([]*decision.Alert, error) {
	var out []*decision.Alert
	columns := alertColumns
	if events {
		columns += ", events"
	}
	query := "SELECT " + columns + " FROM alerts" + w.String() + " ORDER BY id DESC LIMIT ?"
	err := s.rows(ctx, query, append(w.args, limit), func(rows *sql.Rows) error {
		a, err := s.scanAlert(rows, events)
		if err == nil {
			out = append(out, a)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, s.attach(ctx, out)
}

// attach loads the decisions of alerts.
func (s *Store) attach(ctx context.Context, alerts []*decision.Alert) error {
	byID := make(map[int64]*decision.Alert, len(alerts))
	for _, a := range alerts {
		byID[a.ID] = a
	}
	for part := range slices.Chunk(alerts, maxArgs) {
		ids := make([]any, len(part))
		for i, a := range part {
			ids[i] = a.ID
		}
		w := &where{}
		w.in("alert_id", ids)
		found, err := s.decisions(ctx, w, " ORDER BY id")
		if err != nil {
			return err
		}
		for _, d := range found {
			if a, ok := byID[d.AlertID]; ok {
				a.Decisions = append(a.Decisions, d)
			}
		}
	}
	return nil
}

// rows runs a query and calls scan for every row. A row that scan cannot read is left out and
// counted: one damaged row must not hide the others.
func (s *Store) rows(ctx context.Context, query string, args []any, scan func(*sql.Rows) error) error {
	rows, err := s.read.QueryContext(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("read store %s: %w", s.path, explain(err, s.path))
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			s.badRows.Add(1)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read store %s: %w", s.path, explain(err, s.path))
	}
	return nil
}

// maxArgs is how many values an IN list gets; SQLite takes some thirty thousand.
const maxArgs = 1000

// where collects conditions that all must hold.
type where struct {
	conditions []string
	args       []any
}

func (w *where) add(condition string, args ...any) {
	w.conditions = append(w.conditions, condition)
	w.args = append(w.args, args...)
}

func (w *where) text(column, value string) {
	if value != "" {
		w.add(column+" = ?", value)
	}
}

func (w *where) in(column string, values []any) {
	w.add(column+" IN (?"+strings.Repeat(",?", len(values)-1)+")", values...)
}

func (w *where) covers(addr netip.Addr) {
	if addr.IsValid() {
		w.in("prefix", covering(addr))
	}
}

// String returns the WHERE clause, empty without conditions.
func (w *where) String() string {
	if len(w.conditions) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.conditions, " AND ")
}

func limit(n int) int {
	if n <= 0 {
		return DefaultLimit
	}
	return min(n, MaxLimit)
}

func idArgs(ids []uint64) []any {
	out := make([]any, len(ids))
	for i, id := range ids {
		out[i] = int64(id)
	}
	return out
}
