package tally

import (
	"strings"
	"testing"
)

func TestSkippedTestsAreNamedWithTheirReason(t *testing.T) {
	var out strings.Builder
	c := New(&out)
	err := c.Read(strings.NewReader(`{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:7: SKIPPED: needs root\n"}
{"Action":"skip","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestB"}
{"Action":"output","Package":"p","Test":"TestC","Output":"    c_test.go:9: got 1, want 2\n"}
{"Action":"fail","Package":"p","Test":"TestC"}
{"Action":"fail","Package":"p","Elapsed":0.5}
{"Action":"build-output","ImportPath":"q","Output":"q.go:1:1: broken\n"}
{"Action":"build-fail","ImportPath":"q"}
{"Action":"fail","Package":"q"}
`))
	if err != nil {
		t.Fatal(err)
	}
	c.Print("this machine")
	for _, want := range []string{"p TestA: needs root", "got 1, want 2", "q.go:1:1: broken", "not shown to work on this machine", "1 passed, 2 failed, 1 skipped"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("output lacks %q:\n%s", want, &out)
		}
	}
}

func TestWhatAnUnfinishedTestSaidIsShownWhenItsProgramDies(t *testing.T) {
	var out strings.Builder
	c := New(&out)
	err := c.Read(strings.NewReader(`{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"panic: index out of range\n"}
`))
	if err != nil {
		t.Fatal(err)
	}
	c.Fail("p: exit status 2")
	if got, want := out.String(), "panic: index out of range\np: exit status 2\n"; got != want {
		t.Errorf("output = %q, want %q", got, want)
	}
	if got := c.Counts(); got != "0 passed, 1 failed, 0 skipped" || c.Ran() != 1 {
		t.Errorf("counts = %s, %d ran; want one failure", got, c.Ran())
	}
}
