package enforce

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"gabion/userspace/decision"
)

// ReplaceList puts a list in force, in place of the one of its class. The kernel changes over in one
// step: no address that is on both passes in between, and other classes are not touched. What must
// not be banned is left out, and what there is no room for is held back; the report says how much.
//
// The mode of the class stays as it is. The error says that the kernel did not follow; the list is
// replaced all the same, and Reconcile tries again.
func (e *Enforcer) ReplaceList(l List) (ListReport, error) {
	if err := checkList(l, e.now()); err != nil {
		return ListReport{}, err
	}
	e.reconciling.Lock()
	defer e.reconciling.Unlock()
	e.lookAgain()
	next := e.admit(l)
	err := e.exchange(l.Class, next, e.now())
	e.mu.Lock()
	defer e.mu.Unlock()
	return next.report(), err
}

// RestoreList is ReplaceList at start: it writes no ban, for Reconcile follows.
func (e *Enforcer) RestoreList(l List) (ListReport, error) {
	if err := checkList(l, e.now()); err != nil {
		return ListReport{}, err
	}
	e.reconciling.Lock()
	defer e.reconciling.Unlock()
	next := e.admit(l)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lists[l.Class] = next
	e.shrink(e.used() - e.room)
	return next.report(), nil
}

func checkList(l List, now time.Time) error {
	switch {
	case l.Class < decision.ClassFirstList || l.Class >= decision.Classes:
		return fmt.Errorf("put list %s in force: its class is %d, lists have %d to %d", l.Name, l.Class, decision.ClassFirstList, decision.Classes-1)
	case !l.Until.After(now):
		return fmt.Errorf("put list %s in force: it has ended already", l.Name)
	}
	return nil
}

// RemoveList takes a list out of force. Other decisions and lists keep what they have in common with
// it. The class is switched off.
func (e *Enforcer) RemoveList(class decision.Class) error {
	if class < decision.ClassFirstList || class >= decision.Classes {
		return fmt.Errorf("remove list: %d is no class of lists", class)
	}
	e.reconciling.Lock()
	defer e.reconciling.Unlock()
	return e.removeList(class, e.now())
}

// removeList switches the list off, which is one store, and then takes its entries out one step after
// the other: there is no hurry any more.
func (e *Enforcer) removeList(class decision.Class, now time.Time) error {
	errs := []error{e.setMode(class, decision.ModeOff, now)}
	e.mu.Lock()
	l, n := e.lists[class], 0
	if e.lists[class] = nil; l != nil {
		n = l.cut
	}
	e.mu.Unlock()
	for from := 0; from < n; from += step {
		errs = append(errs, e.writeSpan(span{l, from, min(from+step, n)}, now))
	}
	return errors.Join(errs...)
}

// expireLists takes out lists that have ended. The caller holds reconciling.
func (e *Enforcer) expireLists(now time.Time) {
	for class := decision.ClassFirstList; class < decision.Classes; class++ {
		e.mu.Lock()
		l := e.lists[class]
		e.mu.Unlock()
		if l != nil && !l.Until.After(now) {
			e.log.Warn("list has ended, import it again", "list", l.Name, "entries", l.Entries.Len(), "imported", l.Imported)
			_ = e.removeList(class, now) // counted and logged there
		}
	}
}

// SetClassMode changes what is done with the entries of a list: one store in the kernel, whatever its
// size. Where other decisions or lists claim the same prefix, the stronger one gets the entry: before
// the store when the mode becomes weaker, and after it otherwise, so that nothing passes in between.
func (e *Enforcer) SetClassMode(class decision.Class, mode decision.Mode) error {
	if class < decision.ClassFirstList || class >= decision.Classes || mode > decision.ModeShadow {
		return fmt.Errorf("set class %d to mode %s: lists have classes %d to %d and modes drop, shadow, off",
			class, mode, decision.ClassFirstList, decision.Classes-1)
	}
	e.reconciling.Lock()
	defer e.reconciling.Unlock()
	return e.setMode(class, mode, e.now())
}

func (e *Enforcer) setMode(class decision.Class, mode decision.Mode, now time.Time) error {
	e.mu.Lock()
	weaker := mode.Rank() < e.modes[class].Rank()
	var err error
	if !weaker {
		err = e.failed(e.table.SetClass(class, mode), now)
	}
	if err == nil {
		e.modes[class] = mode
	}
	e.mu.Unlock()
	if err != nil {
		return err
	}
	err = e.resolve(class, now)
	if weaker {
		e.mu.Lock()
		err = errors.Join(err, e.failed(e.table.SetClass(class, mode), now))
		e.mu.Unlock()
	}
	return err
}

// resolve writes the entries of a list that others claim as well.
func (e *Enforcer) resolve(class decision.Class, now time.Time) error {
	var errs []error
	for from, more := 0, true; more; from += step {
		var err error
		more, err = e.resolveSome(class, from, now)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (e *Enforcer) resolveSome(class decision.Class, from int, now time.Time) (more bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	l := e.lists[class]
	if l == nil {
		return false, nil
	}
	var shared []netip.Prefix
	to := min(from+step, l.cut)
	for i := from; i < to; i++ {
		if p := l.Entries.At(i); !l.leaves(i) && e.shared(p, class) {
			shared = append(shared, p)
		}
	}
	return to < l.cut, e.write(shared, now)
}

// shared reports whether somebody else than the list of a class claims p.
func (e *Enforcer) shared(p netip.Prefix, class decision.Class) bool {
	if _, own := e.set.Effective(p); own {
		return true
	}
	for other, l := range e.lists {
		if decision.Class(other) != class && l.claims(p) {
			return true
		}
	}
	return false
}

// admit looks for entries that must not be banned, which are left out, a few at a time.
func (e *Enforcer) admit(l List) *list {
	next := &list{List: l, cut: l.Entries.Len(), met: make([]uint64, (l.Entries.Len()+63)/64)}
	now := e.now()
	for from := 0; from < l.Entries.Len(); from += step {
		e.mu.Lock()
		for i := from; i < min(from+step, l.Entries.Len()); i++ {
			err := e.protected(l.Entries.At(i), now)
			if err != nil && next.reason == "" {
				next.reason = err.Error()
			}
			if err != nil {
				next.leftOut = append(next.leftOut, i)
			}
		}
		e.mu.Unlock()
	}
	return next
}

// readmit looks again at the entries that were left out: what is not protected any more is banned.
func (e *Enforcer) readmit(now time.Time) {
	for _, l := range e.copyLists() {
		if l == nil || len(l.leftOut) == 0 {
			continue
		}
		var still []int
		for from := 0; from < len(l.leftOut); from += step {
			e.mu.Lock()
			for _, i := range l.leftOut[from:min(from+step, len(l.leftOut))] {
				if e.protected(l.Entries.At(i), now) != nil {
					still = append(still, i)
				}
			}
			e.mu.Unlock()
		}
		e.mu.Lock()
		l.leftOut = still
		e.mu.Unlock()
	}
}

func (e *Enforcer) copyLists() [decision.Classes]*list {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.lists
}
