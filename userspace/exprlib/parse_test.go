package exprlib

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"gabion/userspace/event"
)

func TestJSONHelpers(t *testing.T) {
	runHelperTests(t, []helperTest{
		{`JsonExtract('{"a":{"b":"x"}}', 'a.b')`, "x"},
		{`JsonExtract('[{"a":1}]', '[0].a')`, "1"},
		{`JsonExtractUnescape('{"a":"x\\n\\u0041"}', 'a') + JsonExtractUnescape('{"a":1}', 'a')`, "x\nA"},
		{`JsonExtractLib('{"a.b":{"c":1}}', 'a.b', 'c')`, "1"},
		{`JsonExtractSlice('{"a":[1,"x"]}', 'a')`, []any{1.0, "x"}},
		{`JsonExtractSlice('{"a":1}', 'a')`, []any(nil)},
		{`JsonExtractObject('{"a":{"b":true}}', 'a').b`, true},
		{`JsonExtractObject('{"a":[]}', 'a') == nil`, true},
		{`ToJsonString({'a': [1, nil]})`, `{"a":[1,null]}`},
		{`UnmarshalJSON('{"a":[1]}', evt.Unmarshaled, 'x') in ["", nil] && evt.Unmarshaled.x.a[0] == 1`, true},
		{`ParseKV('a=1 b="x y"', evt.Unmarshaled, 'kv') == nil && evt.Unmarshaled.kv.b == 'x y' && evt.Unmarshaled.kv.nope == ''`, true},
		{`ParseKVLax('a=hello world b="x y"', evt.Unmarshaled, 'kv') == nil && evt.Unmarshaled.kv.a == 'hello world'`, true},
	})
}

func TestParseKVReadsPairs(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want map[string]string
	}{
		{`a=1 b="x y" c= d=e=f`, map[string]string{"a": "1", "b": "x y", "c": "", "d": "e"}},
		{`a="x \"y\"" b=""`, map[string]string{"a": `x \"y\"`, "b": ""}},
		{`a="open b=c`, map[string]string{"a": `"open`, "b": "c"}},
		{`a=1 a=2`, map[string]string{"a": "2"}},
		{`noise = x k=v`, map[string]string{"k": "v"}},
		{`== =`, map[string]string{}},
		{`a=`, map[string]string{"a": ""}},
		{`a="b"c=d`, map[string]string{"a": "b", "c": "d"}},
	} {
		got := map[string]string{}
		parseKV(tt.in, got)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", tt.in, diff)
		}
	}
}

func TestParseKVLaxReadsPairs(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want map[string]string
	}{
		{`a=hello world b="x y"`, map[string]string{"a": "hello world", "b": "x y"}},
		{`msg="k=v \"q=r\" \\" n=1`, map[string]string{"msg": `k=v "q=r" \`, "n": "1"}},
		{`9a=1 -b=2`, map[string]string{"a": "1 -", "b": "2"}},
		{`a="open`, map[string]string{"a": "open"}},
		{`user.name=x-y z_1=`, map[string]string{"user.name": "x-y", "z_1": ""}},
		{`nothing here`, map[string]string{}},
	} {
		got := map[string]string{}
		parseKVLax(tt.in, got)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", tt.in, diff)
		}
	}
}

func TestParseKVMergesIntoWhatIsThere(t *testing.T) {
	old := map[string]string{"a": "1", "b": "1"}
	target := map[string]any{"kv": old}
	if _, err := storePairs(parseKV)("b=2 c=3", target, "kv"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{"kv": map[string]string{"a": "1", "b": "2", "c": "3"}}, target); diff != "" {
		t.Error(diff)
	}
}

const windowsEvent = `<Event xmlns='http://example.test/event'><System><EventID Qualifiers="16384">4625</EventID><Computer>h1</Computer></System>
<EventData><Data Name='IpAddress'>192.0.2.1</Data><Data Name="User">a &amp; b</Data><x:Data xmlns:x="u">deep<!-- c -->er<i>no</i>tail</x:Data></EventData><EventData/></Event>`

func TestXMLHelpersFollowPaths(t *testing.T) {
	for path, want := range map[string]string{
		"/Event/System[1]/EventID":                    "4625",
		"/Event/EventData[1]/Data[@Name='IpAddress']": "192.0.2.1",
		`/Event/EventData[1]/Data[@Name="User"]`:      "a & b",
		"/Event/EventData/Data[2]":                    "a & b",
		"/Event/EventData/Data[-1]":                   "deeper",
		"/Event/EventData/x:Data":                     "deeper",
		"//Computer":                                  "h1",
		"/Event//i":                                   "no",
		"/Event/*[1]/Computer":                        "h1",
		"Event/System/Computer":                       "h1",
		"/Event/EventData[Data='192.0.2.1']/Data[2]":  "a & b",
		"/Event/EventData[Data]/./../System/Computer": "h1",
		"/Event/EventData[1]/Data[@Name='User'][1]":   "a & b",
		"/Event/EventData[3]":                         "",
		"/Event/Nope":                                 "",
		"/Event/EventData/Data[@Name=IpAddress]":      "",
		"/Event/EventData/Data[text()='x']":           "",
		"/Event/":                                     "",
		"///Event":                                    "",
		"":                                            "",
		"/Event/[1]":                                  "",
		"/Event/EventData/Data[@Name='IpAddress'":     "",
	} {
		got, err := eval(t, testLib(t), &event.Event{Line: event.Line{Raw: windowsEvent}}, "XMLGetNodeValue(evt.Line.Raw, `"+path+"`)")
		if err != nil || got != want {
			t.Errorf("%s gives %q, %v, want %q", path, got, err, want)
		}
	}
	runHelperTests(t, []helperTest{
		{`XMLGetAttributeValue('<a><b n="1" x:m="2"/></a>', '/a/b', 'n') + XMLGetAttributeValue('<a><b n="1" x:m="2"/></a>', '/a/b', 'm')`, "12"},
		{`XMLGetAttributeValue('<a><b/></a>', '/a/b', 'n') + XMLGetAttributeValue('<a>', '/a', 'n')`, ""},
	})
}

func FuzzParseKV(f *testing.F) {
	f.Add(`a=1 b="x \" y" c= d=e=f`)
	f.Fuzz(func(t *testing.T, s string) {
		parseKV(s, map[string]string{})
		parseKVLax(s, map[string]string{})
	})
}

func FuzzMatch(f *testing.F) {
	f.Add("a*b?c", "axxbyc")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if len(pattern) > 12 || len(s) > 12 {
			return
		}
		if got, want := match(pattern, s), matchSlowly(pattern, s); got != want {
			t.Errorf("match(%q, %q) = %v", pattern, s, got)
		}
	})
}

// matchSlowly says what a glob means, one byte at a time.
func matchSlowly(pattern, s string) bool {
	switch {
	case pattern == "":
		return s == ""
	case pattern[0] == '*':
		return matchSlowly(pattern[1:], s) || s != "" && matchSlowly(pattern, s[1:])
	}
	return s != "" && (pattern[0] == '?' || pattern[0] == s[0]) && matchSlowly(pattern[1:], s[1:])
}
