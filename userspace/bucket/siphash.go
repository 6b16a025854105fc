package bucket

import (
	"encoding/binary"
	"math/bits"
)

// sipHash is SipHash-2-4 with a result of 128 bits (Aumasson and Bernstein): whoever does not know
// the key can neither aim at a value nor make two texts meet. Unlike the runtime's hash its key can be
// saved, and the buckets with it.
func sipHash(key [2]uint64, text string) (lo, hi uint64) {
	s := sip{key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d ^ 0xee, key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573}
	length := uint64(len(text)) << 56
	var word [8]byte
	for len(text) >= 8 {
		copy(word[:], text)
		s.absorb(binary.LittleEndian.Uint64(word[:]))
		text = text[8:]
	}
	word = [8]byte{}
	copy(word[:], text)
	s.absorb(binary.LittleEndian.Uint64(word[:]) | length)
	s.v2 ^= 0xee
	s.rounds(4)
	lo = s.v0 ^ s.v1 ^ s.v2 ^ s.v3
	s.v1 ^= 0xdd
	s.rounds(4)
	return lo, s.v0 ^ s.v1 ^ s.v2 ^ s.v3
}

type sip struct{ v0, v1, v2, v3 uint64 }

func (s *sip) absorb(word uint64) {
	s.v3 ^= word
	s.rounds(2)
	s.v0 ^= word
}

func (s *sip) rounds(n int) {
	for range n {
		s.v0 += s.v1
		s.v1 = bits.RotateLeft64(s.v1, 13) ^ s.v0
		s.v0 = bits.RotateLeft64(s.v0, 32)
		s.v2 += s.v3
		s.v3 = bits.RotateLeft64(s.v3, 16) ^ s.v2
		s.v0 += s.v3
		s.v3 = bits.RotateLeft64(s.v3, 21) ^ s.v0
		s.v2 += s.v1
		s.v1 = bits.RotateLeft64(s.v1, 17) ^ s.v2
		s.v2 = bits.RotateLeft64(s.v2, 32)
	}
}
