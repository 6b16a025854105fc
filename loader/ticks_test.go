package loader

import (
	"testing"
	"time"
)

// The two clocks begin a few seconds apart at most, which counts most near the wrap of jiffies.
func TestTheFrequencyIsRightAtEveryUptime(t *testing.T) {
	for _, hz := range []uint64{100, 250, 300, 500, 1000} {
		for _, apart := range []time.Duration{-10 * time.Second, -time.Second, 0, time.Second, 10 * time.Second} {
			for _, up := range []time.Duration{
				12 * time.Second, 149 * time.Second, 200 * time.Second, 235 * time.Second, 290 * time.Second, 300 * time.Second,
				310 * time.Second, 365 * time.Second, 400 * time.Second, 451 * time.Second, time.Hour, 400 * 24 * time.Hour,
			} {
				now := up
				read := func() (reading, error) {
					ticks := int64((now - apart).Seconds() * float64(hz))
					return reading{jiffies: uint64(1<<32 - 300*int64(hz) + ticks), mono: now}, nil
				}
				got, err := measureHZ(read, func(d time.Duration) { now += d })
				if err != nil || got != hz {
					t.Errorf("%d Hz, up for %v with clocks %v apart: measured %d, %v", hz, up, apart, got, err)
				}
			}
		}
	}
}
