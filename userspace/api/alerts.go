package api

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"gabion/userspace/client"
	"gabion/userspace/decision"
	"gabion/userspace/store"
	"gabion/userspace/yamlpos"
)

// postAlerts takes detections of agents and decisions made by hand. It answers when the record
// holds them; the ids are those of the alerts that were kept.
func (s *Server) postAlerts(w http.ResponseWriter, r *http.Request) error {
	var wire []client.Alert
	if err := readJSON(w, r, &wire); err != nil {
		return err
	}
	now := s.now()
	alerts := make([]*decision.Alert, 0, len(wire))
	for i := range wire {
		a, err := wire[i].Alert(now)
		if err != nil {
			return faultf(http.StatusInternalServerError, "alert %d: %v", i, err)
		}
		if a.Source == nil || a.Source.Value == "" {
			return faultf(http.StatusInternalServerError, "alert %d: source with scope and value is required", i)
		}
		if keep(a) {
			alerts = append(alerts, a)
		}
	}
	refusals, err := s.backend.Submit(r.Context(), alerts)
	if err != nil {
		return err
	}
	// A person is told; an agent would send the same alert for ever.
	if len(alerts) == 1 && alerts[0].Kind == "cscli" && len(alerts[0].Decisions) == 0 && len(refusals) > 0 {
		return faultf(http.StatusUnprocessableEntity, "%s is not banned: %s", refusals[0].Decision.Value, refusals[0].Reason)
	}
	ids := make([]string, 0, len(alerts))
	for _, a := range alerts {
		ids = append(ids, strconv.FormatInt(a.ID, 10))
	}
	return respond(w, http.StatusCreated, ids)
}

// keep drops decisions on addresses that cannot be read, and says whether the alert still means
// something: one that had decisions and lost all of them does not.
func keep(a *decision.Alert) bool {
	valid := a.Decisions[:0]
	for _, d := range a.Decisions {
		if d.Scope == decision.ScopeIP || d.Scope == decision.ScopeRange {
			if _, err := d.Prefix(); err != nil {
				continue
			}
		}
		valid = append(valid, d)
	}
	had := len(a.Decisions) > 0
	a.Decisions = valid
	return !had || len(valid) > 0
}

// getAlerts lists alerts, the latest first; null when there are none.
func (s *Server) getAlerts(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	sel, err := s.selectAlerts(query)
	if err != nil {
		return err
	}
	found, err := sel.run(r.Context(), s.backend)
	if err != nil {
		return err
	}
	var out []client.Alert
	now := s.now()
	for _, a := range found {
		wire := client.FromAlert(a, now)
		if query.Get("with_decisions") == "false" {
			wire.Decisions = nil
		}
		out = append(out, wire)
	}
	return respond(w, http.StatusOK, out)
}

func (s *Server) getAlert(w http.ResponseWriter, r *http.Request) error {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return faultf(http.StatusBadRequest, "%q is not an alert id", r.PathValue("id"))
	}
	a, err := s.backend.Alert(r.Context(), id)
	if err != nil {
		return err
	}
	return respond(w, http.StatusOK, client.FromAlert(a, s.now()))
}

// alertPage is how many alerts are read from the record at a time.
const alertPage = 500

// alertSelection is a query: what the record filters, and what is left to test here.
type alertSelection struct {
	filter store.AlertFilter
	tests  []func(*decision.Alert) bool
	limit  int
}

// run reads pages of alerts until enough of them pass.
func (sel *alertSelection) run(ctx context.Context, b Backend) ([]*decision.Alert, error) {
	var out []*decision.Alert
	f := sel.filter
	f.Limit, f.Events = min(alertPage, sel.limit), true
	for {
		found, err := b.Alerts(ctx, f)
		if err != nil {
			return nil, err
		}
		for _, a := range found {
			if passes(a, sel.tests) {
				out = append(out, a)
			}
			if len(out) >= sel.limit {
				return out, nil
			}
		}
		if len(found) < f.Limit {
			return out, nil
		}
		f.Before = found[len(found)-1].ID
	}
}

