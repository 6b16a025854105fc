package table

import (
	"encoding/binary"
	"errors"
	"net/netip"
)

// Key6 is an IPv6 address as two numbers, Hi its first eight bytes in network order.
type Key6 struct{ Hi, Lo uint64 }

// Key6Of returns the key of an IPv6 address; of an IPv4 one that of its mapped form.
func Key6Of(addr netip.Addr) Key6 {
	b := addr.As16()
	return Key6{Hi: binary.BigEndian.Uint64(b[:8]), Lo: binary.BigEndian.Uint64(b[8:])}
}

// Addr returns the address of the key.
func (k Key6) Addr() netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], k.Hi)
	binary.BigEndian.PutUint64(b[8:], k.Lo)
	return netip.AddrFrom16(b)
}

// Key4Of returns the key of an IPv4 address, 192.0.2.1 being 0xc0000201. It panics for an IPv6 one
// that is not a mapped IPv4 address.
func Key4Of(addr netip.Addr) uint32 {
	b := addr.As4()
	return binary.BigEndian.Uint32(b[:])
}

// Addr4 returns the address of an IPv4 key.
func Addr4(key uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(key >> 24), byte(key >> 16), byte(key >> 8), byte(key)})
}

// Hash4 returns the hash of an IPv4 address.
func Hash4(addr uint32, key [2]uint64) uint32 {
	x := uint64(addr) * key[0]
	x ^= x >> 32
	x *= key[1]
	return uint32(x >> 32)
}

// Hash6 returns the hash of an IPv6 address.
func Hash6(k Key6, key [2]uint64) uint32 {
	x := k.Hi*key[0] + k.Lo*key[1]
	x ^= x >> 32
	x *= key[0]
	x ^= x >> 29
	x *= key[1]
	return uint32(x >> 32)
}

// Share returns which of n equal parts of all hashes this one is in: in a host table of n lines, the
// line in which its address is looked for first.
func Share(hash uint32, n int) int {
	return int(uint64(hash) * uint64(n) >> 32)
}

// checkKey refuses an even number: multiplied with it, different addresses become the same.
func checkKey(key [2]uint64) error {
	if key[0]&key[1]&1 == 0 {
		return errors.New("hash key: both numbers must be odd")
	}
	return nil
}
