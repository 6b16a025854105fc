package bucket

import "hash/maphash"

// ID names the bucket of one scenario and key. It is a hash, so that a key of any length costs the
// same memory; the seeds are secret, so that nobody can aim at another's bucket.
type ID struct{ hi, lo uint64 }

// Shard returns a number below n that depends on the scenario and key alone.
func (id ID) Shard(n int) int { return int(id.hi % uint64(n)) }

// Hasher makes the IDs of one engine. The zero Hasher does not work: see NewHasher.
type Hasher struct{ a, b maphash.Seed }

// NewHasher returns a Hasher with seeds of its own.
func NewHasher() Hasher { return Hasher{maphash.MakeSeed(), maphash.MakeSeed()} }

// ID returns the ID of the bucket for a scenario and the key that Match found.
func (h Hasher) ID(s *Scenario, key string) ID {
	return ID{mix(maphash.String(h.a, key) ^ s.number), mix(maphash.String(h.b, key) ^ s.number)}
}

func (h Hasher) text(s string) uint64 { return maphash.String(h.a, s) }

// mix spreads every bit of x over the whole result (the finalizer of splitmix64).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
