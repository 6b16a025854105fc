package exprlib

import (
	"net/netip"
	"strconv"
	"strings"

	"gabion/userspace/expr"
)

func addressFunctions() []expr.Function {
	return []expr.Function{
		sure1("IsIP", func(s string) bool { return parseAddr(s).IsValid() }),
		sure1("IsIPV4", func(s string) bool { return parseAddr(s).Is4() }),
		sure1("IsIPV6", func(s string) bool { return parseAddr(s).Is6() }),
		withLast(sure2("IpInRange", func(ip, cidr string) bool { return inRange(cidr)(ip) }), inRange),
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

// inRange returns the test whether an address is in a prefix. Text that is neither is in nothing.
func inRange(cidr string) func(ip string) bool {
	p, err := netip.ParsePrefix(cidr)
	if err != nil {
		return func(string) bool { return false }
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return func(ip string) bool { return p.Contains(parseAddr(ip)) }
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
