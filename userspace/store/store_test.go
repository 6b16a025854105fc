package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"gabion/userspace/decision"
)

func TestMain(m *testing.M) {
	if path := childPath(); path != "" {
		runChild(path)
		return
	}
	goleak.VerifyTestMain(m)
}

// t0 is the time at which the tests' first alert is raised.
func t0() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

func mustOpen(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func mustOpenNew(t *testing.T) *Store {
	t.Helper()
	return mustOpen(t, filepath.Join(t.TempDir(), "gabion.db"))
}

func mustSync(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Sync(t.Context()); err != nil {
		t.Fatalf("sync: %v", err)
	}
}

// alertN is alert n: one minute after the one before it, with one ban of four hours.
func alertN(n int) *decision.Alert {
	at := t0().Add(time.Duration(n) * time.Minute)
	value := fmt.Sprintf("192.0.2.%d", n%250)
	return &decision.Alert{
		ID: int64(n), UUID: fmt.Sprintf("alert-%d", n), MachineID: "here", Scenario: "gabion/ssh-bruteforce",
		ScenarioHash: "h", ScenarioVersion: "1", Message: "too many", Kind: "crowdsec", Capacity: 5,
		EventsCount: 6, Leakspeed: "10s", Remediation: true, CreatedAt: at, StartAt: at, StopAt: at,
		Events: []decision.Event{{Timestamp: "t", Line: "Invalid user a", Meta: []decision.Meta{{Key: "user", Value: "a"}}}},
		Meta:   []decision.Meta{{Key: "target", Value: "b"}},
		Labels: []string{"ssh"},
		Source: &decision.Source{Scope: decision.ScopeIP, Value: value, IP: value, Cn: "XX"},
		Decisions: []*decision.Decision{{
			ID: uint64(n), UUID: fmt.Sprintf("decision-%d", n), AlertID: int64(n), Origin: decision.OriginScenario,
			Type: decision.TypeBan, Scope: decision.ScopeIP, Value: value, Scenario: "gabion/ssh-bruteforce",
			Duration: 4 * time.Hour, CreatedAt: at, Until: at.Add(4 * time.Hour),
		}},
	}
}

func mustAppend(t *testing.T, s *Store, alerts ...*decision.Alert) {
	t.Helper()
	for _, a := range alerts {
		if err := s.Append(a); err != nil {
			t.Fatalf("append %v: %v", a, err)
		}
	}
	mustSync(t, s)
}

func TestAnAlertComesBackAsItWasAppendedAlsoAfterReopening(t *testing.T) {
	path := filepath.Join(t.TempDir(), "with space & 100% odd?#.db")
	s := mustOpen(t, path)
	want := alertN(1)
	mustAppend(t, s, want)
	for _, when := range []string{"before", "after"} {
		got, err := s.Alert(t.Context(), 1)
		if err != nil {
			t.Fatalf("%s reopening: %v", when, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s reopening (-want +got):\n%s", when, diff)
		}
		if err := s.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
		s = mustOpen(t, path)
	}
	if _, err := s.Alert(t.Context(), 2); !errors.Is(err, ErrNotFound) {
		t.Errorf("unknown alert: %v, want ErrNotFound", err)
	}
}

func TestCloseRecordsWhatIsQueued(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gabion.db")
	s := mustOpen(t, path)
	for n := 1; n <= 500; n++ {
		if err := s.Append(alertN(n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(alertN(501)); !errors.Is(err, ErrClosed) {
		t.Errorf("append after close: %v", err)
	}
	alert, dec, err := mustOpen(t, path).MaxIDs(t.Context())
	if alert != 500 || dec != 500 || err != nil {
		t.Errorf("ids = %d, %d, %v; want 500, 500", alert, dec, err)
	}
}

func TestDecisionsAreFilteredAndPaged(t *testing.T) {
	s := mustOpenNew(t)
	wide := alertN(5)
	wide.Decisions[0].Scope, wide.Decisions[0].Value = decision.ScopeRange, "192.0.2.0/24"
	six := alertN(6)
	six.Decisions[0].Value, six.Decisions[0].Origin = "2001:db8::1", decision.OriginCLI
	user := alertN(7)
	user.Decisions[0].Scope, user.Decisions[0].Value, user.Decisions[0].Type = "username", "root", "captcha"
	mustAppend(t, s, alertN(1), alertN(2), alertN(3), alertN(4), wide, six, user)
	end := func(n int) time.Time { return alertN(n).Decisions[0].Until }
	for _, tt := range []struct {
		name string
		f    DecisionFilter
		want []uint64
	}{
		{"no filter lists the latest first", DecisionFilter{}, []uint64{7, 6, 5, 4, 3, 2, 1}},
		{"a page", DecisionFilter{Limit: 2, Before: 6}, []uint64{5, 4}},
		{"a page before an id that no row can have", DecisionFilter{Limit: 2, Before: math.MaxUint64}, []uint64{7, 6}},
		{"in force: the end itself is no more", DecisionFilter{ActiveAt: end(5)}, []uint64{7, 6}},
		{"since", DecisionFilter{Since: t0().Add(6 * time.Minute)}, []uint64{7, 6}},
		{"covering an address", DecisionFilter{Covers: netip.MustParseAddr("192.0.2.3")}, []uint64{5, 3}},
		{"covering a mapped address", DecisionFilter{Covers: netip.MustParseAddr("::ffff:192.0.2.3")}, []uint64{5, 3}},
		{"covering an IPv6 address", DecisionFilter{Covers: netip.MustParseAddr("2001:db8::1")}, []uint64{6}},
		{"by value", DecisionFilter{Value: "192.0.2.4"}, []uint64{4}},
		{"by scope", DecisionFilter{Scope: "username"}, []uint64{7}},
		{"by type", DecisionFilter{Type: "captcha"}, []uint64{7}},
		{"by origin", DecisionFilter{Origin: "cscli"}, []uint64{6}},
		{"by alert", DecisionFilter{AlertID: 2}, []uint64{2}},
		{"by scenario", DecisionFilter{Scenario: "none"}, nil},
		{"text is no SQL", DecisionFilter{Value: "' OR 1=1 --"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found, err := s.Decisions(t.Context(), tt.f)
			if err != nil {
				t.Fatal(err)
			}
			var got []uint64
			for _, d := range found {
				got = append(got, d.ID)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("ids (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAlertsAreFilteredAndPaged(t *testing.T) {
	s := mustOpenNew(t)
	other := alertN(3)
	other.Scenario = "gabion/nginx-probing"
	user := alertN(4)
	user.Source = &decision.Source{Scope: "username", Value: "root", IP: "198.51.100.9"}
	none := alertN(5)
	none.Source, none.Decisions = nil, nil
	mustAppend(t, s, alertN(1), alertN(2), other, user, none)
	for _, tt := range []struct {
		name string
		f    AlertFilter
		want []int64
	}{
		{"no filter lists the latest first", AlertFilter{}, []int64{5, 4, 3, 2, 1}},
		{"a page", AlertFilter{Limit: 2, Before: 4}, []int64{3, 2}},
		{"by source address", AlertFilter{Covers: netip.MustParseAddr("192.0.2.2")}, []int64{2}},
		{"by the address of a user", AlertFilter{Covers: netip.MustParseAddr("198.51.100.9")}, []int64{4}},
		{"by value", AlertFilter{Value: "root"}, []int64{4}},
		{"by scenario", AlertFilter{Scenario: "gabion/nginx-probing"}, []int64{3}},
		{"a span of time", AlertFilter{Since: t0().Add(2 * time.Minute), Until: t0().Add(4 * time.Minute)}, []int64{3, 2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found, err := s.Alerts(t.Context(), tt.f)
			if err != nil {
				t.Fatal(err)
			}
			var got []int64
			for _, a := range found {
				got = append(got, a.ID)
				if a.Events != nil {
					t.Errorf("alert %d has events that were not asked for", a.ID)
				}
				if a.ID != 5 && len(a.Decisions) != 1 {
					t.Errorf("alert %d has %d decisions", a.ID, len(a.Decisions))
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("ids (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEndedDecisionsAreNotActiveAndStayOnRecord(t *testing.T) {
	s := mustOpenNew(t)
	mustAppend(t, s, alertN(1), alertN(2))
	now := t0().Add(time.Hour)
	// No Sync before: ending must not overtake the recording.
	if err := s.Append(alertN(3)); err != nil {
		t.Fatal(err)
	}
	if err := s.EndDecisions(t.Context(), []uint64{1, 3, 99}, now); err != nil {
		t.Fatal(err)
	}
	active, err := s.Active(t.Context(), now)
	if err != nil || len(active) != 1 || active[0].ID != 2 {
		t.Errorf("active = %v, %v; want decision 2 alone", active, err)
	}
	entry := func(id uint64, of *decision.Decision, late time.Duration) decision.Rule {
		p, err := of.Prefix()
		if err != nil {
			t.Fatal(err)
		}
		return decision.Rule{Prefix: p, DecisionID: id, Until: of.Until.Add(late)}
	}
	revoked, running := alertN(1).Decisions[0], alertN(2).Decisions[0]
	ended, err := s.Ended(t.Context(), now, []decision.Rule{
		entry(1, revoked, time.Hour), entry(2, running, 0), entry(3, running, 0), entry(99, revoked, 0), entry(decision.MaxID+1, revoked, 0),
		entry(0, revoked, 2*time.Second), entry(0, revoked, time.Minute), entry(0, running, 0),
	})
	want := []bool{true, false, true, false, false, true, false, false}
	if diff := cmp.Diff(want, ended); diff != "" || err != nil {
		t.Errorf("ended (-want +got):\n%s%v", diff, err)
	}
	if err := s.EndDecisions(t.Context(), []uint64{1}, now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	all, err := s.Decisions(t.Context(), DecisionFilter{})
	if err != nil || len(all) != 3 || !all[2].Until.Equal(now) {
		t.Errorf("on record: %v, %v; decision 1 should have ended at %v", all, err, now)
	}
}

func TestPruneForgetsRowsButNotIDs(t *testing.T) {
	s := mustOpenNew(t)
	const n = pruneStep + 20
	var alerts []*decision.Alert
	for i := 1; i <= n; i++ {
		alerts = append(alerts, alertN(i))
	}
	alerts[0].Decisions[0].Until = t0().AddDate(1, 0, 0) // still in force: keeps its alert
	mustAppend(t, s, alerts...)
	d, a, err := s.Prune(t.Context(), t0().AddDate(0, 1, 0))
	if d != n-1 || a != n-1 || err != nil {
		t.Errorf("pruned %d decisions, %d alerts, %v; want %d of each", d, a, err, n-1)
	}
	if kept, err := s.Alert(t.Context(), 1); err != nil || len(kept.Decisions) != 1 {
		t.Errorf("alert 1 = %v, %v; want it kept", kept, err)
	}
	alert, dec, err := s.MaxIDs(t.Context())
	if alert != n || dec != n || err != nil {
		t.Errorf("ids = %d, %d, %v; want %d: ids are never used again", alert, dec, err, n)
	}
}

func TestTheAllowlistIsKept(t *testing.T) {
	s := mustOpenNew(t)
	first := Allow{Prefix: netip.MustParsePrefix("192.0.2.0/24"), Comment: "office", CreatedAt: t0()}
	second := Allow{Prefix: netip.MustParsePrefix("2001:db8::/32"), CreatedAt: t0(), ExpiresAt: t0().Add(time.Hour)}
	changed := first
	changed.Comment = "new office"
	for _, a := range []Allow{first, second, changed} {
		if err := s.AddAllow(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Allows(t.Context())
	if diff := cmp.Diff([]Allow{changed, second}, got, cmp.Comparer(samePrefix)); diff != "" || err != nil {
		t.Errorf("allowlist (-want +got):\n%s%v", diff, err)
	}
	if err := s.RemoveAllow(t.Context(), first.Prefix); err != nil {
		t.Error(err)
	}
	if err := s.RemoveAllow(t.Context(), first.Prefix); !errors.Is(err, ErrNotFound) {
		t.Errorf("removing twice: %v, want ErrNotFound", err)
	}
}

func samePrefix(a, b netip.Prefix) bool { return a == b }

func TestHistoryCountsRecordedDecisions(t *testing.T) {
	s := mustOpenNew(t)
	mustAppend(t, s, alertN(1), alertN(251), alertN(2))
	h := decision.NewHistory()
	if err := s.History(t.Context(), t0(), h); err != nil {
		t.Fatal(err)
	}
	if got := h.Decisions("192.0.2.1", time.Time{}); got != 2 {
		t.Errorf("decisions on 192.0.2.1 = %d, want 2", got)
	}
}

func TestGarbageInRowsDoesNotHideTheOthers(t *testing.T) {
	s := mustOpenNew(t)
	nasty := alertN(1)
	nasty.Events[0].Line = "a\x00b\xff'\";DROP TABLE alerts;--" + strings.Repeat("x", 1<<16)
	mustAppend(t, s, nasty, alertN(2))
	for _, q := range []string{
		`UPDATE alerts SET events = '{', meta = '[1', source = 'null', labels = '' WHERE id = 2`,
		`INSERT INTO decisions VALUES (-1, '', NULL, '', 'ban', 'Ip', 'nonsense', 'x', '', -5, -1, 9223372036854775807, 7, 0)`,
		`INSERT INTO allows VALUES ('nonsense', '', 0, 0)`,
		`UPDATE sqlite_sequence SET seq = 9223372036854775807 WHERE name = 'decisions'`,
	} {
		if err := s.exec(t.Context(), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	found, err := s.Alerts(t.Context(), AlertFilter{Events: true})
	if err != nil || len(found) != 2 {
		t.Errorf("alerts = %d, %v; want both", len(found), err)
	}
	active, err := s.Active(t.Context(), t0())
	if err != nil || len(active) < 2 {
		t.Errorf("active = %v, %v; want the good ones at least", active, err)
	}
	if allows, err := s.Allows(t.Context()); len(allows) != 0 || err != nil {
		t.Errorf("allows = %v, %v", allows, err)
	}
	if _, dec, err := s.MaxIDs(t.Context()); dec != 0 || err != nil {
		t.Errorf("decision id = %d, %v; an id out of range should not count", dec, err)
	}
	if s.Stats().BadRows == 0 {
		t.Error("bad rows are not counted")
	}
}

func TestARefusedAlertDoesNotHoldUpTheOthers(t *testing.T) {
	s := mustOpenNew(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	bad := alertN(2)
	bad.Source.Latitude = float32(inf())
	for _, a := range []*decision.Alert{alertN(1), bad, alertN(3)} {
		if err := s.Append(a); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Sync(ctx); !errors.Is(err, context.Canceled) && err != nil {
		t.Errorf("sync: %v", err)
	}
	mustSync(t, s)
	if st := s.Stats(); st.Written != 2 || st.Unrecorded != 1 || st.Err != nil {
		t.Errorf("stats = %+v; want 2 written and 1 given up", st)
	}
}

func TestAnOlderStoreLearnsWhenItsDecisionsWereToEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gabion.db")
	mustExec(t, path, migrations[0])
	mustExec(t, path, fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = 1", applicationID))
	until, over := t0().Add(time.Hour), t0().Add(10*time.Minute)
	for id, row := range map[int][3]int64{
		1: {int64(time.Hour), t0().UnixNano(), over.UnixNano()}, // revoked
		2: {int64(time.Minute), t0().UnixNano(), until.UnixNano()},
		3: {math.MaxInt64, t0().UnixNano(), over.UnixNano()},
	} {
		mustExec(t, path, fmt.Sprintf("INSERT INTO decisions VALUES (%d, '', NULL, '', 'ban', 'Ip', '192.0.2.%d', '192.0.2.%d/32', '', %d, %d, %d, 0)",
			id, id, id, row[0], row[1], row[2]))
	}
	s, err := Open(t.Context(), path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	at := func(host string, end time.Time) decision.Rule {
		return decision.Rule{Prefix: netip.MustParsePrefix(host + "/32"), Until: end}
	}
	ended, err := s.Ended(t.Context(), t0().Add(30*time.Minute), []decision.Rule{at("192.0.2.1", until), at("192.0.2.2", until), at("192.0.2.3", over)})
	if diff := cmp.Diff([]bool{true, false, true}, ended); diff != "" || err != nil {
		t.Errorf("ended (-want +got):\n%s%v", diff, err)
	}
}
