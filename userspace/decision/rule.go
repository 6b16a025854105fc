package decision

import (
	"fmt"
	"net/netip"
	"time"
)

// Class groups kernel entries whose treatment is switched together (kernel map "control").
type Class uint8

// Classes with a fixed meaning. Imported lists get the numbers from ClassFirstList on.
const (
	ClassBan       Class = 0
	ClassShadow    Class = 1
	ClassFirstList Class = 2
	Classes              = 16
)

// Mode is what the kernel does with a source whose ban is of a class.
type Mode uint8

// Modes, as stored in the kernel (bpf/gabion.h, enum class_mode).
const (
	ModeOff    Mode = 0 // as if the entry were not there
	ModeDrop   Mode = 1
	ModeShadow Mode = 2 // count, then pass
)

// String returns the mode's name: off, drop or shadow.
func (m Mode) String() string {
	switch m {
	case ModeOff:
		return "off"
	case ModeDrop:
		return "drop"
	case ModeShadow:
		return "shadow"
	}
	return "unknown"
}

// ParseMode reads the name of a mode.
func ParseMode(s string) (Mode, error) {
	for _, m := range []Mode{ModeOff, ModeDrop, ModeShadow} {
		if s == m.String() {
			return m, nil
		}
	}
	return 0, fmt.Errorf("%q is no mode: choose drop, shadow (count, then pass) or off", s)
}

// Rank orders modes by what they do to a source: drop is above shadow, shadow above off.
func (m Mode) Rank() int {
	switch m {
	case ModeDrop:
		return 2
	case ModeShadow:
		return 1
	}
	return 0
}

// Rule is one entry of the kernel's ban tables.
type Rule struct {
	Prefix     netip.Prefix // masked, never IPv4-mapped
	DecisionID uint64       // 0 with Foreign false: an entry of gabion's whose id this process does not know
	Until      time.Time
	Hits       uint64 // packets; read from the kernel, ignored when written
	Class      Class
	Foreign    bool // put in by other means than gabion, with bpftool; read from the kernel, ignored when written
	Endless    bool // Until is further away than the kernel can tell, some years; read from the kernel, ignored when written
}

// Allow is one entry of the kernel's allow tables; it wins over every ban.
type Allow struct {
	Prefix netip.Prefix
	Reason AllowReason
	Hits   uint64 // packets that a ban would have stopped; read from the kernel
}

// AllowReason says who asked for an allow entry.
type AllowReason uint32

// Reasons, as stored in the kernel (bpf/gabion.h, enum allow_reason).
const (
	AllowUser  AllowReason = 1 // the user's allowlist
	AllowGuard AllowReason = 2 // own addresses, gateways, resolvers, API peers, SSH sessions
)

// String returns "user" or "guard".
func (r AllowReason) String() string {
	switch r {
	case AllowUser:
		return "user"
	case AllowGuard:
		return "guard"
	}
	return "unknown"
}
