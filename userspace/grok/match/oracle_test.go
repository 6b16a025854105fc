package match

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"testing"
)

// engines are the ways a program can decide a text; each must agree with the standard library.
var engines = []struct {
	name string
	run  func(p *Program, text string, m *Machine) (ok, decided bool)
}{
	{"match", func(p *Program, text string, m *Machine) (bool, bool) { return p.Match(text, m), true }},
	{"literals", func(p *Program, text string, m *Machine) (bool, bool) { return false, !p.Possible(text) }},
	{"fast", func(p *Program, text string, m *Machine) (bool, bool) {
		m.prepare(p.slots)
		if p.fast == nil {
			return false, false
		}
		m.limit = 1 << 16
		out := p.fast.run(m, text)
		return out == matched, out != undecided
	}},
	{"fast with notes", func(p *Program, text string, m *Machine) (bool, bool) {
		m.prepare(p.slots)
		if p.fast == nil {
			return false, false
		}
		m.notes.start(p.fast.notes, len(text))
		m.limit = notedBudget(len(text))
		out := p.fast.run(m, text)
		return out == matched, out != undecided
	}},
	{"exact", func(p *Program, text string, m *Machine) (bool, bool) {
		m.prepare(p.slots)
		ok, _ := p.certain().Search(&m.exact, text, m.slots)
		return ok, true
	}},
}

// checkAgainst compares every engine with the standard library. It returns whether text matched.
func checkAgainst(t testing.TB, re *regexp.Regexp, p *Program, groups []int, text string) bool {
	t.Helper()
	loc := re.FindStringSubmatchIndex(text)
	var want []int
	for _, g := range groups {
		if loc != nil {
			want = append(want, loc[2*g], loc[2*g+1])
		}
	}
	for _, e := range engines {
		var m Machine
		ok, decided := e.run(p, text, &m)
		if !decided {
			continue
		}
		if ok != (loc != nil) {
			t.Errorf("%s: %q on %q: match = %v, want %v", e.name, re, text, ok, loc != nil)
			continue
		}
		if ok && !slices.Equal(m.slots, want) {
			t.Errorf("%s: %q on %q: groups = %v, want %v", e.name, re, text, m.slots, want)
		}
	}
	return loc != nil
}

func compile(t testing.TB, expr string, groups []int) (*regexp.Regexp, *Program, []int) {
	t.Helper()
	re, err := regexp.Compile(expr)
	if err != nil {
		return nil, nil, nil
	}
	tree, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		t.Fatal(err)
	}
	if groups == nil {
		for g := range re.NumSubexp() {
			groups = append(groups, g+1)
		}
	}
	return re, NewCompiler().compile(tree, expr, groups), groups
}

