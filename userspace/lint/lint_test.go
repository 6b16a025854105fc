package lint_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gabion/userspace/enrich"
	"gabion/userspace/expr"
	"gabion/userspace/exprlib"
	"gabion/userspace/grok"
	"gabion/userspace/lint"
	"gabion/userspace/rules"
)

func testNow() time.Time { return time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC) }

// base sets what the rows below read, and reads what it captures.
const base = `stage: s01-parse
name: test/base
filter: evt.Line.Labels.type == 'test'
onsuccess: next_stage
nodes:
  - grok: {apply_on: Line.Raw, pattern: '^%{IP:ip} %{WORD:user}$'}
    statics: [{meta: log_type, value: login}]
  - grok: {apply_on: Line.Raw, pattern: '^%{IP:ip} bye$'}
    statics: [{meta: log_type, expression: "'logout'"}]
statics:
  - {meta: source_ip, expression: evt.Parsed.ip}
  - {meta: user, expression: evt.Parsed.user}
`

// mustLint looks at one file of the given text beside the base and returns the findings.
func mustLint(t *testing.T, text string) []string {
	t.Helper()
	name := "scenarios/x.yaml"
	if !strings.Contains(text, "type:") {
		name = "parsers/s01-parse/x.yaml"
	}
	return mustRun(t, fstest.MapFS{name: {Data: []byte(text)}}, fstest.MapFS{"base.yaml": {Data: []byte(base)}})
}

func mustRun(t *testing.T, own, context fstest.MapFS) []string {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	lib := exprlib.New(exprlib.Deps{Log: log, Now: testNow})
	report := lint.Run(lint.Config{
		Sources: []rules.Source{{Name: "", FS: own}}, Context: []rules.Source{{Name: "context", FS: context}},
		Deps: rules.Deps{
			Expr: expr.NewCompiler(lib.Functions()...), Lib: lib, Patterns: grok.NewSet(),
			Methods: enrich.Methods(enrich.Deps{Now: testNow}), Now: testNow, Log: log,
		},
	})
	var out []string
	for _, f := range report.Findings {
		place := f.Pos().String()
		place = place[strings.Index(place, ".yaml")+len(".yaml:"):]
		line := fmt.Sprintf("%s %s %s: %s", place, f.Severity, f.Check, f.Message)
		if f.Suggestion != "" {
			line += ": " + f.Suggestion
		}
		out = append(out, line)
	}
	if n := report.Errors + report.Warnings + report.Hints; n != len(out) {
		t.Errorf("%d findings are counted, %d are there", n, len(out))
	}
	return out
}

// leaky returns a scenario without fault; keys of extra replace its own. The first line is 1.
func leaky(extra string) string {
	return with(extra, "type: leaky", "name: test/x", "description: d", "filter: evt.Meta.log_type == 'login'",
		"groupby: evt.Meta.source_ip", "capacity: 5", "leakspeed: 10s", "labels: {remediation: true}")
}

func with(extra string, lines ...string) string {
	var out []string
	for _, l := range lines {
		key, _, _ := strings.Cut(l, ":")
		if !strings.Contains("\n"+extra, "\n"+key+":") {
			out = append(out, l)
		}
	}
	return extra + "\n" + strings.Join(out, "\n") + "\n"
}

