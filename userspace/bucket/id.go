package bucket

import (
	"crypto/rand"
	"encoding/binary"
)

// ID names the bucket of one scenario and key. It is a hash, so that a key of any length costs the
// same memory; its own key is secret, so that nobody can aim at another's bucket.
type ID struct {
	key  uint64 // depends on the key alone
	both uint64
}

// Shard returns a number below n that depends on the key alone: what scenarios keep of one event
// lies in one shard, which keeps it once.
func (id ID) Shard(n int) int { return int(id.key % uint64(n)) }

// Hasher makes the IDs of one engine. The zero Hasher does not work: see NewHasher.
type Hasher struct{ key [2]uint64 }

// hasherSize is the size of a Hasher that is saved, in bytes.
const hasherSize = 16

// NewHasher returns a Hasher with a random key of its own.
func NewHasher() Hasher {
	var b [hasherSize]byte
	_, _ = rand.Read(b[:]) // never fails
	return hasherOf(b[:])
}

func hasherOf(b []byte) Hasher {
	return Hasher{[2]uint64{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])}}
}

func (h Hasher) append(b []byte) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(b, h.key[0]), h.key[1])
}

// ID returns the ID of the bucket for a scenario and the key that Match found.
func (h Hasher) ID(s *Scenario, key string) ID { return h.Key(key).ID(s) }

// KeyHash is the hash of a key: several scenarios often group an event by the same one.
type KeyHash struct{ lo, hi uint64 }

// Key hashes a key.
func (h Hasher) Key(key string) KeyHash {
	lo, hi := sipHash(h.key, key)
	return KeyHash{lo, hi}
}

// ID returns the ID of the bucket for a scenario and the key.
func (k KeyHash) ID(s *Scenario) ID { return ID{key: k.hi, both: mix(k.lo ^ s.number)} }

func (h Hasher) text(s string) uint64 {
	lo, _ := sipHash(h.key, s)
	return lo
}

// mix spreads every bit of x over the whole result (the finalizer of splitmix64).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
