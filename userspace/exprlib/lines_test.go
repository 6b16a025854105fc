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

func TestASearchOfRangesSaysWhatIpInRangeSays(t *testing.T) {
	nets := []string{
		"192.0.2.0/24", "198.51.100.7/32", "203.0.113.77/25", "::ffff:198.51.100.128/121", "2001:db8::/33", "2001:db8:8000::1/128", "192.0.2.9", "nonsense", "10.0.0.0/33",
	}
	s := loadedLines(t, strings.Join(nets, "\n")).withLines(expr.Function{}).Lines("f", expr.Within, func(line string) (string, bool) { return line, true })
	yes := 0
	for _, ip := range []string{
		"192.0.2.1", "192.0.3.1", "198.51.100.7", "198.51.100.8", "198.51.100.200", "203.0.113.1", "203.0.113.200", "::ffff:192.0.2.1", "2001:db8::1",
		"2001:db8:7fff::1", "2001:db8:8000::1", "2001:db8:8000::2", "2001:db8::1%eth0", "::", "0.0.0.0", "", "text", "192.0.2.1/32",
	} {
		want := false
		for _, net := range nets {
			want = want || inRange(net)(ip)
		}
		if want {
			yes++
		}
		if found, known := s.Find(ip); found != want || !known {
			t.Errorf("%q is found: %v, %v; want %v", ip, found, known, want)
		}
	}
	if yes < 7 {
		t.Errorf("only %d addresses are in a range: the test proves little", yes)
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
