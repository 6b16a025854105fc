package bucket

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gabion/userspace/alertcontext"
	"gabion/userspace/decision"
	"gabion/userspace/event"
	"gabion/userspace/expr"
	"gabion/userspace/yamlpos"
)

func TestAnAlertHasTheContextOfItsEvents(t *testing.T) {
	docs, err := yamlpos.Parse("c.yaml", []byte("context: {user: [evt.Meta.user], port: [evt.Parsed.port], bad: [evt.Unmarshaled.x.y]}"))
	if err != nil {
		t.Fatal(err)
	}
	context, err := alertcontext.Compile(docs, expr.NewCompiler())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"leaky": leaky(""), "trigger": "type: trigger\nname: t\ndescription: d\nfilter: evt.Meta.user == 'd'\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := mustCompile(t, text)
			s.context = context
			h := newHarness(t, TableConfig{})
			var out *event.Event
			failed := 0
			for i, user := range []string{"a", "b", "a", "d"} {
				e := at(time.Duration(i)*time.Second, "192.0.2.1", "user", user)
				e.Parsed.Set("port", "22")
				if user == "d" {
					e.Parsed.Set("port", "23")
				}
				when, _ := Time(e)
				m, err := s.Match(e, when)
				if err != nil {
					failed++
				}
				if m == nil {
					continue
				}
				if out, err = h.table.Pour(s, h.hasher.ID(s, m.Key), m); err != nil {
					t.Fatal(err)
				}
			}
			want := []decision.Meta{{Key: "port", Value: `["22","23"]`}, {Key: "user", Value: `["a","b","d"]`}}
			matched := 4
			if name == "trigger" {
				want, matched = []decision.Meta{{Key: "port", Value: `["23"]`}, {Key: "user", Value: `["d"]`}}, 1
			}
			if out == nil {
				t.Fatal("no overflow")
			}
			if diff := cmp.Diff(want, out.Overflow.Alert.Meta); diff != "" || failed != matched {
				t.Errorf("%d failures, context differs (-want +got):\n%s", failed, diff)
			}
			for _, e := range out.Overflow.Alert.Events {
				if e.GetMeta(contextMark+"port") != "" {
					t.Error("an event shows what is kept for the context")
				}
			}
		})
	}
}
