package explain_test

import (
	"io/fs"
	"log/slog"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gabion/userspace/enrich"
	"gabion/userspace/explain"
	"gabion/userspace/expr"
	"gabion/userspace/exprlib"
	"gabion/userspace/grok"
	"gabion/userspace/profile"
	"gabion/userspace/rules"
	"gabion/userspace/yamlpos"
)

func testNow() time.Time { return time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC) }

// The parsers read lines such as "12 192.0.2.1 word": seconds after the epoch, source, what it did.
var files = map[string]string{
	"raw.yaml": `
stage: s00-raw
name: test/raw
onsuccess: next_stage
filter: evt.Line.Labels.type == 'test'
statics: [{parsed: program, value: prog}, {meta: a, value: first}, {meta: a, value: second}]
`,
	"other.yaml": `
stage: s01-parse
name: test/other
filter: evt.Meta.a == 'second' && evt.Parsed.program startsWith 'x'
statics: [{meta: b, value: x}]
`,
	"words.yaml": `
stage: s01-parse
name: test/words
onsuccess: next_stage
nodes:
  - grok: {apply_on: Line.Raw, pattern: '^%{WORD:only}$'}
  - grok:
      apply_on: Line.Raw
      pattern: '^%{INT:seconds} %{NOTSPACE:ip} %{NOTSPACE:did}$'
    stash: [{name: seen, key: evt.Parsed.ip, value: evt.Parsed.did, ttl: 1m, size: 10}]
statics:
  - {meta: source_ip, expression: evt.Parsed.ip}
  - {meta: log_type, expression: evt.Parsed.did}
  - {meta: bad, expression: int(evt.Parsed.did)}
`,
	"time.yaml": `
stage: s02-enrich
name: test/time
filter: evt.Parsed.seconds != ''
statics:
  - {method: ParseDate, expression: evt.Parsed.seconds}
  - {target: MarshaledTime, expression: evt.Enriched.MarshaledTime}
`,
	"zfriends.yaml": `
stage: s02-enrich
name: test/friends
whitelist: {reason: a friend, ip: [192.0.2.7]}
`,
	"a.yaml": `
type: leaky
name: test/a
description: d
filter: evt.Meta.log_type == 'a' && Upper(evt.Meta.source_ip) != '192.0.2.2'
groupby: evt.Meta.source_ip
capacity: 1
leakspeed: 10s
labels: {remediation: true}
`,
	"b.yaml": `
type: trigger
name: test/b
description: d
filter: evt.Meta.log_type == 'b'
labels: {remediation: false}
`,
	"c.yaml": `
type: counter
name: test/c
description: d
filter: evt.Meta.log_type == 'c'
capacity: -1
duration: 30s
`,
	"postoverflows/s00-enrich/p.yaml": `
name: test/post
description: d
filter: evt.Overflow.Alert.Scenario == 'test/a'
statics: [{enriched: seen, value: 'yes'}]
`,
	"postoverflows/s01-whitelist/w.yaml": `
name: test/ours
description: d
whitelist: {reason: ours, ip: [192.0.2.3]}
`,
}

// mustExplain explains lines with the rules of this file.
func mustExplain(t *testing.T, config explain.Config, lines string) []*explain.Line {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	mustConfigure(t, &config, fsys)
	x := explain.New(config)
	defer x.Close()
	var out []*explain.Line
	for line, err := range x.Lines(strings.NewReader(lines)) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, line)
	}
	return out
}

