package cost

import (
	"fmt"
	"io"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// usage is what the process has used so far.
type usage struct {
	cpu           time.Duration
	peak          int64 // bytes resident at most
	allocs, bytes uint64
}

func readUsage() (usage, error) {
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		return usage{}, fmt.Errorf("read resource usage: %w", err)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return usage{
		cpu:  time.Duration(r.Utime.Nano() + r.Stime.Nano()),
		peak: r.Maxrss << 10, allocs: m.Mallocs, bytes: m.TotalAlloc,
	}, nil
}

// progressEvery is how long a measurement is silent.
const progressEvery = 2 * time.Second

// meteredReader tells how far the reader behind it was read.
type meteredReader struct {
	r        io.Reader
	now      func() time.Time
	progress func(Progress)

	began, told time.Time
	bytes       int64
}

func (m *meteredReader) begin(at time.Time) { m.began, m.told = at, at }

func (m *meteredReader) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	m.bytes += int64(n)
	if m.progress == nil {
		return n, err
	}
	if now := m.now(); now.Sub(m.told) >= progressEvery {
		m.told = now
		m.progress(Progress{Bytes: m.bytes, Elapsed: now.Sub(m.began)})
	}
	return n, err
}
