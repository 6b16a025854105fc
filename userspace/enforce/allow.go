package enforce

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"gabion/userspace/decision"
)

// Allow puts prefixes on the user's allowlist until the given time, or for good when it is zero.
// The kernel lets them pass whatever ban covers them, also one that is in force already.
func (e *Enforcer) Allow(prefixes []netip.Prefix, until time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range prefixes {
		e.users.Put(p, until)
	}
	return e.writeAllows(e.now())
}

// Disallow takes prefixes off the user's allowlist.
func (e *Enforcer) Disallow(prefixes []netip.Prefix) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range prefixes {
		e.users.Delete(p)
	}
	return e.writeAllows(e.now())
}

// Allowed reports whether p lies in what no ban may stop, and why.
func (e *Enforcer) Allowed(p netip.Prefix) (reason string, ok bool) {
	if reason, ok := e.guard.Protects(p); ok {
		return reason, true
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	at, ok := e.userAllows(p, e.now())
	if !ok {
		return "", false
	}
	return "on the allowlist: " + at.String(), true
}

// Drops reports whether a decision in force has the kernel drop what addr sends, and nothing allows it.
// Lists do not count.
func (e *Enforcer) Drops(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	if _, ok := e.Allowed(netip.PrefixFrom(addr, addr.BitLen())); ok {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	return slices.ContainsFunc(e.set.Find(addr), func(d *decision.Decision) bool {
		return !d.Simulated && d.Until.After(now)
	})
}

// Allows returns the allow entries of the kernel, with their hits.
func (e *Enforcer) Allows() ([]decision.Allow, error) {
	var out []decision.Allow
	for a, err := range e.table.Allows() {
		if err != nil {
			return nil, fmt.Errorf("read allow entries from the kernel: %w", err)
		}
		out = append(out, a)
	}
	return out, nil
}

// guardInterval is how often RunGuard looks when nobody asks.
const guardInterval = 5 * time.Second

// RunGuard keeps what the guard protects, and its allow entries in the kernel, up to date: every
// few seconds, and soon after a ban. It returns when ctx ends.
func (e *Enforcer) RunGuard(ctx context.Context) error {
	ticker := time.NewTicker(guardInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-e.wake:
		}
		now := e.now()
		e.protect(e.guard.Refresh(now), now)
	}
}

// Look has the guard look at once, also at SSH sessions that began a moment ago. Unlike Ban it waits for
// that, so it is not for the goroutine that found an attack.
func (e *Enforcer) Look() {
	now := e.now()
	e.protect(e.guard.Look(now), now)
}

// protect writes what the guard protects when that has changed.
func (e *Enforcer) protect(changed bool, now time.Time) {
	if !changed {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	_ = e.writeAllows(now) // counted and logged there
}

// lookAgain asks RunGuard for a fresh look, without waiting for it.
func (e *Enforcer) lookAgain() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// userAllows returns the entry of the user's allowlist that contains p.
func (e *Enforcer) userAllows(p netip.Prefix, now time.Time) (netip.Prefix, bool) {
	for at, until := range e.users.Covering(p) {
		if until.IsZero() || until.After(now) {
			return at, true
		}
	}
	return netip.Prefix{}, false
}

// expireAllows takes ended entries off the allowlist.
func (e *Enforcer) expireAllows(now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var old []netip.Prefix
	for p, until := range e.users.All() {
		if !until.IsZero() && !until.After(now) {
			old = append(old, p)
		}
	}
	if len(old) == 0 {
		return
	}
	for _, p := range old {
		e.users.Delete(p)
	}
	_ = e.writeAllows(now) // counted and logged there
}

// wantedAllows returns what must be in the kernel's allow tables. What both the user and the guard
// ask for is the user's.
func (e *Enforcer) wantedAllows() map[netip.Prefix]decision.AllowReason {
	want := map[netip.Prefix]decision.AllowReason{}
	for p := range e.guard.current().all() {
		want[p] = decision.AllowGuard
	}
	for p := range e.users.All() {
		want[p] = decision.AllowUser
	}
	return want
}

// writeAllows brings the allow tables from what they are known to hold to what they should: new
// entries first, for a protected address must not be without one in between.
func (e *Enforcer) writeAllows(now time.Time) error {
	want := e.wantedAllows()
	var add []decision.Allow
	var del []netip.Prefix
	for p, reason := range want {
		if is, ok := e.allowed[p]; !ok || is != reason {
			add = append(add, decision.Allow{Prefix: p, Reason: reason})
		}
	}
	for p := range e.allowed {
		if _, ok := want[p]; !ok {
			del = append(del, p)
		}
	}
	err := errors.Join(try(e, e.table.Allow, add, now), try(e, e.table.Disallow, del, now))
	if err == nil {
		e.allowed = want
		return nil
	}
	is, readErr := e.kernelAllows() // some of them may have been written
	if readErr == nil {
		e.allowed = is
	}
	return errors.Join(err, readErr)
}

func (e *Enforcer) kernelAllows() (map[netip.Prefix]decision.AllowReason, error) {
	out := map[netip.Prefix]decision.AllowReason{}
	for a, err := range e.table.Allows() {
		if err != nil {
			return nil, fmt.Errorf("read allow entries from the kernel: %w", err)
		}
		out[a.Prefix] = a.Reason
	}
	return out, nil
}

// reconcileAllows reads what the kernel's allow tables really hold and repairs them. It returns the
// number of entries that were missing, wrong or nobody's.
func (e *Enforcer) reconcileAllows(now time.Time) (drift int, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	is, err := e.kernelAllows()
	if err != nil {
		return 0, err
	}
	e.allowed = is
	want := e.wantedAllows()
	for p, reason := range want {
		if have, ok := is[p]; !ok || have != reason {
			drift++
		}
	}
	for p := range is {
		if _, ok := want[p]; !ok {
			drift++
		}
	}
	return drift, e.writeAllows(now)
}
