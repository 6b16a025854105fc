package traffic

import "net/netip"

// Mix says which sources are looked up or sent.
type Mix struct {
	Name  string
	share uint64 // of 2^32 sources, those that are banned
	one   bool   // the banned ones are always the same
}

// NeedsBans reports whether the mix has no meaning when nobody is banned.
func (m Mix) NeedsBans() bool { return m.share > 0 }

const always = 1 << 32

// Mixes returns all mixes: clean, sources that are not banned, from all of the address space, as in
// a flood with forged addresses; banned, from all of the set; hot, one banned source; and mix90,
// nine banned of ten.
func Mixes() []Mix {
	return []Mix{
		{Name: "clean"},
		{Name: "banned", share: always},
		{Name: "hot", share: always, one: true},
		{Name: "mix90", share: always / 10 * 9},
	}
}

// Draw draws sources at random. It is the struct draw of the programs.
type Draw struct {
	State                     uint64
	Share, Banned, FirstClean uint64
}

// Draw returns the mix over the set. The same seed gives the same sources.
func (s Set) Draw(m Mix, seed uint64) Draw {
	d := Draw{State: seed*0x9e3779b97f4a7c15 | 1, Share: m.share, Banned: uint64(s.Bans), FirstClean: uint64(s.Bans)}
	if m.one {
		d.Banned = 1
	}
	return d
}

// Next returns the next index.
func (d *Draw) Next() uint32 {
	x := d.State
	x ^= x >> 12
	x ^= x << 25
	x ^= x >> 27
	d.State = x
	x *= 0x2545f4914f6cdd1d
	high := x >> 32
	if x&0xffffffff < d.Share {
		return uint32(high * d.Banned >> 32)
	}
	return uint32(d.FirstClean + high*(always-d.FirstClean)>>32)
}

// Oracle knows what has to become of a source.
type Oracle struct {
	set      Set
	networks map[uint64]struct{} // nil: no networks are banned
	allows   []netip.Prefix
}

// Oracle returns what holds when the set's hosts are banned and, if so asked, its networks too, and
// when some prefixes are allowed.
func (s Set) Oracle(networks bool, allows []netip.Prefix) *Oracle {
	o := &Oracle{set: s, allows: allows}
	if networks {
		o.networks = make(map[uint64]struct{}, Networks)
		for i := range Networks {
			at := uint64(networkAt(i))
			if s.Family == IPv4 {
				o.networks[at>>8] = struct{}{}
			} else {
				o.networks[(prefix6|at<<28)>>16] = struct{}{}
			}
		}
	}
	return o
}

// Banned reports whether the source of an index is banned and not allowed.
func (o *Oracle) Banned(index uint32) bool {
	if uint64(index) >= uint64(o.set.Bans) && !o.inNetwork(index) {
		return false
	}
	if len(o.allows) == 0 {
		return true
	}
	addr := o.set.Host(index)
	for _, p := range o.allows {
		if p.Contains(addr) {
			return false
		}
	}
	return true
}

func (o *Oracle) inNetwork(index uint32) bool {
	if o.networks == nil {
		return false
	}
	key := uint64(o.set.place(index)) >> 8
	if o.set.Family == IPv6 {
		high, _ := o.set.source6(index)
		key = high >> 16
	}
	_, ok := o.networks[key]
	return ok
}

// Lookups draws n sources as the lookup loops do, where each answer goes into the choice of the next
// source, and returns how many are banned.
func (o *Oracle) Lookups(d *Draw, n int) (banned uint64) {
	for range n {
		if o.Banned(d.Next()) {
			banned++
			d.State ^= 1
		}
	}
	return banned
}

// Packets draws n sources as the packet generator does and returns how many are banned.
func (o *Oracle) Packets(d *Draw, n int) (banned uint64) {
	for range n {
		if o.Banned(d.Next()) {
			banned++
		}
	}
	return banned
}
