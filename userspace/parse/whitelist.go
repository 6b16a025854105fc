package parse

import (
	"net/netip"
	"slices"

	"gabion/userspace/event"
	"gabion/userspace/expr"
	"gabion/userspace/yamlpos"
)

// whitelist says which events are harmless.
type whitelist struct {
	reason      string
	addresses   map[netip.Addr]bool
	prefixes    []netip.Prefix // of more than one address
	expressions []*expr.Program
}

// hasEntries is false for a nil whitelist.
func (w *whitelist) hasEntries() bool {
	return w != nil && len(w.addresses)+len(w.prefixes)+len(w.expressions) > 0
}

func (c *compiler) whitelist(d *WhitelistDocument) *whitelist {
	w := &whitelist{reason: d.Reason, addresses: map[netip.Addr]bool{}}
	for _, t := range d.IP {
		addr, err := netip.ParseAddr(t.Text)
		if err != nil {
			c.errs = append(c.errs, t.Errorf(0, "%q is no IP address%s", t.Text, hint(t, netip.ParsePrefix, "cidr")))
			continue
		}
		w.addresses[addr.Unmap().WithZone("")] = true
	}
	for _, t := range d.CIDR {
		prefix, err := netip.ParsePrefix(t.Text)
		if err != nil {
			c.errs = append(c.errs, t.Errorf(0, "%q is no network, such as 192.0.2.0/24%s", t.Text, hint(t, netip.ParseAddr, "ip")))
			continue
		}
		w.prefixes = append(w.prefixes, unmapPrefix(prefix))
	}
	for _, t := range d.Expressions {
		if p := c.expression(t, expr.Bool); p != nil {
			w.expressions = append(w.expressions, p)
		}
	}
	return w
}

// hint tells which key an entry belongs below, when it can be read as what that key holds.
func hint[T any](t yamlpos.Text, read func(string) (T, error), key string) string {
	if _, err := read(t.Text); err != nil {
		return ""
	}
	return ": write it below " + key
}

// unmapPrefix turns an IPv4-mapped network into the IPv4 network, as addresses of events are.
func unmapPrefix(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked()
}

// checkWhitelist marks the event when the node's whitelist matches it.
func (r *run) checkWhitelist(n *node) bool {
	w := n.whitelist
	if !w.hasEntries() {
		return false
	}
	if !r.matchesAddress(w) && !r.matchesExpression(n, w) {
		r.tell(n, StepWhitelist, false, "", w.reason, nil)
		return false
	}
	if !r.evt.Whitelisted {
		r.evt.Whitelisted = true
		r.evt.WhitelistReason = w.reason
	}
	if r.evt.Type == event.Overflow {
		r.evt.Overflow.Whitelisted = true
	}
	r.tell(n, StepWhitelist, true, "", w.reason, nil)
	return true
}

func (r *run) matchesAddress(w *whitelist) bool {
	if len(w.addresses)+len(w.prefixes) == 0 {
		return false
	}
	r.sources = r.evt.AppendIPSources(r.sources[:0])
	return slices.ContainsFunc(r.sources, func(a netip.Addr) bool {
		a = a.WithZone("")
		return w.addresses[a] || slices.ContainsFunc(w.prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
	})
}

// matchesExpression evaluates expressions until one is true. A failing one ends the search: what
// is not known to be harmless is not.
func (r *run) matchesExpression(n *node, w *whitelist) bool {
	for _, p := range w.expressions {
		v, err := p.Value(&r.vars)
		if err != nil {
			r.fault(n, "whitelist expression failed", err)
			return false
		}
		if match, ok := v.(bool); ok && match {
			return true
		}
	}
	return false
}
