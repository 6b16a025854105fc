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
	Wrong   int // entries with another class, end or decision, and lists in another mode
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
	e.expireLists(now)
	e.expireAll(now)
	e.guard.Refresh(now)
	var drift Drift
	var err error
	drift.Allows, err = e.reconcileAllows(now)
	errs := []error{err, e.reconcileModes(now, &drift)}
	e.readmit(now)
	errs = append(errs, e.refill(now))

	round := e.watch(map[netip.Prefix]struct{}{})
	defer e.watch(nil)
	seen, err := e.compare(round)
	// An id is given back by one store, in place.
	errs = append(errs, err, e.writeParts(seen.nameless, now), e.repairAll(seen.odd, now, &drift))
	if err == nil { // otherwise what was not seen may be there
		drift.Missing, err = e.addMissing(round, now)
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return drift, fmt.Errorf("reconcile: %w", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stats.Drift, e.stats.Reconciled = drift, now
	for class, l := range e.lists {
		if l != nil {
			l.hits = seen.hits[class]
		}
	}
	return drift, nil
}

// reconcileModes compares what the kernel does with lists with what it should, and repairs it.
func (e *Enforcer) reconcileModes(now time.Time, drift *Drift) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	is, err := e.table.ClassModes()
	if err != nil {
		return fmt.Errorf("read class modes from the kernel: %w", err)
	}
	var errs []error
	for class, l := range e.lists {
		if l != nil && is[class] != e.modes[class] {
			drift.Wrong++
			errs = append(errs, e.failed(e.table.SetClass(l.Class, e.modes[class]), now))
		}
	}
	return errors.Join(errs...)
}

// watch starts (with an empty map) or stops noting the prefixes that change, and returns the number
// of the round.
func (e *Enforcer) watch(touched map[netip.Prefix]struct{}) (round uint32) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.touched = touched
	if touched != nil {
		e.round = max(1, e.round+1) // 0 means never
		for _, l := range e.lists {
			if l != nil {
				clear(l.met)
			}
		}
	}
	return e.round
}

// seen is what reading the kernel's bans showed.
type seen struct {
	odd      []decision.Rule          // not as they should be
	nameless []netip.Prefix           // as they should be, but for an id that is not known any more
	hits     [decision.Classes]uint64 // by class
}

// compare reads the kernel's bans and notes which of the wanted entries were met.
func (e *Enforcer) compare(round uint32) (*seen, error) {
	s := &seen{}
	part := make([]decision.Rule, 0, step)
	check := func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		for _, r := range part {
			s.hits[r.Class%decision.Classes] += r.Hits
			switch want, ok := e.meet(r.Prefix, round); {
			case ok && decision.Same(want, r):
			case ok && decision.Nameless(want, r):
				s.nameless = append(s.nameless, r.Prefix)
			default:
				s.odd = append(s.odd, r)
			}
		}
		part = part[:0]
	}
	for r, err := range e.table.Bans() {
		if err != nil {
			check()
			return s, fmt.Errorf("read bans from the kernel: %w", err)
		}
		if part = append(part, r); len(part) == step {
			check()
		}
	}
	check()
	return s, nil
}

// meet returns the entry that p should have, and notes with everyone who wants it that one was met.
func (e *Enforcer) meet(p netip.Prefix, round uint32) (decision.Rule, bool) {
	e.set.Meet(p, round)
	for _, l := range e.lists {
		if i, ok := l.index(p); ok {
			l.met[i/64] |= 1 << (i % 64)
		}
	}
	return e.effective(p)
}

// repairAll handles what differed when it was read.
func (e *Enforcer) repairAll(odd []decision.Rule, now time.Time, drift *Drift) error {
	ended, known := e.endedOf(odd)
	var errs []error
	for from := 0; from < len(odd); from += step {
		to := min(from+step, len(odd))
		errs = append(errs, e.repair(odd[from:to], ended[from:to], known, now, drift))
	}
	return errors.Join(errs...)
}

// endedOf asks which odd entries belong to decisions that are on record as ended. When that is not
// known, entries without a decision are left alone for this time.
func (e *Enforcer) endedOf(odd []decision.Rule) (ended []bool, known bool) {
	ended = make([]bool, len(odd))
	var at []int
	var ask []decision.Rule
	for i, r := range odd {
		if !r.Foreign && !ofList(r) && r.DecisionID <= decision.MaxID {
			at, ask = append(at, i), append(ask, r)
		}
	}
	if e.ended == nil || len(ask) == 0 {
		return ended, true
	}
	answer, err := e.ended(ask)
	if err != nil {
		e.log.Warn("kernel entries without a decision are left alone", "err", err)
		return ended, false
	}
	for i, is := range answer {
		ended[at[i]] = is
	}
	return ended, true
}

// ofList reports whether an entry was made for a list: such ones carry no id.
func ofList(r decision.Rule) bool {
	return r.Class >= decision.ClassFirstList && r.DecisionID == 0 && !r.Foreign
}

// repair handles a few entries that differed when they were read.
func (e *Enforcer) repair(odd []decision.Rule, ended []bool, known bool, now time.Time, drift *Drift) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	var change []netip.Prefix
	for i, r := range odd {
		if _, ok := e.touched[r.Prefix]; ok {
			continue
		}
		e.touched[r.Prefix] = struct{}{} // an entry may come twice
		_, wanted := e.effective(r.Prefix)
		switch {
		case !r.Until.IsZero() && !r.Until.After(now):
			if wanted {
				drift.Wrong++
			}
		case !ended[i] && e.unrecorded(r, wanted):
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
			if want, _ := e.effective(r.Prefix); decision.Same(want, r) {
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

// unrecorded reports whether a kernel entry in force, which the record does not know as ended, is a ban
// that nobody has on record. One with an id is, when the id is not in the set and the ban is stronger
// than what is. One whose id is lost is, when no decision is on its prefix: otherwise it is that one's,
// with another end. One put in by hand is, when nobody wants an entry there. What was made for a list
// never is.
func (e *Enforcer) unrecorded(r decision.Rule, wanted bool) bool {
	own, has := e.set.Effective(r.Prefix)
	switch {
	case r.Foreign || r.DecisionID > decision.MaxID:
		return !wanted
	case ofList(r):
		return false
	case r.DecisionID == 0:
		return !has
	}
	if _, active := e.set.Get(r.DecisionID); active || e.revoked.has(r.DecisionID) {
		return false
	}
	return !has || decision.Stronger(r, own)
}

// adopt makes a decision for a kernel entry that nobody has on record.
func (e *Enforcer) adopt(r decision.Rule, now time.Time) (*decision.Decision, error) {
	d := &decision.Decision{
		ID: r.DecisionID, Origin: decision.OriginAdopted, Type: decision.TypeBan, Scenario: "found in the kernel",
		Scope: decision.ScopeRange, Value: r.Prefix.String(), CreatedAt: now, Until: r.Until,
		Simulated: r.Class == decision.ClassShadow,
	}
	switch {
	case r.Foreign:
		d.ID, d.Origin, d.Scenario = 0, decision.OriginBPFTool, "put into the kernel by hand"
	case d.ID > decision.MaxID:
		d.ID = 0 // not one of ours
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
