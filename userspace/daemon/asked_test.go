package daemon

import (
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"gabion/userspace/decision"
	"gabion/userspace/enforce"
)

func TestRulesSeeWhatIsInForce(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	log := slog.New(slog.DiscardHandler)
	d := &Daemon{now: clock, others: &others{}, enforcer: enforce.New(enforce.Config{
		Table: &enforce.Memory{}, Guard: enforce.NewGuard(enforce.GuardConfig{Log: log}), IDs: &decision.IDs{}, MaxBans: 10, Log: log, Now: clock,
	})}
	ban := func(value string, hours int) *decision.Decision {
		scope := decision.ScopeIP
		if _, err := netip.ParseAddr(value); err != nil {
			scope = decision.ScopeRange
		}
		return &decision.Decision{Type: decision.TypeBan, Scope: scope, Value: value, Until: now.Add(time.Duration(hours) * time.Hour)}
	}
	if refused := d.enforcer.Ban([]*decision.Decision{ban("198.51.100.1", 1), ban("198.51.100.0/24", 3)}); len(refused) > 0 {
		t.Fatalf("refused: %v", refused)
	}
	d.others.add(ban("198.51.100.1", 2))
	d.others.add(ban("198.51.100.1", -1))
	d.others.add(&decision.Decision{Scope: "Username", Value: "alice", Until: now.Add(time.Hour)})
	a := &asked{daemon: d}
	for _, tt := range []struct {
		prefix string
		count  int
		hours  int
	}{
		{"198.51.100.1/32", 3, 3},
		{"198.51.100.2/32", 1, 3},
		{"198.51.100.0/24", 1, 3},
		{"198.51.0.0/16", 0, 0},
		{"2001:db8::1/128", 0, 0},
	} {
		count, until := a.InForce(netip.MustParsePrefix(tt.prefix))
		if want := now.Add(time.Duration(tt.hours) * time.Hour); count != tt.count || count > 0 && !until.Equal(want) || count == 0 && !until.IsZero() {
			t.Errorf("%s: %d until %v, want %d in %d hours", tt.prefix, count, until, tt.count, tt.hours)
		}
	}
}
