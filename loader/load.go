package loader

import (
	"net/netip"

	"gabion/loader/table"
	"gabion/userspace/decision"
)

// Putting a long list into the tables is waiting for memory, unless it is done in the order of that
// memory. So the hosts of a list are first spread over parts: by their hash for the host table, and by
// their address for the bitmap in front. What the hosts of one part change fits into a processor's
// cache, and so do the ends of all parts while they grow.
const (
	partsLog2 = 9
	parts     = 1 << partsLog2
)

// atOnce is how many rules are spread at once, which takes 32 bytes of memory for each.
const atOnce = 1 << 20

// spread is many of something by part.
type spread[T any] struct {
	parts [parts][]T
	each  int // expected in each part
}

func newSpread[T any](n int) *spread[T] {
	return &spread[T]{each: n/parts + n/(8*parts) + 8}
}

func (s *spread[T]) add(part int, x T) {
	if s.parts[part] == nil {
		s.parts[part] = make([]T, 0, s.each)
	}
	s.parts[part] = append(s.parts[part], x)
}

// hostBan is the ban of one address. It holds no pointers and is as small as that can be.
type hostBan struct {
	addr   table.Key6 // of an IPv4 address the mapped form
	id     uint64
	expiry uint32 // ticks
	class  uint8
}

func (h hostBan) entry() entry {
	a := h.addr.Addr().Unmap()
	return entry{prefix: netip.PrefixFrom(a, a.BitLen()), Entry: table.Entry{Class: h.class, Expiry: h.expiry, ID: h.id}}
}

// load puts the hosts among some rules in force, unless there may be no room for all of them: who is
// left out then goes by the order of the rules. It returns the rules that it leaves to apply.
func (c *change) load(rules []decision.Rule) (rest []decision.Rule) {
	t := &c.plane.tables
	if max(t.v4.size(), t.v6.size())+len(rules) > t.v4.limit {
		return rules
	}
	var hosts [2]*spread[hostBan]
	families := [2]*family{t.v4, t.v6}
	for i := range hosts {
		hosts[i] = newSpread[hostBan](len(rules))
	}
	for i := range rules {
		r := &rules[i]
		if !r.Prefix.IsSingleIP() || checkRule(r) != nil {
			rest = append(rest, *r)
			continue
		}
		which := familyOf(r.Prefix)
		f := families[which]
		if f.known.has(r.Prefix) {
			rest = append(rest, *r) // a host of the trie
			continue
		}
		a := r.Prefix.Addr()
		hosts[which].add(f.kind.part(a, f.key), hostBan{
			addr: table.Key6Of(a), id: r.DecisionID, expiry: c.expiryOf(r), class: uint8(r.Class),
		})
	}
	for i, f := range families {
		full, err := f.load(hosts[i])
		c.note(i, full, err)
	}
	return rest
}

// load puts hosts into the table that are not in the trie and for which there is room.
func (f *family) load(hosts *spread[hostBan]) (full []netip.Prefix, err error) {
	var rest []entry // found no slot
	mark, done := f.front.marking()
	for n, part := range hosts.parts {
		if len(part) > f.hosts.slots()/(parts*fewSlots) {
			f.touched += f.hosts.warm(n, partsLog2)
		}
		for _, h := range part {
			e := h.entry()
			before := f.hosts.size()
			if !f.hosts.put(e.prefix.Addr(), e.Entry) {
				rest = append(rest, e)
			} else if f.hosts.size() > before {
				mark(e.prefix.Addr())
			}
		}
	}
	f.fresh = true
	done()
	if len(rest) == 0 {
		return nil, nil
	}
	return f.put(rest)
}
