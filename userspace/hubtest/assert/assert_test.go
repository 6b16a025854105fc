package assert

import (
	"errors"
	"strings"
	"testing"

	"github.com/expr-lang/expr/parser"

	ruleexpr "gabion/userspace/expr"
)

type entry struct {
	Name    string
	Numbers map[string]any
	Text    map[string]string
	List    []string
	Inner   *entry
}

func (e entry) GetText(key string) string { return e.Text[key] }
func (e entry) GetName() string           { return e.Name }
func (e entry) GetCount() int32           { return 3 }

func results() map[string]map[string][]entry {
	return map[string]map[string][]entry{
		"s00": {"a": {{
			Name: "x", Text: map[string]string{"k": "/var/log/v", "q": `say "hi"`, "": "empty", "time": "2026-01-02"}, List: []string{"192.0.2.1"},
			Numbers: map[string]any{"n": 5.0, "f": 0.1, "t": true, "s": "5", "m": map[string]any{"o": "p"}, "l": []any{"one", 2.0}},
			Inner:   &entry{Name: "y"},
		}}},
		"success": {"": nil},
	}
}

func helpers() []ruleexpr.Function {
	return []ruleexpr.Function{
		{Name: "Upper", Types: []any{new(func(string) string)}, Call: func(args ...any) (any, error) { return strings.ToUpper(args[0].(string)), nil }},
		{Name: "FloatApproxEqual", Types: []any{new(func(float64, float64) bool)}, Call: func(args ...any) (any, error) {
			d := args[0].(float64) - args[1].(float64)
			return d < 1e-6 && d > -1e-6, nil
		}},
		{Name: "Absent"},
	}
}

