package model

import (
	"net/netip"
	"time"

	"gabion/userspace/decision"
)

// Outcome is what becomes of a packet, named like the counter that it raises.
type Outcome string

// The outcomes.
const (
	Passed      Outcome = "passed"        // no ban covers the source
	NonIP       Outcome = "passed_non_ip" // neither IPv4 nor IPv6
	Truncated   Outcome = "truncated"     // ends before its source address
	Malformed   Outcome = "malformed"     // its IP header is one that the stack discards
	Disabled    Outcome = "disabled"      // bans cover the source, the class of the longest is off
	Expired     Outcome = "expired"       // bans cover the source, the longest is over
	Shadowed    Outcome = "shadowed"      // a ban in force covers the source, but its class only counts
	Allowed     Outcome = "allowed"       // would be dropped, but an allow entry covers the source
	Dropped     Outcome = "dropped"
	TooManyTags Outcome = "dropped_tags" // more VLAN tags than are walked
)

// Drops says whether the packet ends here.
func (o Outcome) Drops() bool { return o == Dropped || o == TooManyTags }

// Verdict is the judgement of one frame.
type Verdict struct {
	Outcome Outcome
	Source  netip.Addr   // not valid when the frame has none
	By      netip.Prefix // the ban that drops it, for Dropped; else not valid
	Shadow  netip.Prefix // the ban that counts it on the way there; else not valid
}

// Ban is a banned prefix. A class beyond the last one is off.
type Ban struct {
	Prefix netip.Prefix
	Class  decision.Class
	Until  time.Time // the first moment at which it is over
}

// Config is what the filter was told. No source may be covered by more bans than the filter looks at
// (COVERING in bpf/bans.h), and no prefix may be banned twice.
type Config struct {
	Bans   []Ban
	Allows []netip.Prefix
	Modes  [decision.Classes]decision.Mode
}

// Judge says what becomes of a frame that arrives at a moment.
//
// Any ban that covers the source, is not over and is of a class that drops, drops it, unless an allow
// entry covers the source. Else a shadow that is not over counts it; else the longest ban names the
// outcome. Bans are looked at from the longest to shorter ones, until one drops, and the first shadow
// in force counts on the way.
func (c *Config) Judge(frame []byte, now time.Time) Verdict {
	source, outcome := Source(frame)
	if outcome != "" {
		return Verdict{Outcome: outcome}
	}
	v := Verdict{Outcome: Passed, Source: source}
	longest, shadow, drop := c.covering(source, now)
	if shadow != nil && (drop == nil || shadow.Prefix.Bits() > drop.Prefix.Bits()) {
		v.Shadow = shadow.Prefix
	}
	switch {
	case drop != nil && c.allows(source):
		v.Outcome = Allowed
	case drop != nil:
		v.Outcome, v.By = Dropped, drop.Prefix
	case shadow != nil:
		v.Outcome = Shadowed
	case longest != nil && c.mode(longest) == decision.ModeOff:
		v.Outcome = Disabled
	case longest != nil:
		v.Outcome = Expired
	}
	return v
}

// covering returns the longest ban of a source, and the longest in force that counts and that drops.
func (c *Config) covering(source netip.Addr, now time.Time) (longest, shadow, drop *Ban) {
	for i := range c.Bans {
		ban := &c.Bans[i]
		if !ban.Prefix.Contains(source) {
			continue
		}
		longest = longer(longest, ban)
		if !now.Before(ban.Until) {
			continue
		}
		switch c.mode(ban) {
		case decision.ModeDrop:
			drop = longer(drop, ban)
		case decision.ModeShadow:
			shadow = longer(shadow, ban)
		}
	}
	return longest, shadow, drop
}

func longer(a, b *Ban) *Ban {
	if a == nil || b.Prefix.Bits() > a.Prefix.Bits() {
		return b
	}
	return a
}

func (c *Config) mode(ban *Ban) decision.Mode {
	if int(ban.Class) >= len(c.Modes) {
		return decision.ModeOff
	}
	return c.Modes[ban.Class]
}

func (c *Config) allows(source netip.Addr) bool {
	for _, p := range c.Allows {
		if p.Contains(source) {
			return true
		}
	}
	return false
}
