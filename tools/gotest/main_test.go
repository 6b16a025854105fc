package main

import (
	"strings"
	"testing"
)

func TestSkippedTestsAreNamedWithTheirReason(t *testing.T) {
	var out strings.Builder
	s := newSummary(&out)
	err := s.read(strings.NewReader(`{"Action":"run","Package":"p","Test":"TestA"}
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
	s.print()
	for _, want := range []string{"p TestA: needs root", "got 1, want 2", "q.go:1:1: broken", "1 passed, 2 failed, 1 skipped"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("output lacks %q:\n%s", want, &out)
		}
	}
}
