package table

import (
	"testing"
	"time"
)

// benchHosts measures putting a million addresses into an empty table, then renewing and removing
// them.
func benchHosts[K comparable](b *testing.B, table func() (Hosts[K], error), addr func(uint64) K) {
	const n = 1_000_000
	var put, renew, remove time.Duration
	for b.Loop() {
		h, err := table()
		if err != nil {
			b.Fatal(err)
		}
		each := func(do func(K)) time.Duration {
			start := time.Now()
			for i := range uint64(n) {
				do(addr(i * 0x9e3779b97f4a7c15 >> 8))
			}
			return time.Since(start)
		}
		put += each(func(k K) { h.Put(k, Entry{Expiry: 1}) })
		renew += each(func(k K) { h.Put(k, Entry{Expiry: 2}) })
		remove += each(func(k K) { h.Remove(k) })
	}
	for _, m := range []struct {
		unit string
		took time.Duration
	}{{"ns/put", put}, {"ns/renewal", renew}, {"ns/removal", remove}} {
		b.ReportMetric(float64(m.took.Nanoseconds())/n/float64(b.N), m.unit)
	}
}

func BenchmarkHosts4(b *testing.B) {
	lines := Lines4(1_000_000)
	mem := make([]uint64, lines*LineWords)
	benchHosts(b, func() (Hosts[uint32], error) {
		clear(mem)
		return NewHosts4(mem, lines, mixingKey())
	}, func(x uint64) uint32 { return uint32(x) | 1 })
}

func BenchmarkHosts6(b *testing.B) {
	lines := Lines6(1_000_000)
	mem := make([]uint64, lines*LineWords)
	benchHosts(b, func() (Hosts[Key6], error) {
		clear(mem)
		return NewHosts6(mem, lines, mixingKey())
	}, func(x uint64) Key6 { return Key6{0x20010db8<<32 | x&0xffff, x >> 16} })
}
