package datafile

import (
	"bytes"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"

	"gabion/userspace/ruledoc"
)

func TestBotsAreRead(t *testing.T) {
	s := New(Config{Log: slog.New(slog.DiscardHandler), Shipped: fstest.MapFS{"bots.json": {Data: []byte(
		`{"name":"a","user_agent":"abot","paths":["^/x","^/y"],"ips":["192.0.2.1","::ffff:192.0.2.2"],"ranges":["2001:db8::/32"],"rdns":["\\.example\\.com$"]}` + "\n")}}})
	if err := s.Load("bots.json", "bots"); err != nil {
		t.Fatal(err)
	}
	bots, ok := s.Bots("bots.json")
	if !ok || len(bots) != 1 {
		t.Fatalf("got %d bots, %v", len(bots), ok)
	}
	b := bots[0]
	if !b.Asks("The ABot/2", "/Y/z") || b.Asks("The ABot/2", "/z") || b.Asks("other", "/x") {
		t.Error("user agent and path both must match, whatever their case")
	}
	for text, want := range map[string]bool{"192.0.2.1": true, "192.0.2.2": true, "192.0.2.3": false, "2001:db8:1::1": true} {
		if b.Owns(netip.MustParseAddr(text)) != want {
			t.Errorf("Owns(%s) = %v", text, !want)
		}
	}
	if !b.HasNames() || !b.Named("C.Example.COM") || b.Named("example.com.evil.test") {
		t.Error("names are told apart wrongly")
	}
}

func TestFaultyBotsAreReported(t *testing.T) {
	for row, want := range map[string]string{
		`{"name":"a"}`:                               `f:1: row needs "ips", "ranges" or "rdns", or anybody could pass for the bot`,
		`{"ips":["192.0.2.1"]}`:                      `f:1: row lacks "name"`,
		`{"name":"a","ip":["192.0.2.1"]}`:            `f:1: row is no JSON object of a bot: unknown field "ip"`,
		`{"name":"a","ips":["192.0.2.1"]} {}`:        `f:1: row has more than one JSON object`,
		`{"name":"a","ips":["x"]}`:                   `f:1: ips: "x" is no address`,
		`{"name":"a","ranges":["192.0.2.1"]}`:        `f:1: ranges: "192.0.2.1" is no range of addresses, such as 192.0.2.0/24`,
		`{"name":"a","rdns":["("]}`:                  "f:1: rdns: error parsing regexp: missing closing ): `(?i)(`",
		`{"name":"a","rdns":["a"],"user_agent":"("}`: "f:1: user_agent: error parsing regexp: missing closing ): `(?i)(`",
		`{"name":"a","rdns":["a"],"paths":["("]}`:    "f:1: paths: error parsing regexp: missing closing ): `(?i)(`",
		`nope`: "f:1: row is no JSON object of a bot: invalid character 'o' in literal null (expecting 'u')",
	} {
		s := New(Config{Shipped: fstest.MapFS{"f": {Data: []byte(row)}}})
		if err := s.Load("f", "bots"); err == nil || err.Error() != want {
			t.Errorf("%s\nerr  = %v\nwant = %s", row, err, want)
		}
		if _, ok := s.Bots("f"); ok {
			t.Errorf("%s: the file is loaded", row)
		}
	}
}

func TestAMissingFileIsNamedWhenTheRuleIsLoaded(t *testing.T) {
	var log bytes.Buffer
	s := New(Config{Log: slog.New(slog.NewTextHandler(&log, nil)), Shipped: fstest.MapFS{"there.mmdb": {}}})
	s.LoadDeclared([]ruledoc.DataFile{{DestFile: "there.mmdb"}, {DestFile: "gone.mmdb"}, {DestFile: "gone.txt", Type: "string"}, {}, {DestFile: "there.mmdb", Strategy: "LRU"}, {DestFile: "there.mmdb", Strategy: "FIFO"}})
	if got := log.String(); strings.Contains(got, "there.mmdb") || strings.Count(got, "gone.mmdb") == 0 || strings.Count(got, "gone.txt") == 0 {
		t.Errorf("log says:\n%s", got)
	}
	if got := log.String(); strings.Count(got, "unknown cache strategy") != 1 {
		t.Errorf("log says:\n%s", got)
	}
}

func TestFilesWithTooManyLinesAreCut(t *testing.T) {
	s := New(Config{Shipped: fstest.MapFS{
		"list":    {Data: []byte(strings.Repeat("a\n", maxLines+1))},
		"regexps": {Data: []byte(strings.Repeat("a\n", maxRegexps+1))},
	}})
	if err := s.Load("list", "string"); err == nil || err.Error() != "list:1000001: too many lines: the rest of the file is not read" {
		t.Errorf("err = %v", err)
	}
	if lines, ok := s.Lines("list"); !ok || len(lines) != maxLines {
		t.Errorf("%d lines, %v", len(lines), ok)
	}
	if err := s.Load("regexps", "regexp"); err == nil || !strings.Contains(err.Error(), "regexps:20001: too many lines") {
		t.Errorf("err = %v", err)
	}
	if match, ok := s.Matches("a", "regexps"); !match || !ok {
		t.Error("the first patterns should be in force")
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("a\n#b\n\nc\r\n", "string")
	f.Add("(\n\\bx\\b\n", "regexp")
	f.Add(`{"pattern":"a","tag":"b","type":"contains"}`, "map")
	f.Add(`{"name":"a","ips":["192.0.2.1"],"rdns":["x"]}`, "bots")
	f.Fuzz(func(t *testing.T, content, typ string) {
		s := New(Config{Shipped: fstest.MapFS{"f": {Data: []byte(content)}}})
		if err := s.Load("f", typ); err != nil && !strings.Contains(err.Error(), "f") {
			t.Errorf("err = %v does not name the file", err)
		}
		s.Matches("abc", "f")
		s.LookUp("abc", "f")
		s.Rows("f")
	})
}
