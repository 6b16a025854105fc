package loader

import (
	"time"

	"golang.org/x/sys/unix"
)

// Clock reads the wall clock and the time since boot (CLOCK_BOOTTIME) at one moment.
type Clock func() (wall time.Time, boot time.Duration)

// SystemClock reads the machine's clocks.
func SystemClock() (wall time.Time, boot time.Duration) {
	var r, b unix.Timespec
	// Both clocks exist on every kernel that can load the programs, so neither call can fail.
	_ = unix.ClockGettime(unix.CLOCK_REALTIME, &r)
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &b)
	return time.Unix(r.Unix()), time.Duration(b.Nano())
}

// wallTime returns the moment of a kernel time, the zero time for "no end".
func (c Clock) wallTime(ns uint64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	wall, boot := c()
	return wall.Add(time.Duration(ns) - boot)
}
