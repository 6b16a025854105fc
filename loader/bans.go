package loader

import (
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"time"

	"gabion/loader/table"
	"gabion/userspace/decision"
)

// Ban puts rules in force. A prefix that is banned already gets the new class, end and decision and
// keeps its hits. Every rule that can be is in force afterwards, whatever the error: those that are
// not are named in it, in a *FullError when there was no room.
func (p *Plane) Ban(rules []decision.Rule) error {
	c, err := p.begin("ban")
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(rules) > piece {
		p.expect(rules)
		defer func() { p.tables.v4.planned, p.tables.v6.planned = 0, 0 }()
	}
	for part := range slices.Chunk(rules, atOnce) {
		if len(part) > piece {
			part = c.load(part)
		}
		for part := range slices.Chunk(part, piece) {
			c.apply(part, (*family).put)
		}
	}
	return c.end()
}

// Swap puts some rules in force, of which there are about n, and ends the bans of exactly the prefixes
// in remove, all hosts of a family in one step, as when a list gives way to its next version. No packet
// is judged by a mixture that holds less than both: what is banned before and after is banned in
// between. Prefixes, other than hosts, are put first and taken out last. A prefix in both stays. The
// rules are read while the tables are locked. Errors are those of Ban.
func (p *Plane) Swap(n int, put iter.Seq[decision.Rule], remove []netip.Prefix) error {
	c, err := p.begin("swap bans")
	if err != nil {
		return err
	}
	gone := map[*family]map[netip.Prefix]struct{}{p.tables.v4: {}, p.tables.v6: {}}
	for _, prefix := range remove {
		if err := checkPrefix(prefix); err != nil {
			return fmt.Errorf("swap bans: %w", err)
		}
		gone[p.tables.family(prefix)][prefix] = struct{}{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	hosts := c.newHosts(n)
	defer hosts.release()
	for r := range put {
		c.take(&r, hosts)
	}
	for i, f := range c.families() {
		if hosts[i].n+len(c.put[i])+len(gone[f]) > 0 {
			full, err := f.swap(hosts[i], c.put[i], gone[f])
			c.note(i, full, err)
		}
	}
	return c.end()
}

// piece is how many rules are translated at once: a copy of a whole list would cost more than the tables.
const piece = 1 << 13

// expect makes room for rules that are about to be put.
func (p *Plane) expect(rules []decision.Rule) {
	n4 := 0
	for i := range rules {
		if rules[i].Prefix.Addr().Is4() {
			n4++
		}
	}
	for _, part := range []struct {
		f *family
		n int
	}{{p.tables.v4, n4}, {p.tables.v6, len(rules) - n4}} {
		if part.n == 0 {
			continue
		}
		part.f.planned = part.f.hosts.size() + part.f.expect(part.n, func(yield func(netip.Prefix) bool) {
			for i := range rules {
				prefix := rules[i].Prefix
				if checkPrefix(prefix) == nil && p.tables.family(prefix) == part.f && !yield(prefix) {
					return
				}
			}
		})
	}
}

// change is one call that changes bans.
type change struct {
	plane *Plane
	verb  string
	now   moment
	errs  []error
	full  [2][]netip.Prefix // by family, as all below
	put   [2][]entry        // used again for each piece

	until  time.Time // of the last rule: those of a list end together
	expiry uint32
}

func (p *Plane) begin(verb string) (*change, error) {
	err := p.writable()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", verb, err)
	}
	c := &change{plane: p, verb: verb}
	if c.now, err = p.ticks.now(); err != nil {
		return nil, fmt.Errorf("%s: %w", verb, err)
	}
	return c, nil
}

// take sorts a rule: a host to the hosts, another prefix to c.put.
func (c *change) take(r *decision.Rule, hosts hostLists) {
	if err := checkRule(r); err != nil {
		c.errs = append(c.errs, fmt.Errorf("%s: %w", c.verb, err))
		return
	}
	i := familyOf(r.Prefix)
	if r.Prefix.IsSingleIP() {
		hosts[i].add(r, c.expiryOf(r))
		return
	}
	c.put[i] = append(c.put[i], c.entry(r))
}

func (c *change) families() [2]*family { return [2]*family{c.plane.tables.v4, c.plane.tables.v6} }

func (c *change) entry(r *decision.Rule) entry {
	return entry{prefix: r.Prefix, Entry: table.Entry{Class: uint8(r.Class), Expiry: c.expiryOf(r), ID: r.DecisionID}}
}

// apply hands the rules of each family to do.
func (c *change) apply(rules []decision.Rule, do func(*family, []entry) ([]netip.Prefix, error)) {
	c.put[0], c.put[1] = c.put[0][:0], c.put[1][:0]
	for i := range rules {
		r := &rules[i]
		if err := checkRule(r); err != nil {
			c.errs = append(c.errs, fmt.Errorf("%s: %w", c.verb, err))
			continue
		}
		family := familyOf(r.Prefix)
		c.put[family] = append(c.put[family], c.entry(r))
	}
	for i, f := range c.families() {
		full, err := do(f, c.put[i])
		c.note(i, full, err)
	}
}

// familyOf is the number of a prefix's family: 0 or 1.
func familyOf(p netip.Prefix) int {
	if p.Addr().Is4() {
		return 0
	}
	return 1
}

func (c *change) expiryOf(r *decision.Rule) uint32 {
	if r.Until != c.until {
		c.until, c.expiry = r.Until, c.now.expiry(r.Until)
	}
	return c.expiry
}

// note keeps what a family had to say.
func (c *change) note(family int, full []netip.Prefix, err error) {
	c.full[family] = append(c.full[family], full...)
	if err != nil {
		c.errs = append(c.errs, fmt.Errorf("%s: %w", c.verb, err))
	}
}

// end says what went wrong.
func (c *change) end() error {
	t := &c.plane.tables
	for i, f := range []*family{t.v4, t.v6} {
		f.fitNets()
		if len(c.full[i]) > 0 {
			name := []string{bpfMapBans4, bpfMapBans6}[i]
			c.errs = append(c.errs, &FullError{Table: name, Capacity: uint32(f.limit), Prefixes: c.full[i]})
		}
	}
	return errors.Join(c.errs...)
}

func checkRule(r *decision.Rule) error {
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
