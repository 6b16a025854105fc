package automaton

import (
	"regexp"
	"regexp/syntax"
	"testing"

	"gabion/userspace/grok/char"
)

func mustParse(t *testing.T, expr string) *syntax.Regexp {
	t.Helper()
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		t.Fatal(err)
	}
	return re
}

// ends returns where matches of a that begin at i may end.
func ends(a *Automaton, text string, i int) []int {
	var out []int
	for s := a.Start(text, i); s != 0; i++ {
		if a.MayAccept(s) && a.Accepts(s, text, i) {
			out = append(out, i)
		}
		if i == len(text) {
			break
		}
		s = a.Next(s, text[i])
	}
	return out
}

func TestAutomataEndWhereMatchesMay(t *testing.T) {
	for _, tt := range []struct{ expr, text string }{
		{`a|ab|abc`, "abcd"}, {`(?:a|ab)(?:c|bcd)?`, "abcd"}, {`[0-9]{1,3}`, "12345"}, {`\b\w+\b`, "ab cd"}, {`(?:a*)*`, "aab"}, {`a*?b??`, "aab"},
		{`\Ba+`, "aa"}, {`(?:25[0-5]|2[0-4][0-9]|[01]?[0-9]{1,2})`, "256"}, {`(?i)ab`, "aB"}, {`(?:ab?)+\b`, "aba ab"}, {``, "a"}, {`[^\x00-\x{10FFFF}]`, "a"},
	} {
		every, first := New(mustParse(t, tt.expr), false), New(mustParse(t, tt.expr), true)
		if every == nil || first == nil {
			t.Fatalf("%q should be an automaton", tt.expr)
		}
		for i := range len(tt.text) + 1 {
			could := map[int]bool{}
			for _, end := range ends(every, tt.text, i) {
				could[end] = true
			}
			for end := i; end <= len(tt.text); end++ {
				// The words around the part that is matched count, so the whole text is looked at.
				re := regexp.MustCompile(`^(?s:.{` + itoa(i) + `})(?:` + tt.expr + `)(?s:.{` + itoa(len(tt.text)-end) + `})$`)
				if want := re.MatchString(tt.text); could[end] != want {
					t.Errorf("%q on %q may end %d to %d = %v, want %v", tt.expr, tt.text, i, end, could[end], want)
				}
			}
			want := regexp.MustCompile(`^(?s:.{` + itoa(i) + `})(` + tt.expr + `)`).FindStringSubmatchIndex(tt.text)
			preferred := ends(first, tt.text, i)
			if (want != nil) != (len(preferred) > 0) || want != nil && preferred[len(preferred)-1] != want[3] {
				t.Errorf("%q on %q from %d: preferred end is the last of %v, want %v", tt.expr, tt.text, i, preferred, want)
			}
		}
	}
}

func itoa(i int) string { return string(rune('0' + i)) }

func TestWhatIsNoAutomaton(t *testing.T) {
	for _, expr := range []string{`é`, `.`, `[^a]`, `^a`, `a$`, `(?i)k`, `\x{FFFD}`} {
		if re := mustParse(t, expr); Regular(re) || New(re, false) != nil {
			t.Errorf("%q should not be an automaton: regular = %v", expr, Regular(re))
		}
	}
	if New(mustParse(t, `[ab]*a[ab]{20}`), false) != nil {
		t.Error("an automaton of a million states should be refused")
	}
}

func TestEndsOnce(t *testing.T) {
	digits := New(mustParse(t, `[0-9]+(?:\.[0-9]+)?`), false)
	for _, tt := range []struct {
		following string
		want      bool
	}{{" ", true}, {"-:", true}, {".", false}, {"x0", false}, {"", true}} {
		var set char.Bytes
		for _, b := range []byte(tt.following) {
			set[b] = true
		}
		if got := digits.EndsOnce(&set); got != tt.want {
			t.Errorf("before one of %q a number ends once = %v, want %v", tt.following, got, tt.want)
		}
	}
}

func TestKeysTellExpressionsApart(t *testing.T) {
	seen := map[string]string{}
	for _, expr := range []string{`a`, `b`, `ab`, `a|b|cd`, `a*`, `a*?`, `a+`, `a?`, `a{2}`, `a{2,}`, `a{2,3}`, `(?i)a`, `[a-c]`, `[abd]`, `(?:ab)*`, `\b`, `\B`} {
		key := string(AppendKey(nil, mustParse(t, expr)))
		if other, ok := seen[key]; ok {
			t.Errorf("%q and %q have one key", expr, other)
		}
		seen[key] = expr
	}
	if string(AppendKey(nil, mustParse(t, `(a(?P<x>b*))`))) != string(AppendKey(nil, mustParse(t, `ab*`))) {
		t.Error("groups should not tell expressions apart")
	}
}
