package parse

import (
	"fmt"
	"testing"

	"gabion/userspace/event"
)

// Children of the rows below: one that succeeds and one that fails.
const (
	childOK   = "  - {filter: 'true', statics: [{meta: good, value: x}]}\n"
	childFail = "  - {filter: 'false', statics: [{meta: bad, value: x}]}\n"
)

func skeleton(head, children string) []rule {
	return []rule{doc("s00", "name: parent\n"+head+"nodes:\n"+children+"statics: [{meta: parent, value: x}]\n")}
}

func TestChildrenDecideForTheirParent(t *testing.T) {
	grokOK := "grok: {pattern: '%{WORD:w}', apply_on: Line.Raw}\n"
	grokFail := "grok: {pattern: '%{INT:n}', apply_on: Line.Raw}\n"
	runRows(t, []row{
		{"the last child fails, continue", skeleton("", childOK+childFail), "a", nil,
			want{Dropped: true, Meta: strs("good", "x")}},
		{"the last child succeeds, continue", skeleton("", childFail+childOK), "a", nil,
			want{Meta: strs("good", "x", "parent", "x")}},
		{"the first success is enough for next_stage", skeleton("onsuccess: next_stage\n", childOK+childFail), "a", nil,
			want{Meta: strs("good", "x", "parent", "x")}},
		{"a failure before a success is forgiven by next_stage", skeleton("onsuccess: next_stage\n", childFail+childOK), "a", nil,
			want{Meta: strs("good", "x", "parent", "x")}},
		{"all children fail", skeleton("", childFail+childFail), "a", nil, want{Dropped: true}},
		{"a matching grok forgives failing children", skeleton(grokOK, childFail), "a", nil,
			want{Parsed: strs("w", "a"), Meta: strs("parent", "x")}},
		{"a failing grok does not keep children from running", skeleton(grokFail, childOK), "a", nil,
			want{Meta: strs("good", "x", "parent", "x")}},
		{"a failing grok and a failing child", skeleton(grokFail, childFail), "a", nil, want{Dropped: true}},
		{"a failing grok alone", []rule{doc("s00", "name: n\n"+grokFail+"statics: [{meta: a, value: x}]")}, "a", nil, want{Dropped: true}},
	})
}

func TestFailedNodesLeaveWhatTheyWrote(t *testing.T) {
	runRows(t, []row{
		{"a child's statics stay when the parent fails", skeleton("", childOK+childFail), "a", nil,
			want{Dropped: true, Meta: strs("good", "x")}},
		{"a filter may write", []rule{
			doc("s00", "name: a\nfilter: evt.SetMeta('k','v') && evt.Line.Raw == 'z'\nstatics: [{meta: a, value: x}]"),
			doc("s00", "name: b\nstatics: [{meta: b, value: x}]"),
		}, "a", nil, want{Meta: strs("k", "v", "b", "x")}},
	})
}

func TestFilters(t *testing.T) {
	other := doc("s00", "name: other\nstatics: [{meta: other, value: x}]")
	statics := "\nstatics: [{meta: a, value: x}]"
	runRows(t, []row{
		{"a filter that is false keeps the node from running", []rule{doc("s00", "name: n\nfilter: evt.Line.Raw == 'b'"+statics), other}, "a", nil,
			want{Meta: strs("other", "x")}},
		{"a filter that fails keeps the node from running", []rule{doc("s00", "name: n\nfilter: FailBool()"+statics), other}, "a", nil,
			want{Meta: strs("other", "x")}},
		{"a filter of dynamic type that gives no truth value fails", []rule{doc("s00", "name: n\nfilter: evt.Unmarshaled.x"+statics), other}, "a", nil,
			want{Meta: strs("other", "x")}},
		{"a missing field is empty", []rule{doc("s00", "name: n\nfilter: evt.Parsed.none == ''"+statics)}, "a", nil,
			want{Meta: strs("a", "x")}},
		{"a field that the filter needs is looked at first", []rule{doc("s00", "name: n\nfilter: evt.Parsed.program == 'sshd' && FailBool()"+statics), other}, "a", nil,
			want{Meta: strs("other", "x")}},
		{"YAML 1.1 booleans are text in a filter", []rule{doc("s00", "name: n\nfilter: true"+statics)}, "a", nil, want{Meta: strs("a", "x")}},
	})
}

