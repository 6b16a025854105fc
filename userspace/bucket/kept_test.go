package bucket

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gabion/userspace/event"
	"gabion/userspace/expr"
	"gabion/userspace/exprlib"
	"gabion/userspace/yamlpos"
)

// conditions are of the shapes that rules have: time-based, sequences of programs, distances.
var conditions = []string{
	"let failed = filter(queue.Queue, {#.Meta.a == 'x'});\nlen(failed) >= 4 &&\nMedianInterval(map(failed[-4:], {#.Time})) > duration('3s')",
	"len(queue.Queue) >= 4 && MedianInterval(map(queue.Queue[-4:], {#.Time})) >= duration('3s')",
	"any(queue.Queue, {.Meta.a in ['x', 'y']}) and (any(queue.Queue, { !(.Meta.b startsWith 'x' or .Meta.b startsWith 'y')}) or any(queue.Queue, { .Meta.b in ['x'] }))",
	"any(queue.Queue, {.Meta.a == 'x'}) and (any(queue.Queue, { .Meta.b matches '^(x|y)$' }) or any(queue.Queue, { .Meta.b startsWith 'z' }))",
	"len(queue.Queue) >= 2 and queue.Queue[0].Meta.a == queue.Queue[1].Meta.a",
	"len(queue.Queue) >= 2 and Distance(queue.Queue[-1].Enriched.Latitude, queue.Queue[-1].Enriched.Longitude, queue.Queue[-2].Enriched.Latitude, queue.Queue[-2].Enriched.Longitude) > 1000",
	"count(queue.Queue, #.Meta.a in ['x', 'y'] or #.Meta.b startsWith 'x') > 5",
}

func compileCondition(condition string, more ...string) (*Scenario, error) {
	lib := exprlib.New(exprlib.Deps{Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return start }})
	text := fmt.Sprintf("type: conditional\nname: c\ndescription: d\nfilter: 'true'\nleakspeed: 1h\ncondition: %q\n", condition)
	if len(more) == 0 {
		more = []string{"capacity: -1"}
	}
	docs, err := yamlpos.Parse("test.yaml", []byte(text+strings.Join(more, "\n")))
	if err != nil {
		return nil, err
	}
	return Compile(docs[0], Deps{Expr: expr.NewCompiler(lib.Functions()...), Log: slog.New(slog.DiscardHandler)})
}

// list is a random list of the queue's events, and predicate a random predicate over one.
func list(t *rapid.T) string {
	s := "queue.Queue"
	for range rapid.SampledFrom([]int{0, 0, 0, 1, 1, 2}).Draw(t, "filters") {
		s = fmt.Sprintf("filter(%s, %s)", s, predicate(t))
	}
	return s
}

func predicate(t *rapid.T) string {
	p := rapid.SampledFrom([]string{
		"{#.Meta.a == 'x'}", "{.Meta.a != 'x'}", "{#.Meta.a in ['x', 'y']}", "{not (.Meta.b contains 'x')}", "{.Meta.b startsWith 'y' || .Meta.a == 'z'}",
		"{#.Meta.a matches '^[xy]$'}", "{#.Meta['a'] == 'y' && .Line.Raw contains '1'}", "{true}", "{.Meta.missing == ''}",
	})
	return p.Draw(t, "predicate")
}

// term is a random part of a condition.
func term(t *rapid.T) string {
	n := rapid.IntRange(0, 4).Draw(t, "n")
	op := rapid.SampledFrom([]string{"==", ">", ">=", "<"}).Draw(t, "op")
	switch rapid.IntRange(0, 9).Draw(t, "term") {
	case 0, 1:
		return fmt.Sprintf("len(%s) %s %d", list(t), op, n)
	case 2, 3:
		f := rapid.SampledFrom([]string{"any", "all", "none", "one"}).Draw(t, "function")
		return fmt.Sprintf("%s(%s, %s)", f, list(t), predicate(t))
	case 4:
		return fmt.Sprintf("count(%s, %s) %s %d", list(t), predicate(t), op, n)
	case 5:
		return fmt.Sprintf("let l = %s; l[%d].Meta.a == l[%d].Meta.b", list(t), n, -n-1)
	case 6:
		return fmt.Sprintf("MedianInterval(map(%s[-%d:], #.Time)) > duration('%ds')", list(t), n+1, n)
	case 7:
		return fmt.Sprintf("map(%s[%d:%d], .Meta.a) == ['x', 'y']", list(t), n/2, n)
	case 8:
		return fmt.Sprintf("any(%s[-%d:], .Meta.b == evt.Meta.a)", list(t), n+1)
	}
	return fmt.Sprintf("let f = %s; f[-1].Time - f[0].Time > duration('%ds') || leaky.Total_count == %d || queue.L < %d", list(t), n, n, n)
}

func TestAConditionOverWhatIsKeptSaysWhatItSaysOverTheWholeQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		condition := rapid.SampledFrom(conditions).Draw(t, "condition")
		if rapid.Bool().Draw(t, "generated") {
			condition = "(" + term(t) + ")"
			for range rapid.IntRange(0, 2).Draw(t, "more") {
				condition = fmt.Sprintf("%s %s (%s)", condition, rapid.SampledFrom([]string{"and", "or"}).Draw(t, "join"), term(t))
			}
			condition = "let unused = len(queue.Queue); " + condition
		}
		s, err := compileCondition(condition)
		if err != nil {
			t.Fatal(err)
		}
		if !s.Incremental() {
			t.Fatalf("%s looks at the whole queue", condition)
		}
		agrees(t, s)
	})
}

