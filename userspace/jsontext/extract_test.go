package jsontext

import (
	"strings"
	"testing"
)

func TestJSONExtractReadsAsWritten(t *testing.T) {
	const blob = ` {"a": {"b": [10, {"c": "x\ny\"z"}], "t": true, "n": null, "f": -1.5e3}, "k\u0041": 1, "dot.key": 2, "s": "é", "e": {}, "l": [ ]} `
	for path, want := range map[string]string{
		"a.b[1].c": `x\ny\"z`,
		"a.b[0]":   "10",
		"a.b":      `[10, {"c": "x\ny\"z"}]`,
		"a.t":      "true",
		"a.n":      "null",
		"a.f":      "-1.5e3",
		"kA":       "1",
		"s":        "é",
		"e":        "{}",
		"l":        "[ ]",
		"l[0]":     "",
		"a.b[2]":   "",
		"a.b.c":    "",
		"a[0]":     "",
		"dot.key":  "",
		"nope":     "",
		"":         "",
	} {
		if got := Extract(blob, SplitPath(path)).Text(); got != want {
			t.Errorf("%q gives %q, want %q", path, got, want)
		}
	}
	for _, bad := range []string{"", "{", `{"a"`, `{"a":`, `{"a":x}`, `{"a":"x`, `{"a":{"b":1`, `{"x" 1,"a":1}`, "[1,2]", `{'a':1}`} {
		if got := Extract(bad, []string{"a"}); got != "" {
			t.Errorf("malformed %q gives %q", bad, got)
		}
	}
	if got := Extract(`[[1,2],[3]]`, SplitPath("[0][1]")).Text(); got != "" && got != "2" {
		t.Errorf("got %q", got)
	}
	if got := Extract(`{"a":1,"b":`, []string{"a"}).Text(); got != "1" {
		t.Errorf("a line cut behind the value gives %q", got)
	}
}

func FuzzJSONExtract(f *testing.F) {
	f.Add(`{"a":{"b":[1,"x\""]}}`, "a.b[1]")
	f.Add(`[[]]`, "[0][0]")
	f.Fuzz(func(t *testing.T, blob, path string) {
		if got := Extract(blob, SplitPath(path)); !strings.Contains(blob, string(got)) {
			t.Errorf("%q is not part of the text", got)
		}
	})
}

func FuzzSplitPath(f *testing.F) {
	f.Add("a.b[1].c")
	f.Add("[0][1]")
	f.Fuzz(func(t *testing.T, path string) {
		if n := len(SplitPath(path)); n > 1+strings.Count(path, ".")+strings.Count(path, "[") {
			t.Errorf("%q has %d keys", path, n)
		}
	})
}
