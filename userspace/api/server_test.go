package api

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"gabion/userspace/client"
)

func TestEveryRouteButHealthWantsTheKey(t *testing.T) {
	srv := mustServer(t, newFake())
	for _, path := range []string{"/v1/alerts", "/v1/alerts/3", "/v1/decisions", "/v1/gabion/allow", "/v1/gabion/why/192.0.2.1", "/v1/gabion/status", "/v1/gabion/metrics", "/metrics"} {
		for _, bad := range []string{"", "test-kex", "test-key2", "t"} {
			if status, body := ask(t, srv, "GET", path, "", "X-Api-Key", bad); status != 403 || body != `{"message":"access forbidden"}` {
				t.Errorf("GET %s with key %q = %d %s", path, bad, status, body)
			}
		}
		if status, _ := ask(t, srv, "GET", path, ""); status != 200 {
			t.Errorf("GET %s with the key = %d", path, status)
		}
		if status, _ := ask(t, srv, "GET", path, "", "X-Api-Key", "", "Authorization", "Bearer "+key); status != 200 {
			t.Errorf("GET %s with a bearer token = %d", path, status)
		}
	}
	if status, body := ask(t, srv, "GET", "/health", "", "X-Api-Key", ""); status != 200 || body != `{"status":"up"}` {
		t.Errorf("GET /health = %d %s", status, body)
	}
}

func TestDecisionsHaveTheShapeThatBouncersKnow(t *testing.T) {
	srv := mustServer(t, newFake())
	status, body := ask(t, srv, "GET", "/v1/decisions?ip=192.0.2.1", "")
	want := `[{"duration":"4h0m0s","id":1,"origin":"crowdsec","scenario":"gabion/ssh-bruteforce","scope":"Ip","type":"ban","value":"192.0.2.1"}]`
	if status != 200 || body != want {
		t.Errorf("decisions = %d\n%s\nwant\n%s", status, body, want)
	}
	if status, body := ask(t, srv, "GET", "/v1/decisions?ip=203.0.113.99", ""); status != 200 || body != "null" {
		t.Errorf("no decisions = %d %q, want null", status, body)
	}
}

func TestDetailsSayWhatTheKernelCountedAndWhatAllowsTheAddress(t *testing.T) {
	srv := mustServer(t, newFake())
	for query, want := range map[string]string{
		"ip=192.0.2.1&details=true":   `"hits":7,"allowed_by":"on the allowlist: 192.0.2.0/24"}`,
		"ip=2001:db8::1&details=true": `"hits":7}`,
	} {
		status, body := ask(t, srv, "GET", "/v1/decisions?"+query, "")
		if status != 200 || !strings.Contains(body, want) {
			t.Errorf("decisions?%s = %d %s, want %s in it", query, status, body, want)
		}
	}
}

