package enforce

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"gabion/userspace/decision"
)

// defaultBan is how long an entry without an end, put into the kernel by hand, stays.
const defaultBan = 4 * time.Hour

// step is how many entries are handled while the lock is held: a ban of the moment waits no longer
// for a long list than that takes.
const step = 256

// Drift is how far the kernel tables were from what was wanted. All of it is repaired, as far as
// the kernel takes writes.
type Drift struct {
	Missing int // decisions without their kernel entry
	Wrong   int // entries with another class, end or decision
	Extra   int // entries of no decision, deleted
	Allows  int // allow entries missing, wrong or nobody's
	// Adopted are the decisions made for entries that nobody had on record: bans from just before
	// a crash, and those put in by hand. The caller records them.
	Adopted []*decision.Decision
}

// Total returns the number of entries that differed.
func (d Drift) Total() int { return d.Missing + d.Wrong + d.Extra + d.Allows + len(d.Adopted) }

// Reconcile compares the decisions with what the kernel tables hold and repairs the tables. Bans
// and unbans go on meanwhile: what they change after Reconcile has begun to read is theirs, and is
// not touched.
func (e *Enforcer) Reconcile(now time.Time) (Drift, error) {
	e.reconciling.Lock()
	defer e.reconciling.Unlock()
	e.Expire(now)
	e.guard.Refresh(now)
	var drift Drift
	var errs [4]error
	drift.Allows, errs[0] = e.reconcileAllows(now)

	round := e.watch(map[netip.Prefix]struct{}{})
	defer e.watch(nil)
	odd, err := e.compare(round)
	errs[1] = err
	ended, known := e.endedOf(odd)
	for len(odd) > 0 {
		n := min(step, len(odd))
		errs[2] = errors.Join(errs[2], e.repair(odd[:n], ended, known, now, &drift))
		odd = odd[n:]
	}
	if err == nil { // otherwise what was not seen may be there
		drift.Missing, errs[3] = e.addMissing(round, now)
	}
	if err := errors.Join(errs[:]...); err != nil {
		return drift, fmt.Errorf("reconcile: %w", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stats.Drift, e.stats.Reconciled = drift, now
	return drift, nil
}

// watch starts (with an empty map) or stops noting the prefixes that change, and returns the number
// of the round.
func (e *Enforcer) watch(touched map[netip.Prefix]struct{}) (round uint32) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.touched = touched
	if touched != nil {
		e.round = max(1, e.round+1) // 0 means never
	}
	return e.round
}

// compare reads the kernel's bans, marks the decisions whose entry was met, and returns the entries
// that are not as the set wants them.
func (e *Enforcer) compare(round uint32) (odd []decision.Rule, err error) {
	part := make([]decision.Rule, 0, step)
	check := func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		for _, r := range part {
			if want, ok := e.set.Meet(r.Prefix, round); !ok || !decision.Same(want, r) {
				odd = append(odd, r)
			}
		}
		part = part[:0]
	}
	for r, err := range e.table.Bans() {
		if err != nil {
			check()
			return odd, fmt.Errorf("read bans from the kernel: %w", err)
		}
		if part = append(part, r); len(part) == step {
			check()
		}
	}
	check()
	return odd, nil
}

// endedOf asks which of the decisions that odd entries carry are on record as ended. When that is
// not known, entries without a decision are left alone for this time.
func (e *Enforcer) endedOf(odd []decision.Rule) (ended map[uint64]bool, known bool) {
	var ids []uint64
	for _, r := range odd {
		if r.DecisionID != 0 && r.DecisionID <= decision.MaxID {
			ids = append(ids, r.DecisionID)
		}
	}
	if e.ended == nil || len(ids) == 0 {
		return nil, true
	}
	ended, err := e.ended(ids)
	if err != nil {
		e.log.Warn("kernel entries without a decision are left alone", "err", err)
		return nil, false
	}
	return ended, true
}

