package exprlib

import (
	"strconv"
	"strings"
	"sync"
	"testing"
)

func TestRememberedCasesAreThoseOfTheText(t *testing.T) {
	upper := &cases{change: strings.ToUpper}
	texts := []string{"", "A", "a", "Aé", "ß", "ﬀ", "\xff", "ı", strings.Repeat("a", maxCased), strings.Repeat("a", maxCased+1)}
	for i := range 500 {
		texts = append(texts, "/path/"+strconv.Itoa(i%170)+"/index")
	}
	for range 2 {
		for _, s := range texts {
			if got := upper.of(s); got != strings.ToUpper(s) {
				t.Errorf("%.20q gives %.20q", s, got)
			}
		}
	}
	remembered := 0
	for i := range upper.slots {
		if upper.slots[i].Load() != nil {
			remembered++
		}
	}
	if remembered == 0 {
		t.Error("nothing is remembered")
	}
}

func TestCasesAreChangedConcurrently(t *testing.T) {
	lower := &cases{change: strings.ToLower}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 2000 {
				s := "A" + strconv.Itoa(i%300)
				if got := lower.of(s); got != strings.ToLower(s) {
					t.Errorf("%q gives %q", s, got)
				}
			}
		})
	}
	wg.Wait()
}
