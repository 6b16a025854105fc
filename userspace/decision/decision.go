package decision

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Origins of decisions (specs: local-api, section 0). A profile may append "/suffix" to OriginScenario.
const (
	OriginScenario = "crowdsec" // a scenario of this machine; the word bouncers know
	OriginCLI      = "cscli"    // gabion decisions add
	OriginAdopted  = "adopted"  // found in the kernel, not in the store
	OriginBPFTool  = "bpftool"  // put into the kernel map by hand
	OriginLists    = "lists"
)

// TypeBan is the decision type that the kernel enforces.
const TypeBan = "ban"

// Decision is what is done about one value until a point in time.
type Decision struct {
	ID        uint64 // unique on this machine, never reused; the kernel entry carries it
	UUID      string
	AlertID   int64 // 0 when no alert led to it
	Origin    string
	Type      string // "ban", "captcha", ...; the kernel enforces only bans
	Scope     string
	Value     string
	Scenario  string
	Duration  time.Duration // as the profile or the user gave it
	CreatedAt time.Time
	Until     time.Time
	Simulated bool // enforced as shadow: counted, never dropped
}

// Prefix returns the addresses the decision covers. IPv4-mapped IPv6 becomes IPv4 and host bits
// are cleared. It fails for scopes other than Ip and Range and for text that is no address.
func (d *Decision) Prefix() (netip.Prefix, error) {
	switch {
	case strings.EqualFold(d.Scope, ScopeIP), strings.EqualFold(d.Scope, ScopeRange):
		return ParsePrefix(d.Value)
	}
	return netip.Prefix{}, fmt.Errorf("scope %s has no address", d.Scope)
}

// Rule returns the kernel entry that enforces the decision.
func (d *Decision) Rule() (Rule, error) {
	p, err := d.Prefix()
	if err != nil {
		return Rule{}, err
	}
	r := Rule{Prefix: p, Class: ClassBan, DecisionID: d.ID, Until: d.Until}
	if d.Simulated {
		r.Class = ClassShadow
	}
	return r, nil
}

// ParsePrefix reads an address or a prefix; an address becomes a host prefix. The result is masked
// and IPv4-mapped IPv6 is unmapped. A zone is refused.
func ParsePrefix(s string) (netip.Prefix, error) {
	s = strings.TrimSpace(s)
	if addr, err := netip.ParseAddr(s); err == nil {
		if addr.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%q: an address with a zone cannot be banned or allowed", s)
		}
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is neither an address nor a prefix (192.0.2.1, 192.0.2.0/24, 2001:db8::/32)", s)
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}
