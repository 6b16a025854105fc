// Package enforce keeps the kernel's tables as the decisions want them: it bans and unbans, refuses
// what would lock the administrator out, and repairs what differs.
//
// The kernel comes first and the record second: when Ban returns, the source is dropped. Recording
// decisions is the caller's part. After a crash in between, Reconcile finds the ban in the kernel
// and adopts it with the end it carries.
//
// Imported lists are enforced as well, each under a kernel class of its own: own decisions beat them,
// and when there is no room for all, they give way.
//
// At start the order is: New, Allow for the user's allowlist, Restore with the recorded decisions,
// RestoreList for each list, Reconcile; only then may bans come in. While running, RunGuard keeps the un-bannable addresses
// up to date, and the daemon calls Expire and Reconcile from time to time.
package enforce

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"gabion/userspace/decision"
)

// DefaultMaxBans is the number of decisions held when Config sets none.
const DefaultMaxBans = 1_000_000

// bulk is how many entries are handed to the table one step after the other. More are handed over all at
// once: that takes the table as long as building it anew, and bans wait for it, but no longer.
const bulk = 16 * step

// Config says what an Enforcer works with. Table, Guard, IDs, Log and Now are required.
type Config struct {
	Table Table
	Guard *Guard
	IDs   *decision.IDs // gives decisions their ids; raised to what Restore and Reconcile find
	// MaxBans is the number of kernel entries at most, DefaultMaxBans when 0. Entries of lists give
	// way to decisions; when the decisions alone are that many, further ones are refused.
	MaxBans int
	// Ended tells of kernel entries whether their decisions are on record as ended, so that a
	// leftover is not taken for a ban that was never recorded. Nil: none are.
	Ended func(entries []decision.Rule) ([]bool, error)
	// Dropped is told what Ban has the kernel drop from now on, on the goroutine of Ban and behind the
	// kernel's tables: it must not wait. Nil: nobody is told. It hears nothing of lists.
	Dropped func(prefixes []netip.Prefix)
	Log     *slog.Logger
	Now     func() time.Time
}

// Enforcer owns the set of active decisions and writes the kernel tables. It is safe for concurrent
// use; decisions given to it must not change afterwards.
type Enforcer struct {
	table   Table
	guard   *Guard
	ids     *decision.IDs
	limit   int
	bulk    int
	ended   func(entries []decision.Rule) ([]bool, error)
	dropped func(prefixes []netip.Prefix)
	log     *slog.Logger
	now     func() time.Time
	wake    chan struct{} // asks RunGuard for a fresh look

	reconciling sync.Mutex // one Reconcile or change of a list at a time; taken before mu

	mu      sync.Mutex // covers everything below and all writing of the table
	set     *decision.Set
	lists   [decision.Classes]*list
	modes   [decision.Classes]decision.Mode
	room    int                           // entries that fit, at most limit: less when the kernel ran out of memory
	swap    *swap                         // the list that is being exchanged, nil when none is
	swapped sync.Cond                     // signalled when swap has become nil, and when waiting has become less
	waiting int                           // writers that wait for swapped
	users   decision.PrefixMap[time.Time] // the user's allowlist: prefix -> its end, zero for never
	allowed map[netip.Prefix]decision.AllowReason
	revoked idRing
	touched map[netip.Prefix]struct{} // changed since the running Reconcile began; nil without one
	round   uint32                    // of Reconcile, from 1
	stats   Stats
	logged  time.Time // when a kernel failure was logged last
}

// Stats counts what an Enforcer did.
type Stats struct {
	Active       int // decisions in force
	Entries      int // kernel entries asked for: prefixes with a decision, and enforced entries of lists
	Room         int // kernel entries that there is room for: MaxBans, or less when the kernel ran out of memory
	Lists        []ListStats
	Banned       uint64 // decisions accepted
	Refused      uint64
	KernelErrors uint64    // writes that the kernel did not take in full; Reconcile tries again
	Reconciled   time.Time // when the last complete Reconcile ended
	Drift        Drift     // what it found
}

// Refusal is a decision that was not enforced, and why.
type Refusal struct {
	Decision *decision.Decision
	Reason   string
}