const promoting = "name: up\nonsuccess: next_stage\nstatics: [{meta: up, value: x}]"

func TestStages(t *testing.T) {
	last := doc("s01", "name: last\nstatics: [{meta: last, value: x}]")
	runRows(t, []row{
		{"a node promotes the event", []rule{doc("s00", promoting), last}, "a", nil,
			want{Stage: "s01", Meta: strs("up", "x", "last", "x")}},
		{"without promotion the event ends at the next stage", []rule{doc("s00", "name: n\nstatics: [{meta: n, value: x}]"), last}, "a", nil,
			want{Dropped: true, Stage: "s00", Meta: strs("n", "x")}},
		{"next_stage ends the stage", []rule{doc("s00", promoting), doc("s00", "name: b\nstatics: [{meta: b, value: x}]"), last}, "a", nil,
			want{Stage: "s01", Meta: strs("up", "x", "last", "x")}},
		{"all nodes of the last stage run", []rule{last, doc("s01", "name: b\nstatics: [{meta: b, value: x}]")}, "a", nil,
			want{Stage: "s01", Meta: strs("last", "x", "b", "x")}},
		{"next_stage at the last stage only ends it", []rule{doc("s00", promoting), doc("s00", "name: b\nstatics: [{meta: b, value: x}]")}, "a", nil,
			want{Stage: "s00", Meta: strs("up", "x")}},
		{"a stage without success drops the event", []rule{doc("s00", promoting), doc("s01", "name: n\nfilter: 'false'\nstatics: [{meta: n, value: x}]")}, "a", nil,
			want{Dropped: true, Stage: "s01", Meta: strs("up", "x")}},
		{"a promoting child ends the stage although its parent does not", []rule{
			doc("s00", "name: p\nnodes: [{onsuccess: next_stage, statics: [{meta: c, value: x}]}]"),
			doc("s00", "name: b\nstatics: [{meta: b, value: x}]"), last}, "a", nil,
			want{Stage: "s01", Meta: strs("c", "x", "last", "x")}},
		{"promotion inside promotion goes one stage up", []rule{
			doc("s00", "name: p\nonsuccess: next_stage\nnodes: [{onsuccess: next_stage, statics: [{meta: c, value: x}]}]"), last,
			doc("s02", "name: never\nstatics: [{meta: never, value: x}]")}, "a", nil,
			want{Dropped: true, Stage: "s01", Meta: strs("c", "x", "last", "x")}},
		{"an event may begin at a later stage", []rule{doc("s00", promoting), last}, "",
			&event.Event{Stage: "s01", Line: event.Line{Raw: "a"}}, want{Stage: "s01", Meta: strs("last", "x")}},
		{"an event at an unknown stage is dropped", []rule{doc("s00", promoting), last}, "",
			&event.Event{Stage: "s07", Line: event.Line{Raw: "a"}}, want{Dropped: true, Stage: "s07"}},
		{"without any rules every event passes", nil, "a", nil, want{}},
	})
}

func TestOrderOfNodes(t *testing.T) {
	mark := func(stage, file, text string) rule {
		return rule{stage: stage, file: file, text: "name: n\nstatics: [{meta: order, expression: \"evt.Meta.order + '" + text + "'\"}]"}
	}
	two := mark("s00", "x/b.yaml", "3")
	two.text += "\n---\n" + mark("", "", "4").text
	p := mustCompile(t, mark("s00", "a/c.yaml", "5"), mark("s00", "z/a.yaml", "2"), two, mark("s00", "y/a.yaml", "1"))
	evt := line("a")
	if err := p.Run(evt); err != nil {
		t.Fatal(err)
	}
	if got := evt.Meta.Get("order"); got != "12345" {
		t.Errorf("order = %s, want 12345: by base name, then path, then place in the file", got)
	}
}

