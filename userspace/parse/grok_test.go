package parse

import (
	"strings"
	"testing"

	"gabion/userspace/event"
)

func grokRule(grok string) []rule {
	return []rule{doc("s00", "name: n\ngrok:\n"+grok)}
}

func TestGrok(t *testing.T) {
	runRows(t, []row{
		{"captures are merged into Parsed", grokRule("  {pattern: 'user %{WORD:user}', apply_on: Line.Raw}"), "user ann", nil, want{Parsed: strs("user", "ann")}},
		{"a pattern by name", grokRule("  {name: SYSLOGPROG, apply_on: Line.Raw}"), "sshd[12]", nil, want{Parsed: strs("program", "sshd", "pid", "12")}},
		{"a name goes before a pattern", grokRule("  {name: SYSLOGPROG, pattern: '%{INT:i}', apply_on: Line.Raw}"), "sshd", nil, want{Parsed: strs("program", "sshd", "pid", "")}},
		{"a group without part in the match overwrites with nothing", []rule{doc("s00", "name: n\nstatics: [{parsed: pid, value: old}]"), doc("s00", "name: m\ngrok: {name: SYSLOGPROG, apply_on: Line.Raw}")}, "sshd", nil,
			want{Parsed: strs("program", "sshd", "pid", "")}},
		{"no fields is no match", grokRule("  {pattern: '%{WORD}', apply_on: Line.Raw}"), "a", nil, want{Dropped: true}},
		{"named groups of the language are not captured", grokRule("  {pattern: '(?P<x>a)(%{INT:i})?', apply_on: Line.Raw}"), "a", nil, want{Parsed: strs("i", "")}},
		{"the last of equal fields counts", grokRule("  {pattern: '(a %{WORD:w}|b %{WORD:w})', apply_on: Line.Raw}"), "a x", nil, want{Parsed: strs("w", "")}},
		{"a key of Parsed that is missing fails", grokRule("  {pattern: '%{GREEDYDATA:all}', apply_on: none}"), "a", nil, want{Dropped: true}},
		{"a key of Parsed that is empty is matched", grokRule("  {pattern: '%{GREEDYDATA:all}', apply_on: x}"), "", &event.Event{Parsed: event.MakeFields("x", "")}, want{Parsed: strs("x", "", "all", "")}},
		{"an expression gives the text", grokRule("  {pattern: '%{WORD:w}$', expression: evt.Line.Raw + 'b'}"), "a", nil, want{Parsed: strs("w", "ab")}},
		{"apply_on goes before an expression", grokRule("  {pattern: '%{WORD:w}', apply_on: Line.Raw, expression: Fail()}"), "a", nil, want{Parsed: strs("w", "a")}},
		{"an integer is matched in decimal", grokRule("  {pattern: '%{INT:i}', expression: 40 + 2}"), "a", nil, want{Parsed: strs("i", "42")}},
		{"a float is matched with six decimals", grokRule("  {pattern: '%{NUMBER:i}', expression: 1.5}"), "a", nil, want{Parsed: strs("i", "1.500000")}},
		{"another value is matched as nothing", grokRule("  {pattern: '^%{GREEDYDATA:all}$', expression: evt.Unmarshaled.none}"), "a", nil, want{Parsed: strs("all", "")}},
		{"a failing expression fails", grokRule("  {pattern: '%{GREEDYDATA:all}', expression: Fail()}"), "a", nil, want{Dropped: true}},
		{"grok's statics run on a match", grokRule("  {pattern: '%{INT:i}', apply_on: Line.Raw, statics: [{meta: i, expression: evt.Parsed.i}]}"), "a 7", nil, want{Parsed: strs("i", "7"), Meta: strs("i", "7")}},
		{"grok's statics do not run on a miss", grokRule("  {pattern: '%{INT:i}', apply_on: Line.Raw, statics: [{meta: i, value: x}]}"), "a", nil, want{Dropped: true}},
		{"an error of grok's statics ends the event", []rule{doc("s00", "name: n\ngrok: {pattern: '%{INT:i}', apply_on: Line.Raw, statics: [{meta: i, expression: 'true'}]}\nnodes: [{statics: [{meta: c, value: x}]}]"), doc("s00", promoting)}, "7", nil,
			want{Dropped: true, Parsed: strs("i", "7")}},
	})
}

func TestPatternSyntax(t *testing.T) {
	use := func(name string) string { return "grok: {name: " + name + ", apply_on: Line.Raw}" }
	runRows(t, []row{
		{"a pattern of the node", []rule{doc("s00", "name: n\npattern_syntax: {MY: 'u=%{WORD:u}'}\n"+use("MY"))}, "u=a", nil, want{Parsed: strs("u", "a")}},
		{"a pattern uses one above it", []rule{doc("s00", "name: n\npattern_syntax: {MY: 'u=%{WORD:u}', MORE: '<%{MY}>'}\n"+use("MORE"))}, "<u=a>", nil, want{Parsed: strs("u", "a")}},
		{"a pattern of the parent", []rule{doc("s00", "name: n\npattern_syntax: {MY: 'u=%{WORD:u}'}\nnodes:\n- "+use("MY"))}, "u=a", nil, want{Parsed: strs("u", "a")}},
		{"a pattern of an earlier document", []rule{doc("s00", "name: n\nfilter: 'false'\npattern_syntax: {MY: 'u=%{WORD:u}'}\n"+use("MY")), doc("s01", "name: m\n"+use("MY"))}, "",
			&event.Event{Stage: "s01", Line: event.Line{Raw: "u=a"}}, want{Parsed: strs("u", "a")}},
		{"the first definition stays", []rule{
			doc("s00", "name: n\nfilter: 'false'\npattern_syntax: {MY: '%{WORD:first}'}\n"+use("MY")),
			doc("s00", "name: m\npattern_syntax: {MY: '%{WORD:second}'}\n"+use("MY"))}, "a", nil, want{Parsed: strs("first", "a")}},
		{"a stock pattern stays", []rule{doc("s00", "name: m\npattern_syntax: {INT: 'x'}\ngrok: {pattern: '%{INT:i}', apply_on: Line.Raw}")}, "x 7", nil, want{Parsed: strs("i", "7")}},
	})
}

