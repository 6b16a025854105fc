package daemon

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"time"

	"gabion/userspace/client"
	"gabion/userspace/decision"
	"gabion/userspace/store"
)

// Why implements api.Backend.
func (b backend) Why(ctx context.Context, addr netip.Addr) (*client.Why, error) {
	now := b.now()
	w := &client.Why{IP: addr.String(), Verdict: client.VerdictClean, Bans: []client.WhyBan{}, Allows: []client.Allow{}, Past: []client.WhyPast{}, Meters: b.whyMeters(addr, now)}
	for _, d := range b.enforcer.Find(addr) {
		if !d.Until.After(now) {
			continue
		}
		w.Bans = append(w.Bans, b.whyBan(ctx, d, now))
		if w.Verdict != client.VerdictBanned {
			w.Verdict = client.VerdictShadow
		}
		if !d.Simulated {
			w.Verdict = client.VerdictBanned
		}
	}
	if len(w.Bans) == 0 {
		b.whyKernel(w, addr, now)
	}
	allows, err := b.Allows(ctx)
	if err != nil {
		return nil, err
	}
	for _, a := range allows {
		if p, err := netip.ParsePrefix(a.Prefix); err == nil && p.Contains(addr) {
			w.Allows = append(w.Allows, a)
			w.Verdict = client.VerdictAllowed
		}
	}
	w.Past = b.past(ctx, addr, now)
	return w, nil
}

// whyKernel adds the ban that the kernel has and no decision accounts for: without the record such
// bans are left alone, and what is dropped must not be called clean.
func (b backend) whyKernel(w *client.Why, addr netip.Addr, now time.Time) {
	for bits := addr.BitLen(); bits > 0; bits-- {
		p, err := addr.Prefix(bits)
		if err != nil {
			return
		}
		rule, ok, err := b.table.BanHit(p)
		if err != nil || !ok || !rule.Until.IsZero() && !rule.Until.After(now) {
			continue
		}
		d := &decision.Decision{
			ID: rule.DecisionID, Type: decision.TypeBan, Scope: decision.ScopeRange, Value: p.String(), Origin: decision.OriginAdopted,
			Scenario: "not known: the kernel has this ban, and no record says why", Until: rule.Until, Simulated: rule.Class == decision.ClassShadow,
		}
		if p.IsSingleIP() {
			d.Scope, d.Value = decision.ScopeIP, addr.String()
		}
		w.Bans = append(w.Bans, client.WhyBan{
			Decision: client.FromDecision(d, now).WithDetails(d, &rule.Hits), InKernel: true, Lines: []string{},
		})
		if w.Verdict = client.VerdictBanned; d.Simulated {
			w.Verdict = client.VerdictShadow
		}
		return // the longest prefix wins, as in the kernel
	}
}

func (b backend) whyBan(ctx context.Context, d *decision.Decision, now time.Time) client.WhyBan {
	out := client.WhyBan{Lines: []string{}}
	var hits *uint64
	if p, err := d.Prefix(); err == nil {
		rule, ok, err := b.table.BanHit(p)
		if out.InKernel = ok && err == nil; out.InKernel {
			hits = &rule.Hits
		}
	}
	out.Decision = client.FromDecision(d, now).WithDetails(d, hits)
	a, err := b.alertOf(ctx, d)
	if err != nil {
		return out // an adopted ban has no alert with lines, and the record may be away
	}
	out.Message, out.Events = a.Message, a.EventsCount
	for _, ev := range a.Events {
		if ev.Line != "" {
			out.Lines = append(out.Lines, strings.TrimRight(ev.Line, "\r\n"))
		}
	}
	return out
}

// alertOf returns the alert that led to a decision; one raised a moment ago may not be recorded yet.
func (b backend) alertOf(ctx context.Context, d *decision.Decision) (*decision.Alert, error) {
	st, err := b.record.Get()
	if err != nil {
		return nil, err
	}
	a, err := st.Alert(ctx, d.AlertID)
	if errors.Is(err, store.ErrNotFound) && d.AlertID != 0 && st.Sync(ctx) == nil {
		return st.Alert(ctx, d.AlertID)
	}
	return a, err
}

// maxPast is how many ended decisions an answer names.
const maxPast = 10

func (b backend) past(ctx context.Context, addr netip.Addr, now time.Time) []client.WhyPast {
	out := []client.WhyPast{}
	st, err := b.record.Get()
	if err != nil {
		return out
	}
	ds, err := st.Decisions(ctx, store.DecisionFilter{Covers: addr, Limit: 4 * maxPast})
	if err != nil {
		b.log.Warn("past decisions not read", "err", err)
	}
	for _, d := range ds {
		if !d.Until.After(now) && len(out) < maxPast {
			out = append(out, client.WhyPast{Scenario: d.Scenario, Value: d.Value, CreatedAt: d.CreatedAt.UTC(), Until: d.Until.UTC()})
		}
	}
	return out
}
