package match

import (
	"fmt"
	"strings"
	"testing"
)

// worst is how many steps a match may take: the budget of the fast program, what it may do between
// two looks at it, and every instruction at every place twice, in each of the exact ways.
func (p *Program) worst(n int) int {
	steps := 4 * p.certain().Size() * (n + 1)
	if p.fast != nil {
		steps += budget(n) + notedBudget(n) + 4*(n+1)
	}
	return steps
}

func TestWorkIsLinearInTheText(t *testing.T) {
	exprs := []string{
		`(?:a*)*b`, `(?:a+)+b`, `(?:a|a)*b`, `(?:a|aa)+$`, `(a|ab|b)*c`, `(.*)(.*)(.*)(.*)=x`, `.*a.*b.*c.*d=`, `a.*?b.*?c.*?d=`,
		`(?:a+a+)+=`, `\S+@\S+\.=`, `(?:[0-9A-Za-z][0-9A-Za-z-]{0,62}\.)*=x`, `[0-9A-Za-z.]+ - =`, `(\w+\s?)+=`, `(?:a?){20}a{20}`, `(?:(?:a?)*b?)*c`,
		`(?:[0-9]{1,3}\.){3}[0-9]{1,3}:=`, `([^"]*)"([^"]*)" ([^"]*)=`, `(?i)(?:k|s|ſ)*=`, `(?:é|[^b])*=`, `\ba(?:\w*\b.)*=`, `(?:x|y|a(?:b|c|a)*)+=`,
	}
	texts := []string{"a", "ab", "a.", "a b ", "12.", "1.2.3.4 ", `"a" `, "kſ", "é", "\xff", "a@a.a", "aaaaaaaaaaaaaaaaab"}
	noted, undecided, largest := 0, 0, ""
	ratio := 0.0
	for _, expr := range exprs {
		_, p, _ := compile(t, expr, nil)
		for _, unit := range texts {
			for _, size := range []int{1 << 10, 64 << 10} {
				text := strings.Repeat(unit, size/len(unit)) + "\x01="
				var m Machine
				p.Match(text, &m)
				noted, undecided = noted+m.Noted(), undecided+m.repeats
				if limit := p.worst(len(text)); m.Steps() > limit {
					t.Errorf("%q on %d bytes of %q: %d steps, want at most %d", expr, len(text), unit, m.Steps(), limit)
				}
				if r := float64(m.Steps()) / float64(len(text)) / float64(p.certain().Size()); r > ratio {
					ratio, largest = r, fmt.Sprintf("%q on %q", expr, unit)
				}
			}
		}
	}
	t.Logf("most steps per byte and instruction: %.2f, %s; %d texts were noted, %d went to the exact program", ratio, largest, noted, undecided)
	if noted == 0 || undecided == 0 {
		t.Error("no text used up the budget: the test is not adversarial")
	}
}

func TestMemoryStaysBoundedOnLargeTexts(t *testing.T) {
	for _, expr := range []string{`(?:a+)+b`, `(a|ab|b)*c`, `(?:a?){50}=`, `(?:(a)|(b)|(.))*=`} {
		_, p, _ := compile(t, expr, nil)
		var m Machine
		p.Match(strings.Repeat("ab", 1<<19), &m)
		if n := cap(m.notes.tried) * 64; n > 2*maxNotes {
			t.Errorf("%q keeps %d bits, want at most %d", expr, n, 2*maxNotes)
		}
		if cap(m.stack) > 2*maxFrames {
			t.Errorf("%q keeps %d frames, want at most %d", expr, cap(m.stack), 2*maxFrames)
		}
	}
}

func TestMatchDoesNotAllocate(t *testing.T) {
	for _, expr := range []string{`(\w+) (\d+)`, `(?:(a)|(b)|(.))*=`, `(.*) (.*?)=(x*)`, `(?:a*)*b`} {
		_, p, _ := compile(t, expr, nil)
		var m Machine
		text := strings.Repeat("ab 12 ", 200) + "="
		p.Match(text, &m)
		if n := testing.AllocsPerRun(5, func() { p.Match(text, &m) }); n != 0 {
			t.Errorf("%q allocates %v times a match", expr, n)
		}
	}
}
