package grok

import (
	"regexp"
	"regexp/syntax"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// oracle expands expr the plain way, every reference a counted group, and runs the result with
// nothing in front of it.
func oracle(patterns map[string]string, expr, text string) (map[string]string, bool) {
	expanded, groups := plain(patterns, expr)
	if len(groups) == 0 {
		return nil, false
	}
	re, err := regexp.Compile(expanded)
	if err != nil {
		return nil, false
	}
	loc := re.FindStringSubmatchIndex(text)
	if loc == nil {
		return nil, false
	}
	out := map[string]string{}
	for name, g := range groups {
		if out[name] = ""; loc[2*g] >= 0 {
			out[name] = text[loc[2*g]:loc[2*g+1]]
		}
	}
	return out, true
}

func plain(patterns map[string]string, expr string) (string, map[string]int) {
	var b strings.Builder
	own, nested := map[string]int{}, map[string]int{}
	last := 0
	for _, loc := range regexp.MustCompile(`%\{(\w+)(?::(\w+))?\}`).FindAllStringSubmatchIndex(expr, -1) {
		b.WriteString(expr[last:loc[0]])
		last = loc[1]
		before := countGroups(b.String())
		inner, groups := plain(patterns, patterns[expr[loc[2]:loc[3]]])
		if loc[4] >= 0 {
			own[expr[loc[4]:loc[5]]] = before + 1
		}
		for n, g := range groups {
			nested[n] = before + 1 + g
		}
		b.WriteString("(" + inner + ")")
	}
	b.WriteString(expr[last:])
	for n, g := range own {
		nested[n] = g
	}
	return b.String(), nested
}

// countGroups counts groups in the beginning of an expression by closing what is open.
func countGroups(prefix string) int {
	for range 50 {
		if re, err := syntax.Parse(prefix, syntax.Perl); err == nil {
			return re.MaxCap()
		}
		prefix += ")"
	}
	return 0
}

func checkOracle(t interface {
	Helper()
	Errorf(string, ...any)
}, s *Set, expr, text string) {
	t.Helper()
	p, err := s.Compile(expr)
	if err != nil {
		return
	}
	want, wantOK := oracle(s.patterns, expr, text)
	var m Match
	ok := p.Match(text, &m)
	if ok != wantOK {
		t.Errorf("%q on %q: match = %v, want %v", expr, text, ok, wantOK)
		return
	}
	if !ok {
		return
	}
	got := map[string]string{}
	for i, n := range p.Names() {
		got[n] = m.Get(i)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%q on %q (-want +got):\n%s", expr, text, diff)
	}
}

func TestMatchAgreesWithPlainRegexp(t *testing.T) {
	s := NewSet()
	refs := []string{"WORD", "INT", "IP", "DATA", "GREEDYDATA", "NOTSPACE", "SYSLOGPROG", "URIPATHPARAM", "QS", "HOSTNAME", "SYSLOGBASE2"}
	rapid.Check(t, func(t *rapid.T) {
		piece := rapid.OneOf(
			rapid.SampledFrom([]string{" ", "a", "from ", "(?:", "(", ")", ")?", "|", "^", "$", `\[`, "[^ ]+", ".", "x*", "(?i)", "(b|c)+", "é", `\s+`}),
			rapid.Custom(func(t *rapid.T) string { return "%{" + rapid.SampledFrom(refs).Draw(t, "ref") + "}" }),
			rapid.Custom(func(t *rapid.T) string {
				return "%{" + rapid.SampledFrom(refs).Draw(t, "ref") + ":" + rapid.SampledFrom([]string{"a", "b", "pid"}).Draw(t, "field") + "}"
			}),
		)
		expr := strings.Join(rapid.SliceOfN(piece, 1, 8).Draw(t, "expr"), "")
		word := rapid.SampledFrom([]string{" ", "a", "from ", "192.0.2.1", "2001:db8::1", "x", "[12]", "sshd[7]:", "/a?b=c", `"q"`, "é", "\xff", "Feb 12 14:10:21 host", "bc"})
		text := strings.Join(rapid.SliceOfN(word, 0, 8).Draw(t, "text"), "")
		checkOracle(t, s, expr, text)
	})
}

func FuzzMatch(f *testing.F) {
	f.Add(`%{SYSLOGLINE}`, "Feb 12 14:10:21 host sshd[1]: Invalid user a from 192.0.2.1 port 1")
	f.Add(`%{COMBINEDAPACHELOG}`, `192.0.2.1 - - [12/Feb/2024:14:10:21 +0000] "GET / HTTP/1.1" 200 12 "-" "x"`)
	f.Add(`(a|%{INT:n})*%{DATA:d}$`, "a12a")
	s := NewSet()
	f.Fuzz(func(t *testing.T, expr, text string) {
		if len(expr) > 200 || len(text) > 1000 || strings.Contains(expr, "P<") || strings.ContainsAny(expr, `\[`) {
			return // the oracle's way of counting groups needs closed classes and escapes
		}
		checkOracle(t, s, expr, text)
	})
}
