package loader

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"gabion/userspace/decision"
)

// What the writer has at hand, per family.
const (
	keptHosts    = 8192  // banned from beginning to end
	otherHosts   = 40000 // banned now and then
	widePrefixes = 64    // kept, and as many that come and go
)

// writer changes the tables of a plane all the time. Addresses are drawn from two lands: in the one
// there are hosts, banned ones next to others; in the other prefixes, too.
type writer struct {
	plane *Plane
	rand  *rand.Rand
	now   time.Time

	kept, others []netip.Prefix    // hosts
	wide         []netip.Prefix    // kept prefixes
	inside       []netip.Prefix    // hosts inside these, which come and go in any class
	spare        []netip.Prefix    // prefixes that come and go, with kept hosts inside
	turns        [2][]netip.Prefix // hosts, and a prefix of each: one or the other is banned
	list         []netip.Prefix    // the hosts of the list that is swapped now
	allowed      []netip.Prefix
	count        map[string]int
	sizes        [2][]int // of the tables, in lines, by family
	overflow     [2][]int // hosts in the trie, by family
}

// Classes that the writer uses: two that drop, one that counts, one that is off and one whose mode
// changes.
const (
	classDrop   = decision.ClassBan
	classShadow = decision.ClassShadow
	classAlso   = decision.ClassFirstList
	classOff    = decision.ClassFirstList + 1
	classFickle = decision.ClassFirstList + 2
)

func newWriter(seed uint64, p *Plane) *writer {
	w := &writer{plane: p, rand: rand.New(rand.NewPCG(seed, 1)), now: time.Now(), count: map[string]int{}}
	seen := map[netip.Prefix]bool{}
	draw := func(n int, make func() netip.Prefix) (out []netip.Prefix) {
		for len(out) < n {
			if p := make(); !seen[p] {
				seen[p] = true
				out = append(out, p)
			}
		}
		return out
	}
	for _, bits := range []int{32, 128} {
		// Some hosts have hashes so alike that tables of these sizes have no slots for all: they are in
		// the trie, and in a table of another size they are not.
		for lines := crowdLines; lines <= 16*crowdLines; lines *= 4 {
			for i, a := range crowd(p.abi.HashKey, lines, func() netip.Addr { return w.fill(bits, 0) }) {
				seen[host(a)] = true
				if i%2 == 0 {
					w.kept = append(w.kept, host(a))
				} else {
					w.others = append(w.others, host(a))
				}
			}
		}
		w.wide = append(w.wide, draw(widePrefixes, func() netip.Prefix { return w.prefix(bits) })...)
		w.spare = append(w.spare, draw(widePrefixes, func() netip.Prefix { return w.prefix(bits) })...)
		w.kept = append(w.kept, draw(keptHosts/2, func() netip.Prefix { return w.host(bits, 0) })...)
		w.kept = append(w.kept, draw(keptHosts/2, func() netip.Prefix { return w.host(bits, 1) })...)
		w.others = append(w.others, draw(otherHosts, func() netip.Prefix { return w.host(bits, 0) })...)
		for _, p := range draw(widePrefixes, func() netip.Prefix { return w.host(bits, 1) }) {
			w.turns[0] = append(w.turns[0], p)
			w.turns[1] = append(w.turns[1], netip.PrefixFrom(p.Addr(), bits-1-w.rand.IntN(8)).Masked())
		}
	}
	for _, short := range []string{"3fff::/20", "3fff:1000::/36", "3fff:2000::/47"} {
		w.spare = append(w.spare, netip.MustParsePrefix(short)) // each is looked for in another way
	}
	for range keptHosts {
		// Kept hosts in prefixes that come and go, and the other way round.
		w.kept = append(w.kept, draw(1, func() netip.Prefix { return w.in(w.spare[w.rand.IntN(len(w.spare))]) })...)
		w.inside = append(w.inside, draw(1, func() netip.Prefix { return w.in(w.wide[w.rand.IntN(len(w.wide))]) })...)
	}
	return w
}

// host draws an address of a land. Neighbours that differ in the last bit are never both banned: the
// odd one stays free.
func (w *writer) host(bits int, land byte) netip.Prefix {
	return host(w.fill(bits, land))
}

