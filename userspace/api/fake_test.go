package api

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gabion/userspace/client"
	"gabion/userspace/decision"
	"gabion/userspace/lists"
	"gabion/userspace/store"
)

const key = "test-key"

var noon = time.Date(2026, 2, 12, 12, 0, 0, 0, time.UTC)

// fakeBackend is a daemon in memory.
type fakeBackend struct {
	active  []*decision.Decision
	alerts  []*decision.Alert
	taken   []*decision.Alert
	ended   []uint64
	allows  []client.Allow
	lists   []client.List
	refuse  string
	failure error
}

func (f *fakeBackend) Submit(_ context.Context, alerts []*decision.Alert) ([]Refusal, error) {
	var refused []Refusal
	for i, a := range alerts {
		a.ID = int64(i + 1)
		for _, d := range a.Decisions {
			if d.Value == f.refuse {
				refused = append(refused, Refusal{d, "own address"})
				a.Decisions = nil
			}
		}
	}
	f.taken = append(f.taken, alerts...)
	return refused, f.failure
}

func (f *fakeBackend) Alerts(_ context.Context, q store.AlertFilter) ([]*decision.Alert, error) {
	var out []*decision.Alert
	for _, a := range f.alerts {
		if (q.Before == 0 || a.ID < q.Before) && len(out) < q.Limit {
			out = append(out, a)
		}
	}
	return out, f.failure
}

func (f *fakeBackend) Alert(_ context.Context, id int64) (*decision.Alert, error) {
	for _, a := range f.alerts {
		if a.ID == id {
			return a, nil
		}
	}
	return nil, store.ErrNotFound
}

func (f *fakeBackend) Active(context.Context) ([]*decision.Decision, error) {
	return f.active, f.failure
}
func (f *fakeBackend) Hits(p netip.Prefix) (uint64, bool) { return 7, p.IsSingleIP() }
func (f *fakeBackend) Allowed(p netip.Prefix) (string, bool) {
	return "on the allowlist: 192.0.2.0/24", netip.MustParsePrefix("192.0.2.0/24").Contains(p.Addr())
}
func (f *fakeBackend) Allows(context.Context) ([]client.Allow, error) { return f.allows, nil }
func (f *fakeBackend) Status() client.Status                          { return client.Status{Version: "test"} }

func (f *fakeBackend) End(_ context.Context, ids []uint64) error {
	f.ended = append(f.ended, ids...)
	return nil
}

func (f *fakeBackend) Allow(_ context.Context, p netip.Prefix, req client.AllowRequest) (client.Allow, error) {
	a := client.Allow{Prefix: p.String(), Comment: req.Comment}
	f.allows = append(f.allows, a)
	return a, nil
}

func (f *fakeBackend) Disallow(_ context.Context, p netip.Prefix) (bool, error) {
	return len(f.allows) > 0 && f.allows[0].Prefix == p.String(), nil
}

func (f *fakeBackend) Lists(context.Context) ([]client.List, error) { return f.lists, f.failure }

func (f *fakeBackend) ImportList(_ context.Context, name string, in ListImport) (client.List, error) {
	l := client.List{Name: name, Mode: "drop", Entries: in.Entries.Len(), Origin: in.Origin}
	if in.Mode != nil {
		l.Mode = in.Mode.String()
	}
	f.lists = append(f.lists, l)
	return l, f.failure
}

func (f *fakeBackend) RemoveList(_ context.Context, name string) (bool, error) {
	return len(f.lists) > 0 && f.lists[0].Name == name, f.failure
}

func (f *fakeBackend) SetListMode(_ context.Context, name string, mode decision.Mode) error {
	for i := range f.lists {
		if f.lists[i].Name == name {
			f.lists[i].Mode = mode.String()
			return f.failure
		}
	}
	return lists.ErrUnknown
}

func (f *fakeBackend) Why(_ context.Context, addr netip.Addr) (*client.Why, error) {
	return &client.Why{IP: addr.String(), Verdict: client.VerdictClean}, nil
}

func ban(id uint64, value, scenario string) *decision.Decision {
	scope := decision.ScopeIP
	if strings.Contains(value, "/") {
		scope = decision.ScopeRange
	}
	return &decision.Decision{
		ID: id, Origin: decision.OriginScenario, Type: decision.TypeBan, Scope: scope, Value: value, Scenario: scenario,
		CreatedAt: noon, Until: noon.Add(4 * time.Hour), UUID: "u", AlertID: 3,
	}
}

func newFake() *fakeBackend {
	simulated := ban(4, "203.0.113.4", "gabion/new")
	simulated.Simulated = true
	return &fakeBackend{
		active: []*decision.Decision{
			ban(1, "192.0.2.1", "gabion/ssh-bruteforce"), ban(2, "198.51.100.0/24", "gabion/http-probing"),
			ban(3, "2001:db8::1", "gabion/ssh-bruteforce"), simulated,
		},
		alerts: []*decision.Alert{
			{ID: 3, Scenario: "gabion/ssh-bruteforce", Kind: "crowdsec", CreatedAt: noon, Source: &decision.Source{Scope: "Ip", Value: "192.0.2.1"},
				Events: []decision.Event{{Timestamp: "t", Line: "a <line>"}}, Decisions: []*decision.Decision{ban(1, "192.0.2.1", "gabion/ssh-bruteforce")}},
			{ID: 2, Scenario: "manual ban", Kind: "cscli", CreatedAt: noon, Source: &decision.Source{Scope: "Range", Value: "198.51.100.0/24"}},
		},
	}
}

func mustServer(t *testing.T, b Backend) *httptest.Server {
	t.Helper()
	metrics := prometheus.NewRegistry()
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "gabion_test_total", Help: "A test."})
	c.Add(3)
	metrics.MustRegister(c)
	s, err := New(Config{Backend: b, Metrics: metrics, Key: key, Now: func() time.Time { return noon }, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(s.Handler())
	t.Cleanup(srv.Close)
	return srv
}

func mustClient(t *testing.T, srv *httptest.Server) *client.Client {
	t.Helper()
	c, err := client.New(client.Options{Address: srv.URL, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func ask(t *testing.T, srv *httptest.Server, method, path, body string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, srv.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Api-Key", key)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}
