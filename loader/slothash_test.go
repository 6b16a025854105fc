package loader

import "encoding/binary"

// slotHash is hash_key16 of bpf/slots.h.
func slotHash(secret [2]uint64, key [16]byte, salt uint32) uint64 {
	high, low := binary.NativeEndian.Uint64(key[:]), binary.NativeEndian.Uint64(key[8:])
	x := uint64(uint32(high+secret[0])) * uint64(uint32(high>>32+secret[0]>>32))
	x += uint64(uint32(low+secret[1])) * uint64(uint32(low>>32+secret[1]>>32))
	x += uint64(salt) * secret[0]
	x ^= x >> 32
	x *= secret[1]
	return x ^ x>>29
}
