package parse

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gabion/userspace/exprlib"
	"gabion/userspace/yamlpos"
)

// mustCompileFuzz compiles the rules that hostile lines run through.
func mustCompileFuzz(f *testing.F) *Pipeline {
	f.Helper()
	docs, err := yamlpos.Parse("fuzz.yaml", []byte(`
name: n
nodes:
- grok: {pattern: '^%{SYSLOGLINE}', apply_on: Line.Raw}
- filter: evt.Parsed.program startsWith 'a' && evt.Parsed.program matches '^a+$'
  grok: {pattern: '%{COMBINEDAPACHELOG}', expression: evt.Line.Raw}
- filter: UnmarshalJSON(evt.Line.Raw, evt.Unmarshaled, 'x') in ['', nil]
  statics: [{meta: b, expression: evt.Unmarshaled.x.a.b}, {target: evt.Line.Labels.l, expression: evt.Line.Raw}]
- whitelist: {reason: r, ip: [192.0.2.1], expression: [evt.Line.Raw == 'w']}
  statics: [{method: ParseDate, expression: evt.Line.Raw}]
`))
	if err != nil {
		f.Fatal(err)
	}
	p, err := Compile([]Doc{{docs[0], "s00"}}, testDeps(f))
	if err != nil {
		f.Fatal(err)
	}
	return p
}

func TestWhatCannotBeDecodedHidesNoOtherFault(t *testing.T) {
	_, err := compile(t, testDeps(t), doc("s00", `name: n
fliter: evt.Line.Raw == 'x'
onsuccess: [stop]
colour: red
format: 9.0
pattern_syntax: {A: '%{NOPE_NOPE}', B: [x]}
grok: {pattren: '%{INT:i}', apply_on: Line.Raw, statics: [{meta: a}]}
nodes:
- filter: evt.Nope
- grok: {name: SYSLOGLIN}
  whitelist: {ip: [x], cidr: nowhere}
- grok: nothing
statics:
- {meta: a, valeu: b}
- {mata: a, value: b}
- text
stash:
- {name: s, key: evt.Nope, valu: evt.Line.Raw, ttl: soon}
`))
	want := strings.TrimSpace(`
rules/00.yaml:2:1: unknown key "fliter": did you mean "filter"?
rules/00.yaml:3:12: want text, found a list
rules/00.yaml:4:1: unknown key "colour"
rules/00.yaml:5:9: format "9.0" is not supported: want 1.0 to 3.0
rules/00.yaml:6:22: unknown pattern "NOPE_NOPE": define it in pattern_syntax before it is used
rules/00.yaml:6:40: want text, found a list
rules/00.yaml:7:8: unknown key "pattren": did you mean "pattern"?
rules/00.yaml:7:59: static needs a value or an expression
rules/00.yaml:9:15: type event.Event has no field Nope
rules/00.yaml:9:3: node does nothing: it needs grok, nodes, statics or whitelist
rules/00.yaml:10:16: unknown pattern "SYSLOGLIN": did you mean "SYSLOGLINE"?
rules/00.yaml:10:9: grok needs apply_on or expression
rules/00.yaml:11:20: "x" is no IP address
rules/00.yaml:11:30: want a list, found "nowhere"
rules/00.yaml:12:9: want a mapping, found "nothing"
rules/00.yaml:14:13: unknown key "valeu": did you mean "value"?
rules/00.yaml:15:4: unknown key "mata": did you mean "meta"?
rules/00.yaml:16:3: want a mapping, found "text"
rules/00.yaml:18:28: unknown key "valu": did you mean "value"?
rules/00.yaml:18:22: type event.Event has no field Nope
rules/00.yaml:18:53: invalid duration "soon": write a number and a unit, such as 30s, 5m, 4h or 7d`)
	got := fmt.Sprint(err)
	if diff := cmp.Diff(slices.Sorted(strings.SplitSeq(want, "\n")), slices.Sorted(strings.SplitSeq(got, "\n"))); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
}

