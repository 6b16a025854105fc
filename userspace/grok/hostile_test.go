package grok

import (
	"strings"
	"testing"
)

// TestHostileLinesCostLittleMore matches lines that are nearly right: every start of a match goes far.
func TestHostileLinesCostLittleMore(t *testing.T) {
	access := func(request string) string {
		return `192.0.2.1 - - [12/Feb/2024:14:10:21 +0000] "GET /` + request + ` HTTP/1.1" 4x4 1234 "-" "curl/8"`
	}
	for _, tt := range []struct{ name, expr, unit string }{
		{"labels", nginxAccess, "a."}, {"groups of an address", nginxAccess, "a:"}, {"numbers", nginxAccess, "1."}, {"addresses", nginxAccess, "192.0.2.1."},
		{"a long word", nginxAccess, "a"}, {"words", nginxAccess, "a "}, {"the text that ends a field", nginxAccess, " HTTP/1.1"}, {"quotes", nginxAccess, `" 200 1 "-"`},
		{"labels before a user", `%{COMBINEDAPACHELOG}`, "a."}, {"mail addresses", `%{COMBINEDAPACHELOG}`, "a@"}, {"user names", `%{COMBINEDAPACHELOG}`, "a-a "},
		{"dates", `%{SYSLOGLINE}`, "Feb 12 "}, {"user agents", `%{S3_ACCESS_LOG}`, `"a" `},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := NewSet().Compile(tt.expr)
			if err != nil {
				t.Fatal(err)
			}
			var m Match
			text := access(strings.Repeat(tt.unit, 64<<10/len(tt.unit)))
			if p.Match(text, &m) {
				t.Error("the line should not match")
			}
			if perByte := m.machine.Steps() / len(text); perByte > 72 {
				t.Errorf("%d steps a byte, want at most 72: 8 before notes are taken and 64 then", perByte)
			}
		})
	}
}
