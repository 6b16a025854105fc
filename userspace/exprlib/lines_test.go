package exprlib

import (
	"strings"
	"testing"
	"testing/fstest"

	"gabion/userspace/expr"
)

func loadedLines(t *testing.T, content string) *Lib {
	t.Helper()
	l := New(Deps{Data: fstest.MapFS{"f": {Data: []byte(content)}}})
	if err := l.data.Load("f", "string"); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestASearchRelatesTextsToLines(t *testing.T) {
	l := loadedLines(t, "Ab\nxyz\nb\n")
	lower := func(line string) (string, bool) { return strings.ToLower(line), true }
	for _, tt := range []struct {
		how expr.Relation
		yes []string
		no  []string
	}{
		{expr.Equals, []string{"ab", "b"}, []string{"", "Ab", "abc", "yz"}},
		{expr.Contains, []string{"ab", "1xyz1", "b"}, []string{"", "A", "xy"}},
		{expr.HasPrefix, []string{"abc", "xyz", "b1"}, []string{"", "1b", "xy"}},
		{expr.HasSuffix, []string{"1ab", "xyz", "b"}, []string{"", "b1", "yz"}},
	} {
		s := l.withLines(expr.Function{}).Lines("f", tt.how, lower)
		for want, texts := range map[bool][]string{true: tt.yes, false: tt.no} {
			for _, text := range texts {
				if found, known := s.Find(text); found != want || !known {
					t.Errorf("relation %d: %q is found: %v, %v", tt.how, text, found, known)
				}
			}
		}
	}
}

func TestASearchWithoutLinesIsEmpty(t *testing.T) {
	l := New(Deps{Data: fstest.MapFS{"late": {Data: []byte("x")}}})
	s := l.withLines(expr.Function{}).Lines("late", expr.Contains, func(line string) (string, bool) { return line, true })
	if found, known := s.Find("x"); !s.Empty() || found || !known {
		t.Errorf("without a file: found %v, %v", found, known)
	}
	if err := l.data.Load("late", "string"); err != nil {
		t.Fatal(err)
	}
	if found, known := s.Find("x"); s.Empty() || !found || !known {
		t.Errorf("after the file was loaded: found %v, %v", found, known)
	}
}

func TestALineOfWhichNothingCanBeMadeIsLeftToTheWalk(t *testing.T) {
	l := loadedLines(t, "a\nb\n")
	s := l.withLines(expr.Function{}).Lines("f", expr.Equals, func(line string) (string, bool) { return line, line != "b" })
	if _, known := s.Find("a"); known {
		t.Error("the search says that it knows")
	}
}
