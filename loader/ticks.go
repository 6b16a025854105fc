package loader

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"gabion/loader/table"
)

// tickClock converts between the wall clock and ticks, the unit of a ban's end in the kernel. A tick
// is jiffies64 >> shift: between 0.8 and 1.3 seconds. The kernel alone knows its jiffies, so a
// small program reads them; between two readings CLOCK_MONOTONIC, which they follow, tells.
type tickClock struct {
	prog  *ebpf.Program
	wall  func() time.Time
	hz    uint64 // jiffies a second
	shift uint32

	mu   sync.Mutex
	last reading
}

// reading is the kernel's jiffies64 at a moment of CLOCK_MONOTONIC.
type reading struct {
	jiffies uint64
	mono    time.Duration
}

// readAgain is how long a reading is good for: clocks drift, and virtual machines lose jiffies.
const readAgain = 10 * time.Second

// moment is the wall clock and the jiffies of one moment.
type moment struct {
	wall    time.Time
	jiffies uint64
	hz      uint64
	shift   uint32
}

func (c *tickClock) now() (moment, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	mono := monotonic()
	if c.last.mono == 0 || mono-c.last.mono >= readAgain {
		r, err := readJiffies(c.prog)
		if err != nil {
			return moment{}, err
		}
		c.last = r
	}
	passed := monotonic() - c.last.mono
	return moment{
		wall:    c.wall(),
		jiffies: c.last.jiffies + uint64(passed)*c.hz/uint64(time.Second),
		hz:      c.hz, shift: c.shift,
	}, nil
}

// expiry returns the tick at which a ban ends, at most one tick late and never early. What is too far
// away to be told, some years, has no end.
func (m moment) expiry(until time.Time) uint32 {
	left := until.Sub(m.wall)
	tick := m.jiffies >> m.shift // over
	if left > 0 {
		tick = (m.jiffies+uint64(left.Seconds()*float64(m.hz))+1)>>m.shift + 1
	}
	return uint32(min(max(tick, 1), table.NoEnd))
}

// until returns the moment at which a ban with this expiry ends, and whether it ends at all: without
// an end it is the last moment that could be told.
func (m moment) until(expiry uint32) (end time.Time, ends bool) {
	ahead := int64(uint64(expiry)<<m.shift) - int64(m.jiffies)
	left := time.Duration(float64(ahead) / float64(m.hz) * float64(time.Second))
	return m.wall.Add(left), expiry < table.NoEnd
}

func monotonic() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // exists on every kernel
	return time.Duration(ts.Nano())
}

// readJiffies runs gabion_clock, which writes both clocks over the first bytes of its packet.
func readJiffies(prog *ebpf.Program) (reading, error) {
	_, out, err := prog.Test(make([]byte, 64))
	if err != nil {
		return reading{}, fmt.Errorf("read the kernel's jiffies: %w", err)
	}
	return reading{
		jiffies: binary.NativeEndian.Uint64(out),
		mono:    time.Duration(binary.NativeEndian.Uint64(out[8:])),
	}, nil
}

// frequencies are those that distributions build kernels with (CONFIG_HZ). There are others, but none so
// near to one of these that a measurement could take it for that.
func frequencies() []uint64 { return []uint64{100, 250, 300, 500, 1000} }

const (
	// sampleTime is how long jiffies are counted to find their frequency.
	sampleTime = 250 * time.Millisecond
	// unclear is how near to five minutes of uptime one reading does not tell: that the two clocks began
	// some seconds apart must not make 250 out of 300.
	unclear = 150 * time.Second
)

// measureHZ finds how many jiffies a second has. The kernel starts them five minutes below the wrap of
// 32 bits (INITIAL_JIFFIES in linux/jiffies.h), so one reading tells, except around five minutes of
// uptime: then they are counted for a moment.
func measureHZ(read func() (reading, error), sleep func(time.Duration)) (uint64, error) {
	first, err := read()
	if err != nil {
		return 0, err
	}
	const start, wrap = 300 * time.Second, 1 << 32
	if up := first.mono - start; up.Abs() > unclear {
		return nearest(float64(int64(first.jiffies-wrap)) / up.Seconds()), nil
	}
	sleep(sampleTime)
	second, err := read()
	if err != nil {
		return 0, err
	}
	return nearest(float64(second.jiffies-first.jiffies) / (second.mono - first.mono).Seconds()), nil
}

// nearest is the frequency nearest to a measured one, by their ratio.
func nearest(measured float64) uint64 {
	best, least := uint64(0), math.Inf(1)
	for _, hz := range frequencies() {
		if off := math.Abs(math.Log(measured / float64(hz))); best == 0 || off < least {
			best, least = hz, off
		}
	}
	return best
}

// tickShift makes a tick as near to a second as a power of two of jiffies can be.
func tickShift(hz uint64) uint32 {
	return uint32(math.Round(math.Log2(float64(hz))))
}
