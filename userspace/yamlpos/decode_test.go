package yamlpos

import (
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

type inner struct {
	Level int    `yaml:"level"`
	Note  string `yaml:"note"`
}

type sample struct {
	At       Mapping           `yaml:",mapping"`
	Name     string            `yaml:"name"`
	Filter   Text              `yaml:"filter"`
	On       bool              `yaml:"on_success"`
	Capacity int               `yaml:"capacity"`
	Small    uint8             `yaml:"small"`
	Prior    float32           `yaml:"prior"`
	Leak     Duration          `yaml:"leakspeed"`
	Labels   map[string]any    `yaml:"labels"`
	Plain    map[string]string `yaml:"plain"`
	Nets     []netip.Prefix    `yaml:"nets"`
	Child    *inner            `yaml:"child"`
	Children []inner           `yaml:"children"`
	Patterns OrderedMap        `yaml:"pattern_syntax"`
	Raw      *Document         `yaml:"raw"`
	Any      any               `yaml:"any"`
	Base
}

// Base is embedded and therefore read inline.
type Base struct {
	Author string `yaml:"author"`
}

func decodeSample(t *testing.T, text string) (sample, error) {
	t.Helper()
	var s sample
	err := DecodeFile("f.yaml", []byte(text), &s)
	return s, err
}

func mustDecode(t *testing.T, text string) sample {
	t.Helper()
	s, err := decodeSample(t, text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDecodeReadsEveryKindOfValue(t *testing.T) {
	s := mustDecode(t, `name: 010
filter: "evt.Meta"
on_success: Yes
capacity: 0x10
small: 255
prior: 1
leakspeed: 1d12h
labels: {remediation: yes, quoted: "yes", n: 3, f: 1.5, nil: ~, off: Off, list: [on, y], service: ssh}
plain: {a: 1, b: yes, 404: x}
nets: [192.0.2.0/24]
child: {level: 1}
children:
  - note: a
  - note: b
pattern_syntax:
  Z: '%{A}'
  A: a
author: me
any: {deep: [1, {x: no}]}
`)
	want := sample{
		Name: "010", On: true, Capacity: 16, Small: 255, Prior: 1, Leak: Duration(36 * time.Hour),
		Filter: Text{Text: "evt.Meta", Pos: Position{"f.yaml", 2, 10}, Set: true},
		Labels: map[string]any{
			"remediation": true, "quoted": "yes", "n": 3, "f": 1.5, "nil": nil, "off": false,
			"list": []any{true, "y"}, "service": "ssh",
		},
		Plain:    map[string]string{"a": "1", "b": "yes", "404": "x"},
		Nets:     []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
		Child:    &inner{Level: 1},
		Children: []inner{{Note: "a"}, {Note: "b"}},
		Patterns: OrderedMap{
			{Text{Text: "Z", Pos: Position{"f.yaml", 16, 3}, Set: true}, Text{Text: "%{A}", Pos: Position{"f.yaml", 16, 7}, Set: true}},
			{Text{Text: "A", Pos: Position{"f.yaml", 17, 3}, Set: true}, Text{Text: "a", Pos: Position{"f.yaml", 17, 6}, Set: true}},
		},
		Any:  map[string]any{"deep": []any{1, map[string]any{"x": false}}},
		Base: Base{Author: "me"},
	}
	if diff := cmp.Diff(want, s, cmpopts.IgnoreFields(sample{}, "At"), cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Error(diff)
	}
	if got, want := s.At.Key("filter"), (Position{"f.yaml", 2, 1}); got != want {
		t.Errorf("Key(filter) = %v, want %v", got, want)
	}
	if got, want := s.At.Key("absent"), (Position{"f.yaml", 1, 1}); got != want {
		t.Errorf("Key(absent) = %v, want %v", got, want)
	}
}

func TestDecodeReportsEveryFaultAtOnce(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"unknown key with a suggestion", "nmae: x\n", `f.yaml:1:1: unknown key "nmae": did you mean "name"?`},
		{"unknown key without a suggestion", "zzzzzz: x\n", `f.yaml:1:1: unknown key "zzzzzz"`},
		{"duplicate key", "name: x\ncapacity: 1\nname: y\n", `f.yaml:3:1: key "name" is already set on line 1`},
		{"several at once, in order", "capacity: many\non_success: 1\nchildren:\n  - levl: 1\n  - level: x\nleakspeed: 10\n", strings.Join([]string{
			`f.yaml:1:11: want a whole number, found "many"`,
			`f.yaml:2:13: want true or false, found "1"`,
			`f.yaml:4:5: unknown key "levl": did you mean "level"?`,
			`f.yaml:5:12: want a whole number, found "x"`,
			`f.yaml:6:12: invalid duration "10": write a number and a unit, such as 30s, 5m, 4h or 7d`,
		}, "\n")},
		{"list for text", "name: [a]\n", `f.yaml:1:7: want text, found a list`},
		{"text for list", "nets: 192.0.2.0/24\n", `f.yaml:1:7: want a list, found "192.0.2.0/24"`},
		{"text for mapping", "child: x\n", `f.yaml:1:8: want a mapping, found "x"`},
		{"bad prefix", "nets:\n  - 192.0.2.0\n", `f.yaml:2:5: netip.ParsePrefix("192.0.2.0"): no '/'`},
		{"number out of range", "small: 256\n", `f.yaml:1:8: number 256 is out of range`},
		{"negative number for unsigned", "small: -1\n", `f.yaml:1:8: number -1 is out of range`},
		{"quoted number", "capacity: '1'\n", `f.yaml:1:11: want a whole number, found "1"`},
		{"document is a list", "- a\n", `f.yaml:1:1: want a mapping, found a list`},
		{"unsupported tag", "name: !!binary aGk=\n", `f.yaml:1:7: tag !!binary is not supported`},
		{"list as key", "? [a]\n: b\n", `f.yaml:1:3: want a key, found a list`},
		{"second document", "name: a\n---\nname: b\n", `f.yaml:3:1: file holds a second document: write one document, without ---`},
		{"merge of text", "<<: x\n", `f.yaml:1:5: want a mapping to merge, found "x"`},
		{"duplicate key in untyped mapping", "labels:\n  a: 1\n  a: 2\n", `f.yaml:3:3: key "a" is already set on line 2`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := decodeSample(t, tt.in)
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestScalarsWithoutATypeFollowYAML11(t *testing.T) {
	for in, want := range map[string]any{
		"yes": true, "On": true, "TRUE": true, "no": false, "Off": false, "FALSE": false,
		"yEs": "yEs", "y": "y", "N": "N", "0x1F": 31, "0b11": 3, "010": 8, "1_000": 1000, "-5": -5, "_1": "_1",
		"1.5": 1.5, "1e3": 1000.0, ".inf": math.Inf(1), "-.INF": math.Inf(-1), "192.0.2.1": "192.0.2.1", "1:30": "1:30",
		"2026-03-01": "2026-03-01", "Infinity": "Infinity", "0x1p4": "0x1p4", "'1'": "1", "\"yes\"": "yes", "!!str 1": "1", "~": nil, "Null": nil,
	} {
		var got struct{ V any }
		if err := DecodeFile("f.yaml", []byte("v: "+in+"\n"), &got); err != nil || got.V != want {
			t.Errorf("%s gives %#v, %v, want %#v", in, got.V, err, want)
		}
	}
}

func TestDecodeMergesAnchors(t *testing.T) {
	var got map[string]inner
	in := `a: &a {level: 1, note: from a}
b: &b
  <<: *a
  level: 2
c:
  note: own
  <<: [*b, *a]
`
	if err := DecodeFile("f.yaml", []byte(in), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]inner{"a": {1, "from a"}, "b": {2, "from a"}, "c": {2, "own"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDecodeLeavesDefaultsWhereTheFileIsSilent(t *testing.T) {
	s := sample{Name: "default", Capacity: 7}
	if err := DecodeFile("f.yaml", []byte("name:\nsmall: 1\n"), &s); err != nil {
		t.Fatal(err)
	}
	if s.Name != "default" || s.Capacity != 7 || s.Small != 1 {
		t.Errorf("got %+v", s)
	}
}

func TestDecodeKeepsAPartForLater(t *testing.T) {
	s := mustDecode(t, "raw:\n  level: 3\n  note: x\n")
	if !s.Raw.Has("level") || s.Raw.Has("filter") {
		t.Errorf("Has is wrong for %+v", s.Raw)
	}
	var in inner
	if err := s.Raw.Decode(&in); err != nil || in.Level != 3 {
		t.Errorf("got %+v, %v", in, err)
	}
	var bad struct{ Note int }
	if err := s.Raw.Decode(&bad); err == nil || !strings.Contains(err.Error(), "f.yaml:2:3: unknown key") {
		t.Errorf("err = %v", err)
	}
}

func TestDecodeCountsErrorsBeyondTheLimit(t *testing.T) {
	_, err := decodeSample(t, strings.Repeat("? []\n: x\n", maxErrors+5))
	errs, ok := err.(Errors)
	if !ok || len(errs) != maxErrors+1 || errs[0].Msg != "5 more errors" {
		t.Errorf("got %d errors, first %v", len(errs), errs[0])
	}
}

func TestParseDurationReadsDays(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want time.Duration
		ok   bool
	}{
		{"7d", 168 * time.Hour, true},
		{"1d12h30m", 36*time.Hour + 30*time.Minute, true},
		{"500ms", 500 * time.Millisecond, true},
		{"0", 0, true},
		{"-1h", -time.Hour, true},
		{"", 0, false},
		{"d", 0, false},
		{"1d-1h", 0, false},
		{"12", 0, false},
		{"1h1d", 0, false},
		{"106752d", 0, false},
		{"106751d999999h", 0, false},
		{"5 m", 0, false},
	} {
		got, err := ParseDuration(tt.in)
		if got != tt.want || (err == nil) != tt.ok {
			t.Errorf("ParseDuration(%q) = %v, %v", tt.in, got, err)
		}
	}
}

func TestAMappingSaysOfWhichKeysDecodingComplained(t *testing.T) {
	type item struct {
		At    Mapping `yaml:",mapping"`
		Size  int     `yaml:"size"`
		Name  string  `yaml:"name"`
		Inner struct {
			At   Mapping `yaml:",mapping"`
			Size int     `yaml:"size"`
		} `yaml:"inner"`
	}
	docs, err := Parse("f.yaml", []byte("naem: x\nsize: big\ninner: {size: 1}\n"))
	if err != nil {
		t.Fatal(err)
	}
	var v item
	if err := docs[0].Decode(&v); err == nil {
		t.Fatal("decoded without complaint")
	}
	for key, want := range map[string]bool{"name": true, "size": true, "inner": false, "other": false} {
		if got := v.At.Faulty(key); got != want {
			t.Errorf("Faulty(%q) = %v, want %v", key, got, want)
		}
	}
	if v.Inner.At.Faulty("size") {
		t.Error("a good key of a mapping inside is faulty")
	}
	if !(Mapping{}).Faulty("size") {
		t.Error("a mapping that was not read has a good key")
	}
}
