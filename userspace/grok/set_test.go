package grok

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fields returns what expr captures from text, or nil when it does not match.
func fields(t *testing.T, s *Set, expr, text string) map[string]string {
	t.Helper()
	p, err := s.Compile(expr)
	if err != nil {
		t.Fatalf("compile %q: %v", expr, err)
	}
	var m Match
	if !p.Match(text, &m) {
		return nil
	}
	out := map[string]string{}
	for i, n := range p.Names() {
		out[n] = m.Get(i)
	}
	return out
}

type want = map[string]string

func TestCompile(t *testing.T) {
	for _, tt := range []struct {
		name, expr, text string
		want             want
	}{
		{"a reference with a field captures", `user=%{WORD:user}`, "x user=ann y", want{"user": "ann"}},
		{"the first match in the text counts", `%{INT:n}`, "a 12 b 34", want{"n": "12"}},
		{"an expression without references is no data", `user`, "user", nil},
		{"references without fields are no data", `%{WORD} %{INT}`, "a 1", nil},
		{"a group of the language is not captured", `(?P<x>a+) %{WORD:w}`, "aa b", want{"w": "b"}},
		{"a group of the language alone is no data", `(?P<x>a+)`, "aa", nil},
		{"the last of equal fields counts when it matched", `%{WORD:w} %{WORD:w}`, "a b", want{"w": "b"}},
		{"the last of equal fields counts when it took no part", `(?:a %{WORD:w}|b %{WORD:w})`, "a foo", want{"w": ""}},
		{"a field outside hides one inside", `%{INNER:pid}`, "x[7]", want{"pid": "x[7]"}},
		{"a field beside hides one inside", `%{INNER} %{WORD:pid}`, "x[7] y", want{"pid": "y"}},
		{"a field before hides one inside", `%{WORD:pid} %{INNER}`, "y x[7]", want{"pid": "y"}},
		{"the last of equal nested fields counts", `%{INNER} %{INNER}`, "x[7] x[8]", want{"pid": "8"}},
		{"fields of nested patterns are captured", `%{INNER}`, "x[7]", want{"pid": "7"}},
		{"a group that took no part is an empty field", `%{WORD:w}(?: %{INT:n})?$`, "a", want{"w": "a", "n": ""}},
		{"alternatives are tried in order", `(?:%{AB:x})`, "ab", want{"x": "a"}},
		{"an alternative inside stays inside", `%{AB:x}c`, "abc", want{"x": "ab"}},
		{"a type suffix is literal text", `%{INT:port:int}`, "80", nil},
		{"a dotted field is literal text", `%{WORD:a.b}`, "a", nil},
		{"parentheses in classes do not shift groups", `[(]%{WORD:w}[)]`, "(abc)", want{"w": "abc"}},
		{"flag letters before a parenthesis do not shift groups", `(login|fails) for %{WORD:w} from %{IP:ip}`, "login fails for bob from 192.0.2.1", want{"w": "bob", "ip": "192.0.2.1"}},
		{"case-insensitive text matches", `(?i)USER %{WORD:w}`, "user x", want{"w": "x"}},
		{"case-insensitive long s matches", `(?i)S %{WORD:w}`, "ſ x", want{"w": "x"}},
		{"a missing literal does not match", `port %{INT:p} \[preauth\]`, "port 12 preauth", nil},
		{"literals in the wrong order do not match", `a%{INT:p}b`, "b1a", nil},
		{"an invalid byte is U+FFFD to a pattern", `\x{FFFD}%{INT:p}`, "\xff7", want{"p": "7"}},
		{"a NUL byte is a character", `a.%{INT:p}`, "a\x007", want{"p": "7"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := NewSet()
			mustAdd(t, s, "INNER", `x\[%{INT:pid}\]`)
			mustAdd(t, s, "AB", `a|ab`)
			if diff := cmp.Diff(tt.want, fields(t, s, tt.expr, tt.text)); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCompileErrors(t *testing.T) {
	s := NewSet()
	s.patterns["LOOP"] = `a%{KNOT}`
	s.patterns["KNOT"] = `b%{LOOP}`
	s.patterns["D0"] = `x`
	for i := 1; i <= 40; i++ {
		s.patterns[deep(i)] = "%{" + deep(i-1) + "}"
	}
	s.patterns["B0"] = strings.Repeat("x", 100)
	for i := 1; i < 20; i++ {
		s.patterns[bomb(i)] = strings.Repeat("%{"+bomb(i-1)+"}", 10)
	}
	for _, tt := range []struct{ name, expr, want string }{
		{"an unknown pattern is named", `%{IPORHOTS:x}`, `unknown pattern "IPORHOTS": define it`},
		{"an unknown pattern inside another is named", `%{INT:x} %{ip:y}`, `unknown pattern "ip": define it`},
		{"a broken expression is reported", `(%{INT:x}`, "missing closing )"},
		{"a look-around is not in the language", `(?=%{INT:x})`, "invalid or unsupported Perl syntax"},
		{"recursion is reported with its path", `%{LOOP:x}`, "LOOP contains itself: LOOP > KNOT > LOOP"},
		{"deep nesting is refused", `%{D40:x}`, "nested too deeply"},
		{"growth is bounded", `%{B19:x}`, "grows beyond"},
		{"a reference in a character class is refused", `[%{DATA:x}]`, "where a group cannot"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := s.Compile(tt.expr)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want one with %q", err, tt.want)
			}
		})
	}
}

func deep(i int) string { return "D" + itoa(i) }
func bomb(i int) string { return "B" + itoa(i) }

func itoa(i int) string {
	if i < 10 {
		return string(rune('0' + i))
	}
	return itoa(i/10) + itoa(i%10)
}

func TestAdd(t *testing.T) {
	s := NewSet()
	mustAdd(t, s, "MINE", `a+`)
	if err := s.Add("MINE", `b+`); !errors.Is(err, ErrDefined) {
		t.Errorf("second definition: error = %v, want ErrDefined", err)
	}
	if got := fields(t, s, `%{MINE:x}`, "baa"); got["x"] != "aa" {
		t.Errorf("first definition should stay, got %v", got)
	}
	if err := s.Add("LATE", `%{LATER}`); err == nil {
		t.Error("a reference to a later pattern should be refused")
	}
	if err := s.Add("A-B", `x`); err == nil || !strings.Contains(err.Error(), "A-B") {
		t.Errorf("a name with a dash: error = %v, want one that names it", err)
	}
	c := s.Clone()
	mustAdd(t, c, "ONLY_CLONE", `x`)
	if s.Has("ONLY_CLONE") || !c.Has("MINE") {
		t.Error("a clone should have what was there and keep what is added to itself")
	}
}

func TestCompileName(t *testing.T) {
	s := NewSet()
	p, err := s.CompileName("SYSLOGPROG")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"program", "pid"}, p.Names()); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	if _, err := s.CompileName("SYSLOGPROGRAM"); err == nil || !strings.Contains(err.Error(), "SYSLOGPROG") {
		t.Errorf("error = %v, want a suggestion", err)
	}
}

func mustAdd(t *testing.T, s *Set, name, pattern string) {
	t.Helper()
	if err := s.Add(name, pattern); err != nil {
		t.Fatal(err)
	}
}
