package enforce

import (
	"math/bits"
	"net/netip"
	"time"

	"gabion/userspace/decision"
)

// addMissing writes the wanted entries that were not met in the kernel: those of decisions, then those
// of lists.
func (e *Enforcer) addMissing(round uint32, now time.Time) (missing int, err error) {
	note := func(n int, stepErr error) {
		missing += n
		if err == nil {
			err = stepErr // one says enough: the others are counted
		}
	}
	var last netip.Prefix
	for more := true; more; {
		var n int
		var stepErr error
		n, last, more, stepErr = e.addMissingAfter(last, round, now)
		note(n, stepErr)
	}
	for _, l := range e.copyLists() {
		if n := e.unmet(l); n > e.bulk {
			note(n, e.fill(l, now))
			continue
		}
		for from := 0; l != nil && from < l.Entries.Len(); from += step {
			note(e.addMissingOf(l, from, now))
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
		if met != round && e.missing(next) {
			change = append(change, next)
		}
		if looked++; looked == step {
			more = true
			break
		}
	}
	return len(change), next, more, e.write(change, now)
}

func (e *Enforcer) addMissingOf(l *list, from int, now time.Time) (missing int, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.lists[l.Class] != l {
		return 0, nil
	}
	var change []netip.Prefix
	for i := from; i < min(from+step, l.cut); i++ {
		if l.met[i/64]&(1<<(i%64)) != 0 || l.leaves(i) {
			continue
		}
		if p := l.Entries.At(i); e.missing(p) {
			change = append(change, p)
		}
	}
	return len(change), e.write(change, now)
}

// unmet returns how many entries of a list should be in the kernel and were not met.
func (e *Enforcer) unmet(l *list) int {
	if l == nil {
		return 0
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	n := l.enforced()
	for _, word := range l.met {
		n -= bits.OnesCount64(word)
	}
	return max(n, 0)
}

// missing reports whether the entry of p, which was not met, has to be written. Reading a table that
// changes may skip entries, so not having seen one proves nothing.
func (e *Enforcer) missing(p netip.Prefix) bool {
	if _, ok := e.touched[p]; ok {
		return false
	}
	want, ok := e.effective(p)
	if !ok {
		return false
	}
	have, there, err := e.table.BanHit(p)
	return err != nil || !there || !decision.Same(want, have)
}
