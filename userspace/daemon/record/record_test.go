package record

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gabion/userspace/daemon/health"
	"gabion/userspace/decision"
	"gabion/userspace/store"
)

func TestWhoWasUnbannedWhileThereWasNoRecordStaysUnbanned(t *testing.T) {
	now := time.Date(2026, time.February, 12, 12, 0, 0, 0, time.UTC)
	log := slog.New(slog.DiscardHandler)
	dir := filepath.Join(t.TempDir(), "state")
	mustRecordBan(t, dir, now, log)

	// A file where the directory should be: it cannot be opened.
	away := dir + ".away"
	must(t, os.Rename(dir, away))
	must(t, os.WriteFile(dir, nil, 0o600))
	r := New(dir, log, health.New(log))
	if err := r.Open(t.Context()); err == nil {
		t.Fatal("a file was opened as state directory")
	}
	if err := r.End(t.Context(), []uint64{7}, now); !errors.Is(err, errNoRecord) {
		t.Errorf("End without a record = %v, want %v", err, errNoRecord)
	}
	r.RetryEnds(t.Context()) // nothing to try it on

	must(t, os.Remove(dir))
	must(t, os.Rename(away, dir))
	must(t, r.Open(t.Context()))
	defer func() { must(t, r.Close()) }()
	st, err := r.Get()
	must(t, err)
	active, err := st.Active(t.Context(), now)
	must(t, err)
	if len(active) != 0 {
		t.Errorf("active after the record is back: %v, want none", active)
	}
	if len(r.ends) != 0 {
		t.Errorf("%d ends are still waiting", len(r.ends))
	}
}

func mustRecordBan(t *testing.T, dir string, now time.Time, log *slog.Logger) {
	t.Helper()
	must(t, os.Mkdir(dir, 0o700))
	st, err := store.Open(t.Context(), filepath.Join(dir, storeName), log)
	must(t, err)
	must(t, st.Append(&decision.Alert{
		ID: 1, Scenario: "gabion/ssh-bruteforce", CreatedAt: now, StartAt: now, StopAt: now,
		Source: &decision.Source{Scope: decision.ScopeIP, Value: "192.0.2.1"},
		Decisions: []*decision.Decision{{
			ID: 7, AlertID: 1, Origin: decision.OriginScenario, Type: decision.TypeBan, Scope: decision.ScopeIP,
			Value: "192.0.2.1", CreatedAt: now, Until: now.Add(time.Hour),
		}},
	}))
	must(t, st.Sync(t.Context()))
	active, err := st.Active(t.Context(), now)
	must(t, err)
	if len(active) != 1 {
		t.Fatalf("recorded %d active decisions, want 1", len(active))
	}
	must(t, st.Close())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