func mustConfigure(t *testing.T, config *explain.Config, fsys fs.FS) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	lib := exprlib.New(exprlib.Deps{Log: log, Now: testNow})
	config.Compiler, config.Now, config.Labels = expr.NewCompiler(lib.Functions()...), testNow, map[string]string{"type": "test"}
	var err error
	config.Rules, err = rules.Load([]rules.Source{{Name: "rules", FS: fsys}}, rules.Deps{
		Expr: config.Compiler, Lib: lib, Patterns: grok.NewSet(), Methods: enrich.Methods(enrich.Deps{Now: testNow}), Now: testNow, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	docs, err := yamlpos.Parse("profiles.yaml", append(profile.Default(), "\n---\nname: news\nfilters: [\"Alert.Scenario == 'test/c'\"]\nnotifications: [pager]\n"...))
	if err != nil {
		t.Fatal(err)
	}
	if config.Profiles, err = profile.Compile(docs, config.Compiler); err != nil {
		t.Fatal(err)
	}
}

func mustText(t *testing.T, line *explain.Line, detail explain.Detail) string {
	t.Helper()
	var b strings.Builder
	if err := line.WriteText(&b, detail); err != nil {
		t.Fatal(err)
	}
	return "\n" + b.String()
}

func TestTheTextSaysWhatBecameOfALine(t *testing.T) {
	for _, tt := range []struct {
		name, lines string // the last one is explained
		config      explain.Config
		detail      explain.Detail
		want        string
	}{
		{"a line that fills a bucket", "1 192.0.2.1 a", explain.Config{}, explain.Brief, `
line 1: 1 192.0.2.1 a
  s00-raw
    + test/raw (rules/raw.yaml:2)
      Parsed.program = prog
      Meta.a = first
      Meta.a = second (was first)
      on to s01-parse
  s01-parse
    + test/words (rules/words.yaml:2)
      ! static failed: rules/words.yaml:14:29: invalid operation: int(a)
      + child-test/words (rules/words.yaml:7)
        pattern matches evt.Line.Raw
          Parsed.seconds = 1
          Parsed.ip = 192.0.2.1
          Parsed.did = a
        stash seen keeps 192.0.2.1 = a
      (1 other node inside did not take it)
      Meta.source_ip = 192.0.2.1
      Meta.log_type = a
      on to s02-enrich
  s02-enrich
    + test/time (rules/time.yaml:2)
      Enriched.MarshaledTime = 1970-01-01T00:00:01Z by method ParseDate
      MarshaledTime = 1970-01-01T00:00:01Z
  parsed, happened at 1970-01-01 00:00:01 UTC
  1 scenario counts it
    + test/a: bucket 192.0.2.1 is new: 1 event, filled to 1 of 1
    (2 scenarios not for such a line)
`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lines := mustExplain(t, tt.config, tt.lines)
			if diff := cmp.Diff(tt.want, mustText(t, lines[len(lines)-1], tt.detail)); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
		})
	}
}

// TestTheTextHolds looks at single sentences.
func TestTheTextHolds(t *testing.T) {
	for _, tt := range []struct {
		name, lines string // the last one is explained
		config      explain.Config
		detail      explain.Detail
		want        []string
		not         []string
	}{
		{"the scenario's filter that is not true", "1 192.0.2.2 a", explain.Config{}, explain.Brief, []string{
			"no scenario counts it",
			`- test/a: no, because Upper(evt.Meta.source_ip) != '192.0.2.2': evt.Meta.source_ip is "192.0.2.2"`,
		}, []string{"test/other"}},
		{"all filters that are not true", "1 192.0.2.2 a", explain.Config{All: true}, explain.Brief, []string{
			"- test/other (rules/other.yaml:2)\n" +
				`      not for this line: evt.Parsed.program startsWith 'x': evt.Parsed.program is "prog"`,
			`- test/b: no, because evt.Meta.log_type == 'b': evt.Meta.log_type is "a"`,
		}, nil},
		{"patterns that do not match", "1 192.0.2.2 a", explain.Config{}, explain.Failing, []string{
			"pattern does not match evt.Line.Raw = 1 192.0.2.2 a\n          ^%{WORD:only}$",
		}, nil},
		{"an overflow and its decision", "1 192.0.2.1 a\n1 192.0.2.1 a", explain.Config{}, explain.Brief, []string{
			"+ test/a: bucket 192.0.2.1 OVERFLOWS with 2 events",
			"overflow of test/a\n    Ip 192.0.2.1 performed 'test/a' (2 events over 0s) at 1970-01-01 00:00:01 +0000 UTC",
			"+ test/post (rules/postoverflows/s00-enrich/p.yaml:2)\n      Enriched.seen = yes\n",
			"decision: ban Ip 192.0.2.1 for 4h0m0s",
		}, []string{"no decision"}},
		{"an overflow that is whitelisted", "1 192.0.2.3 a\n1 192.0.2.3 a", explain.Config{}, explain.Brief, []string{
			"whitelist matches: ours", "no decision: whitelisted, ours",
		}, []string{"decision: ban"}},
		{"an overflow that asks for nothing", "1 192.0.2.1 b", explain.Config{}, explain.Brief, []string{
			"+ test/b: its bucket OVERFLOWS with 1 event", "no decision: the scenario asks for none",
		}, nil},
		{"a bucket that leaks", "1 192.0.2.1 a\n6 192.0.2.1 x\n11 192.0.2.1 a", explain.Config{}, explain.Brief, []string{
			"bucket 192.0.2.1 has 2 events, filled to 1 of 1",
		}, nil},
		{"a line that no parser takes", "noise and more", explain.Config{}, explain.Brief, []string{
			"not parsed: no parser of s01-parse takes it",
		}, []string{"scenario"}},
		{"how far the pattern came", "7 192.0.2.1 two words", explain.Config{}, explain.Brief, []string{
			"- test/words (rules/words.yaml:2)\n      - child-test/words (rules/words.yaml:7)\n",
			"as far as ^%{INT:seconds} %{NOTSPACE:ip} %{NOTSPACE:did} it matches, up to 7 192.0.2.1 two\n",
			`then it wants "$", and the text goes on with " words"`,
			`nearly for test/other (rules/other.yaml:2), but not evt.Parsed.program startsWith 'x': evt.Parsed.program is "prog"`,
		}, nil},
		{"a whitelisted line", "1 192.0.2.7 a", explain.Config{}, explain.Brief, []string{
			"whitelist matches: a friend", "harmless: whitelisted, a friend",
		}, []string{"scenario"}},
		{"a line without a time", "word", explain.Config{}, explain.Brief, []string{"parsed, happened at 2026-03-01 00:00:00 UTC"}, nil},
		{"a live line happens now", "1 192.0.2.1 a", explain.Config{Live: true}, explain.Brief, []string{"happened at 2026-03-01 00:00:00 UTC"}, nil},
		{"hostile text is quoted", "\x1b[31m 192.0.2.1 a", explain.Config{}, explain.Brief, []string{`line 1: "\x1b[31m 192.0.2.1 a"`}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lines := mustExplain(t, tt.config, tt.lines)
			text := mustText(t, lines[len(lines)-1], tt.detail)
			for _, want := range tt.want {
				if !strings.Contains(text, want) {
					t.Errorf("text lacks %q", want)
				}
			}
			for _, not := range tt.not {
				if strings.Contains(text, not) {
					t.Errorf("text holds %q", not)
				}
			}
			if t.Failed() {
				t.Log(text)
			}
		})
	}
}

