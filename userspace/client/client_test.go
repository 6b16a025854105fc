package client

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// seen is what the server got.
type seen struct {
	Method, Path, Query, Key, Agent, Type, Encoding, Body string
}

// mustServe answers every request with status and body and returns a client of it.
func mustServe(t *testing.T, status int, body string) (*Client, *seen) {
	t.Helper()
	got := &seen{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*got = seen{
			Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Key: r.Header.Get("X-Api-Key"),
			Agent: r.UserAgent(), Type: r.Header.Get("Content-Type"), Encoding: r.Header.Get("Content-Encoding"),
		}
		in := io.Reader(r.Body)
		if got.Encoding == "gzip" {
			zr, err := gzip.NewReader(in)
			if err != nil {
				t.Error(err)
				return
			}
			in = zr
		}
		data, err := io.ReadAll(in)
		if err != nil {
			t.Error(err)
		}
		got.Body = string(data)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(srv.Close)
	return mustClient(t, srv.URL+"/"), got
}

func mustClient(t *testing.T, address string) *Client {
	t.Helper()
	c, err := New(Options{Address: address, Key: "secret", UserAgent: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestEveryMethodCallsItsRoute(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer string
		call   func(*Client) error
		want   seen
	}{
		{"health", `{"status":"up"}`, func(c *Client) error { return c.Health(t.Context()) }, seen{Method: "GET", Path: "/health"}},
		{"alerts", `null`, func(c *Client) error {
			list, err := c.Alerts(t.Context(), url.Values{"ip": {"192.0.2.1"}})
			if len(list) != 0 {
				t.Errorf("alerts = %v", list)
			}
			return err
		}, seen{Method: "GET", Path: "/v1/alerts", Query: "ip=192.0.2.1"}},
		{"one alert", `{"id":7}`, func(c *Client) error {
			a, err := c.Alert(t.Context(), 7)
			if err == nil && a.ID != 7 {
				t.Errorf("alert = %+v", a)
			}
			return err
		}, seen{Method: "GET", Path: "/v1/alerts/7"}},
		{"decisions with details", `[{"id":1,"hits":3}]`, func(c *Client) error {
			ds, err := c.Decisions(t.Context(), url.Values{"type": {"ban"}})
			if err == nil && *ds[0].Hits != 3 {
				t.Errorf("decisions = %+v", ds)
			}
			return err
		}, seen{Method: "GET", Path: "/v1/decisions", Query: "details=true&type=ban"}},
		{"the end of one decision", `{"nbDeleted":"1"}`, func(c *Client) error { _, err := c.DeleteDecision(t.Context(), 5); return err },
			seen{Method: "DELETE", Path: "/v1/decisions/5"}},
		{"the end of many", `{"nbDeleted":"2"}`, func(c *Client) error {
			n, err := c.DeleteDecisions(t.Context(), url.Values{"ip": {"2001:db8::1"}})
			if n != 2 {
				t.Errorf("deleted %d", n)
			}
			return err
		}, seen{Method: "DELETE", Path: "/v1/decisions", Query: "ip=2001%3Adb8%3A%3A1"}},
		{"the allowlist", `[]`, func(c *Client) error { _, err := c.Allows(t.Context()); return err }, seen{Method: "GET", Path: "/v1/gabion/allow"}},
		{"an allow entry", `{"prefix":"192.0.2.1/32"}`, func(c *Client) error {
			_, err := c.AddAllow(t.Context(), AllowRequest{Value: "192.0.2.1", Duration: "4h"})
			return err
		}, seen{Method: "POST", Path: "/v1/gabion/allow", Type: "application/json", Body: `{"value":"192.0.2.1","duration":"4h"}`}},
		{"the end of an allow entry", `{"nbDeleted":"0"}`, func(c *Client) error { _, err := c.RemoveAllow(t.Context(), "192.0.2.0/24"); return err },
			seen{Method: "DELETE", Path: "/v1/gabion/allow", Query: "value=192.0.2.0%2F24"}},
		{"why", `{"verdict":"banned"}`, func(c *Client) error { _, err := c.Why(t.Context(), netip.MustParseAddr("2001:db8::1")); return err },
			seen{Method: "GET", Path: "/v1/gabion/why/2001:db8::1"}},
		{"status", `{}`, func(c *Client) error { _, err := c.Status(t.Context()); return err }, seen{Method: "GET", Path: "/v1/gabion/status"}},
		{"metrics", `[]`, func(c *Client) error { _, err := c.Metrics(t.Context()); return err }, seen{Method: "GET", Path: "/v1/gabion/metrics"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, got := mustServe(t, http.StatusOK, tt.answer)
			if err := tt.call(c); err != nil {
				t.Fatal(err)
			}
			tt.want.Key, tt.want.Agent = "secret", "test"
			if diff := cmp.Diff(tt.want, *got); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

func TestALargeBodyIsSentCompressed(t *testing.T) {
	c, got := mustServe(t, http.StatusCreated, `["1"]`)
	sent := []Alert{{Message: strings.Repeat("x", 2*compressAbove)}}
	ids, err := c.PushAlerts(t.Context(), sent)
	if err != nil || len(ids) != 1 {
		t.Fatalf("ids = %v, %v", ids, err)
	}
	var read []Alert
	if err := json.Unmarshal([]byte(got.Body), &read); err != nil || got.Encoding != "gzip" || read[0].Message != sent[0].Message {
		t.Errorf("encoding %q, body of %d bytes, %v", got.Encoding, len(got.Body), err)
	}
}

func TestAnswersThatAreNoSuccessBecomeErrors(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		body   string
		want   string
	}{
		{"the daemon's own words", 422, `{"message":"192.0.2.1 is not banned: it is protected"}`, "192.0.2.1 is not banned: it is protected"},
		{"words of another program", 502, "<html>Bad Gateway</html>", "502 Bad Gateway"},
		{"an empty answer", 500, "", "500 Internal Server Error"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := mustServe(t, tt.status, tt.body)
			_, err := c.Status(t.Context())
			var answer *Error
			if !errors.As(err, &answer) || answer.Status != tt.status || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("err = %v, want %q", err, tt.want)
			}
		})
	}
	for _, body := range []string{"<html>", `{"status":`, ""} {
		c, _ := mustServe(t, http.StatusOK, body)
		if err := c.Health(t.Context()); err == nil || !strings.Contains(err.Error(), "GET /health") {
			t.Errorf("answer %q: err = %v", body, err)
		}
	}
	c, _ := mustServe(t, http.StatusOK, `{"status":"down"}`)
	if err := c.Health(t.Context()); err == nil {
		t.Error("a daemon that says it is down is healthy")
	}
	c, _ = mustServe(t, http.StatusOK, `{"nbDeleted":"many"}`)
	if _, err := c.DeleteDecision(t.Context(), 1); err == nil {
		t.Error("a count that is no number is accepted")
	}
}

func TestADaemonThatDoesNotRunIsToldFromOtherFailures(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, "stale.sock")
	l, err := net.Listen("unix", stale)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{filepath.Join(dir, "none.sock"), stale, "http://127.0.0.1:1"} {
		if _, err := mustClient(t, address).Status(t.Context()); !errors.Is(err, ErrNotRunning) || !strings.Contains(err.Error(), address) {
			t.Errorf("%s: err = %v", address, err)
		}
	}
	if _, err := mustClient(t, "/"+strings.Repeat("x", 200)).Status(t.Context()); err == nil || errors.Is(err, ErrNotRunning) {
		t.Errorf("a path that is no socket's: err = %v", err)
	}
}

func TestASocketIsCalledByItsPath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "g.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"status":"up"}`)
	})}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	c := mustClient(t, path)
	if err := c.Health(t.Context()); err != nil || c.Address() != path {
		t.Errorf("health = %v at %s", err, c.Address())
	}
	c.Close()
	if err := srv.Close(); err != nil {
		t.Error(err)
	}
	<-ended
}

