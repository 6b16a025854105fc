package grok

import (
	"regexp"
	"testing"
)

// benchmarks are the expressions of common rules, each with a line that it matches or misses.
var benchmarks = []struct{ name, expr, text string }{
	{"syslog header", `^%{SYSLOGLINE}`, "Feb 12 14:10:21 host sshd[16378]: Invalid user ann from 192.0.2.1 port 4242"},
	{"sshd hit", `Failed %{WORD:method} for invalid user %{USERNAME:user} from %{IP:ip} port %{INT:port} ssh2`, "Failed password for invalid user x from 192.0.2.1 port 4242 ssh2"},
	{"sshd hit with any user", `Invalid user %{DATA:user} from %{IP:ip}( port %{INT:port})?$`, "Invalid user a from b from 2001:db8::1 port 4242"},
	{"sshd miss", `%{SSHD_FAIL:f}`, "Invalid user ann from 192.0.2.1 port 4242"},
	{"nginx hit", nginxAccess, `203.0.113.77 - - [12/Feb/2024:14:10:21 +0000] "GET /wp-login.php?redirect_to=%2Fwp-admin%2F&reauth=1 HTTP/1.1" 404 1234 "https://www.example.com/blog/" "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/121.0.0.0 Safari/537.36"`},
	{"nginx hit with a host", nginxAccess, `www.example.com:443 2001:db8::5:77 - ann [12/Feb/2024:14:10:21 +0000] "GET / HTTP/1.1" 200 1234 "-" "curl/8.5"`},
	{"nginx miss", nginxAccess, `203.0.113.77 - - [12/Feb/2024:14:10:21 +0000] "\x16\x03\x01\x00\x85\x01\x00\x00\x81\x03\x03" 400 157 "-" "-"`},
	{"apache hit", `%{COMBINEDAPACHELOG}`, `192.0.2.1 - - [12/Feb/2024:14:10:21 +0000] "GET /a/b?c=d HTTP/1.1" 200 12 "-" "curl/8"`},
	{"firewall hit", `IN=%{DATA:in} OUT=%{DATA:out}(?: MAC=%{NOTSPACE:mac})? SRC=%{IP:src} DST=%{IP:dst} LEN=%{INT:len} .*PROTO=%{WORD:proto}(?: SPT=%{INT:spt} DPT=%{INT:dpt})?`,
		"[12345.678901] drop: IN=eth0 OUT= MAC=00:11:22:33:44:55:66:77:88:99:aa:bb:08:00 SRC=192.0.2.7 DST=198.51.100.9 LEN=60 TOS=0x00 PREC=0x00 TTL=51 ID=1234 DF PROTO=TCP SPT=50000 DPT=22 WINDOW=64240 RES=0x00 SYN URGP=0"},
}

const nginxAccess = `(%{IPORHOST:target}(:%{INT:port})? )?%{IPORHOST:source} - (%{NGUSER:user} )?\[%{HTTPDATE:time}\] "%{WORD:verb} %{DATA:request} HTTP/%{NUMBER:version}" ` +
	`%{NUMBER:status} %{NUMBER:sent} "%{NOTDQUOTE:referer}" "%{NOTDQUOTE:agent}"( %{NUMBER:length} %{NUMBER:took} \[%{DATA:name}\] \[%{DATA:other}\])?`

// BenchmarkMatch compares with the standard library's regexp on the same expressions and lines.
func BenchmarkMatch(b *testing.B) {
	for _, bb := range benchmarks {
		s := NewSet()
		p, err := s.Compile(bb.expr)
		if err != nil {
			b.Fatal(err)
		}
		expanded, _, err := s.expand(bb.expr)
		if err != nil {
			b.Fatal(err)
		}
		re := regexp.MustCompile(expanded)
		b.Run(bb.name+"/gabion", func(b *testing.B) {
			var m Match
			b.ReportAllocs()
			for b.Loop() {
				p.Match(bb.text, &m)
			}
		})
		b.Run(bb.name+"/regexp", func(b *testing.B) {
			for b.Loop() {
				re.FindStringSubmatchIndex(bb.text)
			}
		})
	}
}
