package table

import "sync/atomic"

// reader looks hosts up in the way of the packet path, sharing nothing with the writer but the
// layout. stepped, unless nil, runs before every load: what the writer does there comes between two
// loads of one lookup.
type reader struct {
	words   []uint64
	key     [2]uint64
	lines   int
	stepped func()
}

// line is the i-th that is looked into for a hash.
func (r *reader) line(hash uint64, i int) int {
	line := int(hash>>32*uint64(r.lines)>>32) + i
	if line >= r.lines {
		line -= r.lines
	}
	return line
}

func (r *reader) load(i int) uint64 {
	if r.stepped != nil {
		r.stepped()
	}
	return atomic.LoadUint64(&r.words[i])
}

// find4 returns class << 28 | expiry of an address, 0 when it is not banned. Like the branch-free
// compare it ORs the slots of a line, so an address in two of them comes out wrong.
func (r *reader) find4(addr uint32) uint64 {
	x := uint64(addr) * r.key[0]
	x = (x ^ x>>32) * r.key[1]
	for i := range 8 {
		line := r.line(x, i)
		var hit uint64
		for s := range 5 {
			if slot := r.load(line*8 + s); slot>>32 == uint64(addr) {
				hit |= slot & 0xffffffff
			}
		}
		if hit&0x0fffffff != 0 {
			return hit
		}
		if r.load(line*8+7)>>32 == 0 {
			break
		}
	}
	return 0
}

// find6 is find4 for an IPv6 address.
func (r *reader) find6(k Key6) uint64 {
	x := k.Hi*r.key[0] + k.Lo*r.key[1]
	x = (x ^ x>>32) * r.key[0]
	x = (x ^ x>>29) * r.key[1]
	for i := range 8 {
		line := r.line(x, i)
		var meta uint64
		for s := range 2 {
			at := line*8 + s*4
			meta = r.load(at + 2)
			if meta&0x0fffffff == 0 || r.load(at) != k.Hi || r.load(at+1) != k.Lo {
				continue
			}
			if r.load(at+2)>>32 == meta>>32 {
				return meta & 0xffffffff
			}
		}
		if meta == 0 {
			break
		}
	}
	return 0
}