func TestFindingsOfScenarios(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"nothing", leaky(""), nil},
		{"an unknown key", leaky("capcity: 5"), []string{`1:1 error load: unknown key "capcity": did you mean "capacity"?`}},
		{"two faults of one file", leaky("capacity: 0\nfilter: evt.Nope == ''"), []string{
			"1:1 error load: a leaky scenario needs a capacity from 1 to 1000000", "2:13 error load: type event.Event has no field Nope",
		}},
		{"a filter that contradicts itself", leaky("filter: evt.Meta.log_type == 'login' && evt.Meta.log_type == 'logout'"), []string{
			`1:41 error never-true: filter is never true: evt.Meta.log_type is "login" here, which is never "logout"`,
		}},
		{"a value that no rule sets", leaky("filter: evt.Meta.log_type == 'logon'"), []string{
			`1:9 warning unset-value: no rule sets evt.Meta.log_type to "logon": this is never true: did you mean "login"?`,
		}},
		{"one of two values that no rule sets", leaky("filter: evt.Meta.log_type in ['login', 'other']"), []string{
			`1:9 hint unset-value: no rule sets evt.Meta.log_type to "other": it is set to "login", "logout"`,
		}},
		{"a value that may be anything", leaky("filter: evt.Meta.user == 'root'"), nil},
		{"a field that no rule sets", leaky("groupby: evt.Meta.source_io"), []string{
			"1:10 warning unset-field: no rule sets evt.Meta.source_io: did you mean evt.Meta.source_ip?",
		}},
		{"a field that the filter sets itself", leaky("filter: evt.SetMeta('own', 'x') && evt.Meta.own == 'x'"), nil},
		{"distinct of what groupby gives", leaky("distinct: evt.Meta.source_ip"), []string{
			"1:1 error never-overflows: the bucket can never overflow: distinct gives at most 1 value (it is what groupby gives), and capacity is 5",
		}},
		{"distinct of what the filter pins", leaky("distinct: evt.Meta.log_type\nfilter: evt.Meta.log_type in ['login', 'logout']"), []string{
			"1:1 error never-overflows: the bucket can never overflow: distinct gives at most 2 values (the filter allows no others), and capacity is 5",
		}},
		{"distinct with enough values", leaky("distinct: evt.Meta.log_type\nfilter: evt.Meta.log_type in ['login', 'logout']\ncapacity: 1"), nil},
		{"distinct of a text of the log", leaky("distinct: evt.Meta.user"), nil},
		{"cancel_on that takes everything", leaky("cancel_on: evt.Meta.log_type=='login'"), []string{
			"1:1 error never-overflows: the bucket can never overflow: cancel_on takes every event that the filter takes",
		}},
		{"cancel_on that takes nothing", leaky("cancel_on: evt.Meta.log_type == 'logout'"), []string{
			`1:12 warning never-cancels: no event that the filter takes can cancel the bucket: evt.Meta.log_type is "login" here, which is never "logout"`,
		}},
		{"a condition that wants more than is kept", with("condition: len(queue.Queue) > 5", strings.Split(leaky("type: conditional\ncapacity: 4"), "\n")...), []string{
			"1:1 error never-overflows: the bucket can never overflow: condition wants 6 events in the queue, which keeps 5",
		}},
		{"a condition that contradicts itself", with("condition: len(queue.Queue) > 3 && len(queue.Queue) < 2", strings.Split(leaky("type: conditional\ncapacity: 4"), "\n")...), []string{
			"1:36 error never-true: condition is never true: len(queue.Queue) < 2 never holds: it is at least 4 here",
		}},
		{"keys that a trigger does not know", "type: trigger\nname: test/x\ndescription: d\nfilter: 'true'\ndistinct: evt.Meta.user\ngroupby: evt.Meta.user\nlabels: {remediation: true}\n", []string{
			"5:1 hint no-effect: distinct has no effect in a trigger scenario: leave it out",
			"6:1 hint no-effect: groupby has no effect in a trigger without blackhole: leave it out, or add blackhole",
		}},
		{"a cache that is too large", leaky("cache_size: 9"), []string{"1:1 warning no-effect: cache_size 9 is larger than capacity 5 and is ignored"}},
		{"a constant key", leaky("groupby: \"'all'\""), []string{"1:11 warning constant-key: groupby is a constant: it tells no events apart"}},
		{"a key that may be no text", leaky("groupby: evt.Unmarshaled.json.id"), []string{
			"1:10 hint maybe-no-text: groupby gives what the log holds there, which may be no text: such events do not count: write string(evt.Unmarshaled.json.id)",
		}},
		{"a blackhole of a moment", leaky("blackhole: 1s"), []string{
			"1:1 hint short-blackhole: blackhole 1s is so short that an attack which goes on raises an alert every few seconds",
		}},
		{"no labels", strings.Replace(leaky(""), "labels: {remediation: true}\n", "", 1), []string{
			"2:1 warning no-labels: scenario without labels: its alerts ask for no decision: add labels: {remediation: true}, or false",
		}},
		{"labels without remediation", leaky("labels: {service: x}"), []string{
			"1:1 hint no-remediation: labels do not say whether alerts ask for a decision: they do not: add remediation: true, or false",
		}},
		{"remediation as text", leaky("labels: {remediation: 'true'}"), []string{
			"1:1 warning no-remediation: remediation is true, which is no truth value and counts as false: write true or false, without quotes",
		}},
		{"two of a name in one file", leaky("") + "---\n" + leaky("capacity: 6"), []string{
			"11:1 hint same-name: scenario test/x is defined at scenarios/x.yaml:2:1 too: give it another name",
		}},
		{"a data file that nobody declares", leaky("filter: evt.Meta.user in File('users.txt')"), []string{
			`1:26 warning undeclared-data: no rule declares the data file "users.txt" that File reads: add data: [{dest_file: users.txt, type: string}]`,
		}},
		{"a data file that nobody reads", leaky("data: [{dest_file: users.txt, type: string}]"), []string{
			"1:9 warning unread-data: no expression reads the data file users.txt",
		}},
		{"a data file of another type", leaky("filter: RegexpInFile(evt.Meta.user, 'u.txt')\ndata: [{dest_file: u.txt, type: string}]"), []string{
			`1:9 warning data-type: RegexpInFile reads data files of type regexp, and "u.txt" is of type "string"`,
		}},
		{"a pattern where text is compared", leaky("filter: evt.Meta.user contains 'a.*b'"), []string{
			"1:23 hint text-or-pattern: contains, startsWith and endsWith compare text: this reads like a pattern: compare with matches",
		}},
		{"a stash that nobody keeps", leaky("filter: GetFromStash('seen', evt.Meta.user) != ''"), []string{
			`1:9 warning unknown-stash: no parser keeps a stash "seen"`,
		}},
		{"debug", leaky("debug: true"), []string{"1:1 hint debug: debug makes the rule slow and fills the log"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, mustLint(t, tt.text)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFindingsOfParsers(t *testing.T) {
	head := "name: test/p\nonsuccess: next_stage\n"
	tail := "statics: [{meta: user, expression: evt.Parsed.user}]\n"
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"nothing", head + tail, nil},
		{"a pattern with an anchor inside", head + "grok: {apply_on: Line.Raw, pattern: 'x^%{WORD:user}'}\n" + tail, []string{
			"3:38 error never-matches: the pattern matches no text: it wants the beginning or the end of the text (^ or $) in a place that lies inside of it",
		}},
		{"a pattern that goes on behind its end", head + "grok: {apply_on: Line.Raw, pattern: '(?:a|%{WORD:user})$ more'}\n" + tail, []string{
			"3:38 error never-matches: the pattern matches no text: it wants the beginning or the end of the text (^ or $) in a place that lies inside of it",
		}},
		{"an anchor in one of several alternatives", head + "grok: {apply_on: Line.Raw, pattern: 'x(?:^a|b)%{WORD:user}'}\n" + tail, nil},
		{"an empty class", head + `grok: {apply_on: Line.Raw, pattern: '[^\x00-\x{10FFFF}]%{WORD:user}'}` + "\n" + tail, []string{
			"3:38 error never-matches: the pattern matches no text: a character class in it holds no character",
		}},
		{"a pattern that captures nothing", head + "grok: {apply_on: Line.Raw, pattern: '^%{WORD}$'}\n" + tail, []string{
			"3:38 warning no-capture: a pattern that captures nothing never counts as a match: give a reference a field, such as %{DATA:text}",
		}},
		{"a pattern behind one that takes everything", head + "nodes:\n" +
			"  - grok: {apply_on: Line.Raw, pattern: 'user %{WORD:user}'}\n" +
			"  - grok: {apply_on: Line.Raw, pattern: '^bad user %{WORD:user} from'}\n", []string{
			"5:42 warning shadowed: the pattern on line 4 matches everything that this one matches, and comes first: put this one before it",
		}},
		{"the same with a filter that is the first one's own", head + "nodes:\n" +
			"  - {filter: evt.Meta.user == '', grok: {apply_on: Line.Raw, pattern: 'user %{WORD:user}'}}\n" +
			"  - grok: {apply_on: Line.Raw, pattern: '^bad user %{WORD:user} from'}\n", nil},
		{"the same where all are tried", "name: test/p\nnodes:\n" +
			"  - {onsuccess: next_stage, grok: {apply_on: Line.Raw, pattern: 'user %{WORD:user}'}}\n" +
			"  - grok: {apply_on: Line.Raw, pattern: '^bad user %{WORD:user} from'}\n", nil},
		{"a longer pattern first", head + "nodes:\n" +
			"  - grok: {apply_on: Line.Raw, pattern: '^bad user %{WORD:user} from'}\n" +
			"  - grok: {apply_on: Line.Raw, pattern: 'user %{WORD:user}'}\n", nil},
		{"a capture that nobody reads", head + "grok: {apply_on: Line.Raw, pattern: '%{WORD:user} %{INT:port} %{INT:pid}'}\n" + tail, []string{
			"3:38 hint unused-capture: no rule reads what is captured as pid, port: leave the name out: %{NAME} in place of %{NAME:field}",
		}},
		{"a field that is matched and set by nobody", head + "grok: {apply_on: mesage, pattern: '%{WORD:user}'}\n" + tail, []string{
			"3:8 warning unset-field: no rule sets evt.Parsed.mesage, so that the pattern is never tried",
		}},
		{"apply_on that names no parsed field", head + "grok: {apply_on: evt.Parsed.user, pattern: '%{WORD:user}'}\n" + tail, []string{
			"3:8 warning unset-field: no rule sets evt.Parsed.evt.Parsed.user, so that the pattern is never tried: " +
				"apply_on takes Line.Raw or the name of a parsed field; write others as expression",
		}},
		{"patterns of its own", head + "pattern_syntax: {X_UNUSED: a, WORD: b, X_USED: c}\ngrok: {apply_on: Line.Raw, pattern: '%{X_USED:user}'}\n" + tail, []string{
			"3:18 hint unused-pattern: no rule uses the pattern X_UNUSED",
			"3:31 warning redefined-pattern: pattern WORD is defined before in another way, which stays: give it another name",
		}},
		{"a method that does not exist", head + "statics: [{method: ParseDat, value: x}]\n", []string{
			`3:12 warning unknown-method: there is no method "ParseDat": the static is left out: did you mean "ParseDate"?`,
		}},
		{"a target that does not exist", head + "statics: [{target: evt.Nope, value: x}]\n", []string{
			`3:12 warning unknown-target: Event has no field "Nope": the static is left out`,
		}},
		{"a stash that nobody reads", head + "stash: [{name: seen, key: evt.Parsed.user, value: evt.Parsed.ip, ttl: 1m}]\n" + tail, []string{
			`3:10 hint unread-stash: no expression reads the stash "seen" with GetFromStash`,
		}},
		{"a whitelist that matches nothing", head + "whitelist: {reason: r, expression: [\"Lower(evt.Meta.user) == 'ROOT'\"]}\n", []string{
			`3:38 error never-true: whitelist is never true: Lower gives no capital letters, but "ROOT" holds some`,
		}},
		{"a whitelist without a reason", head + "whitelist: {ip: [192.0.2.1]}\n", []string{
			"3:12 hint no-reason: whitelist without a reason: say in reason why such lines are harmless",
		}},
		{"keys without effect", head + "debug: true\nprofiling: true\n" + tail, []string{
			"3:1 hint debug: debug makes the rule slow and fills the log", "4:1 hint no-effect: profiling has no effect any more: leave it out",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, mustLint(t, tt.text)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWithoutParsersFieldsAreNotJudged(t *testing.T) {
	got := mustRun(t, fstest.MapFS{"scenarios/x.yaml": {Data: []byte(leaky("groupby: evt.Meta.nobody"))}}, fstest.MapFS{})
	if len(got) > 0 {
		t.Errorf("findings = %v", got)
	}
}

func TestTheContextIsNotReported(t *testing.T) {
	bad := leaky("capacity: 0")
	got := mustRun(t, fstest.MapFS{"scenarios/x.yaml": {Data: []byte(leaky("name: test/y"))}},
		fstest.MapFS{"base.yaml": {Data: []byte(base)}, "bad.yaml": {Data: []byte(bad)}, "broken.yaml": {Data: []byte("type: [")}})
	if len(got) > 0 {
		t.Errorf("findings = %v", got)
	}
}

func TestAParserThatSendsNothingOn(t *testing.T) {
	parser := func(stage, more string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte("name: " + stage + "\nstage: " + stage + "\n" + more + "statics: [{meta: a, value: x}]\n")}
	}
	got := mustRun(t, fstest.MapFS{"a.yaml": parser("s00-raw", ""), "b.yaml": parser("s01-parse", "onsuccess: next_stage\n"), "c.yaml": parser("s02-enrich", "")}, fstest.MapFS{})
	want := []string{"1:1 hint no-next-stage: no node sends lines on from s00-raw: they are given up unless another parser of the stage takes them too: add onsuccess: next_stage"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}
