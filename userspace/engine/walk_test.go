package engine

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gabion/userspace/bucket"
	"gabion/userspace/decision"
	"gabion/userspace/event"
	"gabion/userspace/parse"
)

// diary is a tracer that writes down what happens.
type diary struct{ lines []string }

func (d *diary) note(format string, args ...any) {
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

func (d *diary) Step(s parse.Step) {
	if s.Kind == parse.StepDone {
		d.note("%s %v", s.Node.Name(), s.OK)
	}
}

func (d *diary) Offered(s *bucket.Scenario, evt *event.Event, m *bucket.Match, err error) {
	d.note("%s offered %s, counts %v, error %v", s.Name, evt.GetType(), m != nil, err)
}

func (d *diary) Poured(p bucket.Poured) {
	d.note("%s %s %s: %d events", p.Scenario.Name, p.Match.Key, p.Outcome, p.Events)
}

func (d *diary) Concluded(overflow *event.Event, alerts []*decision.Alert, err error) {
	d.note("concluded, whitelisted %v, %d alerts, error %v", overflow.Whitelisted, len(alerts), err)
}

func TestAWalkTellsWhatBecomesOfEachEventBeforeTheNext(t *testing.T) {
	set, profiles := mustLoad(t, ruleFiles(map[string]string{
		"a.yaml": scenario("a", "filter: evt.Meta.log_type == 'a' && not (evt.Parsed.rest contains 'x')\nreprocess: true"),
		"b.yaml": "type: trigger\nname: b\ndescription: d\nfilter: evt.GetType() == 'overflow'\n",
		"postoverflows/s01-whitelist/w.yaml": "name: w\ndescription: d\nfilter: evt.Overflow.Alert.Scenario == 'b'\n" +
			"whitelist:\n  reason: ours\n  ip: ['192.0.2.1']\n",
	}))
	offered := "b offered log, counts false, error <nil>"
	steps := []struct {
		line string
		want []string
	}{
		{"noise", []string{"test/parser false"}},
		{"1 192.0.2.1 b", []string{"test/parser true", offered}},
		{"1 192.0.2.1 a x", []string{"test/parser true", "a offered log, counts false, error <nil>", offered}},
		{"1 192.0.2.1 a", []string{
			"test/parser true", "a offered log, counts true, error <nil>", offered, "a 192.0.2.1 counted: 1 events",
		}},
		{"1 192.0.2.1 a", []string{
			"test/parser true", "a offered log, counts true, error <nil>", offered, "a 192.0.2.1 counted: 2 events",
		}},
		{"1 192.0.2.1 a", []string{
			"test/parser true", "a offered log, counts true, error <nil>", offered, "a 192.0.2.1 overflowed: 3 events",
			"w false", "concluded, whitelisted false, 1 alerts, error <nil>",
			"b offered overflow, counts true, error <nil>", "b  overflowed: 1 events",
			"w true", "concluded, whitelisted true, 0 alerts, error <nil>",
		}},
	}
	d := &diary{}
	w := NewWalk(Config{Rules: set, Profiles: profiles, Now: testNow}, d)
	defer w.Close()
	for i, s := range steps {
		d.lines = nil
		alerts, err := w.Event(&event.Event{
			ExpectMode: event.Replay, Process: true, Line: event.Line{Raw: s.line, Module: "file"},
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(s.want, d.lines); diff != "" {
			t.Errorf("line %d, %q (-want +got):\n%s", i, s.line, diff)
		}
		if last := i == len(steps)-1; (len(alerts) == 1 && len(alerts[0].Decisions) == 1) != last {
			t.Errorf("line %d, %q: alerts = %v", i, s.line, alerts)
		}
	}
}
