package loader

import (
	"fmt"
	"sync/atomic"

	"github.com/cilium/ebpf"

	"gabion/userspace/meter"
)

// MeterStats is what a meter did since it was first put in force.
type MeterStats struct {
	Name    string
	Matched uint64 // packets that it counted
	Shed    uint64 // packets dropped above its limit
	Events  uint64 // reports written
}

// SetMeters puts these meters in force instead of those before, from the next packet on. The counts and
// running windows of a meter that stays the same go on, also over a restart of the process. No meters
// turn metering off. It fails, and changes nothing, when the kernel cannot run one of them. Called again,
// it may wait for some milliseconds.
func (p *Plane) SetMeters(meters []*meter.Meter) error {
	if err := p.writable(); err != nil {
		return fmt.Errorf("set meters: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	old, err := p.readMeters()
	if err != nil {
		return fmt.Errorf("set meters: %w", err)
	}
	next, err := newMeterSet(meters, uint64(p.abi.Hz), old)
	if err != nil {
		return fmt.Errorf("set meters: %w", err)
	}
	if err := p.writeMeters(old, next); err != nil {
		return fmt.Errorf("set meters: %w", err)
	}
	return nil
}

// writeMeters fills the half that is not in use, then shows it.
//
// A packet chooses its half when it begins, and reads it to the end. So what is filled here may still be
// read by those that began before it was hidden by the call before this one: they are waited for. After
// that there are none, since every packet that begins later reads the half shown now. Opening the plane
// waits for packets too, so that its first call need not, also when another process hid that half.
func (p *Plane) writeMeters(old, next *meterSet) error {
	if p.metersLate {
		if err := p.tables.v4.sync(); err != nil {
			return err
		}
		p.metersLate = false
	}
	zero := make([]bpfMeterCounts, ebpf.MustPossibleCPU())
	for i := range next.places {
		if old.places[i].Id != next.places[i].Id || old.places[i].Marks == noMeter {
			if err := p.maps.MeterCounts.Put(uint32(i), zero); err != nil {
				return fmt.Errorf("reset counts: %w", err)
			}
		}
		if err := p.maps.Meters.Put(half(next.view)*meterPlaces+uint32(i), &next.places[i]); err != nil {
			return fmt.Errorf("write meter: %w", err)
		}
	}
	v := next.view
	atomic.StoreUint64(&p.tables.control.words[meterWord], uint64(v.Count)|uint64(v.Flags)<<8|
		uint64(v.Shed)<<16|uint64(v.Spare)<<32|uint64(v.Proof)<<48)
	p.metersLate = true
	return nil
}

// MeterStats returns what each meter in force did, in the order of the kernel's places.
func (p *Plane) MeterStats() ([]MeterStats, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	set, err := p.readMeters()
	if err != nil {
		return nil, fmt.Errorf("read meters: %w", err)
	}
	var out []MeterStats
	for i := range set.view.Count {
		k := &set.places[i]
		if k.Marks == noMeter {
			continue
		}
		var perCPU []bpfMeterCounts
		if err := p.maps.MeterCounts.Lookup(uint32(i), &perCPU); err != nil {
			return nil, fmt.Errorf("read counts of meter %s: %w", nameOf(k), err)
		}
		s := MeterStats{Name: nameOf(k)}
		for _, c := range perCPU {
			s.Matched += c.Matched
			s.Shed += c.Shed
			s.Events += c.Events
		}
		out = append(out, s)
	}
	return out, nil
}

func half(v bpfMeterView) uint32 {
	return uint32(v.Flags & uint8(bpfMeterFlagMETERS_HALF))
}

// readMeters returns the half that is in force.
func (p *Plane) readMeters() (*meterSet, error) {
	control, err := p.readControl()
	if err != nil {
		return nil, err
	}
	s := &meterSet{view: control.Meters}
	for i := range s.places {
		if err := p.maps.Meters.Lookup(half(s.view)*meterPlaces+uint32(i), &s.places[i]); err != nil {
			return nil, fmt.Errorf("read meter: %w", err)
		}
		if i >= int(s.view.Count) {
			s.places[i] = bpfMeter{Marks: noMeter}
		}
	}
	return s, nil
}