func TestCompileErrors(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"an unknown key", "name: n\nfilters: 'true'\nstatics: [{meta: a, value: b}]", `rules/00.yaml:2:1: unknown key "filters": did you mean "filter"?`},
		{"a key of another kind of rule", "name: n\nversion: 1\nstatics: [{meta: a, value: b}]", `2:1: unknown key "version"`},
		{"a duplicate key", "name: n\nname: m\nstatics: [{meta: a, value: b}]", "2:1: "},
		{"an unknown key of a static", "name: n\nstatics:\n- meta: a\n  values: b", `4:3: unknown key "values": did you mean "value"?`},
		{"a node that does nothing", "name: n\nfilter: 'true'", "1:1: node does nothing: it needs grok, nodes, statics or whitelist"},
		{"a child that does nothing", "name: n\nnodes:\n- filter: 'true'", "3:3: node does nothing"},
		{"an unknown onsuccess", "name: n\nonsuccess: stop\nstatics: [{meta: a, value: b}]", `2:12: onsuccess "stop": want continue or next_stage`},
		{"an unknown field in a filter", "name: n\nfilter: evt.Parse.x == ''\nstatics: [{meta: a, value: b}]", "2:"},
		{"a filter that is no decision", "name: n\nfilter: evt.Line.Raw\nstatics: [{meta: a, value: b}]", "2:9: expression gives string, want"},
		{"an unknown pattern name", "name: n\ngrok: {name: SYSLOGLIN, apply_on: Line.Raw}", `2:14: unknown pattern "SYSLOGLIN": did you mean "SYSLOGLINE"?`},
		{"an unknown pattern that differs by case", "name: n\ngrok: {pattern: '%{ip:x}', apply_on: Line.Raw}", `did you mean "IP"?`},
		{"an unknown pattern like no other", "name: n\ngrok: {name: ZZZZZZZZ, apply_on: Line.Raw}", `unknown pattern "ZZZZZZZZ": define it`},
		{"an unknown pattern in a pattern", "name: n\ngrok:\n  pattern: '%{WROD:w}'\n  apply_on: Line.Raw", `3:13: unknown pattern "WROD"`},
		{"a broken pattern in pattern_syntax", "name: n\npattern_syntax:\n  A: '(x'\nstatics: [{meta: a, value: b}]", "3:7: compile expression: error parsing regexp: missing closing )"},
		{"a pattern defined too late", "name: n\npattern_syntax:\n  A: '%{B}'\n  B: x\nstatics: [{meta: a, value: b}]", `3:7: unknown pattern "B"`},
		{"grok without a pattern", "name: n\ngrok: {apply_on: Line.Raw}", "2:7: grok needs a name or a pattern"},
		{"grok without a text", "name: n\ngrok: {pattern: '%{INT:i}'}", "2:7: grok needs apply_on or expression"},
		{"a static without a value", "name: n\nstatics:\n- meta: a", "3:3: static needs a value or an expression"},
		{"a static without a destination", "name: n\nstatics:\n- value: a", "3:3: static needs meta, parsed, enriched, target or method"},
		{"a grok static without a destination", "name: n\ngrok: {pattern: '%{INT:i}', apply_on: Line.Raw, statics: [{value: a}]}", "static needs meta"},
		{"a whitelist with a network as address", "name: n\nwhitelist: {ip: [192.0.2.0/24]}", `2:18: "192.0.2.0/24" is no IP address: write it below cidr`},
		{"a whitelist with an address as network", "name: n\nwhitelist: {cidr: [192.0.2.1]}", `2:20: "192.0.2.1" is no network, such as 192.0.2.0/24: write it below ip`},
		{"a whitelist with a name", "name: n\nwhitelist: {ip: [example.com]}", `"example.com" is no IP address`},
		{"a stash without a ttl", "name: n\nstash: [{name: s, key: evt.Line.Raw, value: evt.Line.Raw}]\nstatics: [{meta: a, value: b}]", "2:9: stash s: ttl must be above 0"},
		{"a stash without a key", "name: n\nstash: [{name: s, ttl: 1s, value: evt.Line.Raw}]\nstatics: [{meta: a, value: b}]", "2:9: stash needs an expression as key"},
		{"a format of the future", "name: n\nformat: 4.0\nstatics: [{meta: a, value: b}]", `2:9: format "4.0" is not supported`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			good := doc("s00", "name: good\nstatics: [{meta: good, value: x}]")
			p, err := compile(t, testDeps(t), doc("s00", tt.text), good)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v\nwant one with %s", err, tt.want)
			}
			if n := strings.Count(err.Error(), "\n"); n > 0 {
				t.Errorf("%d errors, want one:\n%v", n+1, err)
			}
			evt := line("a")
			if err := p.Run(evt); err != nil {
				t.Fatal(err)
			}
			equal(t, strs("good", "x"), evt.Meta.Map()) // the other rules run
		})
	}
}

func TestAllErrorsOfADocumentComeAtOnce(t *testing.T) {
	_, err := compile(t, testDeps(t), doc("s00", `
name: n
filter: evt.Nothing == 1
onsucces: next_stage
grok:
  pattern: '%{NOPE:x}'
  apply_on: Line.Raw
  statics:
  - meta: a
    expression: evt.Line.
nodes:
- whitelist: {ip: [x]}
`), doc("s00", "name: m\nfilter: 1 +\nstatics: [{meta: a, value: b}]"))
	var errs yamlpos.Errors
	if !errors.As(err, &errs) {
		t.Fatalf("error is %T, want yamlpos.Errors", err)
	}
	var lines []string
	for _, e := range errs {
		lines = append(lines, yamlpos.Position{File: e.File, Line: e.Line}.String())
	}
	equal(t, []string{"rules/00.yaml:2", "rules/00.yaml:3", "rules/00.yaml:5", "rules/00.yaml:9", "rules/00.yaml:11", "rules/01.yaml:2"}, lines)
}

