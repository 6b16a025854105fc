package inspect_test

import (
	"log/slog"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gabion/userspace/enrich"
	"gabion/userspace/expr"
	"gabion/userspace/exprlib"
	"gabion/userspace/grok"
	"gabion/userspace/inspect"
	"gabion/userspace/rules"
)

func testNow() time.Time { return time.Time{} }

func mustLoad(t *testing.T) *rules.Set {
	t.Helper()
	lib := exprlib.New(exprlib.Deps{Now: testNow})
	set, err := rules.Load([]rules.Source{{Name: "rules", FS: fstest.MapFS{
		"parsers/s00-raw/p.yaml": {Data: []byte(`name: test/p
filter: evt.Parsed.program in ['b', 'a'] && evt.Line.Raw != ''
nodes:
  - filter: evt.Line.Raw startsWith 'x'
    grok: {apply_on: Line.Raw, pattern: '^user %{INT:n}$', statics: [{meta: a, expression: evt.Parsed.n}]}
whitelist: {reason: r, expression: ["evt.Parsed.n == '1'"]}
`)},
		"scenarios/s.yaml": {Data: []byte(`type: leaky
name: test/s
description: d
filter: evt.Meta.a == '1' && Upper(evt.Meta.path) contains '/ADMIN'
groupby: evt.Meta.source_ip
capacity: 5
leakspeed: 10s
`)},
	}}}, rules.Deps{
		Expr: expr.NewCompiler(lib.Functions()...), Lib: lib, Patterns: grok.NewSet(),
		Methods: enrich.Methods(enrich.Deps{Now: testNow}), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestLookSaysHowRulesAreRun(t *testing.T) {
	got := inspect.Look(mustLoad(t), "")
	want := &inspect.Report{
		Rules: []*inspect.Rule{
			{
				Kind: rules.Parser, Name: "test/p", At: "rules/parsers/s00-raw/p.yaml:1",
				Expressions: []inspect.Expression{
					{Key: "filter", At: "rules/parsers/s00-raw/p.yaml:2:9", Source: "evt.Parsed.program in ['b', 'a'] && evt.Line.Raw != ''",
						Index: []string{`evt.Parsed.program in ["a", "b"]`}, Compiled: true},
					{Key: "whitelist", At: "rules/parsers/s00-raw/p.yaml:6:38", Source: "evt.Parsed.n == '1'", Compiled: true},
					{Key: "filter", At: "rules/parsers/s00-raw/p.yaml:4:13", Source: "evt.Line.Raw startsWith 'x'", Compiled: true, Depth: 1},
					{Key: "statics", At: "rules/parsers/s00-raw/p.yaml:5:92", Source: "evt.Parsed.n", Compiled: true, Depth: 1},
				},
				Patterns: []inspect.Pattern{{
					At: "rules/parsers/s00-raw/p.yaml:5:42", Source: "^user %{INT:n}$", Fields: 1, How: inspect.OnePass, Anchored: true, Literals: []string{"user "},
				}},
			},
			{
				Kind: rules.Scenario, Name: "test/s", At: "rules/scenarios/s.yaml:1",
				Expressions: []inspect.Expression{
					{Key: "filter", At: "rules/scenarios/s.yaml:4:9", Source: "evt.Meta.a == '1' && Upper(evt.Meta.path) contains '/ADMIN'",
						Index: []string{`evt.Meta.a == "1"`}, Words: []string{`"/ADMIN" in Upper(evt.Meta.path)`}, Compiled: true},
					{Key: "groupby", At: "rules/scenarios/s.yaml:5:10", Source: "evt.Meta.source_ip", Compiled: true},
				},
				Patterns: []inspect.Pattern{},
			},
		},
		Summary: inspect.Summary{
			Rules:    map[rules.Kind]int{rules.Parser: 1, rules.Scenario: 1},
			Filters:  inspect.Counts{All: 3, Indexed: 2, Searched: 1, Compiled: 3},
			Others:   inspect.Counts{All: 3, Compiled: 3},
			Left:     map[string]int{},
			Patterns: inspect.Patterns{All: 1, OnePass: 1, Anchored: 1, Literal: 1},
		},
	}
	size := cmp.FilterPath(func(p cmp.Path) bool {
		last := p.Last().String()
		return last == ".Automata" || last == ".Nodes" // as the compiler of patterns likes
	}, cmp.Ignore())
	if diff := cmp.Diff(want, got, size); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

func TestLookTakesTheRuleOfAName(t *testing.T) {
	for name, want := range map[string]int{"test/p": 1, "test/s": 1, "test/none": 0} {
		if got := inspect.Look(mustLoad(t), name); len(got.Rules) != want || want == 1 && got.Rules[0].Name != name {
			t.Errorf("%s: rules %v", name, got.Rules)
		}
	}
}
