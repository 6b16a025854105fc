package grok

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// examples gives, for each stock pattern, texts that it matches as a whole and texts that it does
// not, divided by bars of two.
var examples = map[string]struct{ yes, no string }{
	"USERNAME":       {"ann||www-data||j.doe_2", "||a b||a@b"},
	"USER":           {"ann||root", "||a:b"},
	"EMAILLOCALPART": {"j.doe||a+tag||o'neil", ".a||a b||a@"},
	"EMAILADDRESS":   {"j.doe@example.com||a+b@mail.example.org", "example.com||@example.com||a b@example.com"},
	"INT":            {"0||-12||+7", "||1.5||x"},
	"POSINT":         {"1||65535", "0||-1||01"},
	"NONNEGINT":      {"0||12||007", "-1||a1"},
	"BASE10NUM":      {"1||-1.5||.25||3.", "||.||1e5||0x1"},
	"NUMBER":         {"200||0.001", "||1,5"},
	"BASE16NUM":      {"ff||0xDEADbeef||-0x1", "0x||g1"},
	"BASE16FLOAT":    {"0x1f.8||ff", "x||."},
	"WORD":           {"abc||a_1", "||a-b||a b"},
	"NOTSPACE":       {"a/b:c||é", "||a b"},
	"SPACE":          {"||  ||\t", "a"},
	"DATA":           {"||a b c", "a\nb"},
	"GREEDYDATA":     {"||a b c", "a\nb"},
	"NOTDQUOTE":      {"||a 'b'", `a"b`},
	"QUOTEDSTRING":   {`"a b"||""||"a\"b"||'x'` + "||`y`", `a||"a||"a"b"`},
	"QS":             {`"-"`, `-`},
	"UUID":           {"0e6ab2f4-1d3c-4b5a-9e8f-001122aabbcc", "0e6ab2f4-1d3c-4b5a-9e8f||0e6ab2f41d3c4b5a9e8f001122aabbcc"},
	"UNIXPATH":       {"/||/var/log/auth.log||/a+b/~c", "var/log||/a b"},
	"TTY":            {"/dev/pts/3||/dev/tty1||/dev/ttyS0", "/dev/||pts/3"},
	"WINPATH":        {`C:\Windows\System32||\\server\share`, `/etc||C:`},
	"PATH":           {`/etc/passwd||C:\x`, "etc"},
	"LOGLEVEL":       {"error||WARN||Warning||crit||INFO||emerg", "loud||"},

	"CISCOMAC":     {"0011.22aa.bbcc", "00:11:22:aa:bb:cc||0011.22aa"},
	"WINDOWSMAC":   {"00-11-22-AA-BB-CC", "00:11:22:aa:bb:cc"},
	"COMMONMAC":    {"00:11:22:aa:bb:cc", "00-11-22-AA-BB-CC||00:11:22:aa:bb"},
	"MAC":          {"00:11:22:aa:bb:cc||0011.22aa.bbcc||00-11-22-AA-BB-CC", "001122aabbcc"},
	"_OCTET":       {"0||9||23||255||001", "256||-1||1000"},
	"IPV4":         {"192.0.2.1||255.255.255.255||198.51.100.23||0.0.0.0", "256.0.0.1||192.0.2||192.0.2.1.5||a.b.c.d"},
	"_HEXTET":      {"0||db8||FFFF", "g||12345"},
	"IPV6":         {"2001:db8::1||::||::1||2001:db8:0:1:2:3:4:5||fe80::1%eth0||::ffff:192.0.2.1||2001:db8::192.0.2.33||1:2:3:4:5:6:192.0.2.1||2001:db8:1:2:3:4:5::||1::2:3:4:5:6:7", "2001:db8||1:2:3:4:5:6:7||2001:db8::1::2||192.0.2.1||1:2:3:4:5:6:7:8:9||12345::"},
	"IP":           {"192.0.2.1||2001:db8::1||::ffff:198.51.100.7", "example.com||12:34:56"},
	"HOSTNAME":     {"example.com||host-1||a||example.com.||0x.example", "-a||a_b||a..b"},
	"IPORHOST":     {"192.0.2.1||2001:db8::1||example.com", "[::1]||a_b"},
	"HOSTPORT":     {"example.com:80||192.0.2.1:22", "example.com||example.com:0"},
	"URIPROTO":     {"http||git+ssh||h2", "1http||http:"},
	"URIHOST":      {"example.com||example.com:8080||192.0.2.1:80", "example.com:||/a"},
	"URIPATH":      {"/||/a/b.html||/a%20b||/~u/;p=1", "a||/a?b||/a b"},
	"URIPARAM":     {"?||?a=1&b=2||?x[]=<y>", "a=1||?a b"},
	"URIPATHPARAM": {"/a||/a?b=c||/?", "a?b||/a b"},
	"URI":          {"http://example.com/a?b=c||https://u:p@example.com:8443/||ftp://192.0.2.1", "example.com/a||http:/a"},

	"MONTH":              {"Jan||February||Sept||Sep||Dec||May", "Foo||jan||Janx"},
	"MONTHNUM":           {"1||01||12||10", "0||13||00"},
	"MONTHNUM2":          {"01||12", "1||13||00"},
	"MONTHDAY":           {"1||01||31||30||9", "0||32||00"},
	"DAY2":               {"01||31", "1||32"},
	"DAY":                {"Mon||Sunday||Thu", "mon||Xyz"},
	"YEAR":               {"2024||24", "202||2||20245"},
	"HOUR":               {"0||09||23||20", "24||-1"},
	"MINUTE":             {"00||59", "60||5"},
	"SECOND":             {"00||59||60||5||05.123||05,5", "61||5."},
	"TIME":               {"14:10:21||1:02:03.5||23:59:60", "24:00:00||14:10||14:60:00"},
	"DATE_US":            {"12/31/2024||1-2-24", "31/12/2024||2024/12/31"},
	"DATE_EU":            {"31.12.2024||31/12/2024||1-2-24", "12/31/2024||2024.12.31"},
	"DATE_X":             {"2024/02/12||24/02/1", "2024-02-12||12/02/2024"},
	"DATE":               {"12/31/2024||31/12/2024", "2024-12-31"},
	"TZ":                 {"UTC||CEST", "utc||U||+0000"},
	"ISO8601_TIMEZONE":   {"Z||+02:00||-0530||+01", "UTC||02:00"},
	"ISO8601_SECOND":     {"00||60||01.5", "61"},
	"DATESTAMP":          {"12/31/2024 14:10:21||31.12.2024-14:10:21.5", "2024-12-31T14:10:21"},
	"DATESTAMP_RFC822":   {"Mon Feb 12 2024 14:10:21 UTC", "Mon Feb 12 14:10:21 UTC 2024"},
	"DATESTAMP_RFC2822":  {"Mon, 12 Feb 2024 14:10:21 +0100", "Mon 12 Feb 2024 14:10:21 +0100"},
	"DATESTAMP_OTHER":    {"Mon Feb 12 14:10:21 UTC 2024", "Mon Feb 12 2024 14:10:21 UTC"},
	"DATESTAMP_EVENTLOG": {"20240212141021||20240212141021.5", "2024-02-12"},
	"TIMESTAMP_ISO8601":  {"2024-02-12T14:10:21Z||2024-02-12 14:10||2024-02-12T14:10:21,123+01:00||2024-02-12T14:10:21.123456-0500", "2024/02/12 14:10:21||2024-02-12||2024-13-12T14:10:21Z"},
	"RFC3339":            {"2024-02-12T14:10:21Z||2024-02-12t14:10:21.5z||2024-02-12T14:10:21+01:00", "2024-02-12T14:10:21||2024-2-12T14:10:21Z"},
	"HTTPDATE":           {"12/Feb/2024:14:10:21 +0000||1/Jan/2024:00:00:00 -0500", "12/Feb/2024 14:10:21 +0000||12/02/2024:14:10:21 +0000"},
	"HTTPDERROR_DATE":    {"Mon Feb 12 14:10:21.123456 2024||Mon Feb  2 14:10:21 2024", "Feb 12 14:10:21 2024"},
	"APACHEERRORTIME":    {"Mon Feb 12 14:10:21.123456 2024", "12/Feb/2024:14:10:21 +0000"},
	"NGINXERRTIME":       {"2024/02/12 14:10:21", "2024-02-12 14:10:21||2024/2/12 14:10:21"},
	"_HAPROXYSECOND":     {"00||59||60", "5||61||05.1"},
	"HAPROXYTIME":        {"14:10:21", "14:10"},
	"HAPROXYDATE":        {"12/Feb/2024:14:10:21.123", "12/Feb/2024:14:10:21"},
	"EXIM_DATE":          {"2024-02-12 14:10:21", "2024-02-12T14:10:21"},

	"SYSLOGTIMESTAMP":  {"Feb 12 14:10:21||Feb  2 04:10:21||Jan 02 00:00:00.5", "12 Feb 14:10:21||2024-02-12T14:10:21Z"},
	"SYSLOGFACILITY":   {"<4.6>", "<46>||4.6"},
	"SYSLOGHOST":       {"host||my_host||192.0.2.1||2001:db8::1", "a b||"},
	"PROG":             {"sshd||postfix/smtpd||systemd-logind||a:b", "sshd[1]||a b||"},
	"SYSLOGPROG":       {"sshd[12]||kernel||postfix/smtpd[3]", "sshd[a]||sshd[]"},
	"SYSLOGBASE":       {"Feb 12 14:10:21 host sshd[1]:||Feb 12 14:10:21 <4.6> host cron:", "Feb 12 14:10:21 host||14:10:21 host sshd[1]:"},
	"SYSLOGBASE2":      {"Feb 12 14:10:21 host sshd[1]:||2024-02-12T14:10:21.5+01:00 host sshd[1]:||Feb 12 14:10:21 host", "host sshd[1]:"},
	"SYSLOGLINE":       {"Feb 12 14:10:21 host sshd[1]: hello||2024-02-12T14:10:21Z host kernel: x: y", "hello||Feb 12 14:10:21"},
	"SYSLOGPAMSESSION": {"Feb 12 14:10:21 host su[1]: pam_unix(su:session): session opened for user root by ann(uid=0)||Feb 12 14:10:21 host su[1]: pam_unix(su:session): session closed for user root", "Feb 12 14:10:21 host su[1]: session opened for user root"},
	"SYSLOG5424PRI":    {"<165>", "<a>||165"},
	"SYSLOG5424SD":     {`[id@32473 a="b"]||[a][b]`, "a||-"},
	"SYSLOG5424BASE":   {`<165>1 2024-02-12T14:10:21.003Z host app 111 ID47 [id@32473 a="b"]||<34>1 - - - - - -`, "<34> host"},
	"SYSLOG5424LINE":   {`<165>1 2024-02-12T14:10:21.003Z host app 111 ID47 - hello||<34>1 - - - - - - x`, "hello"},
	"CRON_ACTION":      {"CMD||END EDIT", "cmd||"},
	"CRONLOG":          {"Feb 12 14:10:21 host CRON[1]: (root) CMD (run-parts /etc/cron.hourly)", "Feb 12 14:10:21 host sshd[1]: x"},

	"HTTPDUSER":                      {"-||ann||ann@example.com", "a b||"},
	"COMMONAPACHELOG":                {`192.0.2.1 - ann [12/Feb/2024:14:10:21 +0000] "GET /a HTTP/1.1" 200 12||example.com - - [12/Feb/2024:14:10:21 +0000] "\x16\x03" 400 -`, `192.0.2.1 [12/Feb/2024:14:10:21 +0000] "GET /a HTTP/1.1" 200 12`},
	"COMBINEDAPACHELOG":              {`192.0.2.1 - - [12/Feb/2024:14:10:21 +0000] "GET / HTTP/1.1" 200 12 "-" "curl/8"`, `192.0.2.1 - - [12/Feb/2024:14:10:21 +0000] "GET / HTTP/1.1" 200 12`},
	"HTTPD20_ERRORLOG":               {"[Mon Feb 12 14:10:21 2024] [error] [client 192.0.2.1] File does not exist: /a||[Mon Feb 12 14:10:21 2024] [notice] caught SIGTERM", "[error] x"},
	"HTTPD24_ERRORLOG":               {"[Mon Feb 12 14:10:21.123456 2024] [core:error] [pid 12:tid 345] [client 192.0.2.1:4242] AH00126: Invalid URI||[Mon Feb 12 14:10:21.1 2024] [proxy:error] [pid 12] (111)Connection refused: AH00957: x", "[Mon Feb 12 14:10:21 2024] [error] x"},
	"HTTPD_ERRORLOG":                 {"[Mon Feb 12 14:10:21 2024] [error] x||[Mon Feb 12 14:10:21.123456 2024] [core:error] [pid 12] AH00126: x", "x"},
	"NGUSERNAME":                     {"ann||a@example.com||-", "a b||"},
	"NGUSER":                         {"ann", "a b"},
	"NGINXACCESS":                    {`192.0.2.1 - - [12/Feb/2024:14:10:21 +0000] "GET /a?b HTTP/1.1" 200 12 "-" "x y"`, `192.0.2.1 - - [12/Feb/2024:14:10:21 +0000] "-" 400 0 "-" "-"`},
	"NAXSI_EXLOG":                    {"NAXSI_EXLOG: ip=192.0.2.1&server=example.com&uri=%2F&id=1000&zone=ARGS&var_name=a&content=select", "NAXSI_FMT: ip=192.0.2.1"},
	"HAPROXYCAPTUREDREQUESTHEADERS":  {"a|b", "a\nb"},
	"HAPROXYCAPTUREDRESPONSEHEADERS": {"a|b", "a\nb"},

	"SSHD_FAIL":         {"Failed password for ann from 192.0.2.1 port 4242 ssh2||Failed publickey for invalid user x from 2001:db8::1 port 1 ssh2", "Accepted password for ann from 192.0.2.1 port 4242 ssh2||Failed password for ann"},
	"SSHD_USER_FAIL":    {"Failed password for invalid user x from 192.0.2.1 port 4242 ssh2", "Failed password for x from 192.0.2.1 port 4242 ssh2"},
	"SSHD_DISC_PREAUTH": {"Disconnected from 192.0.2.1 port 4242 [preauth]||Disconnected from authenticating user root 192.0.2.1 port 4242 [preauth]", "Disconnected from user root 192.0.2.1 port 4242"},
	"SSHD_BAD_VERSION":  {`Bad protocol version identification '\003' from 192.0.2.1 port 4242||Bad protocol version identification '' from 192.0.2.1`, "Bad protocol"},
	"SMB_AUTH_FAIL":     {`Auth: [SMB2,(null)] user [D]\[ann] at [x] with [NTLMv2] status [NT_STATUS_NO_SUCH_USER] workstation [] remote host [ipv4:192.0.2.1`, `Auth: user [D]\[ann] status [NT_STATUS_OK] remote host [ipv4:192.0.2.1`},
	"TCPDUMP_OUTPUT":    {"11:29:42.550475 IP 192.0.2.1.43436 > 198.51.100.7.22: Flags [S],", "11:29:42.550475 ARP, Request"},
	"COWRIE_NEW_CO":     {"New connection: 192.0.2.1:1 (198.51.100.7:23) [session: T1]", "New connection: x"},
}