// prefix draws one of the second land.
func (w *writer) prefix(bits int) netip.Prefix {
	shortest := landByte(bits)*8 + 8
	length := shortest + w.rand.IntN(bits-shortest-1)
	return netip.PrefixFrom(w.fill(bits, 1), length).Masked()
}

// landByte is where an address says which land it is of.
func landByte(bits int) int {
	if bits == 32 {
		return 0
	}
	return 4 // behind 2001:db8::/32
}

// first says whether an address is of the first land.
func first(a netip.Addr) bool {
	raw := a.AsSlice()
	return raw[landByte(a.BitLen())]&1 == 0 && (a.Is4() || raw[0] == 0x20)
}

// fill draws an even address of a land.
func (w *writer) fill(bits int, land byte) netip.Addr {
	var b [16]byte
	binary.NativeEndian.PutUint64(b[:], w.rand.Uint64())
	binary.NativeEndian.PutUint64(b[8:], w.rand.Uint64())
	if bits == 32 {
		b[0], b[3] = b[0]&^1|land, b[3]&^1
		return netip.AddrFrom4([4]byte(b[:4]))
	}
	copy(b[:], []byte{0x20, 0x01, 0x0d, 0xb8})
	b[4], b[15] = land, b[15]&^1
	return netip.AddrFrom16(b)
}

// in draws an even address inside a prefix.
func (w *writer) in(p netip.Prefix) netip.Prefix {
	random, fixed := w.fill(p.Addr().BitLen(), 1).AsSlice(), p.Addr().AsSlice()
	for bit := range p.Bits() {
		mask := byte(0x80) >> (bit % 8)
		random[bit/8] = random[bit/8]&^mask | fixed[bit/8]&mask
	}
	a, _ := netip.AddrFromSlice(random)
	return host(a)
}

// begin bans what is banned throughout.
func (w *writer) begin() error {
	for class, mode := range map[decision.Class]decision.Mode{
		classDrop: decision.ModeDrop, classShadow: decision.ModeShadow, classAlso: decision.ModeDrop, classOff: decision.ModeOff,
	} {
		if err := w.plane.SetClass(class, mode); err != nil {
			return err
		}
	}
	return w.plane.Ban(w.rules(slices.Concat(w.kept, w.wide, w.turns[0]), classDrop, classAlso))
}

// targets lists what the readers look up, in no order.
func (w *writer) targets() []target {
	var out []target
	for _, p := range slices.Concat(w.kept, w.inside, w.turns[0]) {
		out = append(out, target{p.Addr(), true})
	}
	free := func(p netip.Prefix) target { return target{p.Addr().Next(), false} }
	for _, p := range slices.Concat(w.kept, w.others) {
		// Outside the first land everything may be in a prefix.
		if first(p.Addr()) {
			out = append(out, free(p))
		}
	}
	w.rand.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out[:min(len(out), maxTargets)]
}

// maxTargets is TARGETS of bpf/batch.bpf.c.
const maxTargets = 131072

func (w *writer) rules(prefixes []netip.Prefix, classes ...decision.Class) []decision.Rule {
	out := make([]decision.Rule, len(prefixes))
	for i, p := range prefixes {
		until := w.now.Add(24*time.Hour + time.Duration(w.rand.Int64N(int64(1000*time.Hour))))
		out[i] = decision.Rule{Prefix: p, Class: classes[w.rand.IntN(len(classes))], DecisionID: uint64(i + 1), Until: until}
	}
	return out
}

// some draws up to n of the prefixes.
func (w *writer) some(of []netip.Prefix, n int) []netip.Prefix {
	out := make([]netip.Prefix, 0, n)
	for range 1 + w.rand.IntN(n) {
		out = append(out, of[w.rand.IntN(len(of))])
	}
	return out
}