func TestDocumentsThatAreLeftOut(t *testing.T) {
	p, err := compile(t, testDeps(t), doc("s00", "statics: [{meta: nameless, value: x}]"))
	if err != nil || len(p.Stages()) != 0 {
		t.Errorf("a document without name, author and description: stages %v, error %v", p.Stages(), err)
	}
	if _, err = compile(t, testDeps(t), doc("", "name: n\nstatics: [{meta: a, value: x}]")); err == nil || !strings.Contains(err.Error(), "has no stage") {
		t.Errorf("a document without a stage: error = %v", err)
	}
	p, err = compile(t, testDeps(t),
		doc("s00", "name: bad\npattern_syntax: {MINE: x}\nfilter: 1 +\nstatics: [{meta: a, value: x}]"),
		doc("s01", "name: n\npattern_syntax: {MINE: '%{INT:i}'}\ngrok: {name: MINE, apply_on: Line.Raw}"))
	if err == nil {
		t.Error("the broken document should be reported")
	}
	evt := line("7")
	if err := p.Run(evt); err != nil {
		t.Fatal(err)
	}
	equal(t, strs("i", "7"), evt.Parsed.Map()) // patterns of what is left out do not count
	equal(t, []string{"s01"}, p.Stages())
}

func TestData(t *testing.T) {
	deps := testDeps(t)
	var log bytes.Buffer
	deps.Log = slog.New(slog.NewTextHandler(&log, nil))
	deps.Lib = exprlib.New(exprlib.Deps{Data: fstest.MapFS{"agents.txt": {Data: []byte("# bad\nevil\n")}}, Log: deps.Log, Now: clock})
	p, err := compile(t, deps, doc("s00", "name: n\nfilter: 'true'\nstatics: [{meta: a, value: x}]\ndata:\n- {dest_file: agents.txt, type: string}\n- {dest_file: missing.txt, type: string}\n- {source_url: 'https://example.com/x', dest_file: db.mmdb}"))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Stages()) != 1 {
		t.Error("a rule should run although a data file is missing")
	}
	if text := log.String(); !strings.Contains(text, "missing.txt") || strings.Contains(text, "agents.txt") || !strings.Contains(text, "db.mmdb") {
		t.Errorf("log = %s, want a line about each file that is missing", text)
	}
}

func TestFaultsAreLoggedOncePerNodeAndMinute(t *testing.T) {
	deps := testDeps(t)
	var log bytes.Buffer
	now := clock()
	deps.Log = slog.New(slog.NewTextHandler(&log, nil))
	deps.Now = func() time.Time { return now }
	p, err := compile(t, deps, doc("s00", "name: n\nfilter: FailBool()\nstatics: [{meta: a, value: x}]"))
	if err != nil {
		t.Fatal(err)
	}
	for _, after := range []time.Duration{0, time.Second, 58 * time.Second, time.Second, time.Second} {
		now = now.Add(after)
		for range 100 {
			if err := p.Run(line("a")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := strings.Count(log.String(), "filter failed"); n != 2 {
		t.Errorf("%d log lines for a minute and a second, want 2:\n%s", n, log.String())
	}
	if got := p.Stats()[0].Faults; got != 500 {
		t.Errorf("faults = %d, want 500", got)
	}
}

func TestRunIsSafeForConcurrentUse(t *testing.T) {
	p := mustCompile(t, doc("s00", "name: n\ngrok: {pattern: '^%{SYSLOGLINE}', apply_on: Line.Raw}\nstatics: [{meta: m, expression: evt.Parsed.message}, {meta: bad, expression: Fail()}]"))
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			text := strings.Repeat("m", i+1)
			for range 200 {
				evt := line("Feb 12 14:10:21 host sshd[1]: " + text)
				if err := p.Run(evt); err != nil || evt.Meta.Get("m") != text {
					t.Errorf("meta = %v, error %v, want m %s", evt.Meta.Map(), err, text)
					return
				}
			}
		})
	}
	wg.Wait()
	if got := p.Stats()[0].OK; got != 800 {
		t.Errorf("ok = %d, want 800", got)
	}
}

func BenchmarkRun(b *testing.B) {
	docs, err := yamlpos.Parse("bench.yaml", []byte("name: n\nonsuccess: next_stage\ngrok: {pattern: '^%{SYSLOGLINE}', apply_on: Line.Raw}\nstatics: [{target: evt.StrTime, expression: evt.Parsed.timestamp}, {method: ParseDate, expression: evt.StrTime}, {meta: source_ip, expression: evt.Parsed.message}]"))
	if err != nil {
		b.Fatal(err)
	}
	p, err := Compile([]Doc{{docs[0], "s00"}}, testDeps(b))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Run(line("Feb 12 14:10:21 host sshd[16378]: Invalid user ann from 192.0.2.1 port 4242")); err != nil {
			b.Fatal(err)
		}
	}
}