// serviceLines returns the lines of testdata/services.txt by pattern.
func serviceLines(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("testdata/services.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]string{}
	if err := readPatterns(lines, string(text)); err != nil {
		t.Fatal(err)
	}
	unescape := strings.NewReplacer(`\t`, "\t", `\n`, "\n")
	for name, line := range lines {
		lines[name] = unescape.Replace(line)
	}
	return lines
}

func TestStockPatterns(t *testing.T) {
	s, services := NewSet(), serviceLines(t)
	for name := range stock() {
		ex, ok := examples[name]
		if line, service := services[name]; service && !ok {
			ex.yes, ex.no = line, "#\na" // no service writes that
		} else if ok == service {
			if strings.HasPrefix(name, "_") {
				continue // a part of others, which have examples
			}
			t.Errorf("%s has examples: %v, and a line of a service: %v; want one of both", name, ok, service)
			continue
		}
		p, err := s.Compile(`^(?:%{` + name + `:whole})$`)
		if err != nil {
			t.Errorf("compile %s: %v", name, err)
			continue
		}
		var m Match
		for text := range strings.SplitSeq(ex.yes, "||") {
			if !p.Match(text, &m) {
				t.Errorf("%s should match %q", name, text)
			}
		}
		for text := range strings.SplitSeq(ex.no, "||") {
			if p.Match(text, &m) {
				t.Errorf("%s should not match %q", name, text)
			}
		}
	}
	for name := range examples {
		if !s.Has(name) {
			t.Errorf("examples of %s, which is not a stock pattern", name)
		}
	}
	for name := range services {
		if !s.Has(name) {
			t.Errorf("a line for %s, which is not a stock pattern", name)
		}
	}
}

func TestRulesFindEveryNameOfTheLanguage(t *testing.T) {
	names := 0
	for name := range stock() {
		if !strings.HasPrefix(name, "_") {
			names++
		}
	}
	if names != 397 {
		t.Errorf("%d stock patterns, want 397: no name of the language may be missing, and none of our own may hide one of a rule", names)
	}
}

func TestStockFields(t *testing.T) {
	for _, tt := range []struct {
		name, expr, text string
		want             want
	}{
		{"addresses are found in full at the end of a line", `from %{IP:ip}`, "from 198.51.100.254", want{"ip": "198.51.100.254"}},
		{"a mapped address is taken as a whole", `from %{IP:ip}$`, "from ::ffff:198.51.100.254", want{"ip": "::ffff:198.51.100.254"}},
		{"an address before a port", `%{IP:ip}:%{INT:port}`, "192.0.2.25:80", want{"ip": "192.0.2.25", "port": "80"}},
		{"a day of two digits is taken as a whole", `%{MONTHDAY:d}`, "12", want{"d": "12"}},
		{"a month of two digits is taken as a whole", `%{MONTHNUM:m}`, "12", want{"m": "12"}},
		{"a leap second is taken as a whole", `%{SECOND:s}`, "60", want{"s": "60"}},
		{"a syslog line", `^%{SYSLOGLINE}`, "Feb 12 14:10:21 host sshd[16378]: Invalid user a: b", want{
			"timestamp": "Feb 12 14:10:21", "timestamp8601": "", "facility": "", "priority": "", "logsource": "host",
			"program": "sshd", "pid": "16378", "message": "Invalid user a: b"}},
		{"a syslog line with an RFC 3339 time", `^%{SYSLOGLINE}`, "2024-02-12T14:10:21.000001+01:00 my_host kernel: x", want{
			"timestamp": "", "timestamp8601": "2024-02-12T14:10:21.000001+01:00", "facility": "", "priority": "", "logsource": "my_host",
			"program": "kernel", "pid": "", "message": "x"}},
		{"an access log line", `%{COMMONAPACHELOG}`, `192.0.2.1 - ann [12/Feb/2024:14:10:21 +0000] "GET /a?b HTTP/1.1" 404 12`, want{
			"clientip": "192.0.2.1", "ident": "-", "auth": "ann", "timestamp": "12/Feb/2024:14:10:21 +0000", "verb": "GET",
			"request": "/a?b", "httpversion": "1.1", "rawrequest": "", "response": "404", "bytes": "12"}},
		{"an access log line of garbage", `%{COMMONAPACHELOG}`, `192.0.2.1 - - [12/Feb/2024:14:10:21 +0000] "\x16\x03\x01" 400 -`, want{
			"clientip": "192.0.2.1", "ident": "-", "auth": "-", "timestamp": "12/Feb/2024:14:10:21 +0000", "verb": "",
			"request": "", "httpversion": "", "rawrequest": `\x16\x03\x01`, "response": "400", "bytes": ""}},
		{"an sshd failure", `%{SSHD_FAIL}`, "Failed password for invalid user x from 2001:db8::1 port 4242 ssh2", want{
			"sshd_invalid_user": "x", "sshd_client_ip": "2001:db8::1", "sshd_port": "4242", "sshd_protocol": "ssh2"}},
		{"a haproxy date", `%{HAPROXYDATE:date}`, "[12/Feb/2024:14:10:21.123]", want{
			"date": "12/Feb/2024:14:10:21.123", "haproxy_monthday": "12", "haproxy_month": "Feb", "haproxy_year": "2024",
			"haproxy_time": "14:10:21", "haproxy_hour": "14", "haproxy_minute": "10", "haproxy_second": "21", "haproxy_milliseconds": "123"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, fields(t, NewSet(), tt.expr, tt.text)); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadPatterns(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"a line without a pattern", "# x\n\nABC\n", "line 3: want a name"},
		{"a name with other characters", "A-B x", "line 1: want a name"},
		{"a name twice", "A x\nA y", "line 2: A: pattern is already defined"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := readPatterns(map[string]string{}, tt.text)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want one with %q", err, tt.want)
			}
		})
	}
}
