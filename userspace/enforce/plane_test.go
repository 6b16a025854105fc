package enforce

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gabion/loader"
	"gabion/userspace/decision"
)

var _ Table = (*loader.Plane)(nil)

// TestReconcileOnTheRealTables plays a crash on the kernel's own tables: one ban was recorded and
// is missing, one is there and was not recorded, one was revoked.
func TestReconcileOnTheRealTables(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root to load BPF programs")
	}
	dir := filepath.Join("/sys/fs/bpf", fmt.Sprintf("gabion-test-%d-enforce", os.Getpid()))
	plane, err := loader.Open(loader.Options{Dir: dir, MaxBans: 1000, MaxAllows: 100})
	if err != nil {
		t.Fatalf("open data plane: %v", err)
	}
	defer func() {
		if err := plane.Close(); err != nil {
			t.Error(err)
		}
		if err := loader.Remove(dir); err != nil {
			t.Error(err)
		}
	}()
	now := time.Now()
	until := now.Add(time.Hour)
	err = plane.Ban([]decision.Rule{
		{Prefix: prefixesOf("192.0.2.1/32")[0], DecisionID: 7, Until: until},
		{Prefix: prefixesOf("192.0.2.2/32")[0], DecisionID: 8, Until: until},
		{Prefix: prefixesOf("2001:db8::/64")[0], DecisionID: 9, Class: decision.ClassShadow, Until: until},
		{Prefix: prefixesOf("192.0.2.4/32")[0], DecisionID: 10, Until: now.Add(-time.Hour)},
	})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	e := New(Config{
		Table: plane, Guard: NewGuard(GuardConfig{System: nothing(t), Log: log}), IDs: &decision.IDs{}, Log: log,
		Now: func() time.Time { return now },
		Ended: func(rules []decision.Rule) ([]bool, error) {
			out := make([]bool, len(rules))
			for i, r := range rules {
				out[i] = r.DecisionID == 8
			}
			return out, nil
		},
	})
	missing := withID(3, ban("192.0.2.3", 0))
	missing.Until = until
	if err := e.Restore([]*decision.Decision{missing}); err != nil {
		t.Fatal(err)
	}
	drift, err := e.Reconcile(now)
	if err != nil || drift.Missing != 1 || drift.Extra != 1 || drift.Wrong != 0 || len(drift.Adopted) != 2 {
		t.Errorf("drift = %+v, %v; want 1 missing, 1 extra, 2 adopted", drift, err)
	}
	if drift, err := e.Reconcile(now); err != nil || drift.Total() != 0 {
		t.Errorf("a second reconcile finds %+v, %v", drift, err)
	}
	got := map[string]uint64{}
	for rule, err := range plane.Bans() {
		if err != nil {
			t.Fatal(err)
		}
		got[rule.Prefix.String()] = rule.DecisionID
	}
	want := map[string]uint64{"192.0.2.1/32": 7, "2001:db8::/64": 9, "192.0.2.3/32": 3}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("kernel = %v, want %v", got, want)
	}
	if hits, err := e.Hits(missing); hits != 0 || err != nil {
		t.Errorf("hits = %d, %v", hits, err)
	}
	if err := e.Unban([]uint64{3, 7, 9}); err != nil {
		t.Error(err)
	}
	for rule := range plane.Bans() {
		t.Errorf("%v is left", rule)
	}
}