func TestStash(t *testing.T) {
	p := mustCompile(t,
		doc("s00", `
name: put
filter: evt.Line.Raw startsWith 'put'
onsuccess: next_stage
grok: {pattern: '%{WORD} %{WORD:k} %{WORD:v}', apply_on: Line.Raw}
stash:
- {name: memory, key: evt.Parsed.k, value: evt.Parsed.v, ttl: 30s}
- {name: memory, key: Fail(), value: evt.Parsed.v, ttl: 30s}`),
		doc("s00", `
name: get
onsuccess: next_stage
statics: [{meta: got, expression: "GetFromStash('memory', evt.Line.Raw)"}]`))
	for _, tt := range []struct{ raw, want string }{{"put a 1", ""}, {"put a 2", ""}, {"put", ""}, {"a", "2"}, {"b", ""}} {
		evt := line(tt.raw)
		if err := p.Run(evt); err != nil {
			t.Fatal(err)
		}
		if got := evt.Meta.Get("got"); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.raw, got, tt.want)
		}
	}
}

func TestHostileLines(t *testing.T) {
	p := mustCompile(t, doc("s00", `
name: n
onsuccess: next_stage
nodes:
- grok: {pattern: '^%{SYSLOGLINE}', apply_on: Line.Raw}
- grok: {pattern: '%{COMBINEDAPACHELOG}', apply_on: Line.Raw}
- filter: evt.Line.Raw contains 'x' && JsonExtract(evt.Line.Raw, 'a.b') != ''
  statics: [{meta: json, expression: "JsonExtract(evt.Line.Raw, 'a.b')"}]
- grok: {pattern: '%{GREEDYDATA:message}', apply_on: Line.Raw}
`))
	for _, tt := range []struct{ name, raw, message string }{
		{"an empty line", "", ""},
		{"NUL bytes", "Feb 12 14:10:21 host sshd[1]: a\x00b", "a\x00b"},
		{"invalid UTF-8", "Feb 12 14:10:21 host sshd[1]: a\xff\xfeb", "a\xff\xfeb"},
		{"control characters", "\x1b[31mred\x07", "\x1b[31mred\x07"},
		{"half a line", "Feb 12 14:10:2", "Feb 12 14:10:2"},
		{"half a JSON object", `{"a":{"b":"x`, `{"a":{"b":"x`},
		{"a line of megabytes", "Feb 12 14:10:21 host sshd[1]: " + strings.Repeat("a", 4<<20), strings.Repeat("a", maxText-len("Feb 12 14:10:21 host sshd[1]: "))},
		{"megabytes of spaces", strings.Repeat(" ", 4<<20), strings.Repeat(" ", maxText)},
		{"megabytes of addresses", strings.Repeat("192.0.2.1 - - [", 200_000), strings.Repeat("192.0.2.1 - - [", 200_000)[:maxText]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			evt := line(tt.raw)
			if err := p.Run(evt); err != nil {
				t.Fatal(err)
			}
			if got := evt.Parsed.Get("message"); got != tt.message {
				t.Errorf("message has %d bytes, want %d: %.80q", len(got), len(tt.message), got)
			}
		})
	}
}

func FuzzRun(f *testing.F) {
	f.Add("Feb 12 14:10:21 host sshd[1]: Invalid user a from 192.0.2.1 port 1", "a")
	f.Add(`{"a": {"b": 1}}`, "\x00\xff")
	p := mustCompileFuzz(f)
	f.Fuzz(func(t *testing.T, raw, program string) {
		evt := line(raw)
		evt.Parsed = event.MakeFields("program", program)
		if err := p.Run(evt); err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

func TestAPatternIsNotTriedOnWhatOthersSpentTheTimeOn(t *testing.T) {
	var rules []rule
	for range 20 {
		rules = append(rules, doc("s00", "name: miss\ngrok: {pattern: '^%{INT:i}$', apply_on: Line.Raw}"))
	}
	rules = append(rules, doc("s00", "name: last\ngrok: {pattern: '^%{GREEDYDATA:all}$', apply_on: Line.Raw}"))
	p := mustCompile(t, rules...)
	for _, tt := range []struct {
		name   string
		length int
		ok     bool
		faults uint64 // of all nodes, so far
	}{
		{"a line of 1 KiB", 1 << 10, true, 0},
		{"a line of 1 MiB", 1 << 20, false, 12}, // 9 tries of 64 KiB
		{"the next line of 1 KiB", 1 << 10, true, 12},
	} {
		t.Run(tt.name, func(t *testing.T) {
			evt := line(strings.Repeat("x", tt.length))
			if err := p.Run(evt); err != nil {
				t.Fatal(err)
			}
			if evt.Process != tt.ok {
				t.Errorf("understood = %v, want %v", evt.Process, tt.ok)
			}
			var faults uint64
			for _, s := range p.Stats() {
				faults += s.Faults
			}
			if faults != tt.faults {
				t.Errorf("%d faults, want %d", faults, tt.faults)
			}
		})
	}
}
