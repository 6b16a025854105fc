package loader

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"gabion/loader/model"
	"gabion/userspace/decision"
)

// Bans end at moments that lie untilStep apart, so that the grain of the kernel's clock decides no
// packet but those that a test means.
const (
	untilStep = 20 * time.Hour
	untilLast = 4
	// endGrace is by how much a ban may end late; nearEnd is so near that the clocks just tell.
	endGrace = 3 * time.Second
	nearEnd  = 100 * time.Millisecond
	// covering is how many prefixes of one source the filter looks at (bpf/bans.h: COVERING).
	covering = 8
)

// world makes random configurations, each from the one before, and packets that are likely to hit them.
type world struct {
	model.Config
	rand    *rand.Rand
	start   time.Time    // when the world began; no packet is older
	anchors []netip.Addr // what addresses of a configuration are near to
	crowd   []netip.Addr // hosts that no table has room for side by side
	shapes  []template
	frame   []byte // the packet that was made last
	changes int
}

// template is a shape with the place of its source.
type template struct {
	frame  []byte
	source int // where the source address begins; -1 for a frame without one
	family int
}

func newWorld(seed uint64, start time.Time, hashKey [2]uint64) *world {
	w := &world{rand: rand.New(rand.NewPCG(seed, 0)), start: start, frame: make([]byte, trialBytes)}
	w.crowd = append(crowd(hashKey, crowdLines, w.any4), crowd(hashKey, crowdLines, w.any6)...)
	for _, s := range traffic() {
		frame := s.from(s.source())
		if len(frame) > trialBytes {
			continue
		}
		w.shapes = append(w.shapes, template{frame, bytes.Index(frame, netip.MustParseAddr(s.source()).AsSlice()), s.family})
	}
	return w
}

// change makes the next configuration: some bans and allow entries go, others come, some are renewed,
// some classes are switched. It returns the bans that were put or renewed and those that went.
func (w *world) change() (put []model.Ban, gone []netip.Prefix) {
	if len(w.anchors) == 0 || w.rand.IntN(8) == 0 {
		w.anchors = w.randomAnchors()
	}
	keep := w.rand.Float64()
	bans := w.Bans[:0]
	for _, b := range w.Bans {
		switch {
		case w.rand.Float64() > keep:
			gone = append(gone, b.Prefix)
			continue
		case w.rand.IntN(4) == 0:
			b.Class, b.Until = w.class(), w.until()
			put = append(put, b)
		}
		bans = append(bans, b)
	}
	w.Bans = bans
	more := 1 + w.rand.IntN(60)
	if w.changes++; w.changes%16 == 8 {
		more = 3000 // enough to make tables grow
	}
	for range more {
		b := model.Ban{Prefix: w.prefix(), Class: w.class(), Until: w.until()}
		if w.has(b.Prefix) || w.depth(b.Prefix) >= covering {
			continue
		}
		w.Bans, put = append(w.Bans, b), append(put, b)
		gone = slices.DeleteFunc(gone, func(p netip.Prefix) bool { return p == b.Prefix })
	}
	for i := range w.Modes {
		if w.rand.IntN(4) == 0 {
			w.Modes[i] = w.mode()
		}
	}
	w.Allows = w.Allows[:0]
	for range w.rand.IntN(12) {
		if p := w.prefix(); !slices.Contains(w.Allows, p) {
			w.Allows = append(w.Allows, p)
		}
	}
	return put, gone
}

func (w *world) has(p netip.Prefix) bool {
	return slices.ContainsFunc(w.Bans, func(b model.Ban) bool { return b.Prefix == p })
}

// depth is the most bans that an address in p would be covered by besides p.
func (w *world) depth(p netip.Prefix) int {
	around, inside := 0, []netip.Prefix{}
	for _, b := range w.Bans {
		switch {
		case !b.Prefix.Overlaps(p):
		case b.Prefix.Bits() < p.Bits():
			around++
		default:
			inside = append(inside, b.Prefix)
		}
	}
	// The longest chain below p ends at one of its longest prefixes: follow each upwards.
	deepest := 0
	for _, q := range inside {
		n := 0
		for _, r := range inside {
			if r.Bits() <= q.Bits() && r.Overlaps(q) {
				n++
			}
		}
		deepest = max(deepest, n)
	}
	return around + deepest
}

func (w *world) class() decision.Class { return decision.Class(w.rand.IntN(decision.Classes)) }

func (w *world) mode() decision.Mode {
	switch w.rand.IntN(4) {
	case 0:
		return decision.ModeOff
	case 1:
		return decision.ModeShadow
	}
	return decision.ModeDrop
}

// until is the end of a ban: over since long, or later.
func (w *world) until() time.Time {
	return w.start.Add(untilStep*time.Duration(w.rand.IntN(untilLast))*2 - untilStep)
}

// moment is when a packet arrives: often right before or after bans end.
func (w *world) moment() time.Time {
	end := w.start.Add(untilStep * time.Duration(1+2*w.rand.IntN(untilLast)))
	switch w.rand.IntN(4) {
	case 0:
		return end.Add(-nearEnd)
	case 1:
		return end.Add(endGrace)
	case 2:
		return w.start.Add(untilStep / 2) // later than any configuration is made
	}
	return end.Add(-time.Duration(w.rand.Int64N(int64(untilStep / 2))))
}

