package exact

import (
	"math/rand/v2"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"testing"

	"gabion/userspace/grok/char"
)

// check compares both ways to search with the standard library and says whether text matched.
func check(t testing.TB, re *regexp.Regexp, e *Program, text string) bool {
	t.Helper()
	want := re.FindStringSubmatchIndex(text)
	slots := make([]int, 2*re.NumSubexp())
	m := Memory{slots: slots}
	for _, way := range []struct {
		name string
		run  func() bool
	}{
		{"noted", func() bool { return e.noted(&m, text) == matched }},
		{"lock step", func() bool { return e.lockStep(&m, text) }},
	} {
		ok := way.run()
		if ok != (want != nil) || ok && !slices.Equal(slots, want[2:]) {
			t.Errorf("%s: %q on %q = %v %v, want %v", way.name, re, text, ok, slots, want)
		}
	}
	return want != nil
}

// compile returns nil when expr is none.
func compile(t testing.TB, expr string) (*regexp.Regexp, *Program) {
	t.Helper()
	re, err := regexp.Compile(expr)
	if err != nil {
		return nil, nil
	}
	tree, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		t.Fatal(err)
	}
	slots := map[int]int{}
	for g := range re.NumSubexp() {
		slots[g+1] = g
	}
	e, err := New(tree, slots, char.NewClass)
	if err != nil {
		t.Fatal(err)
	}
	return re, e
}

func randomExpr(r *rand.Rand, depth int) string {
	atoms := []string{"a", "b", "é", "[ab]", "[^a]", ".", `\b`, "^", "$", "", `\x{FFFD}`, "(?i:k)", "(?s:.)", "(?m:$)"}
	suffixes := []string{"", "", "*", "+", "?", "*?", "+?", "??", "{1,3}"}
	var b strings.Builder
	for range 1 + r.IntN(4) {
		switch k := r.IntN(6); {
		case k == 0 && depth > 0:
			b.WriteString("(" + randomExpr(r, depth-1) + ")")
		case k == 1 && depth > 0:
			b.WriteString("(?:" + randomExpr(r, depth-1) + "|" + randomExpr(r, depth-1) + ")")
		default:
			b.WriteString("(?:" + atoms[r.IntN(len(atoms))] + ")")
		}
		b.WriteString(suffixes[r.IntN(len(suffixes))])
	}
	return b.String()
}

func TestSearchFindsWhatTheStandardLibraryFinds(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	units := []string{"a", "b", "é", "\xff", "\xc3", "k", "K", "\u212a", "\n", " "}
	exprs, pairs, hits := 0, 0, 0
	for exprs < 2000 && !t.Failed() {
		re, e := compile(t, randomExpr(r, 3))
		if re == nil {
			continue // counted repeats of counted repeats
		}
		exprs++
		for range 15 {
			var b strings.Builder
			for range r.IntN(10) {
				b.WriteString(units[r.IntN(len(units))])
			}
			pairs++
			if check(t, re, e, b.String()) {
				hits++
			}
		}
	}
	t.Logf("%d expressions, %d pairs, %d matches", exprs, pairs, hits)
	if hits == 0 {
		t.Error("nothing ever matched: the comparison says nothing")
	}
}

func TestWorkAndMemoryAreBounded(t *testing.T) {
	for _, expr := range []string{`(?:a+)+=`, `(a|ab|b)*=`, `(?:a?){50}=`, `(?:(a)|(b)|(.))*=`, `(.*)(.*)(.*)=`, `(?:a*)*=`} {
		re, e := compile(t, expr)
		for _, size := range []int{1 << 10, 1 << 16, 1 << 19} {
			text := strings.Repeat("ab", size/2)
			var m Memory
			_, steps := e.Search(&m, text, make([]int, 2*re.NumSubexp()))
			if limit := 4 * len(e.insts) * (len(text) + 1); steps > limit {
				t.Errorf("%q on %d bytes: %d steps, want at most %d", expr, size, steps, limit)
			}
			if cap(m.memo)*64 > 2*maxMemo || cap(m.jobs) > 2*maxJobs {
				t.Errorf("%q on %d bytes keeps %d bits and %d jobs, want at most %d and %d", expr, size, cap(m.memo)*64, cap(m.jobs), 2*maxMemo, 2*maxJobs)
			}
		}
	}
}

func FuzzSearch(f *testing.F) {
	f.Add(`(a*)*(b|(c*)+)*$`, "aab")
	f.Add(`(?i)(k+)[^é]*?$`, "KK\xff")
	f.Fuzz(func(t *testing.T, expr, text string) {
		if len(expr) > 100 || len(text) > 300 {
			return
		}
		re, e := compile(t, expr)
		if re == nil {
			return
		}
		check(t, re, e, text)
	})
}
