package yamlpos

import (
	"strings"
	"testing"
)

// TestTextFindsItsCharacters puts a mark @ into scalars of every style; its place in the file is
// known without the code under test.
func TestTextFindsItsCharacters(t *testing.T) {
	for _, tt := range []struct{ name, in string }{
		{"plain", "filter: abc @def\n"},
		{"plain at the start", "filter: x@\n"},
		{"plain over several lines", "filter: abc\n   def\n\n\n   ghi @\n"},
		{"single quoted", "filter: 'it''s ''quoted'' @'\n"},
		{"single quoted over lines", "filter: 'a\n  b''\n\n   c @ d'\n"},
		{"double quoted", `filter: "a\t\x41\u00e9\U0001F600\"\\ @"` + "\n"},
		{"double quoted over lines", "filter: \"a \\\n   b\n\n   \\  c @\"\n"},
		{"literal", "filter: |\n  first line\n  second @\n"},
		{"literal with comment and indentation indicator", "filter: |2- # comment\n    first\n  second\n\n      third @\n"},
		{"literal with blank first lines", "filter: |\n\n\n  x @\n"},
		{"folded", "filter: >-\n  first\n  second\n\n  third\n    more @\n  last\n"},
		{"anchored and tagged", "filter: &a !!str 'x @'\n"},
		{"tag on the line above", "filter: !!str\n  x @\n"},
		{"characters of several bytes", "filter: 'äöü€😀 @'\n"},
		{"in a flow mapping", "{filter: \"x @\", name: y}\n"},
		{"Windows line ends", "name: x\r\nfilter: |\r\n  a\r\n  b @\r\n"},
		{"characters beyond ASCII in a block", "filter: |\n  é\n  äö @\n"},
		{"alias", "name: &x 'a @'\nfilter: *x\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := mustDecode(t, tt.in)
			before := tt.in[:strings.Index(tt.in, "@")]
			line := strings.Count(before, "\n") + 1
			column := len([]rune(before[strings.LastIndex(before, "\n")+1:])) + 1
			got := s.Filter.At(strings.Index(s.Filter.Text, "@"))
			if got.Line != line || got.Column != column {
				t.Errorf("At(@) = %v, want line %d column %d", got, line, column)
			}
		})
	}
}

func TestTextPositionIsItsFirstCharacter(t *testing.T) {
	for _, tt := range []struct {
		name, in     string
		line, column int
	}{
		{"plain", "filter: abc\n", 1, 9},
		{"quoted", "filter: 'abc'\n", 1, 10},
		{"block", "filter: |\n  abc\n", 2, 3},
		{"empty quoted", "filter: ''\n", 1, 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := mustDecode(t, tt.in).Filter.Pos; got.Line != tt.line || got.Column != tt.column {
				t.Errorf("Pos = %v, want %d:%d", got, tt.line, tt.column)
			}
		})
	}
}

func TestTextThatIsNullIsNotSet(t *testing.T) {
	s := mustDecode(t, "filter:\nname: x\n")
	if s.Filter.Set || s.Filter.Pos.Line != 1 {
		t.Errorf("got %+v", s.Filter)
	}
}

func TestTextOutsideAFileKeepsItsPosition(t *testing.T) {
	text := Text{Text: "x", Pos: Position{"command line", 0, 0}}
	if got := text.Errorf(1, "bad").Error(); got != "command line: bad" {
		t.Errorf("got %q", got)
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		"name: a\nfilter: |\n  x\n   y\n", "a: &a [*a]\n", "<<: {a: 1}\n", "filter: \"\\x41 \\\n b\"\n", "- {a: b}\n--- !!str\n", "filter: >\n a\n\n b\n",
		"? a\n: b\n", "labels: {a: [1, yes, ~]}\r\nplain: {a: b}\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		docs, _ := Parse("f.yaml", data)
		for _, d := range docs {
			var s sample
			_ = d.Decode(&s)
			if s.Filter.Pos.Line == 0 {
				continue
			}
			for i := 0; i <= len(s.Filter.Text); i++ {
				if p := s.Filter.At(i); p.File != "f.yaml" || p.Line < 1 {
					t.Fatalf("At(%d) = %v in %q", i, p, s.Filter.Text)
				}
			}
			var x any
			_ = d.Decode(&x)
		}
	})
}
