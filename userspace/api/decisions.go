package api

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"gabion/userspace/client"
	"gabion/userspace/decision"
)

// getDecisions lists the active decisions that the query selects; null when there are none, for
// some bouncers compare the body with that word.
func (s *Server) getDecisions(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	match, err := decisionFilter(query)
	if err != nil {
		return err
	}
	page, err := readPage(query)
	if err != nil {
		return err
	}
	active, err := s.backend.Active(r.Context())
	if err != nil {
		return err
	}
	var out []client.Decision
	now := s.now()
	details := query.Get("details") == "true"
	for _, d := range active {
		if !match(d) || !page.take(d.ID) {
			continue
		}
		wire := client.FromDecision(d, now)
		if details {
			wire = s.withDetails(wire, d)
		}
		out = append(out, wire)
		if page.full() {
			break
		}
	}
	return respond(w, http.StatusOK, out)
}

// withDetails adds what the kernel counted for a ban, and what keeps the ban from having any effect.
func (s *Server) withDetails(wire client.Decision, d *decision.Decision) client.Decision {
	p, err := d.Prefix()
	if err != nil || d.Type != decision.TypeBan {
		return wire.WithDetails(d, nil)
	}
	var hits *uint64
	if n, ok := s.backend.Hits(p); ok {
		hits = &n
	}
	wire = wire.WithDetails(d, hits)
	if reason, ok := s.backend.Allowed(p); ok {
		wire.AllowedBy = reason
	}
	return wire
}

// page is the part of a list that was asked for.
type page struct {
	limit, offset int
	after         uint64
	taken         int
}

func readPage(q url.Values) (page, error) {
	var p page
	for name, to := range map[string]func(uint64){
		"limit":  func(n uint64) { p.limit = int(n) },
		"offset": func(n uint64) { p.offset = int(n) },
		"id_gt":  func(n uint64) { p.after = n },
	} {
		if !q.Has(name) {
			continue
		}
		n, err := strconv.ParseUint(q.Get(name), 10, 53)
		if err != nil {
			return page{}, faultf(http.StatusInternalServerError, "%s: %q is not a number", name, q.Get(name))
		}
		to(n)
	}
	return p, nil
}

func (p *page) take(id uint64) bool {
	if id <= p.after {
		return false
	}
	if p.offset > 0 {
		p.offset--
		return false
	}
	p.taken++
	return true
}

func (p *page) full() bool { return p.limit > 0 && p.taken >= p.limit }

// deleteFilters are the parameters of DELETE /v1/decisions. Anything else is refused: a filter that
// is not understood must not delete everything.
var deleteFilters = []string{"contains", "scopes", "uuid", "origin", "value", "type", "ip", "range", "scenario"}

func (s *Server) deleteDecisions(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	for name := range query {
		if !slices.Contains(deleteFilters, name) {
			return faultf(http.StatusInternalServerError, "'%s' doesn't exist: unable to delete", name)
		}
	}
	match, err := deleteFilter(query)
	if err != nil {
		return err
	}
	active, err := s.backend.Active(r.Context())
	if err != nil {
		return err
	}
	var ids []uint64
	for _, d := range active {
		if match(d) {
			ids = append(ids, d.ID)
		}
	}
	return s.end(w, r, ids)
}

func (s *Server) deleteDecision(w http.ResponseWriter, r *http.Request) error {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	if err != nil {
		return faultf(http.StatusBadRequest, "%q is not a decision id", r.PathValue("id"))
	}
	active, err := s.backend.Active(r.Context())
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(active, func(d *decision.Decision) bool { return d.ID == id }) {
		return faultf(http.StatusInternalServerError, "decision with id '%d' doesn't exist: unable to delete", id)
	}
	return s.end(w, r, []uint64{id})
}

