package bucket

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gabion/userspace/event"
)

func TestATraceTellsWhatBecameOfEveryEvent(t *testing.T) {
	const ip = "192.0.2.1"
	for _, tt := range []struct {
		name, yaml string
		events     []*event.Event
		want       []string
	}{
		{"a bucket fills, leaks, overflows and mutes", leaky("capacity: 1\nblackhole: 1h"),
			[]*event.Event{at(0, ip), at(5*time.Second, ip), at(5*time.Second, ip), at(6*time.Second, ip), at(6*time.Second, ip)},
			[]string{"counted 1 1.0 true", "overflowed 2 2.0 false", "counted 1 1.0 true", "muted 2 2.0 false", "counted 1 1.0 true"}},
		{"a value is repeated", leaky("distinct: evt.Meta.u"),
			[]*event.Event{at(0, ip, "u", "a"), at(0, ip, "u", "a"), at(0, ip, "u", "b")},
			[]string{"counted 1 1.0 true", "repeated 1 1.0 false", "counted 2 2.0 false"}},
		{"a bucket is cancelled, and there is none to cancel", leaky("cancel_on: evt.Meta.u == 'stop'"),
			[]*event.Event{at(0, ip), at(0, ip, "u", "stop"), at(0, ip, "u", "stop")},
			[]string{"counted 1 1.0 true", "cancelled 1 1.0 false", "cancelled 0 0.0 false"}},
		{"a filter refuses an overflow", trigger("overflow_filter: 'false'"), []*event.Event{at(0, ip)}, []string{"filtered 1 0.0 true"}},
		{"an overflow without a source is lost", trigger(""), []*event.Event{at(0, "")}, []string{"lost 1 0.0 true"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			h := newHarness(t, TableConfig{Trace: func(p Poured) {
				got = append(got, fmt.Sprintf("%s %d %.1f %v", p.Outcome, p.Events, p.Level, p.Opened))
			}})
			s := mustCompile(t, tt.yaml)
			for _, e := range tt.events {
				_, _ = h.pourErr(s, e)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("trace (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExpressionsAreListedWithTheirKeys(t *testing.T) {
	s := mustCompile(t, leaky("groupby: evt.Meta.a\nscope: {type: user, expression: evt.Meta.b}\ncancel_on: evt.Meta.c == ''"))
	var got []string
	for _, k := range s.Expressions() {
		got = append(got, k.Key+" "+k.Program.Source())
	}
	if diff := cmp.Diff([]string{"filter true", "groupby evt.Meta.a", "cancel_on evt.Meta.c == ''", "scope evt.Meta.b"}, got); diff != "" {
		t.Errorf("expressions (-want +got):\n%s", diff)
	}
}