func passes(a *decision.Alert, tests []func(*decision.Alert) bool) bool {
	for _, t := range tests {
		if !t(a) {
			return false
		}
	}
	return true
}

// selectAlerts reads the parameters of GET /v1/alerts; an unknown one is an error.
func (s *Server) selectAlerts(q url.Values) (*alertSelection, error) {
	sel := &alertSelection{limit: store.DefaultLimit}
	for name := range q {
		if err := s.alertParameter(sel, name, q.Get(name)); err != nil {
			return nil, err
		}
	}
	return sel, nil
}

func (s *Server) alertParameter(sel *alertSelection, name, value string) error {
	test := func(t func(*decision.Alert) bool) { sel.tests = append(sel.tests, t) }
	var err error
	switch name {
	case "scope":
		sel.filter.Scope = client.CanonicalScope(value)
	case "value":
		sel.filter.Value = value
	case "scenario":
		sel.filter.Scenario = value
	case "ip":
		if sel.filter.Covers, err = netip.ParseAddr(value); err != nil {
			err = fmt.Errorf("%q is not an address such as 192.0.2.1 or 2001:db8::1", value)
		}
	case "range":
		var want netip.Prefix
		want, err = decision.ParsePrefix(value)
		test(func(a *decision.Alert) bool { return sourceCovers(a, want) })
	case "since", "until":
		err = s.alertTime(&sel.filter, name, value)
	case "limit":
		sel.limit, err = alertLimit(value)
	case "kind":
		test(func(a *decision.Alert) bool { return a.Kind == value })
	case "decision_type":
		test(func(a *decision.Alert) bool {
			return hasDecision(a, func(d *decision.Decision) bool { return d.Type == value })
		})
	case "origin":
		test(func(a *decision.Alert) bool {
			return hasDecision(a, func(d *decision.Decision) bool { return d.Origin == value })
		})
	case "has_active_decision":
		now, want := s.now(), value == "true"
		test(func(a *decision.Alert) bool {
			return want == hasDecision(a, func(d *decision.Decision) bool { return d.Until.After(now) })
		})
	case "simulated":
		test(func(a *decision.Alert) bool { return value != "false" || !a.Simulated })
	case "sort":
		if !strings.EqualFold(value, "DESC") {
			return faultf(http.StatusInternalServerError, "sort: only DESC, the latest first, is served")
		}
	case "contains", "include_capi", "with_decisions": // defaults hold, or read elsewhere
	default:
		return faultf(http.StatusInternalServerError, "Filter parameter '%s' is unknown (=%s)", name, value)
	}
	if err != nil {
		return faultf(http.StatusInternalServerError, "%s: %v", name, err)
	}
	return nil
}

func (s *Server) alertTime(f *store.AlertFilter, name, value string) error {
	back, err := yamlpos.ParseDuration(value)
	if err != nil {
		return err
	}
	at := s.now().Add(-back)
	if name == "since" {
		f.Since = at
	} else {
		f.Until = at
	}
	return nil
}

// alertLimit reads a limit; 0 asks for all, which the record bounds.
func alertLimit(value string) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 {
		return 0, faultf(http.StatusInternalServerError, "%q is not a number of alerts", value)
	}
	if n == 0 || n > store.MaxLimit {
		return store.MaxLimit, nil
	}
	return n, nil
}

func hasDecision(a *decision.Alert, is func(*decision.Decision) bool) bool {
	for _, d := range a.Decisions {
		if is(d) {
			return true
		}
	}
	return false
}

func sourceCovers(a *decision.Alert, want netip.Prefix) bool {
	if a.Source == nil {
		return false
	}
	have, err := decision.ParsePrefix(a.Source.Value)
	return err == nil && covers(have, want)
}
