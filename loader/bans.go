package loader

import (
	"errors"
	"fmt"
	"iter"
	"net/netip"

	"github.com/cilium/ebpf"

	"gabion/userspace/decision"
)

// Ban puts rules in force. A prefix that is banned already gets the new class, end and decision and
// keeps its hits. Every rule that can be is in force afterwards, whatever the error: those that are
// not are named in it, in a *FullError when a table has no room.
func (p *Plane) Ban(rules []decision.Rule) error {
	if err := p.writable(); err != nil {
		return fmt.Errorf("ban: %w", err)
	}
	var (
		errs   []error
		v4     []bpfPrefix4
		v6     []bpfPrefix6
		b4, b6 []bpfBan
	)
	for _, r := range rules {
		if err := checkRule(r); err != nil {
			errs = append(errs, fmt.Errorf("ban: %w", err))
			continue
		}
		ban := bpfBan{
			Expiry: p.clock.bootTime(r.Until), DecisionId: r.DecisionID,
			Class: uint8(r.Class), Prefixlen: uint8(r.Prefix.Bits()),
		}
		if r.Prefix.Addr().Is4() {
			v4, b4 = append(v4, key4(r.Prefix)), append(b4, ban)
		} else {
			v6, b6 = append(v6, key6(r.Prefix)), append(b6, ban)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	errs = append(errs,
		putBans(p.maps.Bans4, bpfMapBans4, v4, b4, prefix4),
		putBans(p.maps.Bans6, bpfMapBans6, v6, b6, prefix6))
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

func putBans[K any](m *ebpf.Map, table string, keys []K, bans []bpfBan, prefix func(K) netip.Prefix) error {
	if len(keys) == 0 {
		return nil
	}
	// Into an empty table, as after a reboot, nothing has to be looked up.
	var first K
	if err := m.NextKey(nil, &first); err == nil {
		for i := range keys {
			old, ok, err := exactBan(m, keys[i], bans[i].Prefixlen, prefix)
			if err != nil {
				return err
			}
			if ok {
				bans[i].Hits = old.Hits
			}
		}
	}
	full, err := putAll(m, keys, bans)
	if err != nil {
		return fmt.Errorf("ban: %w", err)
	}
	return fullError(m, table, full, prefix)
}

func fullError[K any](m *ebpf.Map, table string, full []K, prefix func(K) netip.Prefix) error {
	if len(full) == 0 {
		return nil
	}
	e := &FullError{Table: table, Capacity: m.MaxEntries()}
	for _, k := range full {
		e.Prefixes = append(e.Prefixes, prefix(k))
	}
	return e
}

// exactBan finds the entry of exactly this prefix. The kernel answers with the longest match, which
// tells its own length, unless it was made by hand: then only the keys themselves say.
func exactBan[K any](m *ebpf.Map, key K, bits uint8, prefix func(K) netip.Prefix) (bpfBan, bool, error) {
	var ban bpfBan
	err := m.Lookup(&key, &ban)
	switch {
	case errors.Is(err, ebpf.ErrKeyNotExist):
		return ban, false, nil
	case err != nil:
		return ban, false, fmt.Errorf("look up ban: %w", err)
	case ban.Prefixlen != 0 || bits == 0:
		return ban, ban.Prefixlen == bits, nil
	}
	for k, r := range all[K, bpfBan](m) {
		if r.err != nil {
			return ban, false, fmt.Errorf("read bans: %w", r.err)
		}
		if prefix(k) == prefix(key) {
			return r.value, true, nil
		}
	}
	return bpfBan{}, false, nil
}

// Unban ends bans of exactly these prefixes. One that is not banned is no error.
func (p *Plane) Unban(prefixes []netip.Prefix) error {
	if err := p.writable(); err != nil {
		return fmt.Errorf("unban: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return deleteAll("unban", p.maps.Bans4, p.maps.Bans6, prefixes)
}

func deleteAll(verb string, m4, m6 *ebpf.Map, prefixes []netip.Prefix) error {
	var errs []error
	for _, prefix := range prefixes {
		if err := checkPrefix(prefix); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", verb, err))
			continue
		}
		var err error
		if prefix.Addr().Is4() {
			k := key4(prefix)
			err = m4.Delete(&k)
		} else {
			k := key6(prefix)
			err = m6.Delete(&k)
		}
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			errs = append(errs, fmt.Errorf("%s %s: %w", verb, prefix, err))
		}
	}
	return errors.Join(errs...)
}

// Bans reads every ban with its hits, IPv4 first, also those that are over or were made by hand (these
// may have no end: a zero Until). What changes meanwhile may come twice or not at all. The moment
// that Until says is computed from the clocks of now, so it moves by as much as the wall clock is set.
func (p *Plane) Bans() iter.Seq2[decision.Rule, error] {
	return func(yield func(decision.Rule, error) bool) {
		for k, r := range all[bpfPrefix4, bpfBan](p.maps.Bans4) {
			if !yield(p.rule(prefix4(k), r)) {
				return
			}
		}
		for k, r := range all[bpfPrefix6, bpfBan](p.maps.Bans6) {
			if !yield(p.rule(prefix6(k), r)) {
				return
			}
		}
	}
}

// BanHit returns the ban of exactly this prefix, and whether there is one.
func (p *Plane) BanHit(prefix netip.Prefix) (decision.Rule, bool, error) {
	if err := checkPrefix(prefix); err != nil {
		return decision.Rule{}, false, fmt.Errorf("look up ban: %w", err)
	}
	var (
		ban bpfBan
		ok  bool
		err error
	)
	if prefix.Addr().Is4() {
		ban, ok, err = exactBan(p.maps.Bans4, key4(prefix), uint8(prefix.Bits()), prefix4)
	} else {
		ban, ok, err = exactBan(p.maps.Bans6, key6(prefix), uint8(prefix.Bits()), prefix6)
	}
	if err != nil || !ok {
		return decision.Rule{}, false, err
	}
	r, err := p.rule(prefix, result[bpfBan]{value: ban})
	return r, true, err
}

func (p *Plane) rule(prefix netip.Prefix, r result[bpfBan]) (decision.Rule, error) {
	if r.err != nil {
		return decision.Rule{}, fmt.Errorf("read bans: %w", r.err)
	}
	return decision.Rule{
		Prefix:     prefix,
		Class:      decision.Class(r.value.Class),
		DecisionID: r.value.DecisionId,
		Until:      p.clock.wallTime(r.value.Expiry),
		Hits:       r.value.Hits,
	}, nil
}