// operations are what the writer does to the tables.
func (w *writer) operations() map[string]func() error {
	any := []decision.Class{classDrop, classShadow, classAlso, classOff, classFickle}
	return map[string]func() error{
		"add hosts":       func() error { return w.plane.Ban(w.rules(w.some(w.others, 300), any...)) },
		"add one":         func() error { return w.plane.Ban(w.rules(w.some(w.others, 1), any...)) },
		"remove hosts":    func() error { return w.plane.Unban(w.some(w.others, 300)) },
		"remove one":      func() error { return w.plane.Unban(w.some(w.others, 1)) },
		"renew kept":      func() error { return w.plane.Ban(w.rules(w.some(w.kept, 300), classDrop, classAlso)) },
		"renew prefixes":  func() error { return w.plane.Ban(w.rules(w.some(w.wide, 5), classDrop, classAlso)) },
		"add prefixes":    func() error { return w.plane.Ban(w.rules(w.some(w.spare, 5), any...)) },
		"remove prefixes": func() error { return w.plane.Unban(w.some(w.spare, 5)) },
		"add inside":      func() error { return w.plane.Ban(w.rules(w.some(w.inside, 300), any...)) },
		"remove inside":   func() error { return w.plane.Unban(w.some(w.inside, 300)) },
		"expired inside":  w.expire,
		"grow":            func() error { return w.plane.Ban(w.rules(w.others, any...)) },
		"shrink":          func() error { return w.plane.Unban(w.others) },
		"swap lists":      w.swap,
		"take turns":      w.turn,
		"switch class":    func() error { return w.plane.SetClass(classFickle, decision.Mode(w.rand.IntN(3))) },
		"prefix table":    func() error { useNets(w.plane, !w.plane.tables.v4.nets.inUse()); return nil },
		"allow":           w.allow,
		"disallow":        w.disallow,
	}
}

// expire bans hosts until a moment that is over.
func (w *writer) expire() error {
	rules := w.rules(w.some(w.inside, 300), classDrop)
	for i := range rules {
		rules[i].Until = w.now.Add(-time.Hour)
	}
	return w.plane.Ban(rules)
}

// swap replaces one list by another. Both hold some of what is banned throughout.
func (w *writer) swap() error {
	next := append(w.some(w.others, 5000), w.some(w.kept, 500)...)
	put := w.rules(next, classDrop, classAlso)
	isNext := map[netip.Prefix]bool{}
	for _, p := range next {
		isNext[p] = true
	}
	gone := slices.DeleteFunc(w.list, func(p netip.Prefix) bool { return isNext[p] })
	w.list = slices.DeleteFunc(next, func(p netip.Prefix) bool { return slices.Contains(w.kept, p) })
	return swapAll(w.plane, put, gone)
}

// turn bans prefixes in place of the hosts in them, or the hosts in place of the prefixes.
func (w *writer) turn() error {
	w.turns[0], w.turns[1] = w.turns[1], w.turns[0]
	return swapAll(w.plane, w.rules(w.turns[0], classDrop, classAlso), w.turns[1])
}

// allow makes exceptions of hosts that nobody looks up.
func (w *writer) allow() error {
	var entries []decision.Allow
	w.allowed = append(w.allowed, w.some(w.others, 20)...)
	for _, p := range w.allowed {
		entries = append(entries, decision.Allow{Prefix: p, Reason: decision.AllowUser})
	}
	return w.plane.Allow(entries)
}

func (w *writer) disallow() error {
	gone := w.allowed
	w.allowed = nil
	return w.plane.Disallow(gone)
}

// write does each operation once and then, for a time or a number of operations, those that chance
// says; the expensive ones seldom.
func (w *writer) write(d time.Duration) error {
	operations := w.operations()
	names := slices.Sorted(maps.Keys(operations))
	do := func(name string) error {
		w.count[name]++
		if err := operations[name](); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for i, f := range []*family{w.plane.tables.v4, w.plane.tables.v6} {
			w.sizes[i] = append(w.sizes[i], f.hosts.lines)
			w.overflow[i] = append(w.overflow[i], f.known.lengths[f.bits])
		}
		return nil
	}
	for _, name := range names {
		if err := do(name); err != nil {
			return err
		}
	}
	for n, end := 0, time.Now().Add(d); d == 0 && n < stressOperations || d > 0 && time.Now().Before(end); n++ {
		name := names[w.rand.IntN(len(names))]
		if large := name == "grow" || name == "shrink" || name == "swap lists" || name == "take turns"; large && w.rand.IntN(10) > 0 {
			continue
		}
		if err := do(name); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) report() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(w.count)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, w.count[name]))
	}
	for i, family := range []string{"IPv4", "IPv6"} {
		parts = append(parts, fmt.Sprintf("%s tables of %d to %d lines with %d to %d hosts in the trie", family,
			slices.Min(w.sizes[i]), slices.Max(w.sizes[i]), slices.Min(w.overflow[i]), slices.Max(w.overflow[i])))
	}
	return strings.Join(parts, ", ")
}
