package plan

import (
	"strings"
	"testing"
)

func TestAMarkIsFoundBehindOutputWithoutANewline(t *testing.T) {
	var b strings.Builder
	b.WriteString("the last line of a test")
	if err := Mark(&b, "n1", End, "gabion/loader", "signal:\nkilled"); err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(b.String(), "\n")
	verb, rest, ok := ParseMark(lines[1], "n1")
	if !ok || verb != End || rest != "gabion/loader signal: killed" {
		t.Errorf("mark = %q, %q, %v in %q", verb, rest, ok, b.String())
	}
}

func TestOnlyALineWithTheNonceIsAMark(t *testing.T) {
	for _, line := range []string{"", "@n2 done\n", "@n1\n", " @n1 done\n", "@n1x done\n", "=== RUN   @n1 done\n"} {
		if verb, rest, ok := ParseMark(line, "n1"); ok {
			t.Errorf("%q is a mark: %q, %q", line, verb, rest)
		}
	}
}
