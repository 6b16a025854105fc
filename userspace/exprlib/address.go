package exprlib

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"gabion/userspace/expr"
)

func addressFunctions() []expr.Function {
	return []expr.Function{
		sure1("IsIP", func(s string) bool { return parseAddr(s).IsValid() }),
		sure1("IsIPV4", func(s string) bool { return parseAddr(s).Is4() }),
		sure1("IsIPV6", func(s string) bool { return parseAddr(s).Is6() }),
		within(withLast(sure2("IpInRange", func(ip, cidr string) bool { return inRange(cidr)(ip) }), inRange)),
		sure2("IpToRange", ipToRange),
	}
}

// parseAddr reads an address; IPv4-mapped IPv6 counts as IPv4. The result of other text, and of an
// address with a zone, is not valid.
func parseAddr(s string) netip.Addr {
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Addr{}
	}
	return a.Unmap()
}

// within marks a helper that tells whether an address is in a range.
func within(h expr.Function) expr.Function {
	h.Within = true
	return h
}

// inRange returns the test whether an address is in a prefix. Text that is neither is in nothing.
func inRange(cidr string) func(ip string) bool {
	p := parsePrefix(cidr)
	return func(ip string) bool { return p.Contains(parseAddr(ip)) }
}

// parsePrefix reads a prefix; one of IPv4-mapped IPv6 counts as IPv4. The result of other text is not
// valid, and contains nothing.
func parsePrefix(cidr string) netip.Prefix {
	p, err := netip.ParsePrefix(cidr)
	if err != nil {
		return netip.Prefix{}
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}

// ranges are prefixes, by their lengths.
type ranges struct {
	set     map[netip.Prefix]bool // without bits behind the length
	lengths []int                 // ascending, each once
}

func newRanges(texts []string) *ranges {
	r := &ranges{set: map[netip.Prefix]bool{}}
	for _, text := range texts {
		p := parsePrefix(text)
		if !p.IsValid() {
			continue
		}
		r.set[p.Masked()] = true
		r.lengths = append(r.lengths, p.Bits())
	}
	slices.Sort(r.lengths)
	r.lengths = slices.Compact(r.lengths)
	return r
}

// contains reports whether an address is in one of the ranges.
func (r *ranges) contains(ip string) bool {
	a := parseAddr(ip)
	for _, bits := range r.lengths {
		p, err := a.Prefix(bits)
		if err != nil {
			return false // the address is shorter than this prefix and those that follow
		}
		if r.set[p] {
			return true
		}
	}
	return false
}

// ipToRange returns the prefix of a length (24 or /24) that an address is in, or "".
func ipToRange(ip, mask string) string {
	bits, err := strconv.Atoi(strings.TrimPrefix(mask, "/"))
	if err != nil {
		return ""
	}
	p, err := parseAddr(ip).Prefix(bits)
	if err != nil || !p.IsValid() {
		return ""
	}
	return p.String()
}
