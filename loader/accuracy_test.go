package loader

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"gabion/userspace/meter"
)

// A flood of forged sources with real offenders inside is replayed through the test program, and what
// it reports is compared with an exact count: every offender must be found, and nobody who sent less
// than half the limit.
func TestAFloodOfForgedSourcesHidesNoOffender(t *testing.T) {
	const limit = 100
	for _, tt := range []struct {
		name              string
		sources, each     int // of the flood, and packets of each
		offenders, excess int // and how often an offender sends
	}{
		{"a million sources, one packet each", 1_000_000, 1, 50, 2 * limit},
		{"a hundred thousand sources, four packets each", 100_000, 4, 50, 2 * limit},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := perSecond(limit, func(m *meter.Meter) { m.Window = time.Hour })
			b := mustLoadMeter(t, 1<<40, m)
			pinCPU(t) // of two, one may be taken by others for long
			rng := rand.New(rand.NewPCG(1, 2))
			packets := make([]uint32, 0, tt.sources*tt.each+tt.offenders*tt.excess)
			for i := range tt.sources {
				for range tt.each {
					packets = append(packets, 198<<24|18<<16+uint32(i)) // and beyond 198.18.0.0/15, where it must
				}
			}
			offenders := map[netip.Addr]bool{}
			for i := range tt.offenders {
				for range tt.excess {
					packets = append(packets, 203<<24|113<<8|uint32(i))
				}
				offenders[netip.AddrFrom4([4]byte{203, 0, 113, byte(i)})] = true
			}
			rng.Shuffle(len(packets), func(i, j int) { packets[i], packets[j] = packets[j], packets[i] })
			exact := map[netip.Addr]int{}
			reported := map[netip.Addr]bool{}
			f := udpFrom(offender4, 53)
			opts := &ebpf.RunOptions{Data: f}
			read := func() {
				for _, e := range b.raw(t) {
					reported[eventOf(&e).Source] = true
				}
			}
			for i, p := range packets {
				binary.BigEndian.PutUint32(f[26:], p)
				if _, err := b.TestFilter.Run(opts); err != nil {
					t.Fatal(err)
				}
				exact[netip.AddrFrom4([4]byte(f[26:30]))]++
				if i%10_000 == 0 {
					read()
				}
			}
			read()
			for a := range offenders {
				if !reported[a] {
					t.Errorf("%s sent %d packets, limit %d, and is not reported", a, exact[a], limit)
				}
			}
			for a := range reported {
				if exact[a] < limit/2 {
					t.Errorf("%s sent %d packets, limit %d, and is reported", a, exact[a], limit)
				}
			}
			t.Logf("%d packets of %d sources: %d reported", len(packets), len(exact), len(reported))
		})
	}
}
