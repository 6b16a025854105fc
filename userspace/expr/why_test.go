package expr

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gabion/userspace/event"
	"gabion/userspace/yamlpos"
)

func TestWhyNamesTheFirstPartThatIsNotTrue(t *testing.T) {
	c := testCompiler()
	evt := &event.Event{
		Meta:   event.MakeFields("log_type", "ssh", "user", strings.Repeat("x", 300)),
		Parsed: event.MakeFields("program", "nginx", "len", "seven"),
		Line:   event.Line{Labels: map[string]string{"type": "web"}},
	}
	for _, tt := range []struct{ name, filter, want string }{
		{"one comparison", "evt.Parsed.program == 'sshd'", `evt.Parsed.program == 'sshd': evt.Parsed.program is "nginx"`},
		{"the second of three", "evt.Meta.log_type == 'ssh' && evt.Parsed.program startsWith 'ss' and evt.Meta.none == 'x'",
			`evt.Parsed.program startsWith 'ss': evt.Parsed.program is "nginx"`},
		{"a missing field", "evt.Meta.log_type == 'ssh' && evt.Meta['the key'] != ''", `evt.Meta['the key'] != '': evt.Meta["the key"] is ""`},
		{"inside parentheses", "evt.Meta.log_type == 'ssh' && ((evt.Parsed.program == 'nginx') && (evt.Stage == 'a && b'))",
			`evt.Stage == 'a && b': evt.Stage is ""`},
		{"alternatives are one part", "evt.Meta.log_type == 'a' || evt.Parsed.program in ['b', 'c'] && true",
			`evt.Meta.log_type == 'a' || evt.Parsed.program in ['b', 'c'] && true: evt.Meta.log_type is "ssh", evt.Parsed.program is "nginx"`},
		{"alternatives in parentheses", "true && (evt.Meta.log_type == 'a' || evt.Meta.log_type == 'b')",
			`evt.Meta.log_type == 'a' || evt.Meta.log_type == 'b': evt.Meta.log_type is "ssh"`},
		{"two pairs of parentheses are not one", "(evt.Stage == '' || true) && (evt.Stage == 'b')", `evt.Stage == 'b': evt.Stage is ""`},
		{"what a helper is given", "Upper(evt.Meta.log_type) == 'ssh'", `Upper(evt.Meta.log_type) == 'ssh': evt.Meta.log_type is "ssh"`},
		{"a method", "evt.GetType() == 'overflow'", `evt.GetType() == 'overflow': evt.GetType() is "log"`},
		{"a length", "len(evt.Meta) > 2", "len(evt.Meta) > 2: len(evt.Meta) is 2"},
		{"a part that fails", "evt.Stage == '' && int(evt.Parsed.len) > 2", `int(evt.Parsed.len) > 2 failed: invalid operation: int(seven)`},
		{"a variable of the whole", "let p = evt.Parsed.program; p == 'sshd' && true", `let p = evt.Parsed.program; p == 'sshd' && true: evt.Parsed.program is "nginx"`},
		{"inside a predicate", "any(['a', 'b'], {evt.Parsed.program contains # + 'x'})", `any(['a', 'b'], {evt.Parsed.program contains # + 'x'}): evt.Parsed.program is "nginx"`},
		{"long values are cut", "evt.Meta.user == ''", `evt.Meta.user == '': evt.Meta.user is "` + strings.Repeat("x", 200) + `…"`},
		{"nothing to look at", "false", "false"},
		{"an expression that is true", "evt.Stage == ''", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := c.Compile(yamlpos.Text{Text: tt.filter}, EnvEvent, Bool)
			if err != nil {
				t.Fatal(err)
			}
			x := NewExplainer(c)
			for range 2 {
				why, ok := x.Why(p, &Vars{Event: evt})
				if ok != (tt.want != "") {
					t.Fatalf("reason %v found, want %q", ok, tt.want)
				}
				if diff := cmp.Diff(tt.want, why.String()); ok && diff != "" {
					t.Errorf("reason (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestAReasonStandsAtItsPlaceInTheFile(t *testing.T) {
	var d struct {
		Filter yamlpos.Text `yaml:"filter"`
	}
	if err := yamlpos.DecodeFile("rules/a.yaml", []byte("filter: |\n  true &&\n  evt.Stage == 'x'\n"), &d); err != nil {
		t.Fatal(err)
	}
	p, err := testCompiler().Compile(d.Filter, EnvEvent, Bool)
	if err != nil {
		t.Fatal(err)
	}
	why, _ := NewExplainer(testCompiler()).Why(p, &Vars{Event: &event.Event{}})
	if want := (yamlpos.Position{File: "rules/a.yaml", Line: 3, Column: 3}); why.Pos != want {
		t.Errorf("reason stands at %s, want %s", why.Pos, want)
	}
}
