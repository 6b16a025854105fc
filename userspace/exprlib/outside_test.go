package exprlib

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gabion/userspace/cti"
	"gabion/userspace/dns"
	"gabion/userspace/event"
	"gabion/userspace/geo"
	"gabion/userspace/geo/geotest"
)

// TestAllHelpersOfTheLanguageAreThere lists the names that rules may call.
func TestAllHelpersOfTheLanguageAreThere(t *testing.T) {
	want := strings.Fields(`Atof AverageInterval B64Decode CrowdsecCTI Distance Distinct ExtractQueryParam Fields File FileMap Flatten FlattenDistinct
		FloatApproxEqual GeoIPASNEnrich GeoIPEnrich GeoIPRangeEnrich Get GetActiveDecisionsCount GetActiveDecisionsTimeLeft GetDecisionsCount
		GetDecisionsSinceCount GetFromStash HTTPGet HTTPHead HTTPPost HTTPRequest Hostname IPToCountry Index IndexAny IpInRange IpToRange IsIP IsIPV4 IsIPV6
		JA4H Join JsonExtract JsonExtractLib JsonExtractObject JsonExtractSlice JsonExtractUnescape KeyExists LibInjectionIsSQLI LibInjectionIsXSS LogInfo
		LookupFile LookupHost Lower Match MatchKnownBot MedianInterval ParseKV ParseKVLax ParseQuery ParseUnix ParseUri PathEscape PathUnescape QueryEscape
		QueryUnescape RegexpInFile Replace ReplaceAll SetInStash Split SplitAfter SplitAfterN SplitN Sprintf TimeNow ToJsonString ToString Trim TrimLeft
		TrimPrefix TrimRight TrimSpace TrimSuffix UnmarshalJSON Upper XMLGetAttributeValue XMLGetNodeValue`)
	var got []string
	for _, f := range New(Deps{}).Functions() {
		if f.Call == nil {
			t.Errorf("%s does nothing", f.Name)
		}
		got = append(got, f.Name)
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" || len(got) != 83 {
		t.Errorf("%d helpers (-want +got):\n%s", len(got), diff)
	}
}

