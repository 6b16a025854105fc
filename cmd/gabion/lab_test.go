package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestTheLabRefusesWhatItCannotDo(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"a command without --shell", []string{"lab", "verify"}, "needs --shell"},
		{"an unknown way to fail", []string{"lab", "--chaos", "fire"}, `unknown --chaos "fire": use kill`},
		{"more attackers than addresses", []string{"lab", "--attack-sources", "1000"}, "use 1 to"},
		{"fewer than none", []string{"lab", "--attack-sources", "-1"}, "use 1 to"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), tt.args, env{
				stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr,
				getenv: func(string) string { return "" }, now: time.Now,
			})
			if code != exitUsage || !strings.Contains(stderr.String(), tt.want) {
				t.Errorf("code %d, stderr %q, want %q", code, stderr.String(), tt.want)
			}
		})
	}
}