func TestDecisionFiltersSelect(t *testing.T) {
	srv := mustServer(t, newFake())
	c := mustClient(t, srv)
	for _, tt := range []struct {
		query string
		want  []uint64
	}{
		{"", []uint64{1, 2, 3}},
		{"simulated=true", []uint64{1, 2, 3, 4}},
		{"ip=198.51.100.9", []uint64{2}},
		{"ip=::ffff:192.0.2.1", []uint64{1}},
		{"range=192.0.2.0/24", nil},
		{"range=192.0.2.0/24&contains=false", []uint64{1}},
		{"scopes=range", []uint64{2}},
		{"scopes=ip,range", []uint64{1, 2, 3}},
		{"scenarios_containing=SSH", []uint64{1, 3}},
		{"scenarios_not_containing=ssh,none", []uint64{2}},
		{"origins=cscli,lists", nil},
		{"value=2001:db8::1", []uint64{3}},
		{"type=captcha", nil},
		{"limit=1", []uint64{1}},
		{"offset=1&limit=1", []uint64{2}},
		{"id_gt=2", []uint64{3}},
		{"unknown=1", []uint64{1, 2, 3}},
	} {
		t.Run(tt.query, func(t *testing.T) {
			q, err := url.ParseQuery(tt.query)
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.Decisions(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			var ids []uint64
			for _, d := range got {
				ids = append(ids, d.ID)
			}
			if diff := cmp.Diff(tt.want, ids); diff != "" {
				t.Error(diff)
			}
		})
	}
	if status, _ := ask(t, srv, "GET", "/v1/decisions?ip=nonsense", ""); status != 500 {
		t.Errorf("bad ip = %d, want 500", status)
	}
}

func TestDeleteEndsOnlyWhatItUnderstands(t *testing.T) {
	for _, tt := range []struct {
		path   string
		status int
		want   []uint64
	}{
		{"/v1/decisions", 200, []uint64{1, 2, 3, 4}},
		{"/v1/decisions?ip=192.0.2.1", 200, []uint64{1}},
		{"/v1/decisions?range=198.51.100.0/24", 200, []uint64{2}},
		{"/v1/decisions?scenario=gabion/ssh-bruteforce", 200, []uint64{1, 3}},
		{"/v1/decisions?scope=Ip", 500, nil},
		{"/v1/decisions?ip=x", 500, nil},
		{"/v1/decisions/2", 200, []uint64{2}},
		{"/v1/decisions/99", 500, nil},
		{"/v1/decisions/x", 400, nil},
	} {
		t.Run(tt.path, func(t *testing.T) {
			f := newFake()
			status, body := ask(t, mustServer(t, f), "DELETE", tt.path, "")
			if diff := cmp.Diff(tt.want, f.ended); status != tt.status || diff != "" {
				t.Errorf("status %d, body %s, %s", status, body, diff)
			}
		})
	}
}

func TestAlertsAreListedAndShown(t *testing.T) {
	srv := mustServer(t, newFake())
	c := mustClient(t, srv)
	for query, want := range map[string]int{
		"": 2, "kind=cscli": 1, "origin=crowdsec": 1, "has_active_decision=true": 1, "has_active_decision=false": 1,
		"range=198.51.100.0/25": 1, "limit=1": 1, "limit=0": 2, "decision_type=captcha": 0,
	} {
		q, _ := url.ParseQuery(query)
		got, err := c.Alerts(t.Context(), q)
		if err != nil || len(got) != want {
			t.Errorf("alerts?%s = %d, %v; want %d", query, len(got), err, want)
		}
	}
	a, err := c.Alert(t.Context(), 3)
	if err != nil || a.Events[0].Line != "a <line>" || a.Decisions[0].Duration != "4h0m0s" {
		t.Errorf("alert = %+v, %v", a, err)
	}
	if status, body := ask(t, srv, "GET", "/v1/alerts/99", ""); status != 404 || body != `{"message":"object not found"}` {
		t.Errorf("missing alert = %d %s", status, body)
	}
	if status, _ := ask(t, srv, "GET", "/v1/alerts?nonsense=1", ""); status != 500 {
		t.Errorf("unknown filter = %d, want 500", status)
	}
}

const pushed = `[{"capacity":0,"events":[],"events_count":1,"leakspeed":"0","message":"m","scenario":"s","scenario_hash":"","scenario_version":"",
"simulated":false,"source":{"scope":"ip","value":"192.0.2.9"},"start_at":"2026-02-12T12:00:00Z","stop_at":"2026-02-12T12:00:00Z","kind":"cscli","unknown":1,
"decisions":[{"duration":"1d","origin":"cscli","scenario":"s","scope":"ip","type":"ban","value":"192.0.2.9"}]}] trailing`

func TestPostedAlertsReachTheBackend(t *testing.T) {
	var zipped bytes.Buffer
	zw := gzip.NewWriter(&zipped)
	_, _ = zw.Write([]byte(pushed))
	_ = zw.Close()
	for name, tt := range map[string]struct {
		body   string
		header []string
	}{
		"plain": {pushed, nil},
		"gzip":  {zipped.String(), []string{"Content-Encoding", "gzip"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			status, body := ask(t, mustServer(t, f), "POST", "/v1/alerts", tt.body, tt.header...)
			if status != 201 || body != `["1"]` {
				t.Fatalf("answer = %d %s", status, body)
			}
			d := f.taken[0].Decisions[0]
			if d.Scope != "Ip" || !d.Until.Equal(noon.Add(24*time.Hour)) {
				t.Errorf("decision = %+v", d)
			}
		})
	}
}

func TestBadAlertsAreRefusedByName(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		status     int
		want       string
	}{
		{"an object", `{}`, 400, "read request body"},
		{"nothing", ``, 400, "empty"},
		{"no source", `[{}]`, 500, "source"},
		{"a bad duration", strings.Replace(pushed, `"1d"`, `"soon"`, 1), 500, `invalid duration \"soon\"`},
		{"only bad addresses", strings.ReplaceAll(pushed, `"192.0.2.9"}]`, `"x"}]`), 201, "[]"},
		{"a protected address", strings.ReplaceAll(pushed, "192.0.2.9", "192.0.2.77"), 422, "192.0.2.77 is not banned: own address"},
		{"an empty list", `[]`, 201, "[]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake()
			f.refuse = "192.0.2.77"
			status, body := ask(t, mustServer(t, f), "POST", "/v1/alerts", tt.body)
			if status != tt.status || !strings.Contains(body, tt.want) {
				t.Errorf("answer = %d %s, want %d %s", status, body, tt.status, tt.want)
			}
		})
	}
}

