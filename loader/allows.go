package loader

import (
	"errors"
	"fmt"
	"iter"
	"net/netip"

	"github.com/cilium/ebpf"

	"gabion/userspace/decision"
)

// Allow puts entries in force that win over every ban. A prefix that is allowed already gets the new
// reason and keeps its hits. The error names what is not in force, in a *FullError when a table
// has no room.
func (p *Plane) Allow(entries []decision.Allow) error {
	if err := p.writable(); err != nil {
		return fmt.Errorf("allow: %w", err)
	}
	var (
		errs   []error
		v4     []bpfPrefix4
		v6     []bpfPrefix6
		a4, a6 []bpfAllow
	)
	for _, a := range entries {
		if err := checkPrefix(a.Prefix); err != nil {
			errs = append(errs, fmt.Errorf("allow: %w", err))
			continue
		}
		value := bpfAllow{Reason: uint32(a.Reason)}
		if a.Prefix.Addr().Is4() {
			v4, a4 = append(v4, key4(a.Prefix)), append(a4, value)
		} else {
			v6, a6 = append(v6, key6(a.Prefix)), append(a6, value)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	errs = append(errs,
		putAllows(p.maps.Allow4, bpfMapAllow4, v4, a4, prefix4),
		putAllows(p.maps.Allow6, bpfMapAllow6, v6, a6, prefix6))
	return errors.Join(errs...)
}

func putAllows[K comparable](m *ebpf.Map, table string, keys []K, values []bpfAllow, prefix func(K) netip.Prefix) error {
	if len(keys) == 0 {
		return nil
	}
	// Allow tables are small, and only a walk tells an entry from a shorter one that covers it.
	hits := map[K]uint64{}
	for k, r := range all[K, bpfAllow](m) {
		if r.err != nil {
			return fmt.Errorf("read allow entries: %w", r.err)
		}
		hits[k] = r.value.Hits
	}
	for i := range keys {
		values[i].Hits = hits[keys[i]]
	}
	full, err := putAll(m, keys, values)
	if err != nil {
		return fmt.Errorf("allow: %w", err)
	}
	return fullError(m, table, full, prefix)
}

// Disallow takes back allow entries of exactly these prefixes. One that is not allowed is no error.
func (p *Plane) Disallow(prefixes []netip.Prefix) error {
	if err := p.writable(); err != nil {
		return fmt.Errorf("disallow: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return deleteAll("disallow", p.maps.Allow4, p.maps.Allow6, prefixes)
}

// Allows reads every allow entry with its hits, IPv4 first.
func (p *Plane) Allows() iter.Seq2[decision.Allow, error] {
	return func(yield func(decision.Allow, error) bool) {
		for k, r := range all[bpfPrefix4, bpfAllow](p.maps.Allow4) {
			if !yield(allowOf(prefix4(k), r)) {
				return
			}
		}
		for k, r := range all[bpfPrefix6, bpfAllow](p.maps.Allow6) {
			if !yield(allowOf(prefix6(k), r)) {
				return
			}
		}
	}
}

func allowOf(prefix netip.Prefix, r result[bpfAllow]) (decision.Allow, error) {
	if r.err != nil {
		return decision.Allow{}, fmt.Errorf("read allow entries: %w", r.err)
	}
	return decision.Allow{Prefix: prefix, Reason: decision.AllowReason(r.value.Reason), Hits: r.value.Hits}, nil
}
