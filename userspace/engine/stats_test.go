package engine

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestEachRuleIsCountedAndTimed(t *testing.T) {
	set, profiles := mustLoad(t, ruleFiles(map[string]string{
		"a.yaml": scenario("a", "filter: evt.Meta.log_type == 'a' && evt.Parsed.ip != '192.0.2.2'"),
		"b.yaml": scenario("b", "filter: evt.Parsed.ip != '192.0.2.1'"),
	}))
	var calls atomic.Int64
	var got sink
	e := New(Config{Rules: set, Profiles: profiles, Sink: got.take, Now: func() time.Time {
		return testNow().Add(time.Duration(calls.Add(1)) * time.Microsecond) // time passes as it is asked for
	}})
	e.Start()
	const rounds = 300
	for range rounds {
		if err := e.Emit(batch(nil, "1 192.0.2.1 a", "1 192.0.2.2 a", "1 192.0.2.1 b", "1 192.0.2.3 b")); err != nil {
			t.Fatal(err)
		}
	}
	e.Close()
	stats := slices.DeleteFunc(e.Stats().Rules, func(r RuleStats) bool { return r.Name != "a" && r.Name != "b" })
	want := []RuleStats{
		{Name: "a", Events: 2 * rounds, Matches: rounds, Overflows: rounds / 3},
		{Name: "b", Events: 4 * rounds, Matches: 2 * rounds, Overflows: 2 * rounds / 3},
	}
	if diff := cmp.Diff(want, stats, cmpopts.IgnoreFields(RuleStats{}, "Cost")); diff != "" {
		t.Errorf("statistics (-want +got):\n%s", diff)
	}
	for _, r := range stats {
		if r.Cost < time.Microsecond {
			t.Errorf("%s costs %s per event", r.Name, r.Cost)
		}
	}
}

func TestAReplayHasNoClockToTimeRulesBy(t *testing.T) {
	_, totals := mustReplay(t, ruleFiles(map[string]string{"a.yaml": scenario("a", "filter: 'true'")}), strings.Repeat("1 192.0.2.1 a\n", 1000), ReplayOptions{})
	for _, r := range totals.Rules {
		if r.Cost != 0 {
			t.Errorf("%s costs %s per event", r.Name, r.Cost)
		}
	}
}
