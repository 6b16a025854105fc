package enforce

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"gabion/loader"
	"gabion/userspace/decision"
)

// fullRounds is how often lists give way for entries that the kernel had no room for. Whole tables
// fill up seldom, and an entry may be refused although others gave way.
const fullRounds = 8

// used returns how many kernel entries are asked for. What two lists have in common counts twice, so
// that it is never too few.
func (e *Enforcer) used() int {
	n := e.set.Prefixes()
	for _, l := range e.lists {
		n += l.enforced()
	}
	return n
}

// makeRoom has lists give way until everything fits, and returns the entries that are to be taken out:
// from the list with the highest class, its last entries first.
func (e *Enforcer) makeRoom() []netip.Prefix { return e.giveWay(e.used() - e.room) }

// giveWay takes n entries of lists out of what is wanted, or as many as there are.
func (e *Enforcer) giveWay(n int) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range e.shrink(n) {
		for i := s.from; i < s.to; i++ {
			out = append(out, s.list.Entries.At(i))
		}
	}
	return out
}

// span is some entries of a list.
type span struct {
	list     *list
	from, to int
}

// shrink is giveWay without a list of the entries, which may be a million.
func (e *Enforcer) shrink(n int) []span {
	var out []span
	for _, l := range slices.Backward(e.lists[:]) {
		if n <= 0 {
			break
		}
		if l == nil || l.cut == 0 {
			continue
		}
		before, had := l.cut, l.enforced()
		l.limit(had - n)
		n -= had - l.enforced()
		out = append(out, span{l, l.cut, before})
	}
	return out
}

// grow lets entries of lists return for which there is room, and says which.
func (e *Enforcer) grow() []span {
	var out []span
	free := e.room - e.used()
	for _, l := range e.lists {
		if l == nil || free <= 0 || l.cut == l.Entries.Len() {
			continue
		}
		before, had := l.cut, l.enforced()
		l.limit(had + free)
		free -= l.enforced() - had
		out = append(out, span{l, before, l.cut})
	}
	return out
}

// put writes entries. For those that the kernel has no room for, lists give way; what even then finds
// none is counted as a failure, and Reconcile tries again.
func (e *Enforcer) put(rules []decision.Rule, now time.Time) error {
	if len(rules) == 0 {
		return nil
	}
	full, err := notInForce(e.table.Ban(rules))
	for round := 0; len(full) > 0 && err == nil && round < fullRounds; round++ {
		e.await(func() bool { return e.swap != nil && e.swap.running }) // what gives way may be in its hands
		give := e.giveWay(len(full))
		if len(give) == 0 {
			break
		}
		e.room = e.used()
		var again []decision.Rule
		var unban []netip.Prefix
		for _, p := range slices.Concat(give, full) {
			e.note(p)
			if rule, ok := e.effective(p); ok {
				again = append(again, rule)
			} else {
				unban = append(unban, p)
			}
		}
		if err = e.table.Unban(unban); err == nil {
			full, err = notInForce(e.table.Ban(again))
		}
	}
	if len(full) > 0 {
		err = errors.Join(err, &loader.FullError{Table: "bans", Capacity: uint32(e.room), Prefixes: full})
	}
	return e.failed(err, now)
}

// notInForce takes an error of the table apart: the entries that it had no room for, and what is left.
func notInForce(err error) (full []netip.Prefix, rest error) {
	switch err := err.(type) {
	case nil:
		return nil, nil
	case *loader.FullError:
		return err.Prefixes, nil
	case interface{ Unwrap() []error }:
		var errs []error
		for _, one := range err.Unwrap() {
			more, rest := notInForce(one)
			full, errs = append(full, more...), append(errs, rest)
		}
		return full, errors.Join(errs...)
	}
	var wrapped *loader.FullError
	if errors.As(err, &wrapped) {
		return wrapped.Prefixes, nil
	}
	return nil, err
}

// refill gives entries of lists that gave way their place back, as far as there is room. When the
// kernel had run out of memory it is asked for a little more each time.
func (e *Enforcer) refill(now time.Time) error {
	e.mu.Lock()
	e.room = min(e.limit, e.room+max(step, e.room/16))
	change := append(e.shrink(e.used()-e.room), e.grow()...)
	e.mu.Unlock()
	var errs []error
	for _, s := range change {
		for from := s.from; from < s.to; from += step {
			errs = append(errs, e.writeSpan(span{s.list, from, min(from+step, s.to)}, now))
		}
	}
	return errors.Join(errs...)
}

func (e *Enforcer) writeSpan(s span, now time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	prefixes := make([]netip.Prefix, 0, s.to-s.from)
	for i := s.from; i < s.to; i++ {
		prefixes = append(prefixes, s.list.Entries.At(i))
	}
	return e.write(prefixes, now)
}
