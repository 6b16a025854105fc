package review

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gabion/userspace/decision"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// alert is one of a scenario about a value, after a time; ban is how long its decision lasts, 0
// without one.
func alert(after time.Duration, scenario, value string, ban time.Duration) *decision.Alert {
	a := &decision.Alert{
		Scenario: scenario, EventsCount: 6, StartAt: start.Add(after - time.Minute), StopAt: start.Add(after),
		Source: &decision.Source{Scope: decision.ScopeIP, Value: value},
		Events: []decision.Event{{Line: "first"}, {Line: "second"}, {Line: "second"}},
	}
	if ban > 0 {
		a.Decisions = []*decision.Decision{{Type: "ban", Scope: decision.ScopeIP, Value: value, Duration: ban, Until: a.StopAt.Add(ban)}}
	}
	return a
}

func TestAReviewCountsByTimeSourceAndScenario(t *testing.T) {
	r := New(nil)
	r.Add(alert(0, "a", "192.0.2.1", time.Hour))
	r.Add(alert(time.Minute, "a", "192.0.2.1", time.Hour))
	r.Add(alert(2*time.Hour, "b", "192.0.2.1", time.Hour))
	r.Add(alert(2*time.Hour, "b", "192.0.2.2", 0))
	want := &Report{
		First: start.Add(-time.Minute), Last: start.Add(2 * time.Hour), Alerts: 4, Decisions: 3, Repeated: 1, Sources: 2, Step: "5m0s",
		Timeline: []Row{{start, 2, 2, 1}, {start.Add(2 * time.Hour), 2, 1, 1}},
		Scenarios: []*Scenario{
			{Name: "a", Alerts: 2, Decisions: 2, Sources: 1}, {Name: "b", Alerts: 2, Decisions: 1, Sources: 2},
		},
		Top: []*Source{{
			Scope: "Ip", Value: "192.0.2.1", Alerts: 3, Decisions: 3, Repeated: 1, Events: 18,
			First: start.Add(-time.Minute), Last: start.Add(2 * time.Hour), Scenarios: []string{"a", "b"},
		}},
	}
	want.Longest = want.Top
	ignore := cmp.FilterPath(func(p cmp.Path) bool {
		last := p.Last().String()
		return last == ".seen" || last == ".until"
	}, cmp.Ignore())
	if diff := cmp.Diff(want, r.Report(1), ignore); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

func TestTheTimeLineHasAsManyRowsAsFit(t *testing.T) {
	for _, tt := range []struct {
		span time.Duration
		step string
	}{
		{0, "1m0s"}, {35 * time.Minute, "1m0s"}, {36 * time.Minute, "5m0s"}, {20 * time.Hour, "1h0m0s"},
		{30 * 24 * time.Hour, "24h0m0s"}, {10 * 365 * 24 * time.Hour, "672h0m0s"},
	} {
		r := New(nil)
		r.Add(alert(0, "a", "192.0.2.1", 0))
		r.Add(alert(tt.span, "a", "192.0.2.1", 0))
		if got := r.Report(1).Step; got != tt.step {
			t.Errorf("%s: step %s, want %s", tt.span, got, tt.step)
		}
	}
}

func TestWhoIsHitWrongly(t *testing.T) {
	list, err := ReadAllowlist(strings.NewReader("# our own\n192.0.2.0/28 # office\n\n2001:db8::7\n198.51.100.9\n"), "allow.txt")
	if err != nil || list.Len() != 3 {
		t.Fatalf("%v entries, error %v", list.Len(), err)
	}
	r := New(list)
	r.Add(alert(0, "a", "192.0.2.3", time.Hour))
	r.Add(alert(1, "a", "192.0.2.4", time.Hour))
	r.Add(alert(2, "a", "192.0.2.99", time.Hour))  // not on the list
	r.Add(alert(3, "a", "2001:db8::7", 0))         // no decision
	r.Add(alert(4, "range", "198.51.100.0/24", 1)) // holds an entry
	r.Add(alert(5, "user", "some body's name", 1)) // no address
	simulated := alert(6, "a", "2001:db8::7", time.Hour)
	simulated.Decisions[0].Simulated = true
	r.Add(simulated)
	var got []string
	for _, w := range r.Report(1).Wrong {
		got = append(got, fmt.Sprintf("%s (%s): %d, first %s by %s, %v", w.Allowed, w.Comment, w.Hits, w.First[0].Value, w.First[0].Scenario, w.First[0].Lines))
	}
	want := []string{
		"192.0.2.0/28 (office): 2, first 192.0.2.3 by a, [first second]",
		"198.51.100.9 (): 1, first 198.51.100.0/24 by range, [first second]",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("wrong hits (-want +got):\n%s", diff)
	}
}

func TestAWrongEntryKeepsItsFirstHitsOnly(t *testing.T) {
	list, err := ReadAllowlist(strings.NewReader("192.0.2.1"), "allow.txt")
	if err != nil {
		t.Fatal(err)
	}
	r := New(list)
	for i := range 50 {
		r.Add(alert(time.Duration(i), "a", "192.0.2.1", time.Hour))
	}
	if w := r.Report(1).Wrong[0]; w.Hits != 50 || len(w.First) != maxHits {
		t.Errorf("%d hits, %d kept", w.Hits, len(w.First))
	}
}

func TestAFaultyAllowlistNamesItsLines(t *testing.T) {
	_, err := ReadAllowlist(strings.NewReader("192.0.2.1\nnonsense # what\n192.0.2.0/99\n"), "allow.txt")
	if err == nil || !strings.Contains(err.Error(), "allow.txt:2: ") || !strings.Contains(err.Error(), "allow.txt:3: ") {
		t.Errorf("error = %v", err)
	}
	_, err = ReadAllowlist(strings.NewReader(strings.Repeat("x", maxLine+1)), "allow.txt")
	if err == nil || !strings.Contains(err.Error(), "allow.txt:1: ") {
		t.Errorf("error = %v", err)
	}
}
