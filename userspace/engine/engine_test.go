package engine

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"gabion/userspace/decision"
	"gabion/userspace/enrich"
	"gabion/userspace/event"
	"gabion/userspace/expr"
	"gabion/userspace/exprlib"
	"gabion/userspace/grok"
	"gabion/userspace/profile"
	"gabion/userspace/rules"
	"gabion/userspace/source"
	"gabion/userspace/yamlpos"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testNow is the wall clock of the tests.
func testNow() time.Time { return time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC) }

// mustLoad compiles rules and the shipped profiles; panics for "boom" is a helper that panics.
func mustLoad(t testing.TB, fsys fs.FS) (*rules.Set, *profile.Profiles) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	lib := exprlib.New(exprlib.Deps{Log: log, Now: testNow})
	boom := expr.Function{
		Name: "Boom", Types: []any{new(func(string) bool)},
		Call: func(args ...any) (any, error) {
			if args[0] == "boom" {
				panic("boom")
			}
			return true, nil
		},
	}
	c := expr.NewCompiler(append(lib.Functions(), boom)...)
	set, err := rules.Load([]rules.Source{{Name: "rules", FS: fsys}}, rules.Deps{
		Expr: c, Lib: lib, Patterns: grok.NewSet(), Methods: enrich.Methods(enrich.Deps{Now: testNow}), Now: testNow, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	docs, err := yamlpos.Parse("profiles.yaml", profile.Default())
	if err != nil {
		t.Fatal(err)
	}
	p, err := profile.Compile(docs, c)
	if err != nil {
		t.Fatal(err)
	}
	return set, p
}

// base parses lines such as "12 192.0.2.1 word": seconds after the epoch, source, and what it did.
const base = `
stage: s01-parse
name: test/parser
pattern_syntax:
  REST: '.*'
grok:
  apply_on: Line.Raw
  pattern: '^%{INT:seconds} %{NOTSPACE:ip} %{NOTSPACE:did}%{REST:rest}$'
statics:
  - meta: source_ip
    expression: evt.Parsed.ip
  - meta: log_type
    expression: evt.Parsed.did
  - target: evt.StrTime
    expression: evt.Parsed.seconds
  - method: ParseDate
    expression: evt.StrTime
  - target: MarshaledTime
    expression: evt.Enriched.MarshaledTime
`

func ruleFiles(files map[string]string) fs.FS {
	out := fstest.MapFS{"parser.yaml": {Data: []byte(base)}}
	for name, text := range files {
		out[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

func scenario(name, more string) string {
	return "type: leaky\nname: " + name + "\ndescription: d\ngroupby: evt.Meta.source_ip\ncapacity: 2\nleakspeed: 10s\nlabels: {remediation: true}\n" + more + "\n"
}

// mustReplay runs lines and returns what came of them, with the totals.
func mustReplay(t testing.TB, fsys fs.FS, lines string, opts ReplayOptions) ([]string, Totals) {
	t.Helper()
	set, profiles := mustLoad(t, fsys)
	var totals Totals
	opts.Totals = func(t Totals) { totals = t }
	var out []string
	for a, err := range Replay(context.Background(), set, profiles, strings.NewReader(lines), opts) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, DecisionLines(a)...)
	}
	return out, totals
}

// mixed returns many lines of several sources doing several things, some of it nonsense.
func mixed(n int) string {
	var b strings.Builder
	for i := range n {
		switch i % 7 {
		case 6:
			fmt.Fprintf(&b, "noise %d\n", i)
		default:
			fmt.Fprintf(&b, "%d 192.0.2.%d %s\n", i/20, i*i%50, []string{"a", "b", "c"}[i*7%3])
		}
	}
	return b.String()
}

func TestTheResultDoesNotDependOnWorkersAndShards(t *testing.T) {
	rules := ruleFiles(map[string]string{
		"a.yaml": scenario("a", "filter: evt.Meta.log_type == 'a'\nblackhole: 20s\nreprocess: true"),
		"b.yaml": scenario("b", "filter: evt.Meta.log_type in ['a', 'b']\ndistinct: evt.Parsed.seconds"),
		"c.yaml": strings.Replace(scenario("c", "filter: evt.Meta.log_type != ''"), "capacity: 2", "capacity: 1", 1),
		"d.yaml": "type: leaky\nname: d\ndescription: d\nfilter: evt.GetType() == 'overflow'\ncapacity: 2\nleakspeed: 1m\n" +
			"scope: {type: Range, expression: \"'192.0.2.0/24'\"}\n",
	})
	lines := mixed(5000)
	want, totals := mustReplay(t, rules, lines, ReplayOptions{})
	if len(want) < 100 {
		t.Fatalf("only %d alerts: the test proves nothing", len(want))
	}
	if !strings.Contains(strings.Join(want, "\n"), "alert 192.0.2.0/24 d") {
		t.Fatal("no alert of an overflow that was fed back")
	}
	for workers := 1; workers <= 4; workers++ {
		for shards := 1; shards <= 4; shards++ {
			got, gotTotals := mustReplay(t, rules, lines, ReplayOptions{Workers: workers, Shards: shards})
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%d workers, %d shards (-want +got):\n%s", workers, shards, diff)
			}
			gotTotals.Buckets.Bytes = totals.Buckets.Bytes // buckets of one shard share what they keep
			if diff := cmp.Diff(totals, gotTotals); diff != "" {
				t.Fatalf("%d workers, %d shards: totals (-want +got):\n%s", workers, shards, diff)
			}
		}
	}
}

func TestAFailingRuleDoesNotStopTheOthers(t *testing.T) {
	for _, tt := range []struct{ name, filter, failing string }{
		{"an expression that fails", "evt.Overflow.Alert.Scenario == ''", "x"},
		{"a helper that panics", "Boom(evt.Meta.log_type)", "boom"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files := ruleFiles(map[string]string{
				"1.yaml": scenario("bad", "filter: "+tt.filter), "2.yaml": scenario("good", "filter: 'true'"),
			})
			line := func(s int) string { return fmt.Sprintf("%d 192.0.2.1 %s\n", s, tt.failing) }
			got, totals := mustReplay(t, files, line(1)+line(2)+line(3), ReplayOptions{})
			if diff := cmp.Diff([]string{"00:00:03 ban 192.0.2.1 4h good"}, got); diff != "" {
				t.Errorf("decisions (-want +got):\n%s", diff)
			}
			for _, r := range totals.Rules {
				if r.Name == "bad" && r.Errors != 3 {
					t.Errorf("errors of the rule = %d, want 3", r.Errors)
				}
			}
		})
	}
}

