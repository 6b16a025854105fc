package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"gabion/userspace/api"
	"gabion/userspace/client"
	"gabion/userspace/decision"
	"gabion/userspace/store"
	"gabion/userspace/yamlpos"
)

// recordTimeout is how long a request waits for the record, whose disk may be full.
const recordTimeout = 10 * time.Second

// backend is the daemon as the Local API sees it.
type backend struct{ *Daemon }

// Submit implements api.Backend.
func (b backend) Submit(ctx context.Context, alerts []*decision.Alert) ([]api.Refusal, error) {
	var refusals []api.Refusal
	var failed []error
	book := b.book.Load()
	for _, a := range alerts {
		if len(a.Decisions) == 0 {
			if err := book.Profiles.Apply(a, a.StopAt); err != nil {
				failed = append(failed, err)
			}
		}
		refused, err := b.judge.take(a)
		for _, r := range refused {
			refusals = append(refusals, api.Refusal{Decision: r.Decision, Reason: r.Reason})
		}
		failed = append(failed, err)
	}
	if err := errors.Join(failed...); err != nil {
		return refusals, fmt.Errorf("enforced, but not all of it is recorded: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	st, err := b.record.Get()
	if err == nil {
		err = st.Sync(ctx)
	}
	if err != nil {
		return refusals, fmt.Errorf("enforced, but not recorded: %w", err)
	}
	return refusals, nil
}

// Alerts implements api.Backend.
func (b backend) Alerts(ctx context.Context, f store.AlertFilter) ([]*decision.Alert, error) {
	st, err := b.record.Get()
	if err != nil {
		return nil, err
	}
	return st.Alerts(ctx, f)
}

// Alert implements api.Backend.
func (b backend) Alert(ctx context.Context, id int64) (*decision.Alert, error) {
	st, err := b.record.Get()
	if err != nil {
		return nil, err
	}
	return st.Alert(ctx, id)
}

// Active implements api.Backend, from memory.
func (b backend) Active(context.Context) ([]*decision.Decision, error) {
	now := b.now()
	active := slices.DeleteFunc(b.enforcer.Active(), func(d *decision.Decision) bool { return !d.Until.After(now) })
	active = append(active, b.others.active(now)...)
	slices.SortFunc(active, func(x, y *decision.Decision) int { return cmp.Compare(x.ID, y.ID) })
	return active, nil
}

// Hits implements api.Backend.
func (b backend) Hits(p netip.Prefix) (uint64, bool) {
	rule, ok, err := b.table.BanHit(p)
	return rule.Hits, ok && err == nil
}

// Allowed implements api.Backend.
func (b backend) Allowed(p netip.Prefix) (string, bool) { return b.enforcer.Allowed(p) }

// End implements api.Backend.
func (b backend) End(ctx context.Context, ids []uint64) error {
	b.log.Info("decisions ended by a client", "count", len(ids))
	b.others.remove(ids)
	kernel := b.enforcer.Unban(ids)
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	err := b.record.End(ctx, ids, b.now())
	if err != nil {
		err = fmt.Errorf("ended in the kernel, but not yet on record: until it is, a restart would bring it back: %w", err)
	}
	return errors.Join(kernel, err)
}

// Allows implements api.Backend.
func (b backend) Allows(ctx context.Context) ([]client.Allow, error) {
	entries, err := b.enforcer.Allows()
	if err != nil {
		return nil, err
	}
	recorded := map[netip.Prefix]store.Allow{}
	if st, err := b.record.Get(); err == nil {
		list, err := st.Allows(ctx)
		if err != nil {
			return nil, err
		}
		for _, a := range list {
			recorded[a.Prefix] = a
		}
	}
	slices.SortFunc(entries, func(x, y decision.Allow) int { return x.Prefix.Compare(y.Prefix) })
	out := []client.Allow{}
	for _, e := range entries {
		out = append(out, b.describe(e, recorded))
	}
	return out, nil
}

// describe says where an allow entry of the kernel comes from.
func (b backend) describe(e decision.Allow, recorded map[netip.Prefix]store.Allow) client.Allow {
	out := client.Allow{Prefix: e.Prefix.String(), Reason: e.Reason.String(), Origin: e.Reason.String(), Hits: e.Hits}
	r, ok := recorded[e.Prefix]
	switch {
	case e.Reason == decision.AllowGuard:
		if reason, ok := b.guard.Protects(e.Prefix); ok {
			out.Origin = reason
		}
	case ok:
		out.Origin, out.Comment, out.CreatedAt = "cli", r.Comment, timeOrNil(r.CreatedAt)
		out.ExpiresAt = timeOrNil(r.ExpiresAt)
	default:
		out.Origin = "config"
	}
	return out
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// Allow implements api.Backend.
func (b backend) Allow(ctx context.Context, p netip.Prefix, req client.AllowRequest) (client.Allow, error) {
	now := b.now()
	entry := store.Allow{Prefix: p, Comment: req.Comment, CreatedAt: now}
	if req.Duration != "" {
		d, err := yamlpos.ParseDuration(req.Duration)
		if err != nil {
			return client.Allow{}, err
		}
		entry.ExpiresAt = now.Add(d)
	}
	if err := b.enforcer.Allow([]netip.Prefix{p}, entry.ExpiresAt); err != nil {
		return client.Allow{}, err
	}
	b.log.Info("allowed by a client", "prefix", p, "comment", req.Comment, "for", orForever(req.Duration))
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	st, err := b.record.Get()
	if err == nil {
		err = st.AddAllow(ctx, entry)
	}
	if err != nil {
		return client.Allow{}, fmt.Errorf("allowed until the daemon stops, for it is not recorded: %w", err)
	}
	return client.Allow{
		Prefix: p.String(), Reason: decision.AllowUser.String(), Origin: "cli", Comment: req.Comment,
		CreatedAt: timeOrNil(now), ExpiresAt: timeOrNil(entry.ExpiresAt),
	}, nil
}

// Disallow implements api.Backend. What the configuration allows stays allowed.
func (b backend) Disallow(ctx context.Context, p netip.Prefix) (bool, error) {
	if slices.Contains(b.config.Load().Allowed(), p) {
		return false, api.Conflictf("%s is allowed by %s (allow): take it out there and reload", p, b.config.Load().File)
	}
	st, err := b.record.Get()
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	switch err := st.RemoveAllow(ctx, p); {
	case errors.Is(err, store.ErrNotFound):
		if reason, ok := b.guard.Protects(p); ok {
			return false, api.Conflictf("%s is always allowed, for it is protected: %s", p, reason)
		}
		return false, nil
	case err != nil:
		return false, err
	}
	b.log.Info("allowlist entry removed by a client", "prefix", p)
	return true, b.enforcer.Disallow([]netip.Prefix{p})
}

func orForever(duration string) string {
	if duration == "" {
		return "ever"
	}
	return duration
}
