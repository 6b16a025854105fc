package loader

import (
	"fmt"
	"reflect"
	"structs"
)

// Stats are the kernel's counters, summed over CPUs, since the data plane was created. Every packet
// counts in Received and in exactly one of the outcomes from PassedV4 to DroppedTags.
type Stats struct {
	_             structs.HostLayout
	Received      uint64
	ReceivedBytes uint64

	PassedV4    uint64 // no ban of any kind matched
	PassedV6    uint64
	PassedNonIp uint64 // neither IPv4 nor IPv6
	Truncated   uint64 // passed: ends before its source address
	Malformed   uint64 // passed: its IP header is one that the stack discards
	DisabledV4  uint64 // passed: the ban's class is off
	DisabledV6  uint64
	ExpiredV4   uint64 // passed: the ban is over, but still in the table
	ExpiredV6   uint64
	ShadowedV4  uint64 // passed: the ban's class only counts
	ShadowedV6  uint64
	AllowedV4   uint64 // passed: banned, but an allow entry wins
	AllowedV6   uint64
	DroppedV4   uint64
	DroppedV6   uint64
	ShedV4      uint64 // dropped: above the limit of a meter
	ShedV6      uint64
	DroppedTags uint64 // more VLAN tags than are walked: the source is hidden on purpose

	DroppedBytes      uint64
	ExtLimit          uint64 // IPv6 with more extension headers than are walked: not metered
	TinyFragments     uint64 // first fragments without all of the TCP header: metered as new connections
	MeteredFull       uint64 // not counted by a meter: keys with more had the room
	Spared            uint64 // passed above a limit: the source is proven
	Events            uint64 // reports written
	EventsUnproven    uint64 // of these, sources that may be forged
	EventsFull        uint64 // not written, ring full; tried again with the next packet
	EventsOverBudget  uint64 // not written, the CPU's budget is used up; likewise
	Samples           uint64 // samples of dropped packets written
	SamplesFull       uint64 // not written, ring full
	SamplesOverBudget uint64 // not written, the CPU's budget is used up
}

// Counter is one of the kernel's counters as metrics show it.
type Counter struct {
	Name   string // such as "dropped"
	Family string // "ipv4", "ipv6" or "" for a counter of both
	Help   string
	Value  uint64
}

// Stats reads the counters.
func (p *Plane) Stats() (Stats, error) {
	var sum Stats
	perCPU, err := p.perCPU()
	if err != nil {
		return sum, err
	}
	for _, c := range perCPU {
		sum.add(Stats(c), 1)
	}
	return sum, nil
}

func (p *Plane) perCPU() ([]bpfStats, error) {
	var perCPU []bpfStats
	if err := p.maps.Stats.Lookup(uint32(0), &perCPU); err != nil {
		return nil, fmt.Errorf("read counters: %w", err)
	}
	return perCPU, nil
}

// add adds o, sign times; counters wrap, so that a sign of -1 gives a difference.
func (s *Stats) add(o Stats, sign int) {
	dst, src := reflect.ValueOf(s).Elem(), reflect.ValueOf(o)
	for i := range dst.NumField() {
		if f := dst.Field(i); f.Kind() == reflect.Uint64 {
			f.SetUint(f.Uint() + uint64(sign)*src.Field(i).Uint())
		}
	}
}

// Dropped is the number of packets that did not go on to the stack.
func (s Stats) Dropped() uint64 {
	return s.DroppedV4 + s.DroppedV6 + s.ShedV4 + s.ShedV6 + s.DroppedTags
}

// Counters lists all counters, in the order of the struct.
func (s Stats) Counters() []Counter {
	return []Counter{
		{"received", "", "Packets seen by the filter.", s.Received},
		{"received_bytes", "", "Bytes seen by the filter.", s.ReceivedBytes},
		{"passed", "ipv4", "Packets passed because no ban matched.", s.PassedV4},
		{"passed", "ipv6", "Packets passed because no ban matched.", s.PassedV6},
		{"passed_non_ip", "", "Packets passed because they are neither IPv4 nor IPv6.", s.PassedNonIp},
		{"truncated", "", "Packets passed because they end before their source address.", s.Truncated},
		{"malformed", "", "Packets passed because their IP header is one that the stack discards.", s.Malformed},
		{"disabled", "ipv4", "Packets passed because the class of their ban is off.", s.DisabledV4},
		{"disabled", "ipv6", "Packets passed because the class of their ban is off.", s.DisabledV6},
		{"expired", "ipv4", "Packets passed because their ban is over.", s.ExpiredV4},
		{"expired", "ipv6", "Packets passed because their ban is over.", s.ExpiredV6},
		{"shadowed", "ipv4", "Packets passed because the class of their ban only counts.", s.ShadowedV4},
		{"shadowed", "ipv6", "Packets passed because the class of their ban only counts.", s.ShadowedV6},
		{"allowed", "ipv4", "Packets passed because an allow entry wins over their ban.", s.AllowedV4},
		{"allowed", "ipv6", "Packets passed because an allow entry wins over their ban.", s.AllowedV6},
		{"dropped", "ipv4", "Packets dropped.", s.DroppedV4},
		{"dropped", "ipv6", "Packets dropped.", s.DroppedV6},
		{"shed", "ipv4", "Packets dropped above the limit of a meter.", s.ShedV4},
		{"shed", "ipv6", "Packets dropped above the limit of a meter.", s.ShedV6},
		{"dropped_tags", "", "Packets dropped because more VLAN tags than are walked hide their source.", s.DroppedTags},
		{"dropped_bytes", "", "Bytes dropped.", s.DroppedBytes},
		{"ext_limit", "", "IPv6 packets with too many extension headers to be metered.", s.ExtLimit},
		{"tiny_fragments", "", "First fragments too small for the TCP header, metered as new connections.", s.TinyFragments},
		{"metered_full", "", "Packets that a meter had no room to count.", s.MeteredFull},
		{"spared", "", "Packets passed above the limit of a meter because their source is proven.", s.Spared},
		{"events", "", "Reports written.", s.Events},
		{"events_unproven", "", "Reports about sources that may be forged.", s.EventsUnproven},
		{"events_full", "", "Reports put off because the ring buffer was full.", s.EventsFull},
		{"events_over_budget", "", "Reports put off because the budget was used up.", s.EventsOverBudget},
		{"samples", "", "Samples of dropped packets written for a follower.", s.Samples},
		{"samples_full", "", "Samples of dropped packets lost because the ring buffer was full.", s.SamplesFull},
		{"samples_over_budget", "", "Dropped packets not sampled because the budget was used up.", s.SamplesOverBudget},
	}
}
