// Package review sums up what rules would have done to a log: when alerts and decisions came, who
// caused them and which scenarios raised them, and who of those that nobody wants to lose would
// have been hit.
package review

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"gabion/userspace/decision"
)

// Review collects alerts. It belongs to one goroutine. Its memory grows with the number of sources
// and not with that of alerts.
type Review struct {
	allow *Allowlist

	first, last time.Time
	alerts      int
	decisions   int
	repeated    int
	minutes     map[int64]*Row // by Unix minute
	scenarios   map[string]*Scenario
	sources     map[key]*Source
	wrong       map[*Entry]*Wrong
}

type key struct{ scope, value string }

// New returns an empty review; the allowlist may be nil.
func New(allow *Allowlist) *Review {
	return &Review{
		allow: allow, minutes: map[int64]*Row{}, scenarios: map[string]*Scenario{}, sources: map[key]*Source{}, wrong: map[*Entry]*Wrong{},
	}
}

// Row is what happened in one step of the time line.
type Row struct {
	Time      time.Time `json:"time"`
	Alerts    int       `json:"alerts"`
	Decisions int       `json:"decisions"`
	Sources   int       `json:"new_sources"` // that raised their first alert
}

// Scenario is what one scenario did.
type Scenario struct {
	Name      string `json:"name"`
	Alerts    int    `json:"alerts"`
	Decisions int    `json:"decisions"`
	Sources   int    `json:"sources"`

	seen map[key]bool
}

// Source is what one source did.
type Source struct {
	Scope     string    `json:"scope"`
	Value     string    `json:"value"`
	Alerts    int       `json:"alerts"`
	Decisions int       `json:"decisions"`
	Repeated  int       `json:"repeated"` // decisions while an earlier one was in force
	Events    int       `json:"events"`   // counted by the buckets that overflowed
	First     time.Time `json:"first"`    // event of an alert
	Last      time.Time `json:"last"`
	Scenarios []string  `json:"scenarios"`

	until time.Time
}

// Active returns how long the source was seen attacking.
func (s *Source) Active() time.Duration { return s.Last.Sub(s.First) }

// Add takes an alert with its decisions. Alerts come in the order of their time.
func (r *Review) Add(a *decision.Alert) {
	at := a.StopAt.UTC()
	if r.alerts == 0 || a.StartAt.Before(r.first) {
		r.first = a.StartAt.UTC()
	}
	if at.After(r.last) {
		r.last = at
	}
	r.alerts++
	r.decisions += len(a.Decisions)
	k := key{a.GetScope(), a.GetValue()}
	s, known := r.sources[k]
	if !known {
		s = &Source{Scope: k.scope, Value: k.value, First: a.StartAt.UTC()}
		r.sources[k] = s
	}
	row := r.row(at)
	row.Alerts++
	row.Decisions += len(a.Decisions)
	if !known {
		row.Sources++
	}
	r.repeated += s.add(a)
	r.scenario(a, k)
	r.check(a)
}

func (r *Review) row(at time.Time) *Row {
	minute := at.Unix() / 60
	row := r.minutes[minute]
	if row == nil {
		row = &Row{}
		r.minutes[minute] = row
	}
	return row
}

// add counts an alert and returns how many of its decisions are about a source that is under one.
func (s *Source) add(a *decision.Alert) (repeated int) {
	s.Alerts++
	s.Events += int(a.EventsCount)
	if a.StopAt.After(s.Last) {
		s.Last = a.StopAt.UTC()
	}
	if a.StartAt.Before(s.First) {
		s.First = a.StartAt.UTC()
	}
	if !slices.Contains(s.Scenarios, a.Scenario) {
		s.Scenarios = append(s.Scenarios, a.Scenario)
	}
	until := s.until
	for _, d := range a.Decisions {
		s.Decisions++
		if a.StopAt.Before(s.until) {
			repeated++
		}
		if d.Until.After(until) {
			until = d.Until
		}
	}
	s.Repeated, s.until = s.Repeated+repeated, until
	return repeated
}

