package client

import (
	"testing"
	"time"
)

func TestParseDurationReadsDaysAndGoSyntax(t *testing.T) {
	for _, tt := range []struct {
		text string
		want time.Duration
		ok   bool
	}{
		{"4h", 4 * time.Hour, true},
		{"1h30m", 90 * time.Minute, true},
		{"7d", 7 * day, true},
		{"2d3h", 51 * time.Hour, true},
		{"0d", 0, true},
		{"-1m55s", -115 * time.Second, true},
		{"-1d", -day, true},
		{"", 0, false},
		{"90", 0, false},
		{"3h2d", 0, false},
		{"1d-2h", 0, false},
		{"d", 0, false},
		{"99999999999d", 0, false},
		{"106751d100000h", 0, false},
		{"--1h", 0, false},
	} {
		t.Run(tt.text, func(t *testing.T) {
			got, err := ParseDuration(tt.text)
			if (err == nil) != tt.ok || got != tt.want {
				t.Errorf("ParseDuration(%q) = %v, %v; want %v, ok %v", tt.text, got, err, tt.want, tt.ok)
			}
		})
	}
}