func TestFeedingBackEnds(t *testing.T) {
	self := "type: trigger\nname: self\ndescription: d\nfilter: 'true'\nreprocess: true\n"
	got, totals := mustReplay(t, ruleFiles(map[string]string{"s.yaml": self}), "1 192.0.2.1 x\n", ReplayOptions{})
	if len(got) != maxRounds+1 || totals.DroppedOverflows != 1 {
		t.Errorf("%d alerts and %d dropped overflows, want %d and 1", len(got), totals.DroppedOverflows, maxRounds+1)
	}
}

func TestPostOverflowWhitelistsTakeAlertsOut(t *testing.T) {
	files := ruleFiles(map[string]string{
		"postoverflows/s01-whitelist/w.yaml": "name: w\ndescription: d\nwhitelist:\n  reason: ours\n  ip: ['192.0.2.1']\n",
		"s.yaml":                             scenario("s", "filter: 'true'"),
	})
	var lines strings.Builder
	for i := range 3 {
		fmt.Fprintf(&lines, "%d 192.0.2.1 x\n%d 192.0.2.2 x\n", i, i)
	}
	got, totals := mustReplay(t, files, lines.String(), ReplayOptions{})
	if diff := cmp.Diff([]string{"00:00:02 ban 192.0.2.2 4h s"}, got); diff != "" {
		t.Errorf("decisions (-want +got):\n%s", diff)
	}
	if totals.WhitelistedOverflows != 1 {
		t.Errorf("whitelisted overflows = %d, want 1", totals.WhitelistedOverflows)
	}
}

// sink collects alerts.
type sink struct {
	mu     sync.Mutex
	alerts []*decision.Alert
}

func (s *sink) take(a *decision.Alert) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alerts = append(s.alerts, a)
}

// list returns what was taken so far.
func (s *sink) list() []*decision.Alert {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.alerts)
}