func (s *Server) end(w http.ResponseWriter, r *http.Request, ids []uint64) error {
	if len(ids) > 0 {
		if err := s.backend.End(r.Context(), ids); err != nil {
			return err
		}
	}
	return respond(w, http.StatusOK, client.Deleted{NbDeleted: strconv.Itoa(len(ids))})
}

// test says whether a decision is selected.
type test func(*decision.Decision) bool

func all(tests []test) test {
	return func(d *decision.Decision) bool {
		for _, t := range tests {
			if !t(d) {
				return false
			}
		}
		return true
	}
}

// decisionFilter reads the parameters of GET /v1/decisions; unknown ones are ignored.
func decisionFilter(q url.Values) (test, error) {
	tests, err := addressTests(q)
	if err != nil {
		return nil, err
	}
	scopes := list(q, "scopes")
	if scopes == nil {
		scopes = list(q, "scope")
	}
	for i := range scopes {
		scopes[i] = client.CanonicalScope(scopes[i])
	}
	tests = append(tests, anyOf(scopes, func(d *decision.Decision) string { return d.Scope }),
		anyOf(list(q, "origins"), func(d *decision.Decision) string { return d.Origin }),
		equals(q, "value", func(d *decision.Decision) string { return d.Value }),
		equals(q, "type", func(d *decision.Decision) string { return d.Type }))
	if words := list(q, "scenarios_containing"); words != nil {
		tests = append(tests, func(d *decision.Decision) bool { return containsAny(d.Scenario, words) })
	}
	if words := list(q, "scenarios_not_containing"); words != nil {
		tests = append(tests, func(d *decision.Decision) bool { return !containsAny(d.Scenario, words) })
	}
	if v := q.Get("simulated"); v == "" || v == "false" {
		tests = append(tests, func(d *decision.Decision) bool { return !d.Simulated })
	}
	return all(tests), nil
}

// deleteFilter reads the parameters of DELETE /v1/decisions.
func deleteFilter(q url.Values) (test, error) {
	tests, err := addressTests(q)
	if err != nil {
		return nil, err
	}
	for name, field := range map[string]func(*decision.Decision) string{
		"scopes":   func(d *decision.Decision) string { return d.Scope },
		"uuid":     func(d *decision.Decision) string { return d.UUID },
		"origin":   func(d *decision.Decision) string { return d.Origin },
		"value":    func(d *decision.Decision) string { return d.Value },
		"type":     func(d *decision.Decision) string { return d.Type },
		"scenario": func(d *decision.Decision) string { return d.Scenario },
	} {
		tests = append(tests, equals(q, name, field))
	}
	return all(tests), nil
}

// addressTests reads ip, range and contains: decisions that cover the address or prefix, or with
// contains=false those inside it.
func addressTests(q url.Values) ([]test, error) {
	inside := q.Get("contains") == "false"
	var tests []test
	for _, name := range []string{"ip", "range"} {
		if q.Get(name) == "" {
			continue
		}
		want, err := decision.ParsePrefix(q.Get(name))
		if err != nil {
			return nil, faultf(http.StatusInternalServerError, "%s: %v", name, err)
		}
		tests = append(tests, func(d *decision.Decision) bool {
			have, err := d.Prefix()
			if err != nil {
				return false
			}
			if inside {
				return covers(want, have)
			}
			return covers(have, want)
		})
	}
	return tests, nil
}

func covers(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

func equals(q url.Values, name string, field func(*decision.Decision) string) test {
	want := q.Get(name)
	return func(d *decision.Decision) bool { return want == "" || field(d) == want }
}

func anyOf(words []string, field func(*decision.Decision) string) test {
	return func(d *decision.Decision) bool { return words == nil || slices.Contains(words, field(d)) }
}

func containsAny(s string, words []string) bool {
	s = strings.ToLower(s)
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(s, strings.ToLower(w)) })
}

// list splits a comma-separated parameter; nil when it is absent.
func list(q url.Values, name string) []string {
	if v := q.Get(name); v != "" {
		return strings.Split(v, ",")
	}
	return nil
}