// agrees pours random events and asks the condition as it is written about all of them.
func agrees(t *rapid.T, s *Scenario) {
	hasher := NewHasher()
	table := NewTable(TableConfig{Hasher: hasher})
	defer table.Close()
	word := rapid.SampledFrom([]string{"x", "y", "z", "xy", ""})
	degree := rapid.SampledFrom([]string{"", "0", "10.5", "-80", "north"})
	var queue []*event.Event
	var now time.Duration
	for i := range rapid.IntRange(1, 40).Draw(t, "events") {
		now += time.Duration(rapid.IntRange(-1000, 6000).Draw(t, "step")) * time.Millisecond
		now = max(now, 0)
		e := at(now, "192.0.2.1", "a", word.Draw(t, "a"), "b", word.Draw(t, "b"))
		e.Enriched = event.MakeFields("Latitude", degree.Draw(t, "latitude"), "Longitude", degree.Draw(t, "longitude"))
		queue = append(queue, e)
		m, err := s.Match(e, e.Time)
		if err != nil {
			t.Fatal(err)
		}
		id := hasher.ID(s, m.Key)
		out, gotErr := table.Pour(s, id, m)
		leaky := &expr.Leaky{Total_count: len(queue)}
		want, wantErr := s.condition.Bool(&expr.Vars{Event: e, Queue: &expr.Queue{Queue: queue, L: s.keep}, Leaky: leaky})
		if (out != nil) != want || (gotErr != nil) != (wantErr != nil) {
			t.Fatalf("%s\nafter event %d: overflow %v, error %v; over the whole queue %v, error %v", s.condition.Source(), i, out != nil, gotErr, want, wantErr)
		}
		if want {
			queue = nil
			if got := table.Stats(); got.Live != 0 {
				t.Fatalf("%d buckets are left", got.Live)
			}
		}
	}
	table.Keep(nil)
	table.forgetLast()
	if got := table.Stats().Bytes; got != 0 {
		t.Fatalf("%d bytes are in use by no bucket", got)
	}
}

func TestAConditionThatNeedsTheQueueItselfGetsIt(t *testing.T) {
	for _, tt := range []struct {
		condition string
		want      bool // incremental
	}{
		{"len(queue.Queue) > 1", true},
		{"len(queue.GetQueue()) > 1", true},
		{"leaky.Total_count > 1 && evt.Meta.a == 'x'", true},
		{"let q = queue.Queue; let f = filter(q, .Meta.a == 'x'); len(f) > 1", true},
		{"MedianInterval(map(queue.Queue, #.Time)) > duration('1s')", false},
		{"len(leaky.Queue.Queue) > 1", false},
		{"any(queue.Queue, .Parsed.a == evt.Parsed.a)", false},
		{"any(queue.Queue, Upper(.Meta.a) == 'X')", false},
		{"any(queue.Queue, .Unmarshaled.a == 'X')", false},
		{"queue.Queue[-1].Parsed.a == 'x'", false},
		{"queue.Queue[-1].Time.Hour() == 1", false},
		{"queue.Queue[-1].Enriched.Other == 'x'", false},
		{"queue.Queue[-1].SetMeta('a', 'x')", false},
		{"queue.Queue[len(queue.Queue) - 1].Meta.a == 'x'", false},
		{"len(queue.Queue[-4:]) == 4", true},
		{"queue.Queue[-100:][0].Meta.a == 'x'", false},
		{"filter(queue.Queue, .Meta.a == 'x')[-1].Meta.b == 'x'", false},
	} {
		t.Run(tt.condition, func(t *testing.T) {
			s, err := compileCondition(tt.condition)
			if err != nil {
				t.Fatal(err)
			}
			if s.Incremental() != tt.want {
				t.Errorf("incremental = %v, want %v", s.Incremental(), tt.want)
			}
			rapid.Check(t, func(t *rapid.T) {
				if tt.want {
					agrees(t, s)
				}
			})
		})
	}
}

func TestAnEventCostsTheSameHoweverLongTheQueueIs(t *testing.T) {
	for _, condition := range conditions {
		s, err := compileCondition(condition)
		if err != nil {
			t.Fatal(err)
		}
		h := newHarness(t, TableConfig{})
		n := 1_000_000 // so that all times have the same number of digits
		pour := func() {
			h.pour(s, at(time.Duration(n)*time.Millisecond, "192.0.2.1", "a", "x", "b", "y"))
			n += 1 + n%2 // none is a round number
		}
		if pour(); h.table.Stats().Live != 1 {
			continue // the events are what the condition waits for
		}
		for range 300 { // the machine boxes numbers above 255
			pour()
		}
		short := testing.AllocsPerRun(100, pour)
		for range 8000 {
			pour()
		}
		if long := testing.AllocsPerRun(100, pour); long > short {
			t.Errorf("%s\ntakes %g allocations per event of a long queue, and %g of a short one", condition, long, short)
		}
	}
}

func BenchmarkPourIntoALongQueue(b *testing.B) {
	for _, length := range []int{10, 8000} {
		b.Run(fmt.Sprint(length), func(b *testing.B) {
			s, err := compileCondition(conditions[0])
			if err != nil {
				b.Fatal(err)
			}
			h := newHarness(b, TableConfig{})
			n := 0
			pour := func() {
				h.pour(s, at(time.Duration(n)*time.Millisecond, "192.0.2.1", "a", "x"))
				n++
			}
			for range length {
				pour()
			}
			for b.Loop() {
				pour()
			}
		})
	}
}
