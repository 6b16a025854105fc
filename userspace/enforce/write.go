package enforce

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"gabion/userspace/decision"
)

// effective returns the kernel entry that p should have: that of whoever does the most to it, own
// decisions before lists and lists by their class. Its end is the latest of all that do the same, so
// that nothing passes between the end of one and the sweep that writes the next.
func (e *Enforcer) effective(p netip.Prefix) (decision.Rule, bool) { return e.effectiveIn(p, &e.lists) }

func (e *Enforcer) effectiveIn(p netip.Prefix, lists *[decision.Classes]*list) (decision.Rule, bool) {
	best, found := e.set.Effective(p)
	for class := decision.ClassFirstList; class < decision.Classes; class++ {
		l := lists[class]
		if !l.claims(p) {
			continue
		}
		have, does := e.modes[best.Class].Rank(), e.modes[class].Rank()
		switch {
		case !found || does > have:
			best, found = l.rule(p), true
		case does == have && l.Until.After(best.Until):
			best.Until = l.Until
		}
	}
	return best, found
}

// write brings the kernel entries of some prefixes to what is wanted. Together with exchange, which
// has it wait for the prefixes of the list under way, it is all that writes bans, always under mu:
// so the order of writes is the order of decisions.
func (e *Enforcer) write(prefixes []netip.Prefix, now time.Time) error {
	e.await(func() bool { return e.swap != nil && e.swap.running && slices.ContainsFunc(prefixes, e.swap.holds) })
	var ban []decision.Rule
	var unban []netip.Prefix
	done := make(map[netip.Prefix]struct{}, len(prefixes))
	for _, p := range prefixes {
		if _, ok := done[p]; ok {
			continue
		}
		done[p] = struct{}{}
		e.note(p)
		if rule, ok := e.effective(p); ok {
			ban = append(ban, rule)
		} else {
			unban = append(unban, p)
		}
	}
	return errors.Join(e.put(ban, now), try(e, e.table.Unban, unban, now))
}

// note remembers that p changes, for those who work on a picture of the table from before.
func (e *Enforcer) note(p netip.Prefix) {
	if e.touched != nil {
		e.touched[p] = struct{}{}
	}
	if e.swap != nil && e.swap.holds(p) {
		e.swap.late[p] = struct{}{}
	}
}

// try hands entries to the kernel, and counts and logs a failure.
func try[T any](e *Enforcer, do func([]T) error, entries []T, now time.Time) error {
	if len(entries) == 0 {
		return nil
	}
	return e.failed(do(entries), now)
}

// failed counts and logs a failure of the kernel, and is nil when there was none.
func (e *Enforcer) failed(err error, now time.Time) error {
	if err == nil {
		return nil
	}
	e.stats.KernelErrors++
	if e.logged.IsZero() || now.Sub(e.logged) >= time.Minute {
		e.logged = now
		e.log.Error("kernel table not written, the next reconcile tries again", "failures", e.stats.KernelErrors, "err", err)
	}
	return fmt.Errorf("write kernel table: %w", err)
}
