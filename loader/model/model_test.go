package model

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gabion/userspace/decision"
)

// frame puts headers one behind the other: 16-bit numbers in network order, and bytes.
func frame(parts ...any) []byte {
	var out []byte
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			out = binary.BigEndian.AppendUint16(out, uint16(p))
		case []byte:
			out = append(out, p...)
		}
	}
	return out
}

func macs() []byte { return make([]byte, 12) }

func header4(first byte, src string) []byte {
	b := make([]byte, 20)
	b[0] = first
	copy(b[12:], netip.MustParseAddr(src).AsSlice())
	return b
}

func header6(first byte, src string) []byte {
	b := make([]byte, 40)
	b[0] = first
	addr := netip.MustParseAddr(src).As16()
	copy(b[8:], addr[:])
	return b
}

func TestTheSourceIsThatOfTheOutermostIPHeader(t *testing.T) {
	const v4, v6 = "198.51.100.7", "2001:db8::7"
	ip4, ip6 := header4(0x45, v4), header6(0x60, v6)
	session := []byte{0x11, 0, 0, 7, 0, 0}
	for _, tt := range []struct {
		name    string
		frame   []byte
		source  string
		outcome Outcome
	}{
		{"IPv4", frame(macs(), typeIPv4, ip4), v4, ""},
		{"IPv6", frame(macs(), typeIPv6, ip6), v6, ""},
		{"IPv4 with options that are cut off", frame(macs(), typeIPv4, header4(0x4f, v4)), v4, ""},
		{"one tag", frame(macs(), typeCTag, 42, typeIPv4, ip4), v4, ""},
		{"two tags", frame(macs(), typeSTag, 42, typeCTag, 7, typeIPv6, ip6), v6, ""},
		{"three tags", frame(macs(), typeSTag, 42, typeCTag, 7, typeCTag, 7, typeIPv6, ip6), "", TooManyTags},
		{"PPPoE with IPv4", frame(macs(), typePPPoE, session, pppIPv4, ip4), v4, ""},
		{"PPPoE with IPv6 behind a tag", frame(macs(), typeCTag, 42, typePPPoE, session, pppIPv6, ip6), v6, ""},
		{"PPPoE with something else", frame(macs(), typePPPoE, session, 0xc021, ip4), "", NonIP},
		{"IPv4 in IPv6", frame(macs(), typeIPv6, ip6, ip4), v6, ""},
		{"ARP", frame(macs(), 0x0806, ip4), "", NonIP},
		{"no Ethernet header", frame(macs()), "", Truncated},
		{"half a tag", frame(macs(), typeCTag, 42), "", Truncated},
		{"half a PPPoE header", frame(macs(), typePPPoE, session), "", Truncated},
		{"IPv4 one byte short", frame(macs(), typeIPv4, ip4[:19]), "", Truncated},
		{"IPv6 one byte short", frame(macs(), typeIPv6, ip6[:39]), "", Truncated},
		{"IPv4 header of 16 bytes", frame(macs(), typeIPv4, header4(0x44, v4)), "", Malformed},
		{"IPv4 of version 6", frame(macs(), typeIPv4, header4(0x65, v4)), "", Malformed},
		{"IPv6 of version 4", frame(macs(), typeIPv6, header6(0x40, v6)), "", Malformed},
		{"IPv4-mapped source", frame(macs(), typeIPv6, header6(0x60, "::ffff:192.0.2.1")), "", Malformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			source, outcome := Source(tt.frame)
			if outcome != tt.outcome || source.IsValid() != (tt.source != "") || (source.IsValid() && source.String() != tt.source) {
				t.Errorf("source = %v, outcome %q; want %q, %q", source, outcome, tt.source, tt.outcome)
			}
		})
	}
}

func TestBansAllowEntriesAndClassesDecide(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	later, past := now.Add(1), now
	const drop, shadow, off = decision.ClassBan, decision.ClassShadow, decision.ClassFirstList
	c := Config{Allows: []netip.Prefix{netip.MustParsePrefix("198.51.100.64/26"), netip.MustParsePrefix("192.0.2.8/30")}}
	c.Modes[drop], c.Modes[shadow] = decision.ModeDrop, decision.ModeShadow
	for _, b := range []struct {
		prefix string
		class  decision.Class
		until  time.Time
	}{
		{"198.51.100.0/24", drop, later},
		{"198.51.100.1/32", drop, past},
		{"198.51.100.2/32", shadow, later},
		{"192.0.2.0/24", shadow, later},
		{"192.0.2.1/32", drop, past},
		{"192.0.2.2/32", off, later},
		{"192.0.2.3/32", drop, later},
		{"203.0.113.0/24", off, later},
		{"203.0.113.1/32", drop, past},
		{"203.0.113.2/32", shadow, past},
		{"203.0.113.3/32", decision.Classes, past},
	} {
		c.Bans = append(c.Bans, Ban{netip.MustParsePrefix(b.prefix), b.class, b.until})
	}
	for _, tt := range []struct {
		name, source string
		want         Outcome
		by           string // the bans that count it
	}{
		{"not covered", "198.18.0.1", Passed, ""},
		{"in a banned prefix", "198.51.100.9", Dropped, "198.51.100.0/24"},
		{"over, inside a banned prefix", "198.51.100.1", Dropped, "198.51.100.0/24"},
		{"shadow inside a banned prefix", "198.51.100.2", Dropped, "198.51.100.2/32 198.51.100.0/24"},
		{"allowed", "198.51.100.65", Allowed, ""},
		{"shadow", "192.0.2.9", Shadowed, "192.0.2.0/24"},
		{"over, inside a shadow", "192.0.2.1", Shadowed, "192.0.2.0/24"},
		{"off, inside a shadow", "192.0.2.2", Shadowed, "192.0.2.0/24"},
		{"banned inside a shadow", "192.0.2.3", Dropped, "192.0.2.3/32"},
		{"off", "203.0.113.9", Disabled, ""},
		{"over, inside one that is off", "203.0.113.1", Expired, ""},
		{"shadow that is over", "203.0.113.2", Expired, ""},
		{"no such class", "203.0.113.3", Disabled, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := c.Judge(frame(macs(), typeIPv4, header4(0x45, tt.source)), now)
			var counts []string
			for _, p := range []netip.Prefix{v.Shadow, v.By} {
				if p.IsValid() {
					counts = append(counts, p.String())
				}
			}
			by := strings.Join(counts, " ")
			if v.Outcome != tt.want || by != tt.by || v.Outcome.Drops() != (tt.want == Dropped) {
				t.Errorf("verdict = %s by %q, want %s by %q", v.Outcome, by, tt.want, tt.by)
			}
		})
	}
	if v := c.Judge(macs(), now); v.Outcome != Truncated || v.Outcome.Drops() {
		t.Errorf("verdict on half an Ethernet header = %+v", v)
	}
	if !TooManyTags.Drops() {
		t.Error("a source hidden behind tags passes")
	}
}
