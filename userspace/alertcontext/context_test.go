package alertcontext

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gabion/userspace/decision"
	"gabion/userspace/event"
	"gabion/userspace/expr"
	"gabion/userspace/yamlpos"
)

func compile(t *testing.T, text string) (*Context, error) {
	t.Helper()
	docs, err := yamlpos.Parse("c.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return Compile(docs, expr.NewCompiler())
}

func mustCompile(t *testing.T, text string) *Context {
	t.Helper()
	c, err := compile(t, text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// collect returns the context of an alert about events, whose errors it returns as text.
func collect(c *Context, events ...*event.Event) ([]decision.Meta, string) {
	var failed []string
	note := func(err error) {
		if err != nil {
			failed = append(failed, err.Error())
		}
	}
	col := c.Collect()
	for _, e := range events {
		early, err := c.Early(&expr.Vars{Event: e})
		note(err)
		var meta []decision.Meta
		for k, v := range e.Meta.All() {
			meta = append(meta, decision.Meta{Key: k, Value: v})
		}
		col.Add(meta, early)
	}
	out, err := col.Meta()
	note(err)
	return out, strings.Join(failed, "\n")
}

func TestTheContextOfAnAlertListsTheValuesOfItsEvents(t *testing.T) {
	c := mustCompile(t, `
context:
  path: [evt.Meta.path, evt.Parsed.path]
  port: [evt.Parsed.port]
  none: [evt.Meta.none, evt.Unmarshaled.x, "match.uri != nil ? match.uri : ''", "req.Method != '' ? req.UserAgent() : ''"]
---
name: another
context:
  path: [evt.Meta.path]
  kinds: ["evt.Meta.path == '/b'", "len(evt.Meta.path)", "[1, 'x']", "1.5", "0", "evt.GetMeta('path')"]
`)
	got, failed := collect(c,
		&event.Event{Meta: event.MakeFields("path", "/a"), Parsed: event.MakeFields("port", "22")},
		&event.Event{Meta: event.MakeFields("path", "/b"), Parsed: event.MakeFields("port", "22", "path", "/c")},
		&event.Event{Meta: event.MakeFields("path", "/a"), Parsed: event.MakeFields("port", "23")},
	)
	want := []decision.Meta{
		{Key: "kinds", Value: `["2","[1 x]","1.5","/a","true","/b"]`},
		{Key: "path", Value: `["/a","/b","/c"]`},
		{Key: "port", Value: `["22","23"]`},
	}
	if diff := cmp.Diff(want, got); diff != "" || failed != "" {
		t.Errorf("context differs (-want +got):\n%s\nfailed: %s", diff, failed)
	}
}

func TestAFailingExpressionLosesItsValueOnly(t *testing.T) {
	c := mustCompile(t, "context: {a: [evt.Meta.a, evt.Unmarshaled.x.y], b: ['evt.Meta.b[5:6] + evt.Meta.a', '1 / int(evt.Meta.n)']}")
	got, failed := collect(c, &event.Event{Meta: event.MakeFields("a", "1", "n", "x")})
	want := []decision.Meta{{Key: "a", Value: `["1"]`}, {Key: "b", Value: `["1"]`}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("context differs (-want +got):\n%s", diff)
	}
	for _, part := range []string{"context: c.yaml:1:45: cannot fetch y from <nil>", "context: c.yaml:1:90: invalid operation: int(x)"} {
		if !strings.Contains(failed, part) {
			t.Errorf("failed %s, which lacks %q", failed, part)
		}
	}
}

func TestAContextIsCutToItsSize(t *testing.T) {
	c := mustCompile(t, "context: {long: [evt.Meta.long]}")
	for _, tt := range []struct {
		name   string
		values []string
		want   func([]string) bool
	}{
		{"values at the end are left out", []string{strings.Repeat("a", 3000), strings.Repeat("b", 900), strings.Repeat("c", 900)}, func(l []string) bool {
			return len(l) == 2 && len(l[1]) == 900
		}},
		{"of a single one the beginning stays", []string{strings.Repeat("ü", 4000)}, func(l []string) bool {
			return len(l) == 1 && l[0] == strings.Repeat("ü", 1000)+"..."
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var events []*event.Event
			for _, v := range tt.values {
				events = append(events, &event.Event{Meta: event.MakeFields("long", v)})
			}
			got, _ := collect(c, events...)
			var list []string
			if err := json.Unmarshal([]byte(got[0].Value), &list); err != nil || len(got[0].Value) > maxJSON || !tt.want(list) {
				t.Errorf("%d bytes, %v: %.100s", len(got[0].Value), err, got[0].Value)
			}
		})
	}
}

func TestNoContextIsEmpty(t *testing.T) {
	var c *Context
	if got, failed := collect(c, &event.Event{}); got != nil || failed != "" {
		t.Errorf("%v, %s", got, failed)
	}
}

func TestFaultsOfAContextHaveTheirPlaces(t *testing.T) {
	c, err := compile(t, "context: {a: [evt.Mta.x, evt.Meta.y]}\n---\nname: x\n---\ncontext: {b: evt.Meta.x}\nfilter: x\n")
	want := []string{
		"c.yaml:1:19: type event.Event has no field Mta",
		"c.yaml:3:1: a context needs expressions below the key context",
		`c.yaml:5:14: want a list, found "evt.Meta.x"`,
		`c.yaml:6:1: unknown key "filter"`,
	}
	if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
		t.Errorf("error differs (-want +got):\n%s", diff)
	}
	if got, _ := collect(c, &event.Event{Meta: event.MakeFields("y", "1")}); len(got) != 1 {
		t.Errorf("what has no fault gives %v", got)
	}
}
