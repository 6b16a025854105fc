package yamlpos

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseSplitsDocuments(t *testing.T) {
	docs, err := Parse("f.yaml", []byte("\ufeff# head\n---\nname: a\n---\n# nothing\n---\n---\ntype: leaky\n"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range docs {
		got = append(got, fmt.Sprintf("%v %v %v", d.Pos(), d.Has("type"), d.File()))
	}
	if diff := cmp.Diff([]string{"f.yaml:3:1 false f.yaml", "f.yaml:8:1 true f.yaml"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestParsePlacesSyntaxErrors(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"bad indentation far below the mapping's start", "name: a\nfilter: b\nlist:\n  - x\n - y\n", "f.yaml:5: not YAML: did not find expected key"},
		{"missing colon", "name: a\nfilter\nx: y\n", "f.yaml:2: not YAML: could not find expected ':'"},
		{"unclosed quote", "a: b\nname: \"x\nc: d\n", "f.yaml:2: not YAML: found unexpected end of stream"},
		{"unclosed list", "a: [1,\nb: c\n", "f.yaml:2: not YAML: did not find expected ',' or ']'"},
		{"tab", "a:\n\tb: c\n", "f.yaml:2:1: tab in indentation: indent with spaces"},
		{"unknown anchor", "a: b\nc: *nope\n", `f.yaml:2:4: unknown anchor "nope"`},
		{"NUL byte", "a: b\nc: d\x00\n", "f.yaml:2: not YAML: control characters are not allowed"},
		{"not UTF-8", "a: b\nc: \xff\n", "f.yaml:2:4: text is not UTF-8"},
		{"anchor inside itself", "a: &x\n  b: *x\n", `f.yaml:2:6: anchor "x" contains itself`},
		{"deep nesting", strings.Repeat("[", 200) + strings.Repeat("]", 200), "f.yaml:1:66: nested deeper than 64 levels"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("f.yaml", []byte(tt.in))
			var errs Errors
			if !errors.As(err, &errs) {
				t.Fatalf("err = %v, want Errors", err)
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseReturnsDocumentsBeforeTheFault(t *testing.T) {
	docs, err := Parse("f.yaml", []byte("name: a\n---\nb: [\n"))
	if err == nil || len(docs) != 1 {
		t.Errorf("got %d documents, %v", len(docs), err)
	}
}

func TestParseBoundsAliasExpansion(t *testing.T) {
	var b strings.Builder
	b.WriteString("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n")
	for i := 1; i < 12; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 10), ","))
	}
	_, err := Parse("f.yaml", []byte(b.String()))
	if err == nil || err.Error() != "f.yaml:1:1: aliases expand to more than 100000 values" {
		t.Errorf("err = %v", err)
	}
}

func TestItemsAreTheValuesOfAListOrTheValueItself(t *testing.T) {
	for _, tt := range []struct {
		text string
		want []string // positions
	}{
		{"k: [a, b]", []string{"f.yaml:1:5", "f.yaml:1:8"}},
		{"k: a", []string{"f.yaml:1:4"}},
		{"k: {a: b}", []string{"f.yaml:1:4"}},
		{"k: [~]", []string{"f.yaml:1:5"}},
		{"k: []", nil},
		{"k: ~", nil},
		{"j: &x [a]\nk: *x", []string{"f.yaml:1:8"}},
	} {
		t.Run(tt.text, func(t *testing.T) {
			var v struct {
				J any
				K *Document
			}
			if err := DecodeFile("f.yaml", []byte(tt.text), &v); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range v.K.Items() {
				got = append(got, d.Pos().String())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("positions differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseBoundsSize(t *testing.T) {
	_, err := Parse("f.yaml", []byte(strings.Repeat(" ", maxBytes+1)))
	if err == nil || err.Error() != "f.yaml: file is larger than 2 MiB" {
		t.Errorf("err = %v", err)
	}
}

func TestErrorsUnwrapAndCollect(t *testing.T) {
	pos := Position{"f.yaml", 3, 4}
	var errs Errors
	errs.Add(pos, nil)
	errs.Add(pos, errors.New("plain"))
	errs.Add(pos, fmt.Errorf("wrapped: %w", Position{"f.yaml", 1, 0}.Errorf("one")))
	errs.Add(pos, Errors{Position{"e.yaml", 9, 9}.Errorf("two")})
	want := "e.yaml:9:9: two\nf.yaml:1: one\nf.yaml:3:4: plain"
	err := errs.Err()
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Error(diff)
	}
	var one *Error
	if !errors.As(err, &one) || one.Msg != "two" {
		t.Errorf("errors.As found %v", one)
	}
	if Errors(nil).Err() != nil {
		t.Error("no faults are an error")
	}
}
