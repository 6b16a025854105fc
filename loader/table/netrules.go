package table

import (
	"iter"
	"sync/atomic"
)

// Net4 is an IPv4 network.
type Net4 struct {
	Addr uint32 // its first address, in host order
	Bits uint8  // the length of its prefix
}

// at cuts a network down to a shorter prefix, the first address of which may be another one.
func (n Net4) at(bits uint8) Net4 {
	return Net4{Addr: n.Addr &^ uint32(1<<(32-bits)-1), Bits: bits}
}

// NetRules is the rules of a Nets4, as it is written or as a process finds it that does not write:
// each network of the table with its hits.
//
// A rule is two words: first address >> 8 << 40 | length << 32 | class << 28 | expiry, and the hits. The
// one of a network that was removed has class 15 and expiry 0, and nobody else gets its place. The
// word after the last rule is 0.
type NetRules struct {
	words []uint64
	rules map[Net4]uint32 // the number of each one's rule, also of those removed
	next  uint32          // the number of the first free one
}

// ReadNetRules reads the rules in a table's memory, and those that are added to it from then on.
func ReadNetRules(mem []uint64) *NetRules {
	return &NetRules{words: mem, rules: map[Net4]uint32{}, next: firstRule}
}

// catchUp finds the rules that came since the last time.
func (r *NetRules) catchUp() {
	for 2*int(r.next)+1 < len(r.words) {
		state := r.state(r.next)
		if state == 0 {
			return
		}
		r.rules[Net4{Addr: uint32(state >> 40 << 8), Bits: uint8(state >> 32)}] = r.next
		r.next++
	}
}

func (r *NetRules) state(rule uint32) uint64 { return atomic.LoadUint64(&r.words[2*rule]) }

func (r *NetRules) hits(rule uint32) *uint64 { return &r.words[2*rule+1] }

// find returns the rule of a network, 0 when it has none.
func (r *NetRules) find(n Net4) uint32 {
	r.catchUp()
	rule, ok := r.rules[n]
	if !ok || r.state(rule)&MaxExpiry == 0 {
		return 0
	}
	return rule
}

// Hits returns how many packets this network's rule has dropped; 0 when the table has none for it.
func (r *NetRules) Hits(n Net4) uint64 {
	rule := r.find(n)
	if rule == 0 {
		return 0
	}
	return atomic.LoadUint64(r.hits(rule))
}

// AddHits adds to the hits of this network, as when a table takes over from another, and says whether
// there is a rule for it.
func (r *NetRules) AddHits(n Net4, hits uint64) bool {
	rule := r.find(n)
	if rule == 0 {
		return false
	}
	atomic.AddUint64(r.hits(rule), hits)
	return true
}

// All goes through the networks with their hits, in no order.
func (r *NetRules) All() iter.Seq2[Net4, uint64] {
	return func(yield func(Net4, uint64) bool) {
		r.catchUp()
		for n := range r.rules {
			if rule := r.find(n); rule != 0 && !yield(n, atomic.LoadUint64(r.hits(rule))) {
				return
			}
		}
	}
}
