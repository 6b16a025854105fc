package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gabion/bench/kernel/traffic"
)

func TestSizesOfTheBenchmarkAreReadWithTheirUnits(t *testing.T) {
	for _, tt := range []struct {
		text string
		want int
		ok   bool
	}{
		{"0", 0, true}, {"1000", 1000, true}, {"1k", 1000, true}, {"100K", 100_000, true}, {"10M", 10_000_000, true},
		{"100M", 100_000_000, true}, {"101M", 0, false}, {"-1", 0, false}, {"1.5M", 0, false}, {"", 0, false},
		{"k", 0, false}, {"9223372036854775807k", 0, false},
	} {
		got, err := parseSize(tt.text)
		if got != tt.want || (err == nil) != tt.ok {
			t.Errorf("parseSize(%q) = %d, %v", tt.text, got, err)
		}
	}
}

func TestTheBenchmarkMeasuresWhatItsFlagsNarrowItTo(t *testing.T) {
	a := &app{env: testEnv(&bytes.Buffer{}, &bytes.Buffer{})}
	o, err := a.benchOptions(benchFlags{
		sizes: []string{"1M", "0", "1k", "1000"}, families: []string{"ipv6"}, sets: []string{"clustered"}, parts: []string{"load"}, repetitions: 3,
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{0, 1000, 1_000_000}, o.Sizes); diff != "" {
		t.Errorf("sizes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]traffic.Family{traffic.IPv6}, o.Families); diff != "" {
		t.Errorf("families (-want +got):\n%s", diff)
	}
	if !cmp.Equal(o.Clustered, []bool{true}) || !cmp.Equal(o.Parts, []string{"load"}) || o.Repetitions != 3 {
		t.Errorf("options %+v", o)
	}
}

func TestAMistakeInTheBenchmarksFlagsIsNamed(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"--sizes 1x", `"1x" is no size`},
		{"--family ipv5", `unknown family "ipv5"`},
		{"--sets round", `unknown kind "round"`},
		{"--only speed", `unknown part "speed"`},
		{"--repetitions 0", "use 1 or more"},
		{"extra", `"extra"`},
	} {
		var out, errs bytes.Buffer
		args := append([]string{"bench", "kernel"}, strings.Fields(tt.args)...)
		if code := run(t.Context(), args, testEnv(&out, &errs)); code != exitUsage || !strings.Contains(errs.String(), tt.want) {
			t.Errorf("%s: code %d, %s", tt.args, code, errs.String())
		}
	}
}