func TestAnAddressThatIsNeitherPathNorURLIsRefused(t *testing.T) {
	for _, address := range []string{"", "gabion.sock", "ftp://192.0.2.1", "http://[::1"} {
		if _, err := New(Options{Address: address}); err == nil {
			t.Errorf("%q is accepted", address)
		}
	}
}

func TestAnAlertSurvivesTheWire(t *testing.T) {
	now := time.Date(2026, 2, 12, 12, 0, 0, 0, time.UTC)
	sent := Alert{
		Kind: "crowdsec", Scenario: "test/scenario", Message: "m", Leakspeed: "10s", Capacity: 5, EventsCount: 6,
		StartAt: "2026-02-12T11:59:00Z", StopAt: "2026-02-12T11:59:30Z", Remediation: true,
		Source:    &Source{Scope: "ip", Value: "192.0.2.1", IP: "192.0.2.1"},
		Events:    []Event{{Timestamp: "2026-02-12T11:59:00Z", Line: "a line"}},
		Decisions: []Decision{{Duration: "4h", Type: "ban", Scope: "IP", Value: "192.0.2.1", Origin: "crowdsec", Scenario: "test/scenario"}},
	}
	a, err := sent.Alert(now)
	if err != nil {
		t.Fatal(err)
	}
	got := FromAlert(a, now)
	want := sent
	simulated := false
	want.CreatedAt = "2026-02-12T12:00:00Z"
	want.Source = &Source{Scope: "Ip", Value: "192.0.2.1", IP: "192.0.2.1"}
	want.Decisions = []Decision{{
		Duration: "3h59m30s", Type: "ban", Scope: "Ip", Value: "192.0.2.1", Origin: "crowdsec", Scenario: "test/scenario", Simulated: &simulated,
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("alert (-want +got):\n%s", diff)
	}
	hits := uint64(3)
	a.Decisions[0].CreatedAt = now
	if d := FromDecision(a.Decisions[0], now).WithDetails(a.Decisions[0], &hits); d.Until != "2026-02-12T15:59:30Z" || *d.Hits != 3 {
		t.Errorf("details = %+v", d)
	}
}

func TestWhatAClientSendsIsBounded(t *testing.T) {
	now := time.Date(2026, 2, 12, 12, 0, 0, 0, time.UTC)
	long := Alert{StartAt: "yesterday", Events: []Event{{Line: strings.Repeat("x", 1<<20)}}}
	a, err := long.Alert(now)
	if err != nil || len(a.Events[0].Line) >= 1<<20 || !a.StartAt.Equal(now) {
		t.Errorf("line of %d bytes, start %s, %v", len(a.Events[0].Line), a.StartAt, err)
	}
	bad := Alert{Decisions: []Decision{{Duration: "for ever"}}}
	if _, err := bad.Alert(now); err == nil || !strings.Contains(err.Error(), "for ever") {
		t.Errorf("err = %v", err)
	}
}
