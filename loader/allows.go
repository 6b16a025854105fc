package loader

import (
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"sync/atomic"

	"github.com/cilium/ebpf"

	"gabion/loader/table"
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
		putAllows(p.maps.Allow6, bpfMapAllow6, v6, a6, prefix6),
		p.markAllows())
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
	if len(full) == 0 {
		return nil
	}
	e := &FullError{Table: table, Capacity: m.MaxEntries()}
	for _, k := range full {
		e.Prefixes = append(e.Prefixes, prefix(k))
	}
	return e
}

// Disallow takes back allow entries of exactly these prefixes. One that is not allowed is no error.
func (p *Plane) Disallow(prefixes []netip.Prefix) error {
	if err := p.writable(); err != nil {
		return fmt.Errorf("disallow: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, prefix := range prefixes {
		if err := checkPrefix(prefix); err != nil {
			errs = append(errs, fmt.Errorf("disallow: %w", err))
			continue
		}
		var err error
		if prefix.Addr().Is4() {
			k := key4(prefix)
			err = p.maps.Allow4.Delete(&k)
		} else {
			k := key6(prefix)
			err = p.maps.Allow6.Delete(&k)
		}
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			errs = append(errs, fmt.Errorf("disallow %s: %w", prefix, err))
		}
	}
	return errors.Join(append(errs, p.markAllows())...)
}

// markAllows brings the bits in front of the allow tries to what the tries hold: a bit is set after its
// entry is there and cleared after it is gone. Entries made by hand count from then on.
func (p *Plane) markAllows() error {
	bits, wide := make([]uint64, len(p.tables.allow.words)), uint8(0)
	half := len(bits) / 2
	for a, err := range p.readAllows() {
		if err != nil {
			return err
		}
		switch prefix := a.Prefix; {
		case prefix.Addr().Is4():
			first, last := range4(prefix)
			for cell := first >> 16; cell <= last>>16; cell++ {
				bits[cell/64] |= 1 << (cell % 64)
			}
		case prefix.Bits() < 32:
			wide = viewAllowWide
		default:
			word, bit := table.HashAllow6(table.Key6Of(prefix.Addr()).Hi, p.abi.HashKey, half)
			bits[half+word] |= 1 << bit
		}
	}
	for i, w := range bits {
		if at := &p.tables.allow.words[i]; atomic.LoadUint64(at) != w {
			atomic.StoreUint64(at, w)
		}
	}
	v := p.tables.v6.view
	v.flags = v.flags&^viewAllowWide | wide
	p.tables.v6.show(v)
	return nil
}

// Allows reads every allow entry with its hits, IPv4 first. One that was made by hand is in force from this
// reading on when the Plane is open for writing.
func (p *Plane) Allows() iter.Seq2[decision.Allow, error] {
	return func(yield func(decision.Allow, error) bool) {
		if p.lock != nil {
			p.mu.Lock()
			err := p.markAllows()
			p.mu.Unlock()
			if err != nil {
				yield(decision.Allow{}, err)
				return
			}
		}
		p.readAllows()(yield)
	}
}

func (p *Plane) readAllows() iter.Seq2[decision.Allow, error] {
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