// randomAnchors draws addresses far apart, and those at the ends of the numbers.
func (w *world) randomAnchors() []netip.Addr {
	out := []netip.Addr{
		netip.IPv4Unspecified(), netip.AddrFrom4([4]byte{255, 255, 255, 255}), netip.IPv6Unspecified(),
		netip.MustParseAddr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
	}[w.rand.IntN(5):]
	for range 2 + w.rand.IntN(6) {
		out = append(out, w.any4(), w.any6())
	}
	return out
}

func (w *world) any4() netip.Addr {
	var four [4]byte
	binary.BigEndian.PutUint32(four[:], w.rand.Uint32())
	return netip.AddrFrom4(four)
}

func (w *world) any6() netip.Addr {
	six := [16]byte{0x20, 0x01, 0x0d, 0xb8}
	binary.BigEndian.PutUint32(six[4:], w.rand.Uint32())
	binary.BigEndian.PutUint64(six[8:], w.rand.Uint64())
	return netip.AddrFrom16(six)
}

// near changes the bits of an address behind one that is drawn.
func (w *world) near(a netip.Addr) netip.Addr {
	return w.within(netip.PrefixFrom(a, w.rand.IntN(a.BitLen()+1)))
}

// within is an address that has the first bits of a prefix; the others are drawn, or all 0, or all 1.
func (w *world) within(p netip.Prefix) netip.Addr {
	raw := p.Addr().AsSlice()
	fill := w.rand.IntN(4)
	for bit := p.Bits(); bit < len(raw)*8; bit++ {
		mask := byte(0x80) >> (bit % 8)
		raw[bit/8] &^= mask
		if fill == 0 || fill > 1 && w.rand.IntN(2) == 0 {
			raw[bit/8] |= mask
		}
	}
	a, _ := netip.AddrFromSlice(raw)
	return a
}

// prefix is near an anchor. Every length occurs, hosts most often, the shortest seldom.
func (w *world) prefix() netip.Prefix {
	if w.rand.IntN(6) == 0 {
		return host(w.crowd[w.rand.IntN(len(w.crowd))])
	}
	for {
		a := w.near(w.anchors[w.rand.IntN(len(w.anchors))])
		bits := a.BitLen()
		switch w.rand.IntN(10) {
		case 0, 1, 2:
			bits = bits/4 + w.rand.IntN(bits-bits/4+1)
		case 3:
			bits -= w.rand.IntN(9)
		case 4:
			if w.rand.IntN(20) == 0 {
				bits = w.rand.IntN(bits/4 + 1)
			}
		}
		if p := netip.PrefixFrom(a, bits).Masked(); !p.Addr().Is4In6() {
			return p
		}
	}
}

// source is an address to send from: banned, next to a ban, allowed, or any.
func (w *world) source() netip.Addr {
	kind := w.rand.IntN(16)
	switch {
	case kind < 9 && len(w.Bans) > 0:
		return w.within(w.Bans[w.rand.IntN(len(w.Bans))].Prefix)
	case kind < 11 && len(w.Bans) > 0:
		p := w.Bans[w.rand.IntN(len(w.Bans))].Prefix
		if kind == 10 {
			return beside(p.Addr(), netip.Addr.Prev)
		}
		return beside(w.within(p), netip.Addr.Next)
	case kind < 13 && len(w.Allows) > 0:
		return w.within(w.Allows[w.rand.IntN(len(w.Allows))])
	}
	return w.near(w.anchors[w.rand.IntN(len(w.anchors))])
}

func beside(a netip.Addr, step func(netip.Addr) netip.Addr) netip.Addr {
	if next := step(a); next.IsValid() {
		return next
	}
	return a
}

// packet makes a frame that is valid until the next one is made.
func (w *world) packet() []byte {
	source := w.source()
	tmpl := w.shapes[w.rand.IntN(len(w.shapes))]
	for tmpl.family == 4 != source.Is4() {
		tmpl = w.shapes[w.rand.IntN(len(w.shapes))]
	}
	frame := w.frame[:copy(w.frame, tmpl.frame)]
	if tmpl.source >= 0 {
		copy(frame[tmpl.source:], source.AsSlice())
	}
	return w.mutate(frame)
}

// mutate damages some frames.
func (w *world) mutate(frame []byte) []byte {
	switch w.rand.IntN(8) {
	case 0:
		return frame[:minFrame+w.rand.IntN(len(frame)-minFrame+1)]
	case 1:
		for range 1 + w.rand.IntN(3) {
			frame[w.rand.IntN(len(frame))] = byte(w.rand.Uint32())
		}
	case 2:
		frame[12+w.rand.IntN(min(len(frame)-12, 24))] ^= 1 << w.rand.IntN(8)
	case 3:
		longer := frame[:len(frame)+w.rand.IntN(trialBytes-len(frame)+1)]
		for i := len(frame); i < len(longer); i++ {
			longer[i] = byte(w.rand.Uint32())
		}
		return longer
	}
	return frame
}