// New returns an Enforcer with an empty set. It takes a first look at what the guard protects.
func New(c Config) *Enforcer {
	e := &Enforcer{
		table: c.Table, guard: c.Guard, ids: c.IDs, limit: c.MaxBans, ended: c.Ended, dropped: c.Dropped, log: c.Log, now: c.Now,
		wake:    make(chan struct{}, 1),
		bulk:    bulk,
		set:     decision.NewSet(),
		allowed: map[netip.Prefix]decision.AllowReason{},
		modes:   startModes(),
	}
	if e.limit == 0 {
		e.limit = DefaultMaxBans
	}
	e.room = e.limit
	e.swapped.L = &e.mu
	e.guard.Refresh(e.now())
	return e
}

// Restore fills the set with the recorded decisions and makes sure that the ids in the kernel are
// not given out again. Decisions that cannot be enforced are left out. It writes no table:
// Reconcile does, which must follow.
func (e *Enforcer) Restore(active []*decision.Decision) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	for _, d := range active {
		e.ids.Raise(0, d.ID)
		if d.Type != decision.TypeBan || !d.Until.After(now) {
			continue
		}
		if e.set.Len() >= e.limit {
			e.log.Error("too many recorded bans, the rest is left out", "limit", e.limit, "recorded", len(active))
			break
		}
		if _, err := e.set.Add(d); err != nil {
			e.log.Warn("recorded decision left out", "decision", d.ID, "value", d.Value, "err", err)
		}
	}
	e.makeRoom() // no list has kernel entries yet that Reconcile would not take out
	for rule, err := range e.table.Bans() {
		if err != nil {
			return fmt.Errorf("read bans from the kernel: %w", err)
		}
		e.ids.Raise(0, rule.DecisionID)
	}
	modes, err := e.table.ClassModes()
	if err != nil {
		return fmt.Errorf("read class modes from the kernel: %w", err)
	}
	e.modes = modes
	return nil
}

// Ban enforces decisions: those without id get one, and when it returns the kernel drops what they
// cover. It returns the decisions that were not enforced. When the kernel fails to take an entry,
// that is counted and logged, and Reconcile tries again; it is no refusal.
//
// It takes one short lock, so it may be called on the goroutine that found the attack.
func (e *Enforcer) Ban(ds []*decision.Decision) []Refusal {
	if len(ds) == 0 {
		return nil
	}
	e.lookAgain()
	now := e.now()
	var refused []Refusal
	for part := range slices.Chunk(ds, step) {
		no, dropped := e.ban(part, now)
		refused = append(refused, no...)
		if e.dropped != nil && len(dropped) > 0 {
			e.dropped(dropped)
		}
	}
	return refused
}

// ban returns the prefixes of the decisions that it has the kernel drop, besides those refused.
func (e *Enforcer) ban(ds []*decision.Decision, now time.Time) (refused []Refusal, dropped []netip.Prefix) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var changed []netip.Prefix
	for _, d := range ds {
		p, err := e.accept(d, now)
		if err != nil {
			e.stats.Refused++
			refused = append(refused, Refusal{Decision: d, Reason: err.Error()})
			continue
		}
		e.stats.Banned++
		changed = append(changed, p)
		if !d.Simulated {
			dropped = append(dropped, p)
		}
	}
	if give := e.makeRoom(); len(give) > 0 {
		_ = e.write(give, now) // counted and logged there, and so below
	}
	_ = e.write(changed, now)
	return refused, dropped
}

// accept adds a decision to the set, or says why not.
func (e *Enforcer) accept(d *decision.Decision, now time.Time) (netip.Prefix, error) {
	if d.Type != decision.TypeBan {
		return netip.Prefix{}, fmt.Errorf("a decision of type %q is not for the kernel", d.Type)
	}
	p, err := d.Prefix()
	if err != nil {
		return p, err
	}
	switch _, known := e.set.Get(d.ID); {
	case !d.Until.After(now):
		return p, errors.New("it has ended already")
	case d.ID > decision.MaxID:
		return p, fmt.Errorf("its id is larger than %d", uint64(decision.MaxID))
	case !known && e.set.Len() >= e.limit:
		return p, fmt.Errorf("%d bans are in force, which is the limit (max_bans)", e.limit)
	}
	if err := e.protected(p, now); err != nil {
		return p, err
	}
	if d.ID == 0 {
		d.ID = e.ids.NextDecision()
	}
	e.ids.Raise(0, d.ID)
	if d.UUID == "" {
		d.UUID = decision.NewUUID()
	}
	return e.set.Add(d)
}

