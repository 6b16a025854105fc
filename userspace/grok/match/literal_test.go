package match

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRequiredLiterals(t *testing.T) {
	for _, tt := range []struct {
		name, expr string
		want       []string
	}{
		{"neighbours are joined across groups", `user (?:in)to\d`, []string{"user into"}},
		{"optional text is not required", `a(?:b)?c`, []string{"a", "c"}},
		{"an alternative is not required", `x(?:foo|bar)y`, []string{"x", "y"}},
		{"repeated text is required once", `a(?:bc)+d`, []string{"a", "bc", "d"}},
		{"counted text is required when the count is not zero", `a(?:bc){0,3}(?:de){2}f`, []string{"a", "de", "f"}},
		{"anchors do not divide", `^ab\bcd$`, []string{"abcd"}},
		{"letters of any case are left out", `(?i)ab1-2`, []string{"1-2"}},
		{"the replacement character is left out", `a\x{FFFD}b`, []string{"a", "b"}},
		{"a surrogate is left out", `a\x{D800}b`, []string{"a", "b"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, p, _ := compile(t, tt.expr, nil)
			if diff := cmp.Diff(tt.want, p.literals); diff != "" {
				t.Errorf("literals (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheLongestLiteralsAreLookedFor(t *testing.T) {
	for _, tt := range []struct {
		name string
		all  []string
		want []string
	}{
		{"few are all looked for", []string{"a", "bc"}, []string{"a", "bc"}},
		{"of more the three longest, in order", []string{"a", "bcd", "e", "fghi", "jk", "l"}, []string{"bcd", "fghi", "jk"}},
		{"of equal ones the first", []string{"a", "bc", "d", "ef", "gh", "ij"}, []string{"bc", "ef", "gh"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, longest(tt.all)); diff != "" {
				t.Errorf("literals (-want +got):\n%s", diff)
			}
		})
	}
}
