package bucket

import (
	"strings"
	"testing"
	"time"

	"gabion/userspace/event"
)

func conditional(extra string) string {
	return strings.Replace(leaky("groupby: evt.Meta.source_ip\ncapacity: -1\n"+extra), "type: leaky", "type: conditional", 1)
}

func TestAConditionalBucketOverflowsWhenItsConditionIsMet(t *testing.T) {
	did := func(after time.Duration, what string) *event.Event { return at(after, "192.0.2.1", "did", what) }
	for _, tt := range []struct {
		name, condition string
		events          []*event.Event
		want            int // number of the event that overflows, 0 for none
	}{
		{"on what it counted", "leaky.Total_count == 3", []*event.Event{did(0, ""), did(1, ""), did(2, "")}, 3},
		{"on the newest event", "queue.Queue[-1].Meta.did == 'b'", []*event.Event{did(0, "a"), did(1, "b")}, 2},
		{"on a sequence", "any(queue.Queue, .Meta.did == 'a') && evt.Meta.did == 'b'", []*event.Event{did(0, "b"), did(1, "a"), did(2, "b")}, 3},
		{"not when it forgot the first", "len(queue.Queue) == 2", []*event.Event{did(0, ""), did(10*time.Second+1, "")}, 0},
		{"at the very end of leakspeed it has not", "len(queue.Queue) == 2", []*event.Event{did(0, ""), did(10*time.Second, "")}, 2},
		{"a failing condition is not met", "queue.Queue[-2].Meta.did == 'a'", []*event.Event{did(0, "a"), did(1, "")}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t, TableConfig{})
			s := mustCompile(t, conditional("condition: "+tt.condition))
			got := 0
			for i, e := range tt.events {
				if out := h.pour(s, e); out != nil && got == 0 {
					got = i + 1
					if a := out.Overflow.Alert; a.Capacity != -1 || int(a.EventsCount) > got {
						t.Errorf("alert has capacity %d and %d events", a.Capacity, a.EventsCount)
					}
				}
			}
			if got != tt.want {
				t.Errorf("overflow on event %d, want %d", got, tt.want)
			}
		})
	}
}

func TestAConditionOfALeakyBucketOverflowsItEarly(t *testing.T) {
	h := newHarness(t, TableConfig{})
	s := mustCompile(t, leaky("condition: evt.Meta.user == 'root'"))
	h.pour(s, at(0, "192.0.2.1", "user", "a"))
	if h.pour(s, at(1, "192.0.2.1", "user", "root")) == nil {
		t.Error("no overflow")
	}
}

func TestAConditionLooksAtABoundedNumberOfEvents(t *testing.T) {
	h := newHarness(t, TableConfig{})
	s := mustCompile(t, conditional("condition: len(leaky.Queue.Queue) > 1000"))
	for i := range 1200 {
		if h.pour(s, at(time.Duration(i), "192.0.2.1")) != nil {
			t.Fatalf("the queue held more than %d events", maxLooked)
		}
	}
	for _, b := range h.buckets() {
		if b.retained != maxLooked || b.total != 1200 {
			t.Errorf("the bucket keeps %d events of %d", b.retained, b.total)
		}
	}
}

func TestTheQueueIsInOrderAfterItWentRound(t *testing.T) {
	h := newHarness(t, TableConfig{})
	s := mustCompile(t, conditional("cache_size: 2\ncondition: "+
		"leaky.Total_count == 5 && map(queue.Queue, .Meta.n) == ['2', '3', '4'] && queue.L == 2"))
	var out *event.Event
	for i, n := range []string{"0", "1", "2", "3", "4"} {
		out = h.pour(s, at(time.Duration(i), "192.0.2.1", "n", n))
	}
	if out == nil {
		t.Error("no overflow")
	}
}
