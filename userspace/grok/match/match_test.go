package match

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

// pieces are what random expressions are made of.
var pieces = []string{
	"a", "b", "ab", "c", " ", "é", `\x{FFFD}`, "k", "s", "[ab]", "[^a]", "[^\"]", "[a-z]", "[0-9]", "[é-ü]", "[^é]", "[aé]", ".", "(?s:.)", `\d`, `\w`, `\s`, `\S`, `\W`, `\n`,
	`\b`, `\B`, "^", "$", `\A`, `\z`, "(?m:^)", "(?m:$)", "(?i:k)", "(?i:as)", "(?i:Ab)", "", "(?:)", "[0-9]{1,3}", "25[0-5]|2[0-4][0-9]|[01]?[0-9]{1,2}", `[^\x00-\x{10FFFF}]`,
	`(?:[ab]{1,2}\.)+[ab]`, `(?:a|ab|b:a)(?::b)?`, `\b(?:[ab]|[0-9]{2})(?:-?[0-9a])*\b`, `(?:[0-9a-b]{1,2}:){2}|a(?:b.)?`, `[ab:.]*`, `[ab.]+?`,
}

var suffixes = []string{"", "", "", "*", "+", "?", "*?", "+?", "??", "{2}", "{0,2}", "{1,3}?", "{2,}"}

var texts = []string{"a", "b", "ab", "aab", "c", " ", "  ", "é", "ü", "\xff", "\xc3", "\xa9", "\xe2\x82", "€", "\uFFFD", "k", "K", "\u212a", "s", "ſ", "S", "1", "25", "256", "\n", "\"", "_", "-", "", "ba", ".", ":", "a.b", "b:a", "ab:ab:", "a.a.a.", "12-1"}

func randomExpr(r *rand.Rand, depth int) string {
	var b strings.Builder
	for range 1 + r.IntN(4) {
		switch k := r.IntN(8); {
		case k == 0 && depth > 0:
			b.WriteString("(" + randomExpr(r, depth-1) + ")")
		case k == 1 && depth > 0:
			b.WriteString("(?:" + randomExpr(r, depth-1) + "|" + randomExpr(r, depth-1) + ")")
		case k == 2 && depth > 0:
			b.WriteString("(?:" + randomExpr(r, depth-1) + ")")
		default:
			b.WriteString("(?:" + pieces[r.IntN(len(pieces))] + ")")
		}
		b.WriteString(suffixes[r.IntN(len(suffixes))])
	}
	return b.String()
}

func randomText(r *rand.Rand) string {
	var b strings.Builder
	for range r.IntN(12) {
		b.WriteString(texts[r.IntN(len(texts))])
	}
	return b.String()
}

// someGroups picks a part of the groups of expr, in any order.
func someGroups(r *rand.Rand, expr string) []int {
	groups := []int{}
	re, err := regexp.Compile(expr)
	if err != nil {
		return groups
	}
	for _, g := range r.Perm(re.NumSubexp()) {
		if r.IntN(3) > 0 {
			groups = append(groups, g+1)
		}
	}
	return groups
}

// runRandom compares exprs expressions on texts texts each.
func runRandom(t *testing.T, r *rand.Rand, exprs, texts int, newExpr, newText func(r *rand.Rand) string) {
	t.Helper()
	var pairs, hits, exact, onePass int
	for range exprs {
		expr := newExpr(r)
		re, p, groups := compile(t, expr, someGroups(r, expr))
		if re == nil {
			continue // counted repeats of counted repeats
		}
		switch info := p.Info(); {
		case info.Exact:
			exact++
		case info.OnePass:
			onePass++
		}
		for range texts {
			pairs++
			if checkAgainst(t, re, p, groups, newText(r)) {
				hits++
			}
		}
		if t.Failed() {
			break
		}
	}
	t.Logf("%d expressions (%d in one pass, %d by the exact program only), %d pairs, %d matches", exprs, onePass, exact, pairs, hits)
	if hits == 0 || onePass == 0 {
		t.Error("the comparison says nothing")
	}
}

func TestRandomExpressionsMatchAsInTheStandardLibrary(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	runRandom(t, r, 1500, 25, func(r *rand.Rand) string { return randomExpr(r, 3) }, randomText)
}

// parts and units are few, so that expressions of loops over loops find much to go back to.
var (
	parts = []string{
		"a", "b", ":", `\.`, "[ab]", "[ab]+", "[a:]*", "[ab.]+?", ".*?", ".*", ".+", ".+?", "(?:a|ab)", "(?:a|ab|aba)", "(?:[ab]{1,2}[.:])+", "(?:ab?)+",
		`(?:[ab]{1,2}\.)+[ab]`, "(?:a|ab|b:a)(?::b)?", `\b(?:[ab]|[ab]{2})(?:[.:][ab])*`, "(?:a(?::b)*|a:b:b:a)", "(a)", "(b)?", "([ab]+)", "(?:é|[ab])", "[^a]*", "[^:]+",
		"(?:[ab]|:[ab.])*", "(?:[^:]|:a)*?", `(?:[ab]|\.|::)+`, "(?:[ab]|(a):)*", `"(?:[^:]|::)*"`, `(?:[b.]|(a))+?`,
	}
	units = []string{"a", "b", "ab", "a:", "b:a", ".", "a.", "aba", ":", "é", "\n", "a:b:"}
)

func randomLoops(r *rand.Rand, depth int) string {
	var b strings.Builder
	for range 1 + r.IntN(3) {
		switch k := r.IntN(7); {
		case k == 0 && depth > 0:
			b.WriteString("(?:" + randomLoops(r, depth-1) + "|" + randomLoops(r, depth-1) + ")")
		case k == 1 && depth > 0:
			b.WriteString("(?:" + randomLoops(r, depth-1) + "[ab:])" + []string{"*", "+", "*?", "+?"}[r.IntN(4)])
		case k == 2 && depth > 0:
			b.WriteString("(" + randomLoops(r, depth-1) + ")")
		default:
			b.WriteString(parts[r.IntN(len(parts))])
		}
	}
	return b.String()
}

func TestRandomLoopsMatchAsInTheStandardLibrary(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	runRandom(t, r, 3000, 12, func(r *rand.Rand) string { return randomLoops(r, 3) }, func(r *rand.Rand) string {
		var b strings.Builder
		for range r.IntN(25) {
			b.WriteString(units[r.IntN(len(units))])
		}
		return b.String()
	})
}