func mustGeo(t *testing.T) *geo.Databases {
	t.Helper()
	dir := t.TempDir()
	prefix := netip.MustParsePrefix("192.0.2.0/24")
	for file, record := range map[string]geotest.Record{
		geo.CityFile: {"country": geotest.Record{"iso_code": "FR"}, "city": geotest.Record{"names": map[string]string{"en": "Paris"}}},
		geo.ASNFile:  {"autonomous_system_number": uint32(64500), "autonomous_system_organization": "Example"},
	} {
		if err := geotest.Write(filepath.Join(dir, file), file, map[netip.Prefix]geotest.Record{prefix: record}); err != nil {
			t.Fatal(err)
		}
	}
	d, err := geo.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

type fakeInForce struct{}

func (fakeInForce) InForce(p netip.Prefix) (int, time.Time) {
	if p.String() == "192.0.2.1/32" {
		return 2, testNow().Add(time.Hour)
	}
	return 0, time.Time{}
}

type fakeCTI struct{}

func (fakeCTI) Item(ip string) (*cti.Item, error) {
	if ip != "192.0.2.1" {
		return nil, errors.New("no answer")
	}
	return &cti.Item{Behaviors: []cti.Tag{{Name: "ssh:bruteforce"}}}, nil
}

// outsideLib is a Lib that has everything to ask.
func outsideLib(t *testing.T) *Lib {
	t.Helper()
	l := New(Deps{
		Now: testNow, InForce: fakeInForce{}, CTI: fakeCTI{}, Geo: mustGeo(t),
		DNS: dns.New(dns.Config{
			Now: testNow,
			LookupAddr: func(_ context.Context, address string) ([]string, error) {
				return map[string][]string{"192.0.2.7": {"crawl.example.com."}, "192.0.2.8": {"crawl.example.com."}, "192.0.2.9": {"a.", "b.", "c.", "crawl.example.com."}}[address], nil
			},
			LookupHost: func(_ context.Context, host string) ([]string, error) {
				return map[string][]string{"crawl.example.com.": {"192.0.2.7"}, "example.com": {"192.0.2.1", "2001:db8::1"}}[host], nil
			},
		}),
		Data: fstest.MapFS{"bots.json": {Data: []byte(
			`{"name":"named","user_agent":"^goodbot/","rdns":["\\.example\\.com$"]}` + "\n" +
				`{"name":"ranged","user_agent":"ranged","paths":["^/feed"],"ranges":["198.51.100.0/24"],"ips":["2001:db8::7"]}` + "\n")}},
	})
	if err := l.data.Load("bots.json", "bots"); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestHelpersThatAskOthers(t *testing.T) {
	l := outsideLib(t)
	for _, tt := range []helperTest{
		{`GeoIPEnrich('192.0.2.1').City.Names['en'] + GeoIPEnrich('192.0.2.1').Country.IsoCode`, "ParisFR"},
		{`GeoIPEnrich('198.51.100.1').Country.IsoCode`, ""},
		{`string(GeoIPASNEnrich('192.0.2.1').AutonomousSystemNumber) + GeoIPASNEnrich('192.0.2.1').AutonomousSystemOrganization`, "64500Example"},
		{`GeoIPRangeEnrich('192.0.2.1').String()`, "192.0.2.0/24"},
		{`GeoIPRangeEnrich('198.51.100.1') == nil`, true},
		{`IPToCountry('192.0.2.1') + IPToCountry('198.51.100.1') + IPToCountry('x')`, "FR"},
		{`LookupHost('example.com')`, []string{"192.0.2.1", "2001:db8::1"}},
		{`LookupHost('none.example.com')`, []string{}},
		{`MatchKnownBot('192.0.2.7', 'GoodBot/2', '/', 'bots.json')`, true},
		{`MatchKnownBot('192.0.2.7:4711', 'goodbot/2', '/', 'none.json', 'bots.json')`, true},
		{`MatchKnownBot('[::ffff:192.0.2.7]:4711', 'goodbot/2', '/', 'bots.json')`, true},
		{`MatchKnownBot('192.0.2.8', 'goodbot/2', '/', 'bots.json')`, false},
		{`MatchKnownBot('192.0.2.9', 'goodbot/2', '/', 'bots.json')`, false},
		{`MatchKnownBot('192.0.2.7', 'badbot/2', '/', 'bots.json')`, false},
		{`MatchKnownBot('192.0.2.7', 'goodbot/2', '/')`, false},
		{`MatchKnownBot('nowhere', 'goodbot/2', '/', 'bots.json')`, false},
		{`MatchKnownBot('198.51.100.9', 'ranged', '/feed/x', 'bots.json') && MatchKnownBot('2001:db8::7', 'ranged', '/feed', 'bots.json')`, true},
		{`MatchKnownBot('198.51.100.9', 'ranged', '/', 'bots.json')`, false},
		{`GetActiveDecisionsCount('192.0.2.1') + GetActiveDecisionsCount('::ffff:192.0.2.1') + GetActiveDecisionsCount('192.0.2.2')`, 4},
		{`GetActiveDecisionsTimeLeft('192.0.2.1')`, time.Hour},
		{`GetActiveDecisionsTimeLeft('192.0.2.2')`, time.Duration(0)},
		{`CrowdsecCTI('192.0.2.1').GetBehaviors()`, []string{"ssh:bruteforce"}},
		{`CrowdsecCTI('192.0.2.1').IsFalsePositive()`, false},
	} {
		t.Run(tt.src, func(t *testing.T) {
			got, err := eval(t, l, &event.Event{}, tt.src)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestHelpersThatAskOthersFail(t *testing.T) {
	full, empty := outsideLib(t), New(Deps{Now: testNow})
	for _, tt := range []struct {
		lib       *Lib
		src, want string
	}{
		{full, `GeoIPEnrich('x')`, `look up "x": it is no address`},
		{full, `GeoIPRangeEnrich('192.0.2.1/24')`, "it is no address"},
		{full, `GetActiveDecisionsCount('alice')`, `"alice" is neither an address nor a range`},
		{full, `GetActiveDecisionsTimeLeft('')`, "neither an address nor a range"},
		{full, `CrowdsecCTI('192.0.2.2')`, "no answer"},
		{full, `MatchKnownBot('192.0.2.7', 'a', '/', evt.Unmarshaled.x)`, "argument 4 is nil, want string"},
		{empty, `CrowdsecCTI('192.0.2.1')`, "cti is disabled"},
		{empty, `HTTPGet('http://192.0.2.1/')`, "rules make no HTTP requests here"},
	} {
		if _, err := eval(t, tt.lib, &event.Event{}, tt.src); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: err = %v, want %q", tt.src, err, tt.want)
		}
	}
}

func TestWithoutAnythingToAskNothingIsFound(t *testing.T) {
	l := New(Deps{Now: testNow})
	for src, want := range map[string]any{
		`GeoIPEnrich('192.0.2.1') == nil && GeoIPASNEnrich('192.0.2.1') == nil && GeoIPRangeEnrich('192.0.2.1') == nil`: true,
		`IPToCountry('192.0.2.1')`:                             "",
		`len(LookupHost('example.com'))`:                       0,
		`GetActiveDecisionsCount('192.0.2.1')`:                 0,
		`GetActiveDecisionsTimeLeft('192.0.2.1')`:              time.Duration(0),
		`GetDecisionsCount('192.0.2.1')`:                       0,
		`MatchKnownBot('192.0.2.7', 'goodbot/2', '/', 'none')`: false,
	} {
		if got, err := eval(t, l, &event.Event{}, src); err != nil || got != want {
			t.Errorf("%s = %v, %v, want %v", src, got, err, want)
		}
	}
}

func TestHTTPHelpers(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("X-Method", r.Method)
		w.WriteHeader(http.StatusTeapot)
		if r.URL.Path == "/long" {
			for range maxHTTPBody/1024 + 10 {
				_, _ = w.Write(bytes.Repeat([]byte("a"), 1024)) // the reader stops
			}
			return
		}
		_, _ = w.Write([]byte(r.Header.Get("Content-Type") + r.Header.Get("X-Own") + string(body)))
	}))
	defer server.Close()
	l := New(Deps{Now: testNow, HTTP: server.Client().Do})
	for src, want := range map[string]any{
		`HTTPGet(evt.Line.Src).StatusCode`:                                          http.StatusTeapot,
		`HTTPHead(evt.Line.Src).Headers.Get('X-Method')`:                            "HEAD",
		`HTTPPost(evt.Line.Src, 'text/x', 'hello').Body`:                            "text/xhello",
		`HTTPRequest('PUT', evt.Line.Src, {'X-Own': 'mine'}, 'b').Body`:             "mineb",
		`HTTPRequest('PUT', evt.Line.Src, evt.Line.Labels, '').Headers['X-Method']`: []string{"PUT"},
		`len(HTTPGet(evt.Line.Src + '/long').Body)`:                                 maxHTTPBody,
	} {
		evt := &event.Event{Line: event.Line{Src: server.URL, Labels: map[string]string{"X-Own": "x"}}}
		got, err := eval(t, l, evt, src)
		if err != nil {
			t.Errorf("%s: %v", src, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", src, diff)
		}
	}
	for src, want := range map[string]string{
		`HTTPGet('::')`: "make HTTP request",
		`HTTPRequest('a b', evt.Line.Src, {'a': 'b'}, '')`:                                     "invalid method",
		`HTTPRequest('GET', evt.Line.Src, {'a': 1}, '')`:                                       "header a is int, want text",
		`HTTPRequest('GET', evt.Line.Src, evt.Unmarshaled.x, 1 == 1 ? evt.Unmarshaled.y : '')`: "argument 4 is nil, want string",
	} {
		if _, err := eval(t, l, &event.Event{Line: event.Line{Src: server.URL}}, src); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: err = %v, want %q", src, err, want)
		}
	}
}

func TestInjections(t *testing.T) {
	runHelperTests(t, []helperTest{
		{`LibInjectionIsSQLI("1' OR '1'='1") && !LibInjectionIsSQLI("a plain sentence")`, true},
		{`LibInjectionIsXSS("<script>alert(1)</script>") && !LibInjectionIsXSS("a < b")`, true},
	})
}

func FuzzInjections(f *testing.F) {
	for _, s := range []string{"1' OR '1'='1", "<svg onload=alert(1)>", "&#x", "/*!", "$$a$$", "u&'\\0041'", "<![CDATA[", "\x00'", "x'00'"} {
		f.Add(s)
	}
	helpers := map[string]func(string) bool{}
	for _, h := range requestFunctions() {
		if judge, ok := h.Typed.(func(string) bool); ok {
			helpers[h.Name] = judge
		}
	}
	f.Fuzz(func(t *testing.T, s string) {
		for name, judge := range helpers {
			if first := judge(s); judge(s) != first {
				t.Errorf("%s changes its mind about %q", name, s)
			}
		}
	})
}

func TestJA4H(t *testing.T) {
	req := func(headers ...string) *http.Request {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Add(headers[i], headers[i+1])
		}
		return r
	}
	const none = "000000000000"
	for _, tt := range []struct {
		name string
		req  *http.Request
		want string
	}{
		{"no request", nil, ""},
		{"nothing", req(), "ge11nn000000_" + none + "_" + none + "_" + none},
		{"language and names", req("Accept-Language", "en-US,en;q=0.5", "Host", "a"), "ge11nn02enus_" + shortHash([]string{"Accept-Language", "Host"}) + "_" + none + "_" + none},
		{"cookies and referer count as such only", req("Cookie", "b=2; a=1", "Referer", "x", "Accept-Language", "de"), "ge11cr01de00_" + shortHash([]string{"Accept-Language"}) + "_" + shortHash([]string{"a", "b"}) + "_" + shortHash([]string{"a=1", "b=2"})},
	} {
		if got := ja4h(tt.req); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	if a, b := shortHash([]string{"a"}), shortHash([]string{"b"}); a == b || len(a) != 12 {
		t.Errorf("hashes are %s and %s", a, b)
	}
}

func TestRulesCanSetStashes(t *testing.T) {
	now := testNow()
	var log bytes.Buffer
	l := New(Deps{Now: func() time.Time { return now }, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if _, err := l.Stash(StashConfig{Name: "s", TTL: time.Minute}); err != nil {
		t.Fatal(err)
	}
	for _, src := range []string{`SetInStash('s', 'own', 'a', nil)`, `SetInStash('s', 'text', 'b', '2m')`, `SetInStash('s', 'typed', 'c', duration('3m'))`, `SetInStash('none', 'x', 'y', nil)`} {
		if got, err := eval(t, l, &event.Event{}, src); got != nil || err != nil {
			t.Errorf("%s = %v, %v", src, got, err)
		}
	}
	for _, want := range []string{"abc", "bc", "c", ""} {
		got, err := eval(t, l, &event.Event{}, `GetFromStash('s', 'own') + GetFromStash('s', 'text') + GetFromStash('s', 'typed')`)
		if got != want || err != nil {
			t.Errorf("after %s: %v, %v, want %q", now.Sub(testNow()), got, err, want)
		}
		now = now.Add(time.Minute)
	}
	if !strings.Contains(log.String(), "stash not declared") {
		t.Errorf("log says:\n%s", &log)
	}
	for src, want := range map[string]string{
		`SetInStash('s', 'a', 'b', '5 minutes')`:       "invalid duration",
		`SetInStash('s', 'a', 'b', 5)`:                 "argument 4 is int, want a duration",
		`SetInStash('s', evt.Unmarshaled.x, 'b', nil)`: "argument 2 is nil, want string",
	} {
		if _, err := eval(t, l, &event.Event{}, src); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: err = %v, want %q", src, err, want)
		}
	}
}