func batch(done func(), lines ...string) source.Batch {
	b := source.Batch{Done: done}
	for _, l := range lines {
		b.Events = append(b.Events, &event.Event{Line: event.Line{Raw: l, Module: "file"}})
	}
	return b
}

func TestALiveEngineCountsByArrivalAndSaysWhenABatchIsDone(t *testing.T) {
	set, profiles := mustLoad(t, ruleFiles(map[string]string{"s.yaml": scenario("s", "filter: 'true'")}))
	var got sink
	e := New(Config{Rules: set, Profiles: profiles, Workers: 2, Shards: 2, Now: testNow, Sink: got.take})
	e.Start()
	done := make(chan int, 5)
	for i, lines := range [][]string{{"1 192.0.2.1 x"}, {"900 192.0.2.1 x", "nonsense"}, {}, {"1800 192.0.2.1 x"}} {
		if err := e.Emit(batch(func() { done <- i }, lines...)); err != nil {
			t.Fatal(err)
		}
	}
	e.Close()
	e.Close()
	if len(done) != 4 {
		t.Errorf("%d batches are done, want 4", len(done))
	}
	if err := e.Emit(batch(nil, "x")); err != ErrClosed {
		t.Errorf("Emit after Close = %v, want ErrClosed", err)
	}
	if len(got.alerts) != 1 {
		t.Fatalf("%d alerts, want 1: the lines arrived at once", len(got.alerts))
	}
	a := got.alerts[0]
	if !a.StopAt.Equal(testNow()) || len(a.Decisions) != 1 || !a.Decisions[0].Until.Equal(testNow().Add(4*time.Hour)) {
		t.Errorf("alert at %s with decisions %v", a.StopAt, a.Decisions)
	}
	if st := e.Stats(); st.Lines != 4 || st.Unparsed != 1 || st.Parsed != 3 || st.Alerts != 1 {
		t.Errorf("stats = %+v", st)
	}
}

func TestSwapKeepsTheBucketsOfUnchangedScenarios(t *testing.T) {
	kept, changed := scenario("kept", "filter: 'true'"), scenario("changed", "filter: 'true'")
	set, profiles := mustLoad(t, ruleFiles(map[string]string{"a.yaml": kept, "b.yaml": changed}))
	after, _ := mustLoad(t, ruleFiles(map[string]string{"a.yaml": kept, "b.yaml": strings.Replace(changed, "10s", "20s", 1)}))
	var got sink
	e := New(Config{Rules: set, Profiles: profiles, Workers: 2, Shards: 2, Now: testNow, Sink: got.take})
	e.Start()
	emit := func() {
		if err := e.Emit(batch(nil, "1 192.0.2.1 x")); err != nil {
			t.Error(err)
		}
	}
	emit()
	emit()
	e.Swap(after, profiles)
	emit()
	e.Close()
	if len(got.alerts) != 1 || got.alerts[0].Scenario != "kept" {
		t.Errorf("alerts = %v, want one of the scenario that was kept", got.alerts)
	}
	for _, r := range e.Stats().Rules {
		if r.Name == "changed" && r.Matches != 3 {
			t.Errorf("matches = %d, want 3: counters outlive a reload", r.Matches)
		}
	}
}

func TestASlowSinkHoldsTheSourceBack(t *testing.T) {
	set, profiles := mustLoad(t, ruleFiles(map[string]string{"s.yaml": "type: trigger\nname: s\ndescription: d\nfilter: 'true'\n"}))
	entered, release := make(chan struct{}, 1), make(chan struct{})
	e := New(Config{Rules: set, Profiles: profiles, Now: testNow, Sink: func(*decision.Alert) {
		select {
		case entered <- struct{}{}:
		default:
		}
		<-release
	}})
	e.Start()
	const batches = 100
	emitted := make(chan struct{}, batches)
	var done sync.WaitGroup
	done.Add(batches)
	go func() {
		for range batches {
			if err := e.Emit(batch(done.Done, "1 192.0.2.1 x")); err != nil {
				t.Error(err)
			}
			emitted <- struct{}{}
		}
		close(emitted)
	}()
	<-entered
	if n := len(emitted); n == batches {
		t.Error("all batches were taken although the sink waits")
	}
	close(release)
	for range emitted {
	}
	e.Close()
	done.Wait()
}
