package expr

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gabion/userspace/event"
)

func TestAnIndexSelectsWhatComparingEachExpressionWouldLeave(t *testing.T) {
	value := rapid.SampledFrom([]string{"", "a", "b", "c"})
	condition := rapid.Custom(func(t *rapid.T) Condition {
		c := Condition{Map: rapid.SampledFrom([]string{"Meta", "Parsed"}).Draw(t, "map"), Key: rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "key")}
		for _, v := range []string{"", "a", "b"} {
			if rapid.Bool().Draw(t, "takes "+v) {
				c.Values = append(c.Values, v)
			}
		}
		if len(c.Values) == 0 {
			c.Values = []string{"a"}
		}
		return c
	})
	rapid.Check(t, func(t *rapid.T) {
		requires := rapid.SliceOfN(rapid.SliceOfN(condition, 0, 3), 0, 150).Draw(t, "requires")
		x := NewIndex(requires)
		var s Selection
		for range 3 {
			evt := &event.Event{}
			for _, key := range []string{"x", "y", "z"} {
				evt.Meta.Set(key, value.Draw(t, "meta"))
				if rapid.Bool().Draw(t, "parsed") {
					evt.Parsed.Set(key, value.Draw(t, "parsed"))
				}
			}
			var want, got []int
			for place, conditions := range requires {
				if holdAll(evt, conditions) {
					want = append(want, place)
				}
			}
			s = x.Select(evt, s)
			for place := s.Next(0); place >= 0; place = s.Next(place + 1) {
				got = append(got, place)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("selected (-want +got):\n%s", diff)
			}
		}
	})
}

func holdAll(evt *event.Event, conditions []Condition) bool {
	for _, c := range conditions {
		value := evt.Meta.Get(c.Key)
		if c.Map == "Parsed" {
			value = evt.Parsed.Get(c.Key)
		}
		if !c.Allows(value) {
			return false
		}
	}
	return true
}

// BenchmarkIndex is an access-log line and the scenarios of a web server.
func BenchmarkIndex(b *testing.B) {
	var requires [][]Condition
	for i := range 64 {
		conditions := []Condition{{"Meta", "log_type", []string{"http_access-log", "http_error-log"}}}
		if i%4 == 0 {
			conditions = append(conditions, Condition{"Meta", "http_status", []string{"403", "404"}})
		}
		if i%16 == 0 {
			conditions = append(conditions, Condition{"Meta", fmt.Sprint("own", i), []string{"x"}})
		}
		requires = append(requires, conditions)
	}
	x := NewIndex(requires)
	evt := &event.Event{Meta: event.MakeFields("service", "http", "log_type", "http_access-log", "http_status", "200", "http_path", "/")}
	var s Selection
	b.ReportAllocs()
	for b.Loop() {
		s = x.Select(evt, s)
	}
}
