package bucket

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestEventsAtAPaceOverflowWhenTheyComeFasterThanTheyLeak(t *testing.T) {
	for _, tt := range []struct {
		name   string
		pace   time.Duration
		events int
		want   int // number of the event that overflows, 0 for none
	}{
		{"one event a second overflows on the fourth", time.Second, 100, 4},
		{"all at once overflow on the fourth", 0, 100, 4},
		{"one every leakspeed never overflows", 10 * time.Second, 1000, 0},
		{"one every nine tenths of leakspeed overflows on the twenty-second", 9 * time.Second, 100, 22},
		{"a nanosecond faster than leakspeed is not felt for long", 10*time.Second - 1, 1000, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLimiter(3, 0)
			got := 0
			for i := 1; i <= tt.events; i++ {
				if !l.allow(int64(i)*int64(tt.pace), 3, 10*time.Second) {
					got = i
					break
				}
			}
			if got != tt.want {
				t.Errorf("overflow on event %d, want %d", got, tt.want)
			}
		})
	}
}

// model is the limiter in whole nanoseconds of leaking, where nothing is rounded.
type model struct{ level, last int64 }

func (m *model) allow(t int64, capacity int, leak time.Duration) bool {
	level := m.level
	if t > m.last {
		level = min(int64(capacity)*int64(leak), level+t-m.last)
	}
	if level < int64(leak) {
		return false
	}
	m.level, m.last = level-int64(leak), t
	return true
}

func TestLimiterAgreesWithExactArithmetic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		capacity := rapid.IntRange(1, 50).Draw(t, "capacity")
		leak := time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "leak"))
		l, m := newLimiter(capacity, 0), model{level: int64(capacity) * int64(leak)}
		var now int64
		for range rapid.IntRange(1, 200).Draw(t, "events") {
			now += rapid.OneOf(
				rapid.Just(int64(leak)), rapid.Just(int64(0)), rapid.Int64Range(-int64(leak), 2*int64(leak)),
			).Draw(t, "step")
			now = max(now, 0)
			got, want := l.allow(now, capacity, leak), m.allow(now, capacity, leak)
			if got != want {
				t.Fatalf("allow at %d = %v, want %v (tokens %g)", now, got, want, l.tokens)
			}
		}
	})
}

func TestDeadlinesComeInOrderWhateverWasPostponedOrRemoved(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := NewTable(TableConfig{Hasher: NewHasher()})
		defer table.Close()
		p := table.population(&Scenario{number: 1}, true)
		var in []uint32
		for step := range rapid.IntRange(0, 200).Draw(t, "operations") {
			if len(in) == 0 || rapid.Bool().Draw(t, "push") {
				n := table.newRow()
				*table.row(n) = row{id: ID{key: uint64(step)}, last: rapid.Int64Range(0, 100).Draw(t, "at")}
				p.buckets.push(table, n, table.row(n).last)
				in = append(in, n)
				continue
			}
			i := rapid.IntRange(0, len(in)-1).Draw(t, "entry")
			if rapid.Bool().Draw(t, "postpone") {
				table.row(in[i]).last += rapid.Int64Range(0, 50).Draw(t, "later")
				continue
			}
			p.buckets.remove(table, in[i])
			in = slices.Delete(in, i, i+1)
		}
		last := int64(-1)
		for {
			n, at, ok := p.buckets.first(table, p)
			if !ok {
				break
			}
			i := slices.Index(in, n)
			if i < 0 || at != table.row(n).last || at < last {
				t.Fatalf("first gave row %d at %d after %d", n, at, last)
			}
			last = at
			p.buckets.remove(table, n)
			in = slices.Delete(in, i, i+1)
		}
		if len(in) > 0 {
			t.Fatalf("%d rows were lost", len(in))
		}
	})
}

func TestTheIndexFindsWhatIsInItHoweverIDsCollide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := NewTable(TableConfig{Hasher: NewHasher()})
		defer table.Close()
		want := map[ID]uint32{}
		for range rapid.IntRange(0, 300).Draw(t, "operations") {
			// The last bits, which say where an ID belongs, are few and often the highest.
			id := ID{rapid.Uint64Range(0, 2).Draw(t, "key"), rapid.SampledFrom([]uint64{0, 1, 2, 14, 15, 31, 63, 127, 1 << 40}).Draw(t, "both")}
			if n, ok := want[id]; ok {
				table.index.remove(table, n)
				table.freeRows = append(table.freeRows, n)
				delete(want, id)
			} else {
				n := table.newRow()
				*table.row(n) = row{id: id}
				table.index.add(table, n)
				want[id] = n
			}
			for id, n := range want {
				if got, ok := table.index.find(table, id); !ok || got != n {
					t.Fatalf("find(%v) = %d, %v, want %d", id, got, ok, n)
				}
			}
		}
	})
}
