package bucket

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gabion/userspace/event"
)

func TestLeakyBucketKeepsCapacityPlusOneEventsAndCountsAll(t *testing.T) {
	for _, tt := range []struct {
		name, keys           string
		pace                 time.Duration
		poured, count, lines int
	}{
		{"capacity alone", "", time.Second, 4, 4, 4},
		{"a smaller cache keeps the newest", "cache_size: 2", time.Second, 4, 4, 3},
		{"a larger cache changes nothing", "cache_size: 9", time.Second, 4, 4, 4},
		{"slow events rotate through the queue", "", 9 * time.Second, 22, 22, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t, TableConfig{})
			s := mustCompile(t, leaky(tt.keys))
			var out *event.Event
			n := 0
			for ; out == nil && n < 100; n++ {
				out = h.pour(s, at(time.Duration(n)*tt.pace, "192.0.2.1"))
			}
			if n != tt.poured {
				t.Fatalf("overflow on event %d, want %d", n, tt.poured)
			}
			a := out.Overflow.Alert
			if int(a.EventsCount) != tt.count || len(a.Events) != tt.lines {
				t.Errorf("alert counts %d and holds %d events, want %d and %d", a.EventsCount, len(a.Events), tt.count, tt.lines)
			}
			last := fmt.Sprintf("line at %s from 192.0.2.1", time.Duration(n-1)*tt.pace)
			if got := a.Events[len(a.Events)-1].Line; got != last {
				t.Errorf("last line = %q, want %q", got, last)
			}
			if h.table.Stats().Live != 0 {
				t.Error("the bucket outlived its overflow")
			}
		})
	}
}

func TestBucketsOfDifferentKeysAndScenariosDoNotMix(t *testing.T) {
	h := newHarness(t, TableConfig{})
	one := mustCompile(t, leaky("groupby: evt.Meta.source_ip"))
	two := mustCompile(t, leaky("groupby: evt.Meta.source_ip\nleakspeed: 20s"))
	for i := range 3 {
		for _, ip := range []string{"192.0.2.1", "192.0.2.2"} {
			for _, s := range []*Scenario{one, two} {
				if h.pour(s, at(time.Duration(i)*time.Second, ip)) != nil {
					t.Fatal("overflow before any bucket had four events")
				}
			}
		}
	}
	if got := h.table.Stats().Live; got != 4 {
		t.Errorf("live buckets = %d, want 4", got)
	}
}

func TestAnEventAfterTheLifetimeStartsAFreshBucket(t *testing.T) {
	for _, tt := range []struct {
		name string
		gap  time.Duration
		want uint32 // total of the bucket after it
	}{
		{"exactly at the end it still counts", 40 * time.Second, 2},
		{"later it does not", 40*time.Second + 1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t, TableConfig{})
			s := mustCompile(t, leaky(""))
			h.pour(s, at(0, "192.0.2.1"))
			h.pour(s, at(tt.gap, "192.0.2.1"))
			for _, b := range h.buckets() {
				if b.total != tt.want {
					t.Errorf("total = %d, want %d", b.total, tt.want)
				}
			}
		})
	}
}

func TestBlackholeMutesAFixedPeriodPerKey(t *testing.T) {
	type step struct {
		after time.Duration
		ip    string
		want  bool // overflow
	}
	grouped := trigger("groupby: evt.Meta.source_ip\nblackhole: 1m")
	for _, tt := range []struct {
		name, yaml string
		steps      []step
	}{
		{"muted until the end, which is exclusive", grouped, []step{
			{0, "192.0.2.1", true}, {59 * time.Second, "192.0.2.1", false}, {60 * time.Second, "192.0.2.1", true},
		}},
		{"a muted overflow does not extend it", grouped, []step{
			{0, "192.0.2.1", true}, {40 * time.Second, "192.0.2.1", false}, {61 * time.Second, "192.0.2.1", true},
		}},
		{"another key is not muted", grouped, []step{{0, "192.0.2.1", true}, {1, "192.0.2.2", true}}},
		{"without groupby all sources share it", trigger("blackhole: 1m"), []step{{0, "192.0.2.1", true}, {1, "192.0.2.2", false}}},
		{"without blackhole every event overflows", trigger("distinct: evt.Meta.source_ip"), []step{
			{0, "192.0.2.1", true}, {1, "192.0.2.1", true},
		}},
		{"a lost overflow mutes nothing", trigger("blackhole: 1m"), []step{{0, "nonsense", false}, {1, "192.0.2.2", true}}},
		{"a filtered overflow mutes nothing",
			trigger("blackhole: 1m\noverflow_filter: signal.Alert.Source.IP != '192.0.2.1'"),
			[]step{{0, "192.0.2.1", false}, {1, "192.0.2.2", true}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t, TableConfig{})
			s := mustCompile(t, tt.yaml)
			for i, st := range tt.steps {
				if got := h.pour(s, at(st.after, st.ip)) != nil; got != st.want {
					t.Errorf("step %d: overflow = %v, want %v", i, got, st.want)
				}
			}
		})
	}
}

