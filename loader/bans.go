package loader

import (
	"errors"
	"fmt"
	"net/netip"

	"gabion/loader/table"
	"gabion/userspace/decision"
)

// Ban puts rules in force. A prefix that is banned already gets the new class, end and decision and
// keeps its hits. Every rule that can be is in force afterwards, whatever the error: those that are
// not are named in it, in a *FullError when there was no room.
func (p *Plane) Ban(rules []decision.Rule) error {
	return p.change("ban", rules, func(f *family, put []entry) ([]netip.Prefix, error) { return f.put(put) })
}

// Swap puts some rules in force and ends the bans of exactly the prefixes in remove, all hosts of a
// family in one step, as when a list gives way to its next version. No packet is judged by a mixture
// that holds less than both: what is banned before and after is banned in between. Prefixes, other
// than hosts, are put first and taken out last. A prefix in both stays. Errors are those of Ban.
func (p *Plane) Swap(put []decision.Rule, remove []netip.Prefix) error {
	gone := map[*family][]netip.Prefix{}
	if err := p.writable(); err != nil {
		return fmt.Errorf("swap bans: %w", err)
	}
	for _, prefix := range remove {
		if err := checkPrefix(prefix); err != nil {
			return fmt.Errorf("swap bans: %w", err)
		}
		f := p.tables.family(prefix)
		gone[f] = append(gone[f], prefix)
	}
	return p.change("swap bans", put, func(f *family, put []entry) ([]netip.Prefix, error) {
		if len(put) == 0 && len(gone[f]) == 0 {
			return nil, nil
		}
		return f.swap(put, gone[f])
	})
}

// change hands the rules of each family to do.
func (p *Plane) change(verb string, rules []decision.Rule, do func(*family, []entry) ([]netip.Prefix, error)) error {
	if err := p.writable(); err != nil {
		return fmt.Errorf("%s: %w", verb, err)
	}
	now, err := p.ticks.now()
	if err != nil {
		return fmt.Errorf("%s: %w", verb, err)
	}
	var errs []error
	n4 := 0
	for i := range rules {
		if rules[i].Prefix.Addr().Is4() {
			n4++
		}
	}
	v4, v6 := make([]entry, 0, n4), make([]entry, 0, len(rules)-n4)
	for _, r := range rules {
		if err := checkRule(r); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", verb, err))
			continue
		}
		e := entry{prefix: r.Prefix, Entry: table.Entry{Class: uint8(r.Class), Expiry: now.expiry(r.Until), ID: r.DecisionID}}
		if r.Prefix.Addr().Is4() {
			v4 = append(v4, e)
		} else {
			v6 = append(v6, e)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, part := range []struct {
		f     *family
		put   []entry
		table string
	}{{p.tables.v4, v4, bpfMapBans4}, {p.tables.v6, v6, bpfMapBans6}} {
		full, err := do(part.f, part.put)
		part.f.fitNets()
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", verb, err))
		}
		if len(full) > 0 {
			errs = append(errs, &FullError{Table: part.table, Capacity: uint32(part.f.limit), Prefixes: full})
		}
	}
	return errors.Join(errs...)
}

func checkRule(r decision.Rule) error {
	if err := checkPrefix(r.Prefix); err != nil {
		return err
	}
	if r.Class >= decision.Classes {
		return fmt.Errorf("%s: class %d: there are classes 0 to %d", r.Prefix, r.Class, decision.Classes-1)
	}
	if r.Until.IsZero() {
		return fmt.Errorf("%s: a ban needs an end", r.Prefix)
	}
	return nil
}

// Unban ends bans of exactly these prefixes. One that is not banned is no error.
func (p *Plane) Unban(prefixes []netip.Prefix) error {
	if err := p.writable(); err != nil {
		return fmt.Errorf("unban: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, prefix := range prefixes {
		if err := checkPrefix(prefix); err != nil {
			errs = append(errs, fmt.Errorf("unban: %w", err))
			continue
		}
		if err := p.tables.family(prefix).remove(prefix); err != nil {
			errs = append(errs, fmt.Errorf("unban: %w", err))
		}
	}
	for _, f := range []*family{p.tables.v4, p.tables.v6} {
		if err := f.fit(0); err != nil {
			p.log.Warn("ban tables not made smaller", "entries", f.size(), "err", err)
		}
		f.fitNets()
	}
	return errors.Join(errs...)
}
