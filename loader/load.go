package loader

import (
	"iter"
	"net/netip"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"

	"gabion/loader/table"
	"gabion/userspace/decision"
)

// Putting a long list into the tables is waiting for memory, unless it is done in the order of that
// memory. So the hosts of a list are first spread over parts: by their hash for the host table, and by
// their address for the filter in front. What the hosts of one part change fits into a processor's
// cache, and so do the ends of all parts while they grow.
const parts = 512

// atOnce is how many rules are spread at once, which takes 32 bytes of memory for each.
const atOnce = 1 << 20

// spread is many of something without pointers by part. Its memory is its own, as a list of a million comes
// and goes and should leave nothing to collect, and ends with release.
type spread[T any] struct {
	parts [parts][]T
	raw   []byte
}

// newSpread makes room for n. A part that gets more than its share goes on elsewhere.
func newSpread[T any](n int) *spread[T] {
	var x T
	each := n/parts + n/(8*parts) + 8
	s, all := &spread[T]{}, []T(nil)
	raw, err := unix.Mmap(-1, 0, parts*each*int(unsafe.Sizeof(x)), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		all = make([]T, parts*each)
	} else {
		_ = unix.Madvise(raw, unix.MADV_HUGEPAGE) // fewer page faults, where the kernel has huge pages
		s.raw, all = raw, unsafe.Slice((*T)(unsafe.Pointer(&raw[0])), parts*each)
	}
	for i := range s.parts {
		s.parts[i] = all[i*each : i*each : (i+1)*each]
	}
	return s
}

func (s *spread[T]) add(part int, x T) { s.parts[part] = append(s.parts[part], x) }

func (s *spread[T]) release() {
	s.parts = [parts][]T{}
	if s.raw != nil {
		_ = unix.Munmap(s.raw) // which is what Mmap returned
	}
}

// hostBan is the ban of one address. It holds no pointers and is as small as that can be.
type hostBan struct {
	addr  table.Key6 // of an IPv4 address the mapped form
	id    uint64
	terms uint32 // class << 28 | end in ticks
	order uint32 // among the rules: when there is no room for all, the last ones are left out
}

const classBit = 28

func (h *hostBan) entry() entry {
	a := h.addr.Addr().Unmap()
	return entry{prefix: netip.PrefixFrom(a, a.BitLen()), Entry: table.Entry{
		Class: uint8(h.terms >> classBit), Expiry: h.terms & table.MaxExpiry, ID: h.id,
	}}
}

// hostList is bans of hosts of one family, in the order of the host table.
type hostList struct {
	*spread[hostBan]
	family *family
	n      int
}

// hostLists is one of either family.
type hostLists [2]*hostList

// newHosts makes room for n hosts of each family. Memory that is not used is none.
func (c *change) newHosts(n int) hostLists {
	var out hostLists
	for i, f := range c.families() {
		out[i] = &hostList{spread: newSpread[hostBan](n), family: f}
	}
	return out
}

func (l hostLists) release() {
	for _, hosts := range l {
		hosts.spread.release()
	}
}

func (l *hostList) add(r *decision.Rule, expiry uint32) {
	a := r.Prefix.Addr()
	l.spread.add(table.Share(l.family.kind.hash(a, l.family.key), parts), hostBan{
		addr: table.Key6Of(a), id: r.DecisionID, terms: uint32(r.Class)<<classBit | expiry, order: uint32(l.n),
	})
	l.n++
}

// all yields the hosts. It reads the parts of a host table ahead where most of their lines are needed.
func (l *hostList) all(in *hostTable) iter.Seq[entry] {
	return func(yield func(entry) bool) {
		if l == nil {
			return
		}
		for n, part := range l.parts {
			if len(part) > in.slots()/(parts*fewSlots) {
				l.family.touched += in.warm(n, parts)
			}
			for i := range part {
				if !yield(part[i].entry()) {
					return
				}
			}
		}
	}
}

// which returns the places among the rules of the hosts that have a property, ascending.
func (l *hostList) which(has func(netip.Prefix) bool) (orders []uint32) {
	for _, part := range l.parts {
		for i := range part {
			if has(part[i].entry().prefix) {
				orders = append(orders, part[i].order)
			}
		}
	}
	slices.Sort(orders)
	return orders
}

// cut leaves out hosts by their places, all but the first n of these.
func (l *hostList) cut(orders []uint32, n int) (left []netip.Prefix) {
	if len(orders) <= n {
		return nil
	}
	orders = orders[n:]
	for i, part := range l.parts {
		l.parts[i] = slices.DeleteFunc(part, func(h hostBan) bool {
			_, out := slices.BinarySearch(orders, h.order)
			if out {
				left = append(left, h.entry().prefix)
			}
			return out
		})
	}
	l.n -= len(left)
	return left
}

// load puts the hosts among some rules in force, unless there may be no room for all of them. It returns
// the rules that it leaves to apply.
func (c *change) load(rules []decision.Rule) (rest []decision.Rule) {
	for _, f := range c.families() {
		if f.size()+len(rules) > f.limit {
			return rules
		}
	}
	hosts := c.newHosts(len(rules))
	defer hosts.release()
	for i := range rules {
		r := &rules[i]
		which := familyOf(r.Prefix)
		if !r.Prefix.IsSingleIP() || checkRule(r) != nil || c.families()[which].known.has(r.Prefix) {
			rest = append(rest, *r) // a host that is known is in the trie
			continue
		}
		hosts[which].add(r, c.expiryOf(r))
	}
	for i, f := range c.families() {
		full, err := f.load(hosts[i])
		c.note(i, full, err)
	}
	return rest
}

// load puts hosts into the table that are not in the trie and for which there is room.
func (f *family) load(hosts *hostList) (full []netip.Prefix, err error) {
	var rest []entry // found no slot
	mark, done := f.front.marking(hosts.n)
	for e := range hosts.all(f.hosts) {
		before := f.hosts.size()
		if !f.hosts.put(e.prefix.Addr(), e.Entry) {
			rest = append(rest, e)
		} else if f.hosts.size() > before {
			mark(e.prefix.Addr())
		}
	}
	f.fresh = true
	done()
	if len(rest) == 0 {
		return nil, nil
	}
	return f.put(rest)
}
