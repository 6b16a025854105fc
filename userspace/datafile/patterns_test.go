package datafile

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

func mustPatterns(t testing.TB, list ...string) *patterns {
	t.Helper()
	var compiled []*regexp.Regexp
	for _, s := range list {
		compiled = append(compiled, regexp.MustCompile(s))
	}
	return newPatterns(compiled)
}

func TestNeededWords(t *testing.T) {
	for _, tt := range []struct {
		pattern string
		want    []string
	}{
		{`\bMegaIndex.ru\b`, []string{"megaindex"}},
		{`^Mozilla/[0-9.]+ \(compatible`, []string{" (compatible"}},
		{`(?i)bot`, []string{"bot"}},
		{`(?i)ask`, []string{"a"}}, // the Kelvin sign is a k, the long s an s
		{`(?i)speaker`, []string{"pea"}},
		{`foo|barbar`, []string{"foo", "barbar"}},
		{`(foo|[a-z]+)x`, []string{"x"}},
		{`(abc)+|(de){2}`, []string{"abc", "de"}},
		{`a*b?`, nil},
		{`[a-z]+`, nil},
		{`x(abc)?`, []string{"x"}},
		{"a\uFFFDbc", []string{"bc"}}, // also matches a byte that is no UTF-8
		{`É`, []string{"É"}},
		{`(?i)É`, nil},
		{`(?i)É/bot`, []string{"/bot"}},
		{``, nil},
		{`(`, nil},
	} {
		if got := neededWords(tt.pattern); !slices.Equal(got, tt.want) {
			t.Errorf("%q needs %q, want %q", tt.pattern, got, tt.want)
		}
	}
}

func TestPatternsMatchAsOneByOne(t *testing.T) {
	p := mustPatterns(t, `\bGoodBot\b`, `(?i)sqlmap|nikto`, `^$`, `[0-9]{5}`, `\b/x`, `(?i)y/\b`)
	for text, want := range map[string]bool{
		"GoodBot/1.0": true, "goodbot/1.0": false, "xGoodBot GoodBot": true, "xGoodBot": false, "NIKTO": true,
		"SQLMAP/1": true, "": true, "a": false, "a12345": true, "a1234": false, "GoodBo": false,
		"GoodBotGoodBot GoodBot": true, "a/x": true, "/x": false, "Y/1": true, "y/": false, "y/.": false, "goodbotGOODBOT": false,
	} {
		for range 2 { // the second time from memory
			if got := p.match(text); got != want {
				t.Errorf("match(%q) = %v", text, got)
			}
		}
	}
}

func TestRememberedResultsAreBounded(t *testing.T) {
	p := mustPatterns(t, "x")
	for i := range 3 * rememberedTexts {
		p.match(strings.Repeat("a", i%7) + string(rune(i)))
	}
	if n := p.results.Len(); n > rememberedTexts {
		t.Errorf("%d results are remembered", n)
	}
}

func FuzzPatterns(f *testing.F) {
	f.Add(`\bab\b`+"\n(?i)sK\n[x-z]+a", "\u017f\u212a ab zA")
	f.Add("a\uFFFDb", "a\xffb")
	f.Add("\\bé\\b\n(?i)/a\\b\n\\b_", "xé éa /A_ _")
	f.Add("(foo|bar){2,}x?\n(?s).bot", "barfoo robot")
	f.Fuzz(func(t *testing.T, list, text string) {
		var compiled []*regexp.Regexp
		for line := range strings.Lines(list) {
			if re, err := regexp.Compile(strings.TrimSuffix(line, "\n")); err == nil && len(line) < 100 {
				compiled = append(compiled, re)
			}
		}
		want := slices.ContainsFunc(compiled, func(re *regexp.Regexp) bool { return re.MatchString(text) })
		if got := newPatterns(compiled).match(text); got != want {
			t.Errorf("%q in %q: %v, want %v", list, text, got, want)
		}
	})
}

func BenchmarkPatterns(b *testing.B) {
	var list []string
	for a := 'a'; a <= 'z'; a++ {
		for c := 'a'; c <= 'z'; c++ {
			list = append(list, `\b`+string(a)+"Bot"+string(c)+`Crawler\b`)
		}
	}
	p := mustPatterns(b, list...)
	agent := "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36"
	b.Run("remembered", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			p.match(agent)
		}
	})
	b.Run("new", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			p.search(agent)
		}
	})
	b.Run("one by one", func(b *testing.B) {
		for b.Loop() {
			if slices.ContainsFunc(p.list, func(re *regexp.Regexp) bool { return re.MatchString(agent) }) {
				b.Fatal("matches")
			}
		}
	})
}
