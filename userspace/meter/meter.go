// Package meter describes what the kernel counts: how many packets, bytes, new connections or ports
// per source, network or destination port and window, and what happens above the limit.
//
// A meter is written as a YAML document with type: meter among the rules. Compile reads it; the data
// plane takes the result as it is.
package meter

import (
	"fmt"
	"time"
)

// How many meters the data plane runs at the same time.
const (
	MaxInForce = 16
	MaxOfPorts = 4 // of these, with count: ports
)

// Bounds of a meter's window.
const (
	MinWindow = 10 * time.Millisecond
	MaxWindow = time.Hour
)

// Meter is a compiled meter. It is immutable.
//
// A packet that Match describes counts for its key (Per). Windows follow each other without a gap, at
// the same time for all keys of a meter, so a key may have up to twice the Limit around the end of
// one. Above Limit the data plane raises one event per key and window and, when Shed is set, drops
// what matches for the rest of the window.
type Meter struct {
	Name        string // such as gabion/syn-flood; at most 64 bytes of letters, digits and . _ - /
	Description string
	Match       Match
	Count       Count
	Per         Per
	Limit       uint64 // in units of Count; what is above it is shed or reported; never 0
	Window      time.Duration
	Shed        bool // above the limit drop what matches; else only report
	SpareProven bool // with Per Network or Port: sources that have completed a handshake are not shed
	Labels      map[string]string
}

// String says in words what the meter does, as in "500 connections per source in 1s, then shed".
func (m *Meter) String() string {
	then := "report"
	if m.Shed {
		then = "shed"
	}
	if m.SpareProven {
		then += " all but proven sources"
	}
	return fmt.Sprintf("%d %s per %s in %s, then %s", m.Limit, m.Count, m.Per, m.Window, then)
}

// Match says which packets a meter counts. The zero value matches all IP packets that arrive.
type Match struct {
	Protocol Protocol
	// Flags must all be set and NoFlags must all be clear, in the order of the TCP header. Only with
	// TCP. Compile sets SYN and not ACK where connections are counted.
	Flags, NoFlags uint8
	// Ports are the destination's, that is this machine's also where Answer is set: at most
	// MaxPortRanges, none for all. With Protocol Any they are those of TCP and UDP.
	Ports []PortRange
	// ICMPTypes are matched in ICMP and in ICMPv6, whatever the number means there: at most
	// MaxICMPTypes, none for all. Only with ICMP.
	ICMPTypes []uint8
	// Answer, unless None, counts what this machine answers instead of what arrives; the source is
	// then the remote end. Such a meter never sheds.
	Answer Answer
}

// How many values the lists of a Match hold.
const (
	MaxPortRanges = 4
	MaxICMPTypes  = 4
)

// PortRange is the ports from First to Last, both included, in host byte order.
type PortRange struct{ First, Last uint16 }

// TCP flags, by their bit in the header's octet 13.
const (
	FIN uint8 = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
)

// Protocol is the transport protocol of matched packets.
type Protocol uint8

// Protocols.
const (
	Any  Protocol = iota
	TCP           // IP protocol 6
	UDP           // IP protocol 17
	ICMP          // ICMP in IPv4, ICMPv6 in IPv6
)

// Answer is what this machine sent back.
type Answer uint8

// Answers.
const (
	None     Answer = iota
	Closed          // a reset that answers a SYN, or an ICMP port unreachable
	HalfOpen        // a SYN-ACK of a connection on which nothing else was sent yet
)

// Count is the unit of a meter.
type Count uint8

// Units.
const (
	Packets     Count = iota
	Bytes             // length of the frame from its first header on
	Connections       // SYN without ACK; with HalfOpen, connections that wait for their ACK
	Ports             // distinct destination ports, estimated: about one in twenty off
)

// Per is what a meter counts for.
type Per uint8

// Keys.
const (
	Source  Per = iota // the address
	Network            // its /24 in IPv4, its /64 in IPv6
	Port               // the destination port with its protocol, over all sources
)

// String returns the protocol as it is written in a rule, such as "tcp".
func (p Protocol) String() string { return word(protocols, p) }

// String returns the answer as it is written in a rule, such as "half-open"; None is "".
func (a Answer) String() string { return word(answers, a) }

// String returns the unit as it is written in a rule, such as "connections".
func (c Count) String() string { return word(counts, c) }

// String returns the key as it is written in a rule, such as "source".
func (p Per) String() string { return word(keys, p) }
