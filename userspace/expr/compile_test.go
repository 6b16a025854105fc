package expr

import (
	"errors"
	"strings"
	"testing"

	"gabion/userspace/yamlpos"
)

var errFailed = errors.New("failed")

func inFile(s string) yamlpos.Text {
	return yamlpos.Text{Text: s, Pos: yamlpos.Position{File: "f.yaml", Line: 1, Column: 9}, Set: true}
}

func testCompiler() *Compiler {
	return NewCompiler(
		Function{Name: "Upper", Call: func(args ...any) (any, error) { return strings.ToUpper(args[0].(string)), nil }, Types: []any{new(func(string) string)}},
		Function{Name: "Fail", Call: func(...any) (any, error) { return nil, errFailed }, Types: []any{new(func() bool)}},
		Function{Name: "Crash", Call: func(args ...any) (any, error) { return args[7], nil }, Types: []any{new(func() bool)}},
	)
}

func mustCompile(t *testing.T, src string, env Env, want Kind) *Program {
	t.Helper()
	p, err := testCompiler().Compile(inFile(src), env, want)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestCompileRefusesFaultyExpressions(t *testing.T) {
	for _, tt := range []struct {
		name, src string
		env       Env
		kind      Kind
		want      string
	}{
		{"unknown field", "evt.Nope == 'x'", EnvEvent, Bool, "f.yaml:1:9: type event.Event has no field Nope"},
		{"unknown field of an argument", "Upper(evt.Nope) == 'x'", EnvEvent, Bool, "f.yaml:1:9: type event.Event has no field Nope"},
		{"unknown variable", "event.Meta.x == 'x'", EnvEvent, Bool, "f.yaml:1:9: unknown name event"},
		{"unknown helper", "upper2(evt.Stage) == 'x'", EnvEvent, Bool, "f.yaml:1:9: unknown name upper2"},
		{"queue outside a bucket", "queue.L > 1", EnvEvent, Bool, "f.yaml:1:9: unknown name queue"},
		{"evt in a profile", "evt.Stage == ''", EnvProfile, Bool, "f.yaml:1:9: unknown name evt"},
		{"text where a decision is wanted", "evt.Stage", EnvEvent, Bool, "f.yaml:1:9: expression gives string, want true or false"},
		{"number where text is wanted", "1 + 1", EnvEvent, String, "f.yaml:1:9: expression gives int, want text"},
		{"wrong argument type", "Upper(1) == ''", EnvEvent, Bool, "f.yaml:1:9: cannot use int as argument (type string) to call Upper "},
		{"bad pattern", "evt.Stage matches '('", EnvEvent, Bool, "f.yaml:1:9: error parsing regexp: missing closing ): `(`"},
		{"empty", "  ", EnvEvent, Bool, "f.yaml:1:9: expression is empty"},
		{"too long", strings.Repeat("(", maxSource+1), EnvEvent, Bool, "f.yaml:1:9: expression is longer than 64 KiB"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := testCompiler().Compile(inFile(tt.src), tt.env, tt.kind)
			if err == nil || strings.TrimSpace(err.Error()) != strings.TrimSpace(tt.want) {
				t.Errorf("err  = %v\nwant = %s", err, tt.want)
			}
			if e := (*yamlpos.Error)(nil); !errors.As(err, &e) {
				t.Errorf("error is a %T", err)
			}
		})
	}
}

func TestCompilePointsIntoTheFile(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"plain", "filter: evt.Stage == 'ö' && evt.Nope == 'x'\n", "f.yaml:1:33: type event.Event has no field Nope"},
		{"quoted", "filter: \"evt.Stage == 'x' && nope\"\n", "f.yaml:1:30: unknown name nope"},
		{"literal block", "filter: |\n  evt.Stage == 'x' &&\n    nope == 1\n", "f.yaml:3:5: unknown name nope"},
		{"folded block", "name: x\nfilter: >-\n  evt.Stage == 'é'\n  && Upper(1) == 'x'\n", "f.yaml:4:12: cannot use int as argument (type string) to call Upper "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var rule struct{ Name, Filter yamlpos.Text }
			if err := yamlpos.DecodeFile("f.yaml", []byte(tt.in), &rule); err != nil {
				t.Fatal(err)
			}
			_, err := testCompiler().Compile(rule.Filter, EnvEvent, Bool)
			if err == nil || err.Error() != tt.want {
				t.Errorf("err = %v, want %s", err, tt.want)
			}
		})
	}
}

func FuzzCompile(f *testing.F) {
	for _, s := range []string{
		"evt.Meta.log_type == 'x' && evt.Parsed.program in ['a', 'b']", "let x = evt.Stage; x matches '^a'", "any(queue.Queue, .Meta.x == '')",
		"evt.Unmarshaled.a?.b ?? 1", "if evt.Stage == '' { 1 } else { 2 }", "evt.SetMeta('a', 'b') && leaky.Total_count > 1", "1..10 | map(# * 2)", "evt.Stage[1:-1]",
	} {
		f.Add(s)
	}
	c := testCompiler()
	f.Fuzz(func(t *testing.T, src string) {
		if strings.Contains(src, "..") || len(src) > 1000 {
			return // ranges make slow runs, which is not what this looks for
		}
		p, err := c.Compile(inFile(src), EnvQueue, Any)
		if err != nil {
			return
		}
		_, _ = p.Value(testVars())
		requires(parse(src), nil)
	})
}