func TestAlertsAreNotAcknowledgedWithoutTheRecord(t *testing.T) {
	f := newFake()
	f.failure = errors.New("disk full")
	if status, body := ask(t, mustServer(t, f), "POST", "/v1/alerts", pushed); status != 500 || !strings.Contains(body, "disk full") {
		t.Errorf("answer = %d %s", status, body)
	}
}

func TestACompressedBombIsRefused(t *testing.T) {
	var bomb bytes.Buffer
	zw := gzip.NewWriter(&bomb)
	_, _ = zw.Write([]byte(`["`))
	block := bytes.Repeat([]byte("a"), 1<<20)
	for range MaxBody>>20 + 1 {
		_, _ = zw.Write(block)
	}
	_ = zw.Close()
	status, body := ask(t, mustServer(t, newFake()), "POST", "/v1/alerts", bomb.String(), "Content-Encoding", "gzip")
	if status != 400 || !strings.Contains(body, "too large") {
		t.Errorf("answer = %d %s", status, body)
	}
}

func TestAllowlistAndWhy(t *testing.T) {
	c := mustClient(t, mustServer(t, newFake()))
	if _, err := c.AddAllow(t.Context(), client.AllowRequest{Value: "192.0.2.0/24", Comment: "office"}); err != nil {
		t.Fatal(err)
	}
	list, err := c.Allows(t.Context())
	if err != nil || len(list) != 1 || list[0].Comment != "office" {
		t.Errorf("allows = %+v, %v", list, err)
	}
	if n, err := c.RemoveAllow(t.Context(), "192.0.2.0/24"); n != 1 || err != nil {
		t.Errorf("remove = %d, %v", n, err)
	}
	for _, req := range []client.AllowRequest{{Value: "x"}, {Value: "0.0.0.0/0"}, {Value: "192.0.2.1", Duration: "soon"}, {Value: "192.0.2.1", Duration: "0s"}} {
		if _, err := c.AddAllow(t.Context(), req); err == nil {
			t.Errorf("%+v was accepted", req)
		}
	}
	why, err := c.Why(t.Context(), netip.MustParseAddr("2001:db8::1"))
	if err != nil || why.IP != "2001:db8::1" {
		t.Errorf("why = %+v, %v", why, err)
	}
}

func TestMetricsAreTheSameForPeopleAndPrometheus(t *testing.T) {
	srv := mustServer(t, newFake())
	if _, body := ask(t, srv, "GET", "/metrics", ""); !strings.Contains(body, "gabion_test_total 3") {
		t.Errorf("metrics = %s", body)
	}
	got, err := mustClient(t, srv).Metrics(t.Context())
	if err != nil || len(got) != 1 || got[0].Value != 3 || got[0].Help != "A test." {
		t.Errorf("metrics = %+v, %v", got, err)
	}
}

func FuzzPostedAlertsNeverPanic(f *testing.F) {
	f.Add([]byte(pushed))
	f.Add([]byte(`[{"source":{"scope":"Ip","value":"x"},"decisions":[{}]}]`))
	s, err := New(Config{Backend: newFake(), Metrics: prometheus.NewRegistry(), Key: key, Now: func() time.Time { return noon }, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	h := s.Handler()
	f.Fuzz(func(t *testing.T, body []byte) {
		r := httptest.NewRequest("POST", "/v1/alerts", bytes.NewReader(body))
		r.Header.Set("X-Api-Key", key)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if !json.Valid(w.Body.Bytes()) {
			t.Errorf("answer is no JSON: %q", w.Body)
		}
	})
}
