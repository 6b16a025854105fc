package exprlib

import (
	"bytes"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gabion/userspace/event"
	"gabion/userspace/expr"
	"gabion/userspace/yamlpos"
)

func testNow() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// fakeHistory counts one decision per hour since the given time, up to ten.
type fakeHistory struct{}

func (fakeHistory) Decisions(value string, since time.Time) int {
	if value != "192.0.2.1" {
		return 0
	}
	return int(min(testNow().Sub(since)/time.Hour, 10))
}

func testLib(t *testing.T) *Lib {
	t.Helper()
	l := New(Deps{History: fakeHistory{}, Now: testNow, Data: fstest.MapFS{
		"agents.txt": {Data: []byte("# bad agents\nnikto \n\nsqlmap\r\n")},
		"paths.txt":  {Data: []byte("^/\\.git/\n(\n\\.php$\n")},
		"bots.json":  {Data: []byte(`{"pattern":"goodbot","tag":"good","type":"equals"}` + "\n" + `{"pattern":"bot","tag":"bot","type":"contains"}` + "\n" + `{"pattern":"^x+$","tag":"x","type":"regex"}` + "\n")},
	}})
	for _, f := range [][2]string{{"agents.txt", "string"}, {"bots.json", "map"}} {
		if err := l.data.Load(f[0], f[1]); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

func compileIn(l *Lib, src string) (*expr.Program, error) {
	text := yamlpos.Text{Text: src, Pos: yamlpos.Position{File: "f.yaml", Line: 1, Column: 1}, Set: true}
	return expr.NewCompiler(l.Functions()...).Compile(text, expr.EnvEvent, expr.Any)
}

func eval(t *testing.T, l *Lib, evt *event.Event, src string) (any, error) {
	t.Helper()
	p, err := compileIn(l, src)
	if err != nil {
		t.Fatalf("compile: %v", err)
	}
	return p.Value(&expr.Vars{Event: evt})
}

type helperTest struct {
	src  string
	want any
}

func runHelperTests(t *testing.T, tests []helperTest) {
	t.Helper()
	l := testLib(t)
	for _, tt := range tests {
		t.Run(tt.src, func(t *testing.T) {
			got, err := eval(t, l, &event.Event{}, tt.src)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTextHelpers(t *testing.T) {
	runHelperTests(t, []helperTest{
		{`Upper('aé') + Lower('BÉ')`, "AÉbé"},
		{`Split('a,b', ',')`, []string{"a", "b"}},
		{`SplitN('a,b,c', ',', 2)`, []string{"a", "b,c"}},
		{`SplitAfter('a,b', ',')`, []string{"a,", "b"}},
		{`SplitAfterN('a,b,c', ',', 2)`, []string{"a,", "b,c"}},
		{`Fields(' a  b ')`, []string{"a", "b"}},
		{`Join(Split('a,b', ','), '-')`, "a-b"},
		{`Get(Split('a,b', ','), 1) + Get(Split('a,b', ','), 2)`, "b"},
		{`TrimSpace(' a ') + Trim('xax', 'x') + TrimLeft('xax', 'x') + TrimRight('xax', 'x')`, "aaaxxa"},
		{`TrimPrefix('abc', 'a') + TrimSuffix('abc', 'c')`, "bcab"},
		{`Replace('aaa', 'a', 'b', 2) + ReplaceAll('aaa', 'a', 'b')`, "bbabbb"},
		{`Index('abc', 'c') + IndexAny('abc', 'xb')`, 3},
		{`ToString('a') + ToString(1)`, "a"},
		{`Sprintf('%s-%d-%5.1f%%', 'a', 7, 2.25)`, "a-7-  2.2%"},
		{`LogInfo('seen %s', 'x')`, true},
		{`Distinct(Split('a,b,a', ','))`, []any{"a", "b"}},
		{`Distinct('a')`, []any(nil)},
		{`Flatten([1, [2, [3]]], 4)`, []any{1, 2, 3, 4}},
		{`FlattenDistinct([1, [2, [1]]], 2)`, []any{1, 2}},
		{`KeyExists('a', {'a': 1}) && !KeyExists('b', {'a': 1})`, true},
	})
}

func TestMatchComparesGlobs(t *testing.T) {
	for _, tt := range []struct {
		pattern, text string
		want          bool
	}{
		{"", "", true},
		{"", "a", false},
		{"*", "", true},
		{"*", "abc", true},
		{"?", "", false},
		{"a?c", "abc", true},
		{"a?c", "ac", false},
		{"a*c", "ac", true},
		{"a*c", "abd", false},
		{"a*a", "a", false},
		{"*b*", "abc", true},
		{"*b?d*", "xbxbcdx", true},
		{"*.exe", "C:\\x.exe", true},
		{"*.EXE", "x.exe", false},
		{"a*b*c", "a-b-b-c", true},
		{"a*b*c", "a-c-b", false},
		{"?", "é", false},
		{"[a]", "a", false},
	} {
		if got := match(tt.pattern, tt.text); got != tt.want {
			t.Errorf("match(%q, %q) = %v", tt.pattern, tt.text, got)
		}
	}
	if match(strings.Repeat("*a", 1000)+"b", strings.Repeat("a", 100_000)) {
		t.Error("many stars match what they should not")
	}
}

func TestEncodingHelpers(t *testing.T) {
	runHelperTests(t, []helperTest{
		{`PathUnescape('a%20b+c') + PathUnescape('a%2')`, "a b+ca%2"},
		{`QueryUnescape('a%20b+c') + QueryUnescape('%zz+')`, "a b c%zz+"},
		{`PathEscape('a b/c') + QueryEscape('a b')`, "a%20b%2Fca+b"},
		{`B64Decode('YWI=')`, "ab"},
		{`ParseUri('/x?a=1&a=2').a`, []string{"1", "2"}},
		{`len(ParseUri('/x?a=1;b=2'))`, 0},
		{`ParseQuery('a=%zz;x&b=c+d&e')`, url.Values{"a": {"%zz;x"}, "b": {"c d"}, "e": {""}}},
		{`ExtractQueryParam('/x?a=1&b=%41&b=2', 'b')`, []string{"A", "2"}},
		{`ExtractQueryParam('/x', 'b')`, []string{}},
	})
}

func TestNumberAndTimeHelpers(t *testing.T) {
	runHelperTests(t, []helperTest{
		{`Atof('1.5') + Atof('x')`, 1.5},
		{`FloatApproxEqual(0.1 + 0.2, 0.3)`, true},
		{`int(Distance('51.45', '1.15', '45.04', '38.7')) in 2800..2820`, false},
		{`int(Distance('0', '0.0', '45', '3'))`, 0},
		{`int(Distance('90', '0', '-90', '0'))`, 20015},
		{`AverageInterval([date('2026-01-01T00:00:10Z'), date('2026-01-01T00:00:00Z'), date('2026-01-01T00:00:40Z')]).Seconds()`, 20.0},
		{`MedianInterval([date('2026-01-01T00:00:10Z'), date('2026-01-01T00:00:00Z'), date('2026-01-01T00:00:40Z'), date('2026-01-01T00:00:42Z')]).Seconds()`, 10.0},
		{`MedianInterval(map([0, 2, 8], date('2026-01-01T00:00:00Z').Add(duration(string(#) + 's')))) < duration('5s')`, true},
		{`TimeNow()`, "2026-03-01T12:00:00Z"},
		{`ParseUnix('1416292204.061643') + ParseUnix('-1') + ParseUnix('x')`, "2014-11-18T06:30:04Z"},
		{`GetDecisionsCount('192.0.2.1')`, 10},
		{`GetDecisionsSinceCount('192.0.2.1', '3h') + GetDecisionsSinceCount('192.0.2.1', '1x')`, 3},
	})
}

func TestAddressHelpers(t *testing.T) {
	runHelperTests(t, []helperTest{
		{`IpInRange('192.0.2.1', '192.0.2.0/24')`, true},
		{`IpInRange('::ffff:192.0.2.1', '192.0.2.0/24')`, true},
		{`IpInRange('192.0.2.1', '192.0.2.1') || IpInRange('x', '192.0.2.0/24') || IpInRange('192.0.2.1', 'x')`, false},
		{`IpInRange('2001:db8::1', '2001:db8::/32')`, true},
		{`IpToRange('192.0.2.130', '/25') + ' ' + IpToRange('2001:db8::1', '64') + IpToRange('x', '8') + IpToRange('192.0.2.1', '33')`, "192.0.2.128/25 2001:db8::/64"},
		{`IsIPV4('::ffff:192.0.2.1') && !IsIPV6('::ffff:192.0.2.1') && IsIPV6('2001:db8::1') && IsIP('192.0.2.1') && !IsIP('192.0.2.1/32') && !IsIP('fe80::1%eth0')`, true},
	})
}

func TestDataHelpers(t *testing.T) {
	l := testLib(t)
	err := l.data.Load("paths.txt", "regex")
	if err == nil || !strings.HasPrefix(err.Error(), "paths.txt:2: error parsing regexp") {
		t.Errorf("bad pattern: err = %v", err)
	}
	for src, want := range map[string]any{
		`File('agents.txt')`: []string{"nikto ", "sqlmap"},
		`any(File('agents.txt'), {'sqlmap/1.0' contains #})`: true,
		`len(File('nope.txt'))`:                              0,
		`RegexpInFile('/.git/config', 'paths.txt')`:          true,
		`RegexpInFile('/index.php', 'paths.txt')`:            true,
		`RegexpInFile('/', 'paths.txt')`:                     false,
		`RegexpInFile('/', 'nope.txt')`:                      false,
		`LookupFile('goodbot', 'bots.json')`:                 "good",
		`LookupFile('a bot', 'bots.json')`:                   "bot",
		`LookupFile('xxx', 'bots.json')`:                     "x",
		`LookupFile('none', 'bots.json')`:                    "",
		`LookupFile('none', 'nope.json')`:                    "",
		`FileMap('bots.json')[1].tag`:                        "bot",
		`len(FileMap('nope.json'))`:                          0,
	} {
		got, err := eval(t, l, &event.Event{}, src)
		if err != nil {
			t.Errorf("%s: %v", src, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", src, diff)
		}
	}
}

func TestUnknownFilesAreReportedOnce(t *testing.T) {
	var log bytes.Buffer
	l := New(Deps{Log: slog.New(slog.NewTextHandler(&log, nil))})
	for range 3 {
		l.file("nope.txt")
	}
	if n := strings.Count(log.String(), "data file not loaded"); n != 1 {
		t.Errorf("said %d times:\n%s", n, &log)
	}
}

func TestHelpersFailWithoutCrashing(t *testing.T) {
	l := testLib(t)
	for _, tt := range []struct{ src, want string }{
		{`Upper(evt.Unmarshaled.n)`, "argument 1 is float64, want string"},
		{`Upper(evt.Unmarshaled.nope)`, "argument 1 is nil, want string"},
		{`Get(Split('a', ','), -1)`, "index -1 is negative"},
		{`B64Decode('?')`, "decode base64"},
		{`UnmarshalJSON('{', evt.Unmarshaled, 'x')`, "decode JSON"},
		{`ParseKV('nothing', evt.Unmarshaled, 'x')`, "no key=value pair found"},
		{`ParseKV('a=b', evt.Unmarshaled, 'n')`, `cannot store pairs under "n"`},
		{`AverageInterval([evt.Time])`, "need at least 2 times, got 1"},
		{`MedianInterval([1, 2])`, "element 0 is int, want time.Time"},
		{`MedianInterval(evt.Stage)`, "argument is string, want a list of times"},
		{`Distance('x', '1', '1', '1')`, `"x" is no latitude or longitude`},
		{`Distinct([{'a': 1}])`, "cannot be compared"},
		{`Sprintf('%999999d', 1)`, "width in format is above 999"},
		{`Sprintf('%*d', 5, 1)`, "format takes no *"},
		{`Sprintf(evt.Line.Raw, 1)`, "format is longer than"},
		{`ReplaceAll(evt.Line.Raw, 'a', evt.Line.Raw)`, "result is longer than"},
		{`Join(Split(evt.Line.Raw, ''), evt.Line.Raw)`, "result is longer than"},
	} {
		t.Run(tt.src, func(t *testing.T) {
			evt := &event.Event{Unmarshaled: map[string]any{"n": 1.0}, Line: event.Line{Raw: strings.Repeat("a", 50_000)}}
			_, err := eval(t, l, evt, tt.src)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("err = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestStashRemembersForItsTime(t *testing.T) {
	now := testNow()
	l := New(Deps{Now: func() time.Time { return now }})
	s, err := l.Stash(StashConfig{Name: "sessions", Size: 2, TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	get := func(key string) string {
		v, err := eval(t, l, &event.Event{}, `GetFromStash('sessions', '`+key+`')`)
		if err != nil {
			t.Fatal(err)
		}
		return v.(string)
	}
	s.Set("a", "1")
	s.Set("b", "2")
	if get("a") != "1" || get("nope") != "" {
		t.Error("a set value is lost")
	}
	s.Set("c", "3")
	if get("b") != "" || get("a") != "1" || get("c") != "3" {
		t.Error("the entry unused for longest should have gone")
	}
	now = now.Add(30 * time.Second)
	s.Set("a", "4")
	now = now.Add(30 * time.Second)
	if get("a") != "4" || get("c") != "" {
		t.Error("entries should live for their time after the last set")
	}
	again, err := l.Stash(StashConfig{Name: "sessions", TTL: time.Hour})
	if err != nil || again != s {
		t.Errorf("the same name gives another stash: %v", err)
	}
	if v, err := eval(t, l, &event.Event{}, `GetFromStash('other', 'a')`); v != "" || err != nil {
		t.Errorf("undeclared stash gives %v, %v", v, err)
	}
	for _, bad := range []StashConfig{{TTL: 1}, {Name: "x"}, {Name: "x", TTL: 1, Size: -1}, {Name: "x", TTL: 1, Size: maxStashSize + 1}} {
		if _, err := l.Stash(bad); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}
