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

type task struct {
	at  int64
	pos int32
}

func (t *task) due() int64    { return t.at }
func (t *task) place() *int32 { return &t.pos }

func TestDeadlinesComeInOrderWhateverWasPostponedOrRemoved(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var d deadlines[*task]
		var in []*task
		for range rapid.IntRange(0, 200).Draw(t, "operations") {
			if len(in) == 0 || rapid.Bool().Draw(t, "push") {
				e := &task{at: rapid.Int64Range(0, 100).Draw(t, "at")}
				d.push(e)
				in = append(in, e)
				continue
			}
			i := rapid.IntRange(0, len(in)-1).Draw(t, "entry")
			if rapid.Bool().Draw(t, "postpone") {
				in[i].at += rapid.Int64Range(0, 50).Draw(t, "later")
				continue
			}
			d.remove(in[i])
			in = slices.Delete(in, i, i+1)
		}
		last := int64(-1)
		for {
			e, at, ok := d.first()
			if !ok {
				break
			}
			i := slices.Index(in, e)
			if i < 0 || at != e.at || at < last {
				t.Fatalf("first gave %+v at %d after %d", e, at, last)
			}
			last = at
			d.remove(e)
			in = slices.Delete(in, i, i+1)
		}
		if len(in) > 0 {
			t.Fatalf("%d entries were lost", len(in))
		}
	})
}
