package exprlib

import (
	"strings"
	"testing"
)

const (
	jsonLine = `{"level":"info","ts":1711000000.123,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":"192.0.2.1","remote_port":"41234",` +
		`"proto":"HTTP/2.0","method":"GET","host":"example.com","uri":"/index.php?page=1","headers":{"User-Agent":["Mozilla/5.0 (X11; Linux x86_64)"],` +
		`"Accept":["*/*"],"Accept-Language":["en-US,en;q=0.5"]},"tls":{"resumed":false,"version":772,"cipher_suite":4865}},"bytes_read":0,"user_id":"",` +
		`"duration":0.000123,"size":2326,"status":200,"resp_headers":{"Server":["Caddy"],"Content-Type":["text/html; charset=utf-8"]}}`
	auditLine = `type=EXECVE msg=audit(1711000000.123:456): argc=3 a0="curl" a1="-s" a2="http://example.com/x" exe="/usr/bin/curl" pid=4711 uid=1000 comm="curl"`
)

func BenchmarkHelpers(b *testing.B) {
	extract := extractAt("request.remote_ip")
	late := extractAt("status")
	within := inRange("192.168.0.0/16")
	lower := &cases{change: strings.ToLower}
	for name, run := range map[string]func(){
		"JsonExtract, near": func() { extract(jsonLine) },
		"JsonExtract, far":  func() { late(jsonLine) },
		"UnmarshalJSON":     func() { _, _ = unmarshalJSON(jsonLine, map[string]any{}, "x") },
		"ParseKV":           func() { _, _ = storePairs(parseKV)(auditLine, map[string]any{}, "x") },
		"ParseQuery":        func() { parseQuery("page=1&sort=asc&q=a%20b+c") },
		"ParseUri":          func() { parseURI("/index.php?page=1&sort=asc") },
		"ExtractQueryParam": func() { extractQueryParam("/index.php?page=1&sort=asc", "sort") },
		"IpInRange":         func() { within("192.0.2.1") },
		"IsIPV6":            func() { parseAddr("192.0.2.1").Is6() },
		"Lower, nothing to": func() { lower.of("/static/app.js") },
		"Match":             func() { match("*\\powershell*.exe", `C:\Windows\System32\svchost.exe`) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				run()
			}
		})
	}
}