// protected says why p must not be banned. A wide ban that merely contains protected addresses is
// fine, provided that their allow entries are in the kernel.
func (e *Enforcer) protected(p netip.Prefix, now time.Time) error {
	if p.Bits() == 0 {
		return errors.New("it would ban every address")
	}
	if reason, ok := e.guard.Protects(p); ok {
		return fmt.Errorf("%s is protected: %s", p, reason)
	}
	if at, ok := e.userAllows(p, now); ok {
		return fmt.Errorf("%s is on the allowlist: %s", p, at)
	}
	var err error
	for at := range e.guard.current().within(p) {
		if _, ok := e.allowed[at]; !ok && err == nil {
			err = e.writeAllows(now)
		}
		if _, ok := e.allowed[at]; !ok && err != nil {
			return fmt.Errorf("it covers %s, which is protected and cannot be allowed: %w", at, err)
		}
	}
	return nil
}

// Unban ends decisions. A prefix on which another decision is left falls back to that. The error
// says that the kernel did not follow; the decisions are out of the set all the same, and Reconcile
// tries again.
func (e *Enforcer) Unban(ids []uint64) error {
	var first error // one says enough: the others are counted
	for part := range slices.Chunk(ids, step) {
		if err := e.unban(part); first == nil {
			first = err
		}
	}
	return first
}

func (e *Enforcer) unban(ids []uint64) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.forget(e.set.Remove(ids...), e.now())
}

// Expire takes ended decisions out of the set and the kernel, and returns them. The kernel compares
// the end itself, so a late Expire costs memory, not justice.
func (e *Enforcer) Expire(now time.Time) []*decision.Decision {
	if e.reconciling.TryLock() { // otherwise next time
		e.expireLists(now)
		e.reconciling.Unlock()
	}
	return e.expireAll(now)
}

func (e *Enforcer) expireAll(now time.Time) []*decision.Decision {
	e.expireAllows(now)
	var all []*decision.Decision
	for {
		gone := e.expire(now)
		all = append(all, gone...)
		if len(gone) < step {
			return all
		}
	}
}

// expire takes out a few: a list may end all at once.
func (e *Enforcer) expire(now time.Time) []*decision.Decision {
	e.mu.Lock()
	defer e.mu.Unlock()
	gone := e.set.Expire(now, step)
	_ = e.forget(gone, now) // counted and logged there
	return gone
}

// forget brings the kernel up to date after decisions have left the set.
func (e *Enforcer) forget(gone []*decision.Decision, now time.Time) error {
	var changed []netip.Prefix
	for _, d := range gone {
		e.revoked.add(d.ID)
		if p, err := d.Prefix(); err == nil {
			changed = append(changed, p)
		}
	}
	return e.write(changed, now)
}

// Decision returns the decision in force with an id.
func (e *Enforcer) Decision(id uint64) (*decision.Decision, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.set.Get(id)
}

// Active returns all decisions in force, in the order of their prefixes.
func (e *Enforcer) Active() []*decision.Decision {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make([]*decision.Decision, 0, e.set.Len())
	for d := range e.set.All() {
		out = append(out, d)
	}
	return out
}

// Hits returns how many packets met the kernel entry of a decision. It is 0 while another decision
// on the same prefix is the stronger one.
func (e *Enforcer) Hits(d *decision.Decision) (uint64, error) {
	p, err := d.Prefix()
	if err != nil {
		return 0, err
	}
	rule, ok, err := e.table.BanHit(p)
	if err != nil {
		return 0, fmt.Errorf("read the ban of %s: %w", p, err)
	}
	if !ok || rule.DecisionID != d.ID {
		return 0, nil
	}
	return rule.Hits, nil
}

// Stats returns the counters.
func (e *Enforcer) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	st := e.stats
	st.Active, st.Entries, st.Room, st.Lists = e.set.Len(), e.used(), e.room, e.listStats()
	return st
}