func (r *Review) scenario(a *decision.Alert, k key) {
	s := r.scenarios[a.Scenario]
	if s == nil {
		s = &Scenario{Name: a.Scenario, seen: map[key]bool{}}
		r.scenarios[a.Scenario] = s
	}
	s.Alerts++
	s.Decisions += len(a.Decisions)
	if !s.seen[k] {
		s.seen[k] = true
		s.Sources++
	}
}

// Report is a review as it is shown.
type Report struct {
	First     time.Time   `json:"first,omitzero"` // event of an alert
	Last      time.Time   `json:"last,omitzero"`
	Alerts    int         `json:"alerts"`
	Decisions int         `json:"decisions"`
	Repeated  int         `json:"repeated"` // decisions about who was under one: a daemon would have dropped them before
	Sources   int         `json:"sources"`
	Step      string      `json:"step"`     // of the time line
	Timeline  []Row       `json:"timeline"` // without the steps in which nothing happened
	Scenarios []*Scenario `json:"scenarios"`
	Top       []*Source   `json:"top_sources"`
	Longest   []*Source   `json:"longest_sources"`
	Wrong     []*Wrong    `json:"wrong"` // in order of the allowlist
}

// Report sums up, with the given number of sources of each ranking.
func (r *Review) Report(top int) *Report {
	out := &Report{
		First: r.first, Last: r.last, Alerts: r.alerts, Decisions: r.decisions, Repeated: r.repeated, Sources: len(r.sources),
		Scenarios: slices.SortedFunc(maps.Values(r.scenarios), func(a, b *Scenario) int {
			return cmp.Or(cmp.Compare(b.Alerts, a.Alerts), cmp.Compare(a.Name, b.Name))
		}),
		Wrong: slices.SortedFunc(maps.Values(r.wrong), func(a, b *Wrong) int { return cmp.Compare(a.line, b.line) }),
	}
	out.Step, out.Timeline = r.timeline()
	all := slices.Collect(maps.Values(r.sources))
	out.Top = ranking(all, top, func(a, b *Source) int {
		return cmp.Or(cmp.Compare(b.Alerts, a.Alerts), cmp.Compare(b.Events, a.Events))
	})
	out.Longest = ranking(all, top, func(a, b *Source) int { return cmp.Compare(b.Active(), a.Active()) })
	return out
}

func ranking(all []*Source, top int, order func(a, b *Source) int) []*Source {
	slices.SortFunc(all, func(a, b *Source) int {
		return cmp.Or(order(a, b), cmp.Compare(a.Value, b.Value), cmp.Compare(a.Scope, b.Scope))
	})
	return slices.Clone(all[:min(top, len(all))])
}

// maxRows is how many rows a time line has at most, unless it covers years.
const maxRows = 36

// timeline returns the rows in the finest step that needs no more than maxRows.
func (r *Review) timeline() (step string, rows []Row) {
	const minute, hour, day = 1, 60, 24 * 60
	steps := []int64{minute, 5 * minute, 15 * minute, hour, 3 * hour, 6 * hour, 12 * hour, day, 7 * day, 28 * day}
	minutes := slices.Sorted(maps.Keys(r.minutes))
	if len(minutes) == 0 {
		return "1m0s", []Row{}
	}
	every := steps[len(steps)-1]
	for _, s := range steps {
		if minutes[len(minutes)-1]/s-minutes[0]/s < maxRows {
			every = s
			break
		}
	}
	for _, m := range minutes {
		start := time.Unix(m/every*every*60, 0).UTC()
		if len(rows) == 0 || !rows[len(rows)-1].Time.Equal(start) {
			rows = append(rows, Row{Time: start})
		}
		row, add := &rows[len(rows)-1], r.minutes[m]
		row.Alerts += add.Alerts
		row.Decisions += add.Decisions
		row.Sources += add.Sources
	}
	return (time.Duration(every) * time.Minute).String(), rows
}