func TestOverflowsMeetEveryStage(t *testing.T) {
	p := mustCompile(t,
		doc("s00-enrich", "name: fails\nfilter: 'false'\nstatics: [{meta: a, value: x}]"),
		doc("s00-enrich", "name: error\nstatics: [{meta: a, expression: 'true'}]"),
		doc("s01-whitelist", "name: w\nwhitelist: {reason: friend, ip: [192.0.2.1]}"))
	evt := &event.Event{Type: event.Overflow, Overflow: event.RuntimeAlert{Sources: sources("192.0.2.1")}}
	if err := p.Run(evt); err != nil {
		t.Fatal(err)
	}
	if !evt.Process || !evt.Whitelisted || !evt.Overflow.Whitelisted || evt.WhitelistReason != "friend" {
		t.Errorf("process %v, whitelisted %v and %v because of %q", evt.Process, evt.Whitelisted, evt.Overflow.Whitelisted, evt.WhitelistReason)
	}
}

func TestTrace(t *testing.T) {
	p := mustCompile(t, doc("s00", "name: a\nfilter: 'false'\nstatics: [{meta: a, value: x}]"), doc("s00", promoting), doc("s01", "name: b\nnodes: [{statics: [{meta: c, value: x}]}]"))
	var got []string
	if err := p.RunTraced(line("a"), func(s Step) {
		if s.Kind != StepDone || s.Node.Depth() > 0 {
			return
		}
		text := s.Node.Stage() + " " + s.Node.Name()
		if s.OK {
			text += " ok"
		}
		got = append(got, text)
	}); err != nil {
		t.Fatal(err)
	}
	equal(t, []string{"s00 a", "s00 up ok", "s01 b ok"}, got)
}

func TestTraceTellsEveryStep(t *testing.T) {
	p := mustCompile(t, doc("s00", `
name: up
onsuccess: next_stage
grok:
  pattern: '%{INT:i} %{WORD:w}'
  apply_on: Line.Raw
  statics: [{meta: kind, value: number}]
whitelist: {reason: friend, expression: ["evt.Line.Raw == '7 x'"]}
nodes:
- filter: FailBool()
  statics: [{meta: a, value: b}]
statics:
- {parsed: twice, expression: evt.Parsed.i + evt.Parsed.i}
- {target: evt.StrTime, expression: evt.Parsed.none}
`))
	kinds := map[StepKind]string{
		StepFilter: "filter", StepWhitelist: "whitelist", StepGrok: "grok", StepStatic: "static", StepFault: "fault", StepDone: "done",
	}
	for _, tt := range []struct {
		line string
		want []string
	}{
		{"7 x", []string{
			"up filter true  ", "up whitelist true  friend", "up grok true evt.Line.Raw 7 x", "up static true evt.Meta.kind number",
			"child-up fault false  filter failed", "child-up filter false  ", "child-up done false  ",
			"up static true evt.Parsed.twice 77", "up static false evt.StrTime ", "up done true  ",
		}},
		{"none", []string{
			"up filter true  ", "up whitelist false  friend", "up grok false evt.Line.Raw none",
			"child-up fault false  filter failed", "child-up filter false  ", "child-up done false  ", "up done false  ",
		}},
	} {
		t.Run(tt.line, func(t *testing.T) {
			var got []string
			evt := line(tt.line)
			if err := p.RunTraced(evt, func(s Step) {
				if s.Event != evt {
					t.Error("a step is about another event")
				}
				got = append(got, fmt.Sprintf("%s %s %v %s %s", s.Node.Name(), kinds[s.Kind], s.OK, s.Name, s.Text))
				if (s.Err != nil) != (s.Kind == StepFault) {
					t.Errorf("step %d has the error %v", s.Kind, s.Err)
				}
			}); err != nil {
				t.Fatal(err)
			}
			equal(t, tt.want, got)
		})
	}
}

func TestStats(t *testing.T) {
	p := mustCompile(t, doc("s00", "name: a\nnodes:\n- filter: evt.Line.Raw == 'x'\n  grok: {pattern: '%{INT:i}', apply_on: Line.Raw}\n- filter: FailBool()\n  statics: [{meta: a, value: b}]"))
	for _, raw := range []string{"x", "x", "y"} {
		if err := p.Run(line(raw)); err != nil {
			t.Fatal(err)
		}
	}
	equal(t, []NodeStats{
		{Stage: "s00", Node: "a", File: "rules/00.yaml", Line: 1, Hits: 3},
		{Stage: "s00", Node: "child-a", File: "rules/00.yaml", Line: 3, Hits: 2},
		{Stage: "s00", Node: "child-a", File: "rules/00.yaml", Line: 5, Faults: 3},
	}, p.Stats())
}