func TestDistinctIsAskedBeforeCancelOn(t *testing.T) {
	user := func(after time.Duration, name, ok string) *event.Event {
		return at(after, "192.0.2.1", "user", name, "ok", ok)
	}
	s := "distinct: evt.Meta.user\ncancel_on: evt.Meta.ok == 'yes'\ncapacity: 2"
	for _, tt := range []struct {
		name   string
		events []*event.Event
		want   bool
	}{
		{"three different values overflow", []*event.Event{user(0, "a", ""), user(1, "b", ""), user(2, "c", "")}, true},
		{"a repeated value does not count", []*event.Event{user(0, "a", ""), user(1, "a", ""), user(2, "c", "")}, false},
		{"success of a new value cancels", []*event.Event{user(0, "a", ""), user(1, "b", ""), user(2, "x", "yes"), user(3, "c", "")}, false},
		{"success of a seen value does not", []*event.Event{user(0, "a", ""), user(1, "b", ""), user(2, "a", "yes"), user(3, "c", "")}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t, TableConfig{})
			sc := mustCompile(t, leaky(s))
			var out *event.Event
			for _, e := range tt.events {
				out = h.pour(sc, e)
			}
			if got := out != nil; got != tt.want {
				t.Errorf("overflow = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestOverflowFilterSeesTheBucket(t *testing.T) {
	for _, tt := range []struct {
		name, filter string
		want, fails  bool
	}{
		{"keeps what it accepts", "len(queue.Queue) == 4 && queue.Queue[-1].Meta.source_ip == '192.0.2.1'", true, false},
		{"drops what it refuses", "leaky.Total_count > 4", false, false},
		{"keeps the overflow when it fails", "queue.Queue[99].Meta.x == ''", true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t, TableConfig{})
			s := mustCompile(t, leaky("overflow_filter: "+tt.filter))
			var out *event.Event
			var err error
			for i := range 4 {
				out, err = h.pourErr(s, at(time.Duration(i), "192.0.2.1"))
			}
			if got := out != nil; got != tt.want || (err != nil) != tt.fails {
				t.Errorf("overflow = %v, error %v; want %v, failing %v", got, err, tt.want, tt.fails)
			}
		})
	}
}

func TestAFullTableEndsTheBucketThatIsDueSoonest(t *testing.T) {
	h := newHarness(t, TableConfig{MaxBuckets: 2})
	s := mustCompile(t, leaky("groupby: evt.Meta.source_ip\ncapacity: 1"))
	h.pour(s, at(0, "192.0.2.1"))
	h.pour(s, at(time.Second, "192.0.2.2"))
	h.pour(s, at(2*time.Second, "192.0.2.3")) // ends .1
	if h.pour(s, at(3*time.Second, "192.0.2.2")) == nil {
		t.Error("the newer bucket did not survive")
	}
	if h.pour(s, at(3*time.Second, "192.0.2.1")) != nil {
		t.Error("the older bucket survived")
	}
	if st := h.table.Stats(); st.Evicted != 1 || st.Live != 2 {
		t.Errorf("stats = %+v, want 1 evicted and 2 live", st)
	}
}

func TestAFloodOfKeysForOneScenarioLeavesTheOthersTheirBuckets(t *testing.T) {
	for _, tt := range []struct {
		name   string
		config TableConfig
		line   int
	}{
		{"by number", TableConfig{MaxBuckets: 100}, 10},
		{"by memory", TableConfig{MaxBytes: 200_000}, 1000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t, tt.config)
			slow := mustCompile(t, leaky("groupby: evt.Meta.source_ip\nleakspeed: 1h")) // due long after the quick ones
			quick := mustCompile(t, leaky("groupby: evt.Meta.source_ip\ncapacity: 3"))
			flood := func(from int) {
				for i := range 1000 {
					e := at(0, fmt.Sprintf("2001:db8::%x", from+i))
					e.Line.Raw = strings.Repeat("x", tt.line)
					h.pour(slow, e)
				}
			}
			flood(0)
			var out *event.Event
			for n := range 4 {
				out = h.pour(quick, at(0, "192.0.2.1"))
				flood(1000 * (n + 1))
			}
			if out == nil {
				t.Error("the flood hid a quick attack")
			}
			if st := h.table.Stats(); st.Evicted < 4000 || st.Live > 600 {
				t.Errorf("stats = %+v, want thousands evicted", st)
			}
		})
	}
}

