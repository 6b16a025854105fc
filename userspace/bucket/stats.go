package bucket

import "sync/atomic"

// Stats counts what a table did. Live and Bytes are gauges.
type Stats struct {
	Live      uint64 // buckets
	Bytes     uint64 // memory of the buckets
	Poured    uint64 // events that a bucket counted
	Overflows uint64
	Muted     uint64 // overflows during a blackhole
	Filtered  uint64 // overflows that overflow_filter refused
	Lost      uint64 // overflows whose events name no valid source
	Repeated  uint64 // events that distinct left out
	Cancelled uint64 // buckets that cancel_on ended
	Expired   uint64 // buckets that leaked empty
	Evicted   uint64 // buckets that ended early because the table was full
}

// counters is Stats as its owner writes it and others read it.
type counters struct {
	live, bytes                              atomic.Int64
	poured, overflows, muted, filtered, lost atomic.Uint64
	repeated, cancelled, expired, evicted    atomic.Uint64
}

// Stats returns the counters; it may be called from any goroutine.
func (t *Table) Stats() Stats {
	c := &t.stats
	return Stats{
		Live: uint64(c.live.Load()), Bytes: uint64(c.bytes.Load()), Poured: c.poured.Load(),
		Overflows: c.overflows.Load(), Muted: c.muted.Load(), Filtered: c.filtered.Load(), Lost: c.lost.Load(),
		Repeated: c.repeated.Load(), Cancelled: c.cancelled.Load(), Expired: c.expired.Load(), Evicted: c.evicted.Load(),
	}
}

// Add returns the sum of two tables' counters.
func (s Stats) Add(o Stats) Stats {
	return Stats{
		Live: s.Live + o.Live, Bytes: s.Bytes + o.Bytes, Poured: s.Poured + o.Poured, Overflows: s.Overflows + o.Overflows,
		Muted: s.Muted + o.Muted, Filtered: s.Filtered + o.Filtered, Lost: s.Lost + o.Lost, Repeated: s.Repeated + o.Repeated,
		Cancelled: s.Cancelled + o.Cancelled, Expired: s.Expired + o.Expired, Evicted: s.Evicted + o.Evicted,
	}
}