func TestMatchesAsInTheStandardLibrary(t *testing.T) {
	for _, tt := range []struct {
		name, expr string
		texts      []string
	}{
		{"alternatives in order", `(a|ab)(c|bcd)?`, []string{"abcd", "ac", "ab", "xabc"}},
		{"greedy and lazy", `(a*)(a*?)(a+)b`, []string{"aaab", "ab", "b", "aaa"}},
		{"empty loops", `(a*)*(b|(c*)+)*$`, []string{"", "aab", "ccb", "x", "abcabc"}},
		{"a lazy empty loop", `(a??)+?(b*?)*?c`, []string{"aabc", "c", "bc", "ab"}},
		{"flags", `(?i)straße (?-i:X)(?s:.)(?m:^y$)`, []string{"STRAßE X\ny", "straSSe X\ny", "straße x\ny", "ſtraße X\ny\nz"}},
		{"folds beyond ASCII", `(?i)([k-s]+)(ω|é)`, []string{"KſKΩ", "kÉ", "Kω", "klmΩ"}},
		{"invalid bytes are U+FFFD", "(\\x{FFFD}+)([^a]?)(.*)", []string{"\xff\xfe", "\uFFFD\xc3a", "\xe2\x82", "a\xc3\xa9\xa9"}},
		{"a class without U+FFFD", `([a-zé]+)([^é]*)`, []string{"aé\xc3\xa9\xff", "é\xc3", "\xc3é"}},
		{"starts inside of a character", `([^é])$`, []string{"é", "aé", "€", "\xa9", "\xc3", "é\xa9"}},
		{"surrogates match nothing", `a?\x{D800}|b`, []string{"\xed\xa0\x80", "a\uFFFD", "b"}},
		{"word boundaries", `\b(\w+)\b\B(.)\B`, []string{"ab  c", "a-b", "é a ", "_ "}},
		{"word boundaries in automata", `(?:\b(?:ab|a)\b|\B(?:cd|c)\B)-?`, []string{"ab-", "a", "xcdx", "cd", "acd_"}},
		{"lines", `(?m)^(a*)$\n?^(b*)$`, []string{"aa\nbb", "a\n\nb", "\n", "b\na\nb"}},
		{"anchors in the middle", `(a|^)(b|$)\z`, []string{"ab", "b", "a", "", "xb"}},
		{"counted repeats", `(?:(\d){2,3}){2}(x{3})?`, []string{"1234xxx", "12345", "123", "1234567xx"}},
		{"counts in automata", `(?:[0-9]{1,3}\.){3}[0-9]{1,3}(\.|:)`, []string{"192.0.2.1:", "1.2.3.4.5.", "1234.5.6.7:", "1.2.3:"}},
		{"a token with several ends", `([0-9a-f:]+(?::[0-9]+)?)(:[0-9]+)x`, []string{"a:1:2x", "a:1x", "1:2", "1:2:3:4x"}},
		{"a preferred end at the end", `from ((?:a|ab|abc)d?)`, []string{"from abcd", "from abd", "from a", "from x"}},
		{"a class in a loop runs", `"((?:[^"\\]|\\.)*)"( x)?`, []string{`"a\"b" x`, `"é\\" x`, `"a`, `""`, "\"\xff\\\xff\" x"}},
		{"a class in a loop that something else begins with", `(?:[ab]|a(:)|[^a]c)*(a?)`, []string{"aba:bc", "a:a", "éca", "ba"}},
		{"what can never match", `a[^\x00-\x{10FFFF}]|b`, []string{"a", "b", ""}},
		{"an empty expression", ``, []string{"", "a", "é"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			re, p, groups := compile(t, tt.expr, nil)
			if re == nil {
				t.Fatalf("%q is not an expression", tt.expr)
			}
			_, none, _ := compile(t, tt.expr, []int{})
			for _, text := range tt.texts {
				checkAgainst(t, re, p, groups, text)
				checkAgainst(t, re, none, nil, text)
			}
		})
	}
}

// FuzzMatch compares with the standard library on any expression and text. The first bit of mask
// stands for the first group: those with a set bit are asked for.
func FuzzMatch(f *testing.F) {
	f.Add(`(a|ab)(c|bcd)?`, "abcd", uint64(3))
	f.Add(`(?i)(k+)[^é]*?$`, "KK\xff", uint64(1))
	f.Add(`((?:25[0-5]|2[0-4]\d|1?\d{1,2})\.){3}(\d+):`, "192.0.2.1:80", uint64(2))
	f.Add(`(?m)^\b(.*?) (\S+)(?:x|y)*$`, "a b\nc dxy", uint64(3))
	f.Add(`(a*)*|(?s:.)+?\B`, "baab", uint64(1))
	f.Fuzz(func(t *testing.T, expr, text string, mask uint64) {
		if len(expr) > 100 || len(text) > 300 {
			return
		}
		re, err := regexp.Compile(expr)
		if err != nil {
			return
		}
		groups := []int{}
		for g := range min(re.NumSubexp(), 64) {
			if mask>>g&1 == 1 {
				groups = append(groups, g+1)
			}
		}
		_, p, _ := compile(t, expr, groups)
		checkAgainst(t, re, p, groups, text)
	})
}
