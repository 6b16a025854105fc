package lint

import (
	"math/rand/v2"
	"regexp"
	"regexp/syntax"
	"testing"
)

// randomPattern writes a regular expression over a and b.
func randomPattern(r *rand.Rand, depth int) string {
	out := ""
	for range 1 + r.IntN(3) {
		piece := []string{"a", "b", "ab", ".", "[ab]", "^", "$", `[^\x00-\x{10FFFF}]`, "b"}[r.IntN(9)]
		if depth > 0 && r.IntN(3) == 0 {
			piece = "(" + randomPattern(r, depth-1) + "|" + randomPattern(r, depth-1) + ")"
		}
		out += piece + []string{"", "", "", "*", "+", "?", "{2}"}[r.IntN(7)]
	}
	return out
}

// texts are all texts of a and b up to five letters.
func texts() []string {
	out := []string{""}
	for i := 0; len(out[i]) < 5; i++ {
		out = append(out, out[i]+"a", out[i]+"b")
	}
	return out
}

func TestAPatternThatCannotMatchMatchesNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	all, found := texts(), 0
	for range 5000 {
		source := randomPattern(r, 2)
		tree, err := syntax.Parse(source, syntax.Perl)
		if err != nil || cannotMatch(tree) == "" {
			continue
		}
		found++
		re := regexp.MustCompile(source)
		for _, text := range all {
			if re.MatchString(text) {
				t.Fatalf("%s is said to match nothing, and matches %q", source, text)
			}
		}
	}
	if found < 500 {
		t.Errorf("only %d patterns are said to match nothing: the test proves nothing", found)
	}
}

func TestAPatternThatCoversAnotherMatchesWhatItMatches(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	all, found := texts(), 0
	for range 20000 {
		a, b := randomPattern(r, 1), randomPattern(r, 1)
		if r.IntN(2) == 0 {
			b = randomPattern(r, 0) + "(" + a + ")" + randomPattern(r, 0)
		}
		earlier, errA := syntax.Parse(a, syntax.Perl)
		later, errB := syntax.Parse(b, syntax.Perl)
		if errA != nil || errB != nil || !covers(earlier, later) {
			continue
		}
		found++
		x, y := regexp.MustCompile(a), regexp.MustCompile(b)
		for _, text := range all {
			if y.MatchString(text) && !x.MatchString(text) {
				t.Fatalf("%s is said to match whatever %s matches, but not %q", a, b, text)
			}
		}
	}
	if found < 500 {
		t.Errorf("only %d pairs: the test proves nothing", found)
	}
}
