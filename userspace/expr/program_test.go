package expr

import (
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"gabion/userspace/decision"
	"gabion/userspace/event"
	"gabion/userspace/yamlpos"
)

func testVars() *Vars {
	e := &event.Event{
		Stage: "s00-raw", Meta: event.MakeFields("log_type", "ssh_failed"), Parsed: event.MakeFields("program", "sshd"),
		Unmarshaled: map[string]any{"json": map[string]any{"n": 10.0, "s": "x"}},
		Time:        time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
	}
	alert := &decision.Alert{Scenario: "test/a", Remediation: true, Source: &decision.Source{Scope: "Ip", Value: "192.0.2.1", IP: "192.0.2.1"},
		Events: []decision.Event{{Meta: []decision.Meta{{Key: "exe", Value: "/bin/sh"}}}}}
	q := &Queue{Queue: []*event.Event{e, {Meta: event.MakeFields("n", "2")}}, L: 2}
	return &Vars{
		Event: e, Alert: alert, Queue: q, Leaky: &Leaky{Total_count: 6, Mapkey: "k", Queue: q},
		Signal: &event.RuntimeAlert{Alert: alert, Sources: map[string]*decision.Source{"192.0.2.1": alert.Source}},
	}
}

func TestProgramsRun(t *testing.T) {
	for _, tt := range []struct {
		name, src string
		env       Env
		want      any
	}{
		{"equality of a field", "evt.Meta.log_type == 'ssh_failed'", EnvEvent, true},
		{"missing key of a text map is empty", "evt.Meta.nope == '' && evt.Enriched.nope == ''", EnvEvent, true},
		{"missing key of an untyped map is nil", "evt.Unmarshaled.nope == nil", EnvEvent, true},
		{"JSON number is a float", "evt.Unmarshaled.json.n", EnvEvent, 10.0},
		{"JSON number converted", "int(evt.Unmarshaled.json.n)", EnvEvent, 10},
		{"optional chaining", "evt.Unmarshaled.a?.b ?? 'none'", EnvEvent, "none"},
		{"time method", "evt.Time.Hour() < 14 && evt.Time.Weekday().String() == 'Sunday'", EnvEvent, true},
		{"method of the event", "evt.GetType() + evt.GetMeta('log_type')", EnvEvent, "logssh_failed"},
		{"setting on the way", "evt.SetMeta('seen', 'yes') && evt.Meta.seen == 'yes'", EnvEvent, true},
		{"helper", "Upper(evt.Parsed.program)", EnvEvent, "SSHD"},
		{"helper with an untyped argument", "Upper(evt.Unmarshaled.json.s)", EnvEvent, "X"},
		{"let and ternary", "let p = evt.Parsed.program; p startsWith 'ss' ? p[-2:] : ''", EnvEvent, "hd"},
		{"if block", "if evt.Stage == 'x' { 'a' } else { 'b' }", EnvEvent, "b"},
		{"queue", "queue.L == 2 && len(queue.GetQueue()) == 2 && queue.Queue[-1].Meta.n == '2'", EnvQueue, true},
		{"predicate over the queue", "count(queue.Queue, .Meta.log_type == 'ssh_failed')", EnvQueue, 1},
		{"leaky", "leaky.Total_count > 5 && leaky.Mapkey == 'k'", EnvQueue, true},
		{"signal", "signal.Alert.Remediation && signal.GetSources()[0] == '192.0.2.1'", EnvOverflow, true},
		{"alert", "Alert.Remediation == true && Alert.GetScope() == 'Ip' && Alert.Source.IP == '192.0.2.1'", EnvProfile, true},
		{"alert events", "all(Alert.Events, {.GetMeta('exe') == '/bin/sh'})", EnvProfile, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := mustCompile(t, tt.src, tt.env, Any).Value(testVars())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestProgramsFailWithoutCrashing(t *testing.T) {
	for _, tt := range []struct{ name, src, want string }{
		{"member of nil", "evt.Unmarshaled.a.b == 1", "f.yaml:1:9: cannot fetch b from <nil>"},
		{"alert of a log event", "evt.Overflow.Alert.Scenario == ''", "cannot get Scenario from Alert"},
		{"helper fails", "evt.Stage != '' && Fail()", "f.yaml:1:9: failed"},
		{"helper crashes", "Crash()", "index out of range [7]"},
		{"untyped argument of the wrong type", "Upper(evt.Unmarshaled.json) == ''", "interface conversion"},
		{"index out of range", "split(evt.Stage, '-')[7] == ''", "index out of range"},
		{"too much memory", "len(map(1..1000000, #)) > 0", "memory budget exceeded"},
		{"not a decision", "evt.Unmarshaled.json.s", "f.yaml:1:9: expression gives string, want true or false"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := mustCompile(t, tt.src, EnvEvent, Bool).Bool(testVars())
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("err = %v, want one line with %q", err, tt.want)
			}
		})
	}
}

func TestStringRefusesOtherTypes(t *testing.T) {
	p := mustCompile(t, "evt.Unmarshaled.json.n", EnvEvent, String)
	_, err := p.String(testVars())
	if run := (*RunError)(nil); !errors.As(err, &run) || err.Error() != "f.yaml:1:9: expression gives float64, want text" {
		t.Errorf("err = %v", err)
	}
	if got, err := mustCompile(t, "evt.Stage", EnvEvent, String).String(testVars()); got != "s00-raw" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestProgramsRunConcurrently(t *testing.T) {
	p := mustCompile(t, "any(queue.Queue, {.Meta.log_type == evt.Meta.log_type})", EnvQueue, Bool)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			v := testVars()
			for range 200 {
				if ok, err := p.Bool(v); !ok || err != nil {
					t.Errorf("got %v, %v", ok, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestRunsKeepNoEventAlive(t *testing.T) {
	c := testCompiler()
	f := newFrame()
	c.frames.New = func() any { return f }
	p, err := c.Compile(inFile("let m = evt.Meta; Upper(m.log_type + evt.Parsed.x) == 'X' && evt.Stage == ''"), EnvEvent, Bool)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Bool(testVars()); err != nil {
		t.Fatal(err)
	}
	if len(f.envs.parsed)+len(f.envs.enriched)+len(f.envs.meta) > 0 {
		t.Error("the environment still holds fields")
	}
	f.envs.parsed, f.envs.enriched, f.envs.meta = nil, nil, nil
	if !reflect.DeepEqual(f.envs, environments{}) {
		t.Error("the environment still holds the event")
	}
	for _, v := range append(f.vm.Stack[:cap(f.vm.Stack)], f.vm.Variables...) {
		if v != nil {
			t.Errorf("the machine still holds %v", v)
		}
	}
}

func TestRequiresFindsWhatMustHold(t *testing.T) {
	meta := func(key string, values ...string) Condition { return Condition{"Meta", key, values} }
	for _, tt := range []struct {
		name, src string
		want      []Condition
	}{
		{"equality", "evt.Meta.log_type == 'a'", []Condition{meta("log_type", "a")}},
		{"constant first", "'a' == evt.Meta['log_type']", []Condition{meta("log_type", "a")}},
		{"list", "evt.Parsed.program in ['b', 'a', 'b']", []Condition{{"Parsed", "program", []string{"a", "b"}}}},
		{"alternatives over one field", "(evt.Meta.service == 'b' || evt.Meta.service == 'a') && Fail()", []Condition{meta("service", "a", "b")}},
		{"several operands", "evt.Meta.service == 'a' && evt.Meta.log_type == 'b' && Upper('a') == 'A'", []Condition{meta("service", "a"), meta("log_type", "b")}},
		{"behind safe operands", "evt.Parsed.x != '' and not (evt.Stage contains 'x') and evt.Line.Labels.type matches '^a' && evt.Meta.log_type in ['a']", []Condition{meta("log_type", "a")}},
		{"a choice that is false otherwise", "evt.Meta.service == 'a' ? evt.Meta.log_type == 'b' : false", []Condition{meta("service", "a"), meta("log_type", "b")}},
		{"an if that is false otherwise", "if evt.Meta.service == 'a' { let x = Upper('b'); x == 'B' } else { false }", []Condition{meta("service", "a")}},
		{"not a choice that is true otherwise", "evt.Meta.service == 'a' ? evt.Meta.log_type == 'b' : true", nil},
		{"not the else of a choice", "evt.Meta.service == 'a' ? false : evt.Meta.log_type == 'b'", nil},
		{"each alternative asks for a field", "evt.Meta.t == 'a' && Fail() || evt.Meta.t == 'b' && evt.Meta.s == 'x'", []Condition{meta("t", "a", "b")}},
		{"behind a variable", "let x = evt.Parsed.y; evt.Meta.t == 'a' && x contains 'b' && evt.Meta.s == 'c'", []Condition{meta("t", "a"), meta("s", "c")}},
		{"not behind a variable that may fail", "let x = evt.Unmarshaled.a.b; evt.Meta.t == 'a'", nil},
		{"not behind a helper", "Upper(evt.Stage) == '' && evt.Meta.log_type == 'a'", nil},
		{"not behind an effect", "evt.SetMeta('log_type', 'a') && evt.Meta.log_type == 'a'", nil},
		{"not behind what may fail", "evt.Overflow.Alert.Scenario == 'x' && evt.Meta.log_type == 'a'", nil},
		{"not behind an untyped value", "evt.Unmarshaled.x == 'x' && evt.Meta.log_type == 'a'", nil},
		{"alternatives over two fields", "evt.Meta.service == 'a' || evt.Meta.log_type == 'a'", nil},
		{"negation", "not (evt.Meta.service == 'a')", nil},
		{"value that is no constant", "evt.Meta.service == evt.Parsed.program", nil},
		{"key that is no constant", "evt.Meta[evt.Stage] == 'a'", nil},
		{"one alternative open", "evt.Meta.service == 'a' || true", nil},
		{"list with a variable", "evt.Meta.service in ['a', evt.Stage]", nil},
		{"empty list", "evt.Meta.service in []", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := mustCompile(t, tt.src, EnvEvent, Bool).Requires()
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAnExpressionThatIsAFieldSaysWhich(t *testing.T) {
	for _, tt := range []struct{ src, want string }{
		{"evt.Parsed.program", "x"}, {"evt.Meta['log_type']", "y"}, {"evt.Enriched.place", "z"}, {"(evt.Parsed.program)", "x"}, {"evt.Parsed.none", ""},
	} {
		evt := &event.Event{Parsed: event.MakeFields("program", "x"), Meta: event.MakeFields("log_type", "y"), Enriched: event.MakeFields("place", "z")}
		p := mustCompile(t, tt.src, EnvEvent, Any)
		set, key, ok := p.Field()
		if got := evt.In(set).GetKey(key); !ok || got != tt.want {
			t.Errorf("%s is a field: %v, of value %q, want %q", tt.src, ok, got, tt.want)
		}
		if got, err := p.Value(&Vars{Event: evt}); err != nil || got != tt.want {
			t.Errorf("%s = %v, %v; want %q", tt.src, got, err, tt.want)
		}
	}
	for _, src := range []string{
		"evt.Stage", "evt.Line.Raw", "evt.Parsed[evt.Stage]", "evt.Parsed.a + 'b'", "evt.Unmarshaled.a", "evt.Parsed?.a", "evt.Parsed", "evt.Line.Labels.type", "evt.GetMeta('a')",
	} {
		if _, _, ok := mustCompile(t, src, EnvEvent, Any).Field(); ok {
			t.Errorf("%s is taken for a field", src)
		}
	}
}

func TestConditionAllowsItsValues(t *testing.T) {
	c := Condition{"Meta", "x", []string{"", "b"}}
	for value, want := range map[string]bool{"": true, "b": true, "a": false} {
		if got := c.Allows(value); got != want {
			t.Errorf("Allows(%q) = %v", value, got)
		}
	}
}

// FuzzRequires checks the promise of Requires: an event that breaks a condition makes the expression
// false, without an error and without an effect.
func FuzzRequires(f *testing.F) {
	for _, s := range []string{
		"evt.Meta.log_type == 'a' && evt.SetMeta('x', 'y')", "evt.Parsed.program in ['a', 'b'] and Fail()", "evt.SetMeta('a', 'b') && evt.Meta.a == 'b'",
		"(evt.Meta.a == '' || evt.Meta.a == 'b') && evt.Unmarshaled.a.b == 1", "evt.Stage != 'x' && not (evt.Line.Raw matches 'a') && evt.Meta['a'] == \"b\"",
		"evt.Meta.a == 'b' ? true : Fail()", "evt.Meta.a == 'b' ? Fail() : false", "(evt.Meta.a == 'b' ? evt.Stage : false) && evt.Meta.b == 'c'", "evt.Unmarshaled.x && evt.Meta.a == 'b'", "'a' in evt.Meta && evt.Meta.a == 'c'",
	} {
		f.Add(s)
	}
	c := testCompiler()
	f.Fuzz(func(t *testing.T, src string) {
		if strings.Contains(src, "..") || len(src) > 1000 {
			return
		}
		p, err := c.Compile(inFile(src), EnvEvent, Bool)
		if err != nil {
			return
		}
		for _, cond := range p.Requires() {
			evt := &event.Event{}
			fields := &evt.Meta
			if cond.Map == "Parsed" {
				fields = &evt.Parsed
			}
			fields.Set(cond.Key, "none of them")
			if cond.Allows("none of them") {
				continue
			}
			if ok, err := p.Bool(&Vars{Event: evt}); ok || err != nil {
				t.Errorf("%q requires %v, but gives %v, %v", src, cond, ok, err)
			}
			if evt.Meta.Len()+evt.Parsed.Len() != 1 {
				t.Errorf("%q requires %v, but changes the event", src, cond)
			}
		}
	})
}

func BenchmarkBool(b *testing.B) {
	for _, bb := range []struct{ name, src string }{
		{"two fields", "evt.Meta.log_type == 'ssh_failed' && evt.Parsed.program in ['a', 'sshd']"},
		{"first field decides", "evt.Meta.log_type == 'x' && evt.Meta.service in ['a', 'b']"},
		{"helper", "Upper(evt.Parsed.program) == 'SSHD'"},
		{"untyped", "evt.Unmarshaled.json.s == 'x'"},
		{"queue", "any(queue.Queue, .Meta.n == '2')"},
	} {
		p, err := testCompiler().Compile(inFile(bb.src), EnvQueue, Bool)
		if err != nil {
			b.Fatal(err)
		}
		v := testVars()
		for name, run := range map[string]func() error{
			"closures": func() error { _, err := p.Bool(v); return err },
			"machine":  func() error { _, err := p.interpret(v); return err },
		} {
			b.Run(bb.name+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := run(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func TestExpressionsThatStoreFindAMap(t *testing.T) {
	store := Function{Name: "Store", Types: []any{new(func(map[string]any) bool)}, Call: func(args ...any) (any, error) {
		args[0].(map[string]any)["x"] = 1
		return true, nil
	}}
	p, err := NewCompiler(store).Compile(inFile("Store(evt.Unmarshaled)"), EnvEvent, Bool)
	if err != nil {
		t.Fatal(err)
	}
	evt := &event.Event{}
	if ok, err := p.Bool(&Vars{Event: evt}); !ok || err != nil || evt.Unmarshaled["x"] != 1 {
		t.Errorf("got %v, %v, event holds %v", ok, err, evt.Unmarshaled)
	}
}

func TestRunErrorsPointIntoTheFile(t *testing.T) {
	var rule struct{ Filter yamlpos.Text }
	if err := yamlpos.DecodeFile("f.yaml", []byte("filter: |\n  evt.Stage != '' &&\n  Fail()\n"), &rule); err != nil {
		t.Fatal(err)
	}
	p, err := testCompiler().Compile(rule.Filter, EnvEvent, Bool)
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Bool(testVars())
	if err == nil || err.Error() != "f.yaml:3:3: failed" {
		t.Errorf("err = %v", err)
	}
	if !errors.Is(err, errFailed) {
		t.Error("the helper's own error is lost")
	}
}

func TestWhatIsRememberedOfAnEventIsForgottenWithIt(t *testing.T) {
	upper := Function{Name: "Upper", Typed: strings.ToUpper, Pure: true, Types: []any{new(func(string) string)},
		Call: func(args ...any) (any, error) { return strings.ToUpper(args[0].(string)), nil }}
	p, err := NewCompiler(upper).Compile(inFile("Upper(evt.Meta.x) + Upper(evt.Meta.x) + Upper(evt.Meta.y)"), EnvEvent, String)
	if err != nil {
		t.Fatal(err)
	}
	block := []byte("abcd") // of lines that are read, and then of others
	evt := &event.Event{}
	evt.Meta.Set("x", unsafe.String(&block[0], 2))
	evt.Meta.Set("y", unsafe.String(&block[2], 2))
	v := &Vars{Event: evt}
	for _, want := range []string{"ABABCD", "XBXBCD"} {
		if got, err := p.String(v); got != want || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
		block[0] = 'x'
		v.Renew(evt)
	}
	evt.Meta.Set("x", "other") // in the same event
	if got, err := p.String(v); got != "OTHEROTHERCD" || err != nil {
		t.Errorf("got %q, %v, after a change of the event", got, err)
	}
}
