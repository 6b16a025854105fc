package expr

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gabion/userspace/event"
)

func TestLookInto(t *testing.T) {
	for _, tt := range []struct{ name, src, want string }{
		{"fields", "evt.Meta.log_type == evt.Parsed['a b'] && evt.Enriched?.x != ''", "read Meta.log_type 0, read Parsed.a b 21, read Enriched.x 42"},
		{"nested values count by their first key", "evt.Unmarshaled.json.deep.er == 'x'", "read Unmarshaled.json 0"},
		{"labels", "evt.Line.Labels.type == 'x'", "read Labels.type 0"},
		{"events of the queue", "any(queue.Queue, {.Meta.a == '' || #.Parsed.b == ''}) && queue.Queue[-1].Meta.c == ''",
			"read Meta.a 18, read Parsed.b 35, read Meta.c 57, call any(-, -) 0"},
		{"methods", "evt.GetMeta('a') == '' && evt.SetMeta('b', 'x') && evt.SetParsed('c', evt.Meta.d)",
			"read Meta.a 0, read Meta.d 70, write Meta.b 26, write Parsed.c 51"},
		{"helpers", "File('a.txt')[0] == '' || UnmarshalJSON(evt.Line.Raw, evt.Unmarshaled, 'j') == ''",
			"write Unmarshaled.j 26, call File(a.txt) 0, call UnmarshalJSON(-, -, j) 26"},
		{"what is not of the event", "evt.Overflow.Alert.Meta[0].Key == '' && evt.Time.Hour() > 1", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := LookInto(tt.src)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, u := range l.Reads {
				got = append(got, fmt.Sprintf("read %s.%s %d", u.Set, u.Key, u.At))
			}
			for _, u := range l.Writes {
				got = append(got, fmt.Sprintf("write %s.%s %d", u.Set, u.Key, u.At))
			}
			for _, c := range l.Calls {
				var args []string
				for _, a := range c.Args {
					if a == nil {
						args = append(args, "-")
						continue
					}
					args = append(args, *a)
				}
				got = append(got, fmt.Sprintf("call %s(%s) %d", c.Name, strings.Join(args, ", "), c.At))
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, ", ")); diff != "" {
				t.Errorf("look (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDemandsGoOnBehindWhatMayFail(t *testing.T) {
	var got []string
	for _, d := range Demands("int(evt.Parsed.n) > 1 && evt.Meta.a in ['y', 'x'] && (evt.Meta.b == '1' || evt.Meta.b == '2')") {
		got = append(got, fmt.Sprintf("%s.%s %v %d", d.Map, d.Key, d.Values, d.At))
	}
	if diff := cmp.Diff([]string{"Meta.a [x y] 25", "Meta.b [1 2] 54"}, got); diff != "" {
		t.Errorf("demands (-want +got):\n%s", diff)
	}
}

func TestNever(t *testing.T) {
	for _, tt := range []struct{ src, want string }{
		{"evt.Meta.a == 'x' && evt.Meta.a == 'y'", `21 evt.Meta.a is "x" here, which is never "y"`},
		{"evt.Meta.a in ['x', 'y'] && evt.Meta.b == '' && evt.Meta['a'] in ['z']", `48 evt.Meta.a is "x" or "y" here, which is never "z"`},
		{"evt.Meta.a == 'x' && (evt.Meta.b == '1' || evt.Meta.b == '2') && evt.Meta.b == '3'", `65 evt.Meta.b is "1" or "2" here, which is never "3"`},
		{"evt.Meta.a == 'x' && (evt.Meta.b == 'y' && evt.Meta.a == 'z' || evt.Meta.a == 'w')", "22 evt.Meta.a is"},
		{"evt.Meta.a == 'x' && evt.Meta.a != 'x'", `21 evt.Meta.a is "x" here, so that this never holds: evt.Meta.a != "x"`},
		{"evt.Meta.a startsWith 'y' && evt.Meta.a == 'x'", `29 evt.Meta.a is "x" here, so that this never holds: evt.Meta.a startsWith "y"`},
		{"evt.Meta.a == 'x' && evt.Meta.a matches '^y'", "21 evt.Meta.a is"},
		{"evt.Meta.a == 'x' && not (evt.Meta.a in ['x', 'y'])", "21 evt.Meta.a is"},
		{"evt.Meta.a == 'x' && evt.Meta.a not in ['x', 'y']", "21 evt.Meta.a is"},
		{"len(queue.Queue) > 5 && len(queue.Queue) <= 5", "24 len(queue.Queue) <= 5 never holds: it is at least 6 here"},
		{"len(evt.Line.Raw) < 0", "0 len(evt.Line.Raw) < 0 never holds: it is not negative here"},
		{"int(evt.Meta.n) >= 7 && int(evt.Meta.n) == 3", "24 int(evt.Meta.n) == 3 never holds: it is at least 7 here"},
		{"Lower(evt.Meta.a) == 'ABC'", `0 Lower gives no capital letters, but "ABC" holds some`},
		{"Upper(evt.Meta.a) contains '/abc'", `0 Upper gives no small letters, but "/abc" holds some`},
		{"evt.Meta.a == 'x' && false", "21 false is never true"},

		{"evt.Meta.a == 'x' || evt.Meta.a == 'y' && evt.Meta.a == 'z'", ""},
		{"evt.Meta.a == 'x' && evt.Parsed.a == 'y'", ""},
		{"evt.Meta.a in ['x', 'y'] && evt.Meta.a != 'x' && evt.Meta.a matches 'y'", ""},
		{"not (Lower(evt.Meta.a) == 'ABC')", ""},
		{"Lower(evt.Meta.a) == 'abc' && Upper(evt.Meta.a) contains '/ABC'", ""},
		{"evt.Meta.a contains 'x' && not (evt.Meta.a contains 'y')", ""},
		{"int(evt.Meta.n) >= 7 && int(evt.Meta.n) <= 7 && int(evt.Meta.m) < 3", ""},
		{"not (evt.Meta.a == 'x' && evt.Meta.a == 'y')", ""},
		{"true", ""},
	} {
		t.Run(tt.src, func(t *testing.T) {
			c, never := Never(tt.src)
			got := fmt.Sprint(c.At, " ", c.Text)
			if never != (tt.want != "") || never && !strings.HasPrefix(got, tt.want) {
				t.Errorf("never %v, because %s; want %q", never, got, tt.want)
			}
		})
	}
}

func TestAtLeast(t *testing.T) {
	for _, tt := range []struct {
		src  string
		want int
		ok   bool
	}{
		{"len(queue.Queue) >= 5 && evt.Stage == ''", 5, true},
		{"len(queue.Queue) > 5 and len(queue.Queue) > 3", 6, true},
		{"len(queue.Queue) < 5", 0, true},
		{"len(queue.Queue) >= 5 || true", 0, false},
	} {
		if n, ok := AtLeast(tt.src, "len(queue.Queue)"); n != tt.want || ok != tt.ok {
			t.Errorf("%s: at least %d (%v), want %d (%v)", tt.src, n, ok, tt.want, tt.ok)
		}
	}
}

func TestOutcomes(t *testing.T) {
	for _, tt := range []struct{ src, want string }{
		{"'a'", "[a] [] true"},
		{"'a' + 'b'", "[ab] [] true"},
		{"'a_' + evt.Meta.x + 'b'", "[] [a_] true"},
		{"evt.Meta.x == '' ? 'a' : 'b_' + evt.Meta.y", "[a] [b_] true"},
		{"evt.Meta.x == '' ? 'a' : evt.Meta.y", "[a] [] false"},
		{"if evt.Stage == '' {'a'} else {'b'}", "[a b] [] true"},
		{"evt.Meta.x + 'a'", "[] [] false"},
		{"1 + 2", "[] [] false"},
	} {
		constants, beginnings, known := Outcomes(tt.src)
		if got := fmt.Sprint(constants, " ", beginnings, " ", known); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.src, got, tt.want)
		}
	}
}

// randomFilter writes an expression over two fields, of comparisons that Never knows and of some that
// it does not.
func randomFilter(r *rand.Rand, depth int) string {
	if depth > 0 && r.IntN(4) > 0 {
		left, right := randomFilter(r, depth-1), randomFilter(r, depth-1)
		switch r.IntN(5) {
		case 0:
			return "(" + left + " || " + right + ")"
		case 1:
			return "not (" + left + ")"
		}
		return left + " && " + right
	}
	field := "evt.Meta." + []string{"a", "b"}[r.IntN(2)]
	value := func() string { return []string{"''", "'x'", "'y'", "'xy'"}[r.IntN(4)] }
	switch r.IntN(6) {
	case 0:
		return field + " in [" + value() + ", " + value() + "]"
	case 1:
		return field + " not in [" + value() + "]"
	case 2:
		return "len(" + field + ") " + []string{"==", "<", "<=", ">", ">="}[r.IntN(5)] + " " + fmt.Sprint(r.IntN(3))
	case 3:
		return []string{"Upper(", "Lower("}[r.IntN(2)] + field + ") == " + []string{"'X'", "'x'"}[r.IntN(2)]
	}
	return field + " " + []string{"==", "!=", "startsWith", "endsWith", "contains", "matches"}[r.IntN(6)] + " " + value()
}

func TestNeverIsNeverWrong(t *testing.T) {
	lower := Function{Name: "Lower", Call: func(args ...any) (any, error) { return strings.ToLower(args[0].(string)), nil }, Types: []any{new(func(string) string)}}
	upper := Function{Name: "Upper", Call: func(args ...any) (any, error) { return strings.ToUpper(args[0].(string)), nil }, Types: []any{new(func(string) string)}}
	c := NewCompiler(lower, upper)
	r := rand.New(rand.NewPCG(1, 2))
	values := []string{"", "x", "y", "xy", "X", "z"}
	never := 0
	for range 3000 {
		src := randomFilter(r, 4)
		why, impossible := Never(src)
		if !impossible {
			continue
		}
		never++
		p, err := c.Compile(inFile(src), EnvEvent, Bool)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range values {
			for _, b := range values {
				evt := &event.Event{Meta: event.MakeFields("a", a, "b", b)}
				if holds, err := p.Bool(&Vars{Event: evt}); holds || err != nil {
					t.Fatalf("%s\nis said to be never true, because %s,\nbut is %v (%v) for a = %q and b = %q", src, why.Text, holds, err, a, b)
				}
			}
		}
	}
	if never < 300 {
		t.Errorf("only %d of the expressions are said to be never true: the test proves nothing", never)
	}
}

func TestWhatIsTooLongIsNotLookedInto(t *testing.T) {
	src := strings.Repeat("(", maxSource+1)
	if _, err := LookInto(src); err == nil {
		t.Error("no error")
	}
	if _, never := Never(src); never || len(Demands(src)) > 0 {
		t.Error("something was seen")
	}
}