func TestHostileEventsTakeBoundedMemory(t *testing.T) {
	const maxBytes = 1 << 20
	h := newHarness(t, TableConfig{MaxBytes: maxBytes})
	s := mustCompile(t, leaky("groupby: evt.Meta.user\ncapacity: 1000000\ndistinct: evt.Meta.path"))
	long := strings.Repeat("x", 100_000)
	for i := range 2000 {
		e := at(time.Duration(i), "192.0.2.1", "user", fmt.Sprint(i%500)+long, "path", fmt.Sprint(i)+long, "agent", long)
		e.Line.Raw = long
		for k := range 50 {
			e.Meta.Set(fmt.Sprint("key", k), long)
		}
		h.pour(s, e)
		if got := h.table.Stats().Bytes; got > maxBytes+2*maxRecord {
			t.Fatalf("estimated memory = %d after event %d, want at most %d", got, i, maxBytes)
		}
	}
	for i := range 2 * maxDistinct {
		h.pour(s, at(time.Hour, "192.0.2.1", "user", "one", "path", fmt.Sprint(i)))
	}
	for _, b := range h.buckets() {
		if b.seen.count > maxDistinct {
			t.Errorf("a bucket remembers %d values, want at most %d", b.seen.count, maxDistinct)
		}
	}
}

func TestExpireEndsLiveBucketsAndLeavesReplayedOnes(t *testing.T) {
	h := newHarness(t, TableConfig{})
	s := mustCompile(t, leaky("groupby: evt.Meta.source_ip"))
	h.pour(s, live(at(0, "192.0.2.1")))
	h.pour(s, live(at(time.Second, "192.0.2.2")))
	h.pour(s, at(0, "192.0.2.3"))
	h.table.Expire(start.Add(40*time.Second + 1))
	if got := h.table.Stats(); got.Live != 2 || got.Expired != 1 {
		t.Errorf("stats = %+v, want 2 live and 1 expired", got)
	}
	h.pour(s, live(at(30*time.Second, "192.0.2.2"))) // postpones it
	h.table.Expire(start.Add(time.Minute))
	if got := h.table.Stats().Live; got != 2 {
		t.Errorf("live = %d, want 2: the bucket was used meanwhile", got)
	}
}

func TestExpireForgetsBlackholesThatEnded(t *testing.T) {
	h := newHarness(t, TableConfig{})
	s := mustCompile(t, trigger("groupby: evt.Meta.source_ip\nblackhole: 1m"))
	for i := range 10 {
		h.pour(s, live(at(time.Duration(i)*time.Second, fmt.Sprintf("192.0.2.%d", i))))
	}
	h.table.Expire(start.Add(65 * time.Second))
	if got := h.table.clocks[event.Live].mutes.buckets.len(); got != 4 {
		t.Errorf("%d blackholes are left, want 4", got)
	}
}

func TestKeepEndsTheBucketsOfScenariosThatAreGone(t *testing.T) {
	h := newHarness(t, TableConfig{})
	kept, gone := mustCompile(t, leaky("")), mustCompile(t, leaky("leakspeed: 1m"))
	h.pour(kept, at(0, "192.0.2.1"))
	h.pour(gone, at(0, "192.0.2.1"))
	again := mustCompile(t, leaky("blackhole: 5m"))
	h.table.Keep(map[uint64]bool{again.Number(): true})
	if got := h.table.Stats().Live; got != 1 {
		t.Fatalf("live = %d, want 1", got)
	}
	var out *event.Event
	for i := range 3 {
		out = h.pour(again, at(time.Duration(i+1), "192.0.2.1"))
	}
	if out == nil || out.Overflow.Alert.EventsCount != 4 {
		t.Error("the recompiled scenario did not go on with its bucket")
	}
}

func BenchmarkPour(b *testing.B) {
	h := newHarness(b, TableConfig{MaxBuckets: 100_000})
	s := mustCompile(b, leaky("groupby: evt.Meta.source_ip\ncapacity: 5"))
	const keys = 1 << 16
	events := make([]*event.Event, keys)
	for i := range events {
		events[i] = live(at(0, fmt.Sprintf("2001:db8::%x", i), "log_type", "ssh_failed-auth", "service", "ssh", "user", "root"))
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		e := events[i%keys]
		e.Time = start.Add(time.Duration(i) * time.Millisecond)
		i++
		h.pour(s, e)
	}
	b.ReportMetric(float64(i)/b.Elapsed().Seconds(), "events/s")
}
