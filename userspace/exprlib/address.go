package exprlib

import (
	"net/netip"
	"strconv"
	"strings"

	"gabion/userspace/expr"
)

func addressFunctions() []expr.Function {
	return []expr.Function{
		bind1("IsIP", ok1(func(s string) bool { return parseAddr(s).IsValid() })),
		bind1("IsIPV4", ok1(func(s string) bool { return parseAddr(s).Is4() })),
		bind1("IsIPV6", ok1(func(s string) bool { return parseAddr(s).Is6() })),
		bind2("IpInRange", ok2(ipInRange)),
		bind2("IpToRange", ok2(ipToRange)),
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

// ipInRange reports whether an address is in a prefix. Text that is neither is in nothing.
func ipInRange(ip, cidr string) bool {
	p, err := netip.ParsePrefix(cidr)
	if err != nil {
		return false
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Contains(parseAddr(ip))
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
