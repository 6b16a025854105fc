package char

import (
	"math/rand/v2"
	"regexp"
	"regexp/syntax"
	"testing"
	"unicode/utf8"
)

func TestClassesHoldWhatTheStandardLibraryMatches(t *testing.T) {
	samples := []rune{0, 'a', 'K', 'k', 's', '\n', '"', 0x7f, 0x80, 'é', 'É', 'ſ', 0x212a, utf8.RuneError, 0xffff, 0x10000, utf8.MaxRune}
	for _, expr := range []string{`a`, `(?i)k`, `(?i)s`, `(?i)é`, `[^a]`, `[a-zé]`, `[^é]`, `.`, `(?s:.)`, `\w`, `\S`, `\x{FFFD}`, `[^\x00-\x{10FFFF}]`, `[\x80-\x{10FFFF}]`} {
		re, err := syntax.Parse(expr, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		ranges, ok := Single(re)
		if !ok {
			t.Fatalf("%q should be one character", expr)
		}
		c, all := NewClass(ranges), regexp.MustCompile(`^(?:`+expr+`)$`)
		for _, r := range samples {
			want := all.MatchString(string(r))
			if got := c.Has(r); got != want {
				t.Errorf("%q has %U = %v, want %v", expr, r, got, want)
			}
			if first := string(r)[0]; c.ByBytes() && c.Bytes[first] != want {
				t.Errorf("%q by the first byte of %U = %v, want %v", expr, r, c.Bytes[first], want)
			}
		}
	}
}

func TestExcluded(t *testing.T) {
	for _, tt := range []struct {
		expr string
		want int
	}{{`[^"]`, '"'}, {`.`, '\n'}, {`(?s:.)`, -1}, {`[^ab]`, -1}, {`a`, -1}} {
		re, err := syntax.Parse(tt.expr, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		ranges, _ := Single(re)
		if got := NewClass(ranges).Excluded(); got != tt.want {
			t.Errorf("%q excludes %d, want %d", tt.expr, got, tt.want)
		}
	}
}

func TestBoundariesAreWhereReadingFromTheStartComesTo(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	const bytes = "a\x80\xa9\xbf\xc3\xe2\x82\xac\xed\xa0\xf0\x9f\x98\x80\xff"
	for range 20_000 {
		text := make([]byte, r.IntN(12))
		for i := range text {
			text[i] = bytes[r.IntN(len(bytes))]
		}
		s := string(text)
		want := map[int]bool{len(s): true}
		for i := range s {
			want[i] = true
		}
		for i := range len(s) + 1 {
			if got := Boundary(s, i); got != want[i] {
				t.Fatalf("a character of %q begins at %d = %v, want %v", s, i, got, want[i])
			}
		}
	}
}

func TestAssertionsHoldAsInTheStandardLibrary(t *testing.T) {
	const text = "ab é\n_ \n"
	for expr, flags := range map[string]syntax.EmptyOp{
		`\A`: syntax.EmptyBeginText, `\z`: syntax.EmptyEndText, `(?m:^)`: syntax.EmptyBeginLine, `(?m:$)`: syntax.EmptyEndLine,
		`\b`: syntax.EmptyWordBoundary, `\B`: syntax.EmptyNoWordBoundary, `\b(?m:^)`: syntax.EmptyWordBoundary | syntax.EmptyBeginLine,
	} {
		want := map[int]bool{}
		for _, loc := range regexp.MustCompile(expr).FindAllStringIndex(text, -1) {
			want[loc[0]] = true
		}
		for i := range text { // the library looks at the starts of characters only
			if got := Holds(flags, text, i); got != want[i] {
				t.Errorf("%s at %d of %q = %v, want %v", expr, i, text, got, want[i])
			}
		}
	}
}
