package bucket

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gabion/userspace/event"
)

func counter(extra string) string {
	return "type: counter\nname: c\ndescription: d\nfilter: 'true'\ncapacity: -1\nduration: 1m\n" + extra
}

// lapsed pours events that say when they happened and from where, looking at the time first as an
// engine does, and tells what overflowed: when, of whom, and how many events.
func (h *harness) lapsed(s *Scenario, until time.Duration, events ...*event.Event) (out []string) {
	h.t.Helper()
	note := func(o *event.Event, err error) {
		if err != nil {
			out = append(out, "error")
		}
		if o != nil {
			a := o.Overflow.Alert
			out = append(out, fmt.Sprintf("%s %s %d/%d", o.Time.Sub(start), a.GetValue(), len(a.Events), a.EventsCount))
		}
	}
	for _, e := range events {
		when, _ := Time(e)
		m, err := s.Match(e, when)
		if m == nil || err != nil {
			h.t.Fatal(m, err)
		}
		id := h.hasher.ID(s, m.Key)
		note(h.table.Lapse(s, id, m))
		note(h.table.Pour(s, id, m))
	}
	h.table.Lapsed(start.Add(until), true, func(of *Scenario, o *event.Event, err error) {
		if of != s {
			h.t.Error("another scenario")
		}
		note(o, err)
	})
	return out
}

func TestTimedBucketsOverflowWhenTheirTimeIsOver(t *testing.T) {
	by := "groupby: evt.Meta.source_ip\n"
	for _, tt := range []struct {
		name, yaml string
		events     []string // seconds and address
		until      time.Duration
		want       []string
	}{
		{"a counter once, at the end of its time", counter(by), []string{"0 1", "10 1", "59 1"}, time.Hour, []string{"1m0s 192.0.2.1 3/3"}},
		{"not before", counter(by), []string{"0 1", "10 1"}, time.Minute, nil},
		{"an event after the end opens the next", counter(by), []string{"0 1", "60 1", "61 1"}, 2 * time.Minute, []string{"1m0s 192.0.2.1 2/2"}},
		{"in the order of their ends", counter(by), []string{"20 2", "10 1", "30 3"}, time.Hour,
			[]string{"1m10s 192.0.2.1 1/1", "1m20s 192.0.2.2 1/1", "1m30s 192.0.2.3 1/1"}},
		{"keeping what its cache holds", counter("cache_size: 1\n"), []string{"0 1", "1 1", "2 1", "3 1"}, time.Hour, []string{"1m0s 192.0.2.1 2/4"}},
		{"muted by a blackhole", counter("blackhole: 2m\n"), []string{"0 1", "61 1", "200 1", "300 1"}, time.Hour,
			[]string{"1m0s 192.0.2.1 1/1", "4m20s 192.0.2.1 1/1"}},
		{"a leaky bucket that was not full before", leaky("duration: 30s"), []string{"0 1", "20 1"}, time.Hour, []string{"30s 192.0.2.1 2/2"}},
		{"a leaky bucket that was full before", leaky("duration: 30s"), []string{"0 1", "1 1", "2 1", "3 1"}, time.Hour, []string{"3s 192.0.2.1 4/4"}},
		{"unless the filter refuses", counter("overflow_filter: leaky.Total_count > 1\n" + by), []string{"0 1", "0 2", "1 2"}, time.Hour, []string{"1m0s 192.0.2.2 2/2"}},
		{"a trigger has no time", trigger("duration: 1m"), []string{"0 1"}, time.Hour, []string{"0s 192.0.2.1 1/1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, s := newHarness(t, TableConfig{}), mustCompile(t, tt.yaml)
			var events []*event.Event
			for _, e := range tt.events {
				var seconds, host int
				if _, err := fmt.Sscan(e, &seconds, &host); err != nil {
					t.Fatal(err)
				}
				events = append(events, at(time.Duration(seconds)*time.Second, fmt.Sprintf("192.0.2.%d", host)))
			}
			if diff := cmp.Diff(tt.want, h.lapsed(s, tt.until, events...)); diff != "" {
				t.Errorf("overflows differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestATimedAlertSaysHowLongItsBucketLived(t *testing.T) {
	h, s := newHarness(t, TableConfig{}), mustCompile(t, counter(""))
	h.pour(s, at(0, "192.0.2.1"))
	h.pour(s, at(10*time.Second, "192.0.2.1"))
	found := false
	h.table.Lapsed(start.Add(time.Hour), true, func(_ *Scenario, o *event.Event, err error) {
		found = true
		a := o.Overflow.Alert
		if err != nil || a.StopAt != start.Add(time.Minute) || o.ExpectMode != event.Replay || len(o.Overflow.Mapkey) != 32 ||
			!strings.Contains(a.Message, "(2 events over 1m0s) at 2024-01-01 00:00:10") {
			t.Errorf("%v, alert %+v of %+v", err, a, o)
		}
	})
	if !found || h.table.Stats().Live != 0 {
		t.Error("the bucket lives on")
	}
}

func TestTimedBucketsDoNotExpireSilently(t *testing.T) {
	h, s := newHarness(t, TableConfig{}), mustCompile(t, counter(""))
	h.pour(s, live(at(0, "192.0.2.1")))
	h.table.Expire(start.Add(time.Hour))
	if h.table.Stats().Live != 1 {
		t.Fatal("the bucket is gone")
	}
	for _, replay := range []bool{true, false} {
		n := 0
		h.table.Lapsed(start.Add(time.Hour), replay, func(*Scenario, *event.Event, error) { n++ })
		if n != map[bool]int{false: 1}[replay] {
			t.Errorf("in replayed time %v, %d buckets lapsed", replay, n)
		}
	}
}

func TestATimedBucketOverflowsAfterARestartToo(t *testing.T) {
	h, s := newHarness(t, TableConfig{Names: NewNames()}), mustCompile(t, counter(""))
	h.pour(s, live(at(0, "192.0.2.1")))
	h.pour(s, live(at(time.Second, "192.0.2.1")))
	file := save(t, h.hasher, h.table.config.Names, []*Scenario{s}, start.Add(2*time.Second), h.table)
	_, tables, found, err := load(file, []*Scenario{s}, start.Add(time.Hour), 1)
	if err != nil || found.Buckets != 1 {
		t.Fatal(found, err)
	}
	var got []string
	tables[0].Lapsed(start.Add(time.Hour), false, func(_ *Scenario, o *event.Event, err error) {
		got = append(got, fmt.Sprint(o.Time.Sub(start), o.Overflow.Alert.EventsCount, err))
	})
	if diff := cmp.Diff([]string{"1m0s 2 <nil>"}, got); diff != "" {
		t.Errorf("overflows differ (-want +got):\n%s", diff)
	}
}