// repair handles a few entries that differed when they were read.
func (e *Enforcer) repair(odd []decision.Rule, ended map[uint64]bool, known bool, now time.Time, drift *Drift) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	var change []netip.Prefix
	for _, r := range odd {
		if _, ok := e.touched[r.Prefix]; ok {
			continue
		}
		e.touched[r.Prefix] = struct{}{} // an entry may come twice
		want, wanted := e.set.Effective(r.Prefix)
		switch {
		case !r.Until.IsZero() && !r.Until.After(now):
			if wanted {
				drift.Wrong++
			}
		case e.unrecorded(r, want, wanted, ended):
			if !known {
				continue
			}
			d, err := e.adopt(r, now)
			if err != nil {
				e.log.Warn("ban found in the kernel is taken out", "prefix", r.Prefix, "reason", err)
				drift.Extra++
				break
			}
			drift.Adopted = append(drift.Adopted, d)
			if want, _ = e.set.Effective(r.Prefix); decision.Same(want, r) {
				continue
			}
		case wanted:
			drift.Wrong++
		default:
			drift.Extra++
		}
		change = append(change, r.Prefix)
	}
	return e.write(change, now)
}

// unrecorded reports whether a kernel entry in force is a ban that nobody has on record: it carries
// a decision that neither is in the set nor has ended, or none at all on a prefix that is not
// banned. One that is weaker than what is wanted anyway is of no use.
func (e *Enforcer) unrecorded(r, want decision.Rule, wanted bool, ended map[uint64]bool) bool {
	if r.DecisionID == 0 || r.DecisionID > decision.MaxID {
		return !wanted
	}
	if _, active := e.set.Get(r.DecisionID); active || ended[r.DecisionID] || e.revoked.has(r.DecisionID) {
		return false
	}
	return !wanted || decision.Stronger(r, want)
}

// adopt makes a decision for a kernel entry that nobody has on record.
func (e *Enforcer) adopt(r decision.Rule, now time.Time) (*decision.Decision, error) {
	d := &decision.Decision{
		ID: r.DecisionID, Origin: decision.OriginAdopted, Type: decision.TypeBan, Scenario: "found in the kernel",
		Scope: decision.ScopeRange, Value: r.Prefix.String(), CreatedAt: now, Until: r.Until,
		Simulated: r.Class == decision.ClassShadow,
	}
	switch {
	case d.ID > decision.MaxID:
		d.ID = 0 // not one of ours
	case d.ID == 0:
		d.Origin, d.Scenario = decision.OriginBPFTool, "put into the kernel by hand"
	}
	if r.Prefix.IsSingleIP() {
		d.Scope, d.Value = decision.ScopeIP, r.Prefix.Addr().String()
	}
	if d.Until.IsZero() {
		d.Until = now.Add(defaultBan)
	}
	d.Duration = d.Until.Sub(now)
	_, err := e.accept(d, now)
	return d, err
}

// addMissing writes the entries of decisions that were not met in the kernel.
func (e *Enforcer) addMissing(round uint32, now time.Time) (missing int, err error) {
	var last netip.Prefix
	for more := true; more; {
		var n int
		var stepErr error
		n, last, more, stepErr = e.addMissingAfter(last, round, now)
		missing += n
		if err == nil {
			err = stepErr // one says enough: the others are counted
		}
	}
	return missing, err
}

func (e *Enforcer) addMissingAfter(last netip.Prefix, round uint32, now time.Time) (missing int, next netip.Prefix, more bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var change []netip.Prefix
	looked := 0
	for rule, met := range e.set.RulesAfter(last) {
		next = rule.Prefix
		_, touched := e.touched[next]
		if met != round && !touched && !e.inKernel(rule) {
			change = append(change, next)
		}
		if looked++; looked == step {
			more = true
			break
		}
	}
	return len(change), next, more, e.write(change, now)
}

// inKernel reports whether the entry that a decision needs is there. Reading a table that changes
// may skip entries, so not having seen one proves nothing.
func (e *Enforcer) inKernel(want decision.Rule) bool {
	have, ok, err := e.table.BanHit(want.Prefix)
	return err == nil && ok && decision.Same(want, have)
}
