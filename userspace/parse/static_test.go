package parse

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gabion/userspace/decision"
	"gabion/userspace/event"
)

func equal[T any](t *testing.T, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func sources(values ...string) map[string]*decision.Source {
	m := map[string]*decision.Source{}
	for _, v := range values {
		m[v] = &decision.Source{Scope: "Ip", Value: v}
	}
	return m
}

func statics(list string) []rule { return []rule{doc("s00", "name: n\nstatics:\n"+list)} }

func TestStaticValues(t *testing.T) {
	runRows(t, []row{
		{"a value is taken as it is", statics("- {meta: a, value: '%{x} evt.Line.Raw'}"), "r", nil, want{Meta: strs("a", "%{x} evt.Line.Raw")}},
		{"a number written as value keeps its text", statics("- {meta: a, value: 0x1F}\n- {meta: b, value: yes}"), "r", nil, want{Meta: strs("a", "0x1F", "b", "yes")}},
		{"an expression gives text", statics("- {parsed: a, expression: evt.Line.Raw + '!'}"), "r", nil, want{Parsed: strs("a", "r!")}},
		{"a value goes before an expression", statics("- {meta: a, value: v, expression: evt.Line.Raw}"), "r", nil, want{Meta: strs("a", "v")}},
		{"an integer is written in decimal", statics("- {meta: a, expression: 1 + 2}"), "r", nil, want{Meta: strs("a", "3")}},
		{"a float is written with six decimals", statics("- {meta: a, expression: 200.0}\n- {meta: b, expression: 1/3}"), "r", nil, want{Meta: strs("a", "200.000000", "b", "0.333333")}},
		{"nil is skipped", statics("- {meta: a, expression: evt.Unmarshaled.none}\n- {meta: b, value: x}"), "r", nil, want{Meta: strs("b", "x")}},
		{"nested values are skipped", statics("- {meta: a, expression: '[1]'}\n- {meta: b, expression: '{\"k\": 1}'}\n- {meta: c, value: x}"), "r", nil, want{Meta: strs("c", "x")}},
		{"a failing expression is skipped", statics("- {meta: a, expression: Fail()}\n- {meta: b, value: x}"), "r", nil, want{Meta: strs("b", "x")}},
		{"empty text is skipped", statics("- {meta: a, value: x}\n- {meta: a, expression: evt.Parsed.none}"), "r", nil, want{Meta: strs("a", "x")}},
		{"a truth value ends the event", statics("- {meta: a, value: x}\n- {meta: b, expression: 'true'}\n- {meta: c, value: x}"), "r", nil, want{Dropped: true, Meta: strs("a", "x")}},
		{"a list of text ends the event", statics("- {meta: b, expression: evt.Overflow.GetSources()}"), "r", nil, want{Dropped: true}},
		{"later statics read earlier ones", statics("- {parsed: a, value: x}\n- {meta: b, expression: evt.Parsed.a + evt.Parsed.a}"), "r", nil, want{Parsed: strs("a", "x"), Meta: strs("b", "xx")}},
	})
}

func TestStaticDestinations(t *testing.T) {
	runRows(t, []row{
		{"only the first destination counts", statics("- {parsed: p, meta: m, enriched: e, target: evt.StrTime, value: x}\n- {meta: m2, enriched: e2, value: x}"), "r", nil,
			want{Parsed: strs("p", "x"), Meta: strs("m2", "x")}},
		{"enriched alone", statics("- {enriched: e, value: x}"), "r", nil, want{Enriched: strs("e", "x")}},
		{"a target field", statics("- {target: evt.StrTime, value: x}"), "r", nil, want{StrTime: "x"}},
		{"a target without evt", statics("- {target: StrTime, value: x}"), "r", nil, want{StrTime: "x"}},
		{"a target in a map", statics("- {target: evt.Meta.a, value: x}\n- {target: evt.Parsed.b, value: y}"), "r", nil, want{Meta: strs("a", "x"), Parsed: strs("b", "y")}},
		{"a target path ends at the key of a map", statics("- {target: Meta.a.b, value: x}"), "r", nil, want{Meta: strs("a", "x")}},
		{"an invalid target is ignored", statics("- {target: source_ip, value: x}\n- {target: evt.Time, value: x}\n- {target: evt.Meta, value: x}\n- {target: evt.StrTime.x, value: x}\n- {meta: a, value: x}"), "r", nil, want{Meta: strs("a", "x")}},
		{"a target behind nil is ignored", statics("- {target: evt.Overflow.Alert.Source.Value, value: x}\n- {meta: a, value: x}"), "r", nil, want{Meta: strs("a", "x")}},
		{"a method writes what it returns", statics("- {method: ParseDate, value: '2024-02-12 14:10:21'}"), "r", nil, want{Enriched: strs("MarshaledTime", "2024-02-12T14:10:21Z")}},
		{"ParseDate is called without a date too", statics("- {method: ParseDate, expression: evt.StrTime}"), "r", nil, want{Enriched: strs("MarshaledTime", "2024-06-01T12:00:00Z")}},
		{"an unknown method is ignored", statics("- {method: Nothing, value: x}\n- {meta: a, value: x}"), "r", nil, want{Meta: strs("a", "x")}},
		{"a failing method is skipped", statics("- {method: UnmarshalJSON, value: x}\n- {meta: a, value: x}"), "{", nil, want{Meta: strs("a", "x")}},
	})
}

func TestTargetsInOverflowsAndLabels(t *testing.T) {
	p := mustCompile(t, doc("s00", `
name: n
statics:
- {target: evt.Overflow.Alert.Source.Value, value: 192.0.2.0/24}
- {target: evt.Overflow.Alert.Source.Scope, value: Range}
- {target: evt.Line.Labels.kind, value: x}
- {target: evt.Unmarshaled.u, value: y}
- {target: evt.MarshaledTime, value: z}`))
	src := &decision.Source{Scope: "Ip", Value: "192.0.2.1"}
	shared := map[string]string{"type": "syslog"}
	evt := &event.Event{Type: event.Overflow, Line: event.Line{Labels: shared}, Overflow: event.RuntimeAlert{
		Sources: map[string]*decision.Source{"192.0.2.1": src}, Alert: &decision.Alert{Source: src}}}
	if err := p.Run(evt); err != nil {
		t.Fatal(err)
	}
	equal(t, &decision.Source{Scope: "Range", Value: "192.0.2.0/24"}, evt.Overflow.Sources["192.0.2.1"])
	equal(t, strs("type", "syslog", "kind", "x"), evt.Line.Labels)
	equal(t, strs("type", "syslog"), shared) // the source's other lines keep their labels
	equal(t, map[string]any{"u": "y"}, evt.Unmarshaled)
	equal(t, "z", evt.MarshaledTime)
}

func TestReplayedEventsTakeTheTimeOfTheirDate(t *testing.T) {
	p := mustCompile(t, doc("s00", "name: n\nstatics:\n- {target: evt.StrTime, value: '2024-02-12T14:10:21Z'}\n- {method: ParseDate, expression: evt.StrTime}\n- {target: MarshaledTime, expression: evt.Enriched.MarshaledTime}"))
	evt := line("a")
	evt.ExpectMode = event.Replay
	if err := p.Run(evt); err != nil {
		t.Fatal(err)
	}
	equal(t, "2024-02-12T14:10:21Z", evt.MarshaledTime)
	equal(t, "2024-02-12T14:10:21Z", evt.Time.Format("2006-01-02T15:04:05Z07:00"))
}

func TestEventsWithoutTimeGetThePresent(t *testing.T) {
	evt := &event.Event{}
	if err := mustCompile(t).Run(evt); err != nil {
		t.Fatal(err)
	}
	if !evt.Time.Equal(clock()) {
		t.Errorf("event = %+v, want the present", evt)
	}
}
