package bucket

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// reference is a scenario with blackhole, written down as plainly as possible.
type reference struct {
	capacity        int
	leak, blackhole time.Duration
	buckets         map[string]*model
	ends            map[string]int64 // of the buckets
	muted           map[string]int64 // until
}

func (r *reference) pour(key string, t int64) (overflow bool) {
	b := r.buckets[key]
	if b == nil || t > r.ends[key] {
		b = &model{level: int64(r.capacity) * int64(r.leak), last: t}
		r.buckets[key] = b
	}
	r.ends[key] = t + int64(r.capacity+1)*int64(r.leak)
	if b.allow(t, r.capacity, r.leak) {
		return false
	}
	delete(r.buckets, key)
	if r.muted[key] > t {
		return false
	}
	r.muted[key] = t + int64(r.blackhole)
	return true
}

func TestATableAgreesWithTheReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := &reference{
			capacity: rapid.IntRange(1, 4).Draw(t, "capacity"), leak: time.Second,
			blackhole: time.Duration(rapid.IntRange(1, 5).Draw(t, "blackhole")) * time.Second,
			buckets:   map[string]*model{}, ends: map[string]int64{}, muted: map[string]int64{},
		}
		s, err := compile(leaky(fmt.Sprintf("groupby: evt.Meta.source_ip\ncapacity: %d\nleakspeed: %s\nblackhole: %s", r.capacity, r.leak, r.blackhole)))
		if err != nil {
			t.Fatal(err)
		}
		h := harness{hasher: NewHasher()}
		h.table = NewTable(TableConfig{Hasher: h.hasher})
		var now time.Duration
		for range rapid.IntRange(1, 300).Draw(t, "events") {
			// Steps back are small: logs are merged a little out of order.
			now = max(0, now+time.Duration(rapid.IntRange(-500, 1500).Draw(t, "step"))*time.Millisecond/4)
			ip := fmt.Sprintf("192.0.2.%d", rapid.IntRange(1, 3).Draw(t, "source"))
			evt := at(now, ip)
			if rapid.Bool().Draw(t, "live") {
				h.table.Expire(start.Add(now)) // says nothing about replayed buckets
			}
			when, _ := Time(evt)
			m, err := s.Match(evt, when)
			if err != nil {
				t.Fatal(err)
			}
			out, err := h.table.Pour(s, h.hasher.ID(s, m.Key), m)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := out != nil, r.pour(ip, int64(now)); got != want {
				t.Fatalf("overflow of %s at %s = %v, want %v", ip, now, got, want)
			}
		}
	})
}