// What is evaluated as it is read must be what the virtual machine makes of it.
func TestAssertionsGiveWhatTheMachineGives(t *testing.T) {
	e := New(results(), helpers())
	for _, tt := range []struct {
		text    string
		want    bool
		machine bool // the form is left to the machine
	}{
		{text: `len(results) == 2`, want: true},
		{text: `len(results["success"][""]) == 0`, want: true},
		{text: `len(results["none"]["a"]) == 0`, want: true},
		{text: `results["s00"]["a"][0].Name == "x"`, want: true},
		{text: `results["s00"]["a"][-1].Name == 'y'`},
		{text: `results["s00"]["a"][0].Text["k"] == ""`},
		{text: `results["s00"]["a"][0].Text["none"] == ""`, want: true},
		{text: `results["s00"]["a"][0].Text.k == "/var/log/v"`, want: true},
		{text: `results["s00"]["a"][0].Text["q"] == "say \"hi\""`, want: true},
		{text: `results["s00"]["a"][0].Numbers["n"] == 5`, want: true},
		{text: `results["s00"]["a"][0].Numbers["n"] == 5.5`},
		{text: `results["s00"]["a"][0].Numbers["n"] == "5"`},
		{text: `results["s00"]["a"][0].Numbers["s"] == 5`},
		{text: `results["s00"]["a"][0].Numbers["t"] == true`, want: true},
		{text: `results["s00"]["a"][0].Numbers["none"] == nil`, want: true},
		{text: `results["s00"]["a"][0].Numbers["m"]["o"] == "p"`, want: true},
		{text: `results["s00"]["a"][0].Numbers["l"][1] == 2`, want: true},
		{text: `FloatApproxEqual(results["s00"]["a"][0].Numbers["f"], 0.1000000001)`, want: true},
		{text: `basename(results["s00"]["a"][0].Text["k"]) == "v"`, want: true},
		{text: `results["s00"]["a"][0].Text["time"][4:] == "-01-02"`, want: true},
		{text: `"192.0.2.1" in results["s00"]["a"][0].List`, want: true},
		{text: `"192.0.2.2" in results["s00"]["a"][0].List`},
		{text: `results["s00"]["a"][0].GetText("q") == "x"`},
		{text: `results["s00"]["a"][0].GetName() == "x"`, want: true},
		{text: `results["s00"]["a"][0].GetCount() == 3`, want: true},
		{text: `results["s00"]["a"][0].Inner.Name == "y"`, want: true},
		{text: `results["s00"]["a"][0].Inner.GetName() == "y"`, want: true},
		{text: `Upper(results["s00"]["a"][0].Name) == "X"`, want: true, machine: true},
		{text: `results["s00"]["a"][0].Name != "x"`, machine: true},
		{text: `any(results["s00"]["a"], {.Name == "x"})`, want: true, machine: true},
	} {
		got, err := e.Holds(tt.text)
		if err != nil || got != tt.want {
			t.Errorf("%s: %v, %v", tt.text, got, err)
		}
		tree, err := parser.Parse(tt.text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.walk(tree.Node); errors.Is(err, errNotCovered) != tt.machine {
			t.Errorf("%s: left to the machine is %v", tt.text, !tt.machine)
		}
		if v, err := e.run(tt.text); !tt.machine && (err != nil || v != tt.want) {
			t.Errorf("%s: the machine gives %v, %v", tt.text, v, err)
		}
	}
}

func TestAnAssertionWithoutAnAnswerSaysWhy(t *testing.T) {
	e := New(results(), helpers())
	for text, want := range map[string]string{
		`results["s00"]["a"][1].Name == "x"`:      "index out of range: 1 (there are 1)",
		`results["none"]["a"][0].Name == "x"`:     "index out of range: 0 (there are 0)",
		`results["s00"]["a"][0].Nam == "x"`:       "there is no field Nam",
		`results["s00"]["a"][0].Numbers.x.y == 1`: "there is no y: nothing is in front of it",
		`results["s00"]["a"][0].Name`:             `the assertion gives "x", want true or false`,
		`results["s00"`:                           "unexpected token EOF",
		`Absent() == 1`:                           "unknown name Absent",
		`results.x() == 1`:                        "is not callable",
	} {
		if _, err := e.Holds(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", text, err, want)
		}
	}
}

func TestSidesOfAComparison(t *testing.T) {
	e := New(results(), nil)
	for _, tt := range []struct{ text, found, wanted string }{
		{`results["s00"]["a"][0].Name == "z"`, `"x"`, `"z"`},
		{`"192.0.2.2" in results["s00"]["a"][0].List`, `["192.0.2.1"]`, `"192.0.2.2"`},
	} {
		found, wanted, ok := e.Sides(tt.text)
		if !ok || Format(found) != tt.found || Format(wanted) != tt.wanted {
			t.Errorf("%s: %v, %v, %v", tt.text, found, wanted, ok)
		}
	}
	for _, text := range []string{`true`, `results["s00"]["a"][4].Name == "z"`, `(`} {
		if _, _, ok := e.Sides(text); ok {
			t.Errorf("%s has sides", text)
		}
	}
}

func TestOnlyTheLastElementOfALogsPathIsCompared(t *testing.T) {
	for text, want := range map[string]string{
		`x["datasource_path"] == "a.log"`:           `basename(x["datasource_path"]) == "a.log"`,
		`basename(x["datasource_path"]) == "a.log"`: `basename(x["datasource_path"]) == "a.log"`,
		`x["source_ip"] == "a"`:                     `x["source_ip"] == "a"`,
		`"datasource_path" in x`:                    `"datasource_path" in x`,
	} {
		if got := Rewrite(text); got != want {
			t.Errorf("%s becomes %s", text, got)
		}
	}
}

func TestQuotedTextIsReadAsItWas(t *testing.T) {
	e := New(nil, nil)
	for _, s := range []string{"", "plain", `back\slash "quote" 'single'`, "line\nfeed\r\ttab", "\x00\x1b\x7f", "ünï ☃ 𝛌", "\u2028\u200e"} {
		v, err := e.Value(Quote(s))
		if err != nil || v != s || strings.Contains(Quote(s), "\n") {
			t.Errorf("%q is quoted as %s and read as %q, %v", s, Quote(s), v, err)
		}
	}
}
