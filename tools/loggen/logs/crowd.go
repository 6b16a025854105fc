package logs

import (
	"encoding/binary"
	"net/netip"
)

// maxSources is how many addresses there are for attackers.
const maxSources = 1 << 27

// attacker returns the address of an attacker: another one for every number below maxSources.
func attacker(i int) netip.Addr {
	const inBenchmarkNet = 1 << 16
	switch {
	case i%16 == 15:
		return inDocumentation(0xa, i)
	case i < inBenchmarkNet:
		return v4(198<<24 | 18<<16 | scatter(i, 16))
	}
	return v4(240<<24 | scatter(i-inBenchmarkNet, 27))
}

// visitor returns the address of someone harmless.
func visitor(i int) netip.Addr {
	i %= 1 << 16
	if i%8 == 7 {
		return inDocumentation(0xb, i)
	}
	return v4(198<<24 | 19<<16 | scatter(i, 16))
}

// inDocumentation returns an address of 2001:db8::/32.
func inDocumentation(net, i int) netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint32(b[:], 0x20010db8)
	b[5] = byte(net)
	binary.BigEndian.PutUint32(b[6:], scatter(i, 30))
	b[15] = byte(1 + i%7)
	return netip.AddrFrom16(b)
}

func v4(i uint32) netip.Addr {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, i)))
}

// scatter spreads numbers below 2^bits over the same range, no two to the same place.
func scatter(i, bits int) uint32 {
	mask := uint32(1)<<bits - 1
	x := uint32(i) & mask
	x = x * 0x9e3779b1 & mask
	x ^= x >> (bits / 2)
	return (x*0x85ebca6b ^ 0x2f0b5) & mask
}

// crowd says who comes next, and for how many lines.
type crowd struct {
	address func(int) netip.Addr
	size    int
	mean    int // thousandths of a line of a session
	came    int // sessions
	seen    int // addresses
}

// newCrowd returns a crowd of which all come, and some of them again, within so many lines.
func newCrowd(address func(int) netip.Addr, size, lines int) crowd {
	mean := 1000
	if size > 0 {
		mean = max(mean, 880*lines/size)
	}
	return crowd{address: address, size: size, mean: mean}
}

// session is someone's visit or attack.
type session struct {
	from  netip.Addr
	index int // which of the crowd
	left  int // lines
	kind  int
	step  int
	user  string
	port  int
	pid   int
	agent string
}

func (c *crowd) next(r *random) session {
	c.came++
	i := c.seen
	if c.seen == c.size || c.seen > 0 && c.came%12 == 0 {
		i = r.below(c.seen)
	} else {
		c.seen++
	}
	return session{from: c.address(i), index: i, left: r.length(c.mean), port: r.between(32768, 60999), pid: r.between(1000, 99_999)}
}

// stage is the sessions that are under way at a time. Most lines are of the one that had the line
// before, as attacks and visits come in bursts.
type stage struct {
	crowd    crowd
	sessions []session
	current  int
}

func newStage(c crowd, size int) stage { return stage{crowd: c, sessions: make([]session, size)} }

// turn returns the session whose line is next. begin prepares one that has just come.
func (g *stage) turn(s *scene, begin func(*session, *scene)) *session {
	if s.chance(300) {
		g.current = s.below(len(g.sessions))
	}
	on := &g.sessions[g.current]
	if on.left == 0 {
		*on = g.crowd.next(&s.random)
		begin(on, s)
	}
	on.left--
	return on
}