func TestALineAfterItsEndShowsTheOverflowOfACounter(t *testing.T) {
	lines := mustExplain(t, explain.Config{}, "1 192.0.2.1 c\n2 192.0.2.1 c\n40 192.0.2.9 a")
	if n := len(lines[0].Overflows) + len(lines[1].Overflows); n != 0 {
		t.Errorf("%d overflows before the end", n)
	}
	text := mustText(t, lines[2], explain.Brief)
	for _, part := range []string{"overflow of test/c", "performed 'test/c' (2 events over 30s)", "notification: pager", "no decision: the scenario asks for none"} {
		if !strings.Contains(text, part) {
			t.Errorf("%s\nlacks %s", text, part)
		}
	}
}

func TestOnlyLeavesOneRule(t *testing.T) {
	lines := mustExplain(t, explain.Config{All: true}, "1 192.0.2.1 a\n1 192.0.2.1 a")
	line := lines[1]
	line.Only("test/b")
	if len(line.Nodes)+len(line.Overflows) > 0 || len(line.Scenarios) != 1 || line.Scenarios[0].Name != "test/b" {
		t.Errorf("explanation holds %d nodes, %d overflows and scenarios %v", len(line.Nodes), len(line.Overflows), line.Scenarios)
	}
}

func TestScenariosThatLookedInVainAreCountedUnlessAllIsWanted(t *testing.T) {
	line := &explain.Line{Outcome: explain.Parsed}
	for range 20 {
		line.Scenarios = append(line.Scenarios, &explain.Scenario{Name: "test/vain", Asked: true, Why: "x"})
	}
	count := func(detail explain.Detail) int { return strings.Count(mustText(t, line, detail), "test/vain") }
	if brief, failing := count(explain.Brief), count(explain.Failing); brief != 0 || failing != 20 {
		t.Errorf("%d of 20 are listed, and %d when failures are wanted", brief, failing)
	}
	line.Scenarios[3].Asked = false // which is there only when all are wanted
	if n := count(explain.Brief); n != 20 {
		t.Errorf("%d of 20 are listed when all are wanted", n)
	}
}
