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
}

var suffixes = []string{"", "", "", "*", "+", "?", "*?", "+?", "??", "{2}", "{0,2}", "{1,3}?", "{2,}"}

var texts = []string{"a", "b", "ab", "aab", "c", " ", "  ", "é", "ü", "\xff", "\xc3", "\xa9", "\xe2\x82", "€", "\uFFFD", "k", "K", "\u212a", "s", "ſ", "S", "1", "25", "256", "\n", "\"", "_", "-", "", "ba"}

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
	for range r.IntN(9) {
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

func TestRandomExpressionsMatchAsInTheStandardLibrary(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	exprs, pairs, hits := 0, 0, 0
	var tooHard, onePass int
	for exprs < 1500 && !t.Failed() {
		expr := randomExpr(r, 3)
		re, p, groups := compile(t, expr, someGroups(r, expr))
		if re == nil {
			continue // counted repeats of counted repeats
		}
		exprs++
		if p.fast == nil {
			tooHard++
		} else if p.fast.onePass {
			onePass++
		}
		for range 25 {
			pairs++
			if checkAgainst(t, re, p, groups, randomText(r)) {
				hits++
			}
		}
	}
	t.Logf("%d expressions (%d without going back, %d without a fast program), %d pairs, %d matches", exprs, onePass, tooHard, pairs, hits)
	if hits == 0 {
		t.Error("nothing ever matched: the comparison says nothing")
	}
}
