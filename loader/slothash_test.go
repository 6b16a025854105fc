package loader

import (
	"encoding/binary"
	"net/netip"
	"testing"
)

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

// prove enters a source as bpf/proven.h does, now.
func (b meterBench) prove(t *testing.T, src string) {
	t.Helper()
	const mask, lines = 1<<28 - 1, 8192
	var now uint64
	if err := b.Clocks.Lookup(clockJiffies, &now); err != nil {
		t.Fatal(err)
	}
	hash := slotHash(b.plane.abi.HashKey, netip.MustParseAddr(src).As16(), 1)
	line := testbpfProvenLine{Slot: [8]uint64{3: hash&^mask | now>>b.plane.abi.TickShift}}
	if err := b.Proven.Put(uint32(hash)&(lines-1), &line); err != nil {
		t.Fatal(err)
	}
}
