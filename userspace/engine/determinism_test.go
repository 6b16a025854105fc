package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// randomRule is a scenario of any type about the lines of the tests' parser.
func randomRule(t *rapid.T, name string) string {
	pick := func(what string, from ...string) string { return rapid.SampledFrom(from).Draw(t, what) }
	filter := pick("filter", "true", "evt.Meta.log_type == 'a'", "evt.Meta.log_type in ['a', 'b']", "evt.Parsed.seconds endsWith '1'",
		"evt.GetType() == 'overflow'", "evt.GetType() == 'overflow' && evt.Overflow.Alert.Remediation", "evt.Overflow.Alert.Scenario == 'r0'",
		"evt.SetMeta('set', evt.Parsed.ip) && evt.Meta.log_type != 'c'")
	rule := fmt.Sprintf("name: %s\ndescription: d\nfilter: %q\n", name, filter)
	switch n := rapid.IntRange(1, 3).Draw(t, "capacity"); pick("type", "leaky", "leaky", "trigger", "conditional", "counter") {
	case "leaky":
		rule += fmt.Sprintf("type: leaky\ncapacity: %d\nleakspeed: %s\n", n, pick("leakspeed", "2s", "10s", "1h"))
	case "trigger":
		rule += "type: trigger\n"
	case "conditional":
		rule += "type: conditional\ncapacity: -1\nleakspeed: 10s\ncondition: " + pick("condition",
			"count(queue.Queue, .Meta.log_type == 'a') >= 2", "len(queue.Queue) > 2 && queue.Queue[-1].Meta.log_type == queue.Queue[-2].Meta.log_type",
			"len(queue.Queue) > 2 && queue.Queue[-1].Parsed.rest == queue.Queue[len(queue.Queue) - 2].Parsed.rest") + "\n"
	case "counter":
		rule += "type: counter\ncapacity: -1\nduration: " + pick("duration", "1s", "7s") + "\n"
	}
	for _, more := range [][]string{
		{"groupby: evt.Meta.source_ip", "groupby: evt.Meta.source_ip", "groupby: evt.Meta.log_type", "groupby: evt.Meta.source_ip + evt.Parsed.rest", ""},
		{"distinct: evt.Parsed.seconds", "distinct: evt.Parsed.rest", "", ""},
		{"blackhole: 5s", "blackhole: 1m", ""},
		{"reprocess: true", ""},
		{"labels: {remediation: true}", ""},
		{"cancel_on: evt.Parsed.rest contains 'x'", "", "", ""},
		{"overflow_filter: leaky.Total_count != 3", "overflow_filter: any(queue.Queue, .Meta.log_type == 'b')", "", "", ""},
		{"scope: {type: Range, expression: \"'192.0.2.0/24'\"}", "scope: {type: word, expression: evt.Parsed.rest}", "", "", ""},
		{"cache_size: 1", "", ""},
	} {
		if line := pick("more", more...); line != "" {
			rule += line + "\n"
		}
	}
	return rule
}

// randomLog is a log, a little out of order, of a few sources.
func randomLog(t *rapid.T) string {
	var b strings.Builder
	now := 0
	for range rapid.IntRange(1, 400).Draw(t, "lines") {
		now = max(0, now+rapid.IntRange(-1, 2).Draw(t, "step"))
		fmt.Fprintf(&b, "%d 192.0.2.%d %s%s\n", now, rapid.IntRange(1, 4).Draw(t, "source"),
			rapid.SampledFrom([]string{"a", "a", "b", "c"}).Draw(t, "did"), rapid.SampledFrom([]string{"", " x", " y", " z"}).Draw(t, "rest"))
	}
	return b.String()
}

func TestAlertsAreTheSameBytesForAnyNumberOfWorkersAndShards(t *testing.T) {
	alerts := 0
	rapid.Check(t, func(rt *rapid.T) {
		files := map[string]string{}
		for i := range rapid.IntRange(1, 8).Draw(rt, "rules") {
			name := fmt.Sprintf("r%d", i)
			files[name+".yaml"] = randomRule(rt, name)
		}
		set, profiles := mustLoad(t, ruleFiles(files))
		log := randomLog(rt)
		run := func(workers, shards int) (out []string) {
			for a, err := range Replay(context.Background(), set, profiles, strings.NewReader(log), ReplayOptions{Workers: workers, Shards: shards}) {
				if err != nil {
					rt.Fatal(err)
				}
				text, err := json.Marshal(a)
				if err != nil {
					rt.Fatal(err)
				}
				out = append(out, string(text))
			}
			return out
		}
		want := run(1, 1)
		alerts += len(want)
		for _, n := range [][2]int{{1, 2}, {2, 1}, {2, 2}, {3, 3}, {1, 7}, {7, 1}, {7, 7}} {
			if diff := cmp.Diff(want, run(n[0], n[1])); diff != "" {
				rt.Fatalf("%d workers, %d shards (-want +got):\n%s\nrules: %s", n[0], n[1], diff, files)
			}
		}
	})
	if alerts < 1000 {
		t.Errorf("only %d alerts: the test proves nothing", alerts)
	}
}
