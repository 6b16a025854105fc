package loader

import (
	"net/netip"
	"testing"

	"gabion/userspace/meter"
)

const countMask = 1<<28 - 1 // of a slot

// line returns the line of counters in the first place that an IPv4 source is in, which must be there,
// and where.
func (b meterBench) line(t *testing.T, src string) (index uint32, line testbpfMeterLine, slot int) {
	t.Helper()
	k := &mustMeterSet(t, b).places[0]
	hash := slotHash(b.plane.abi.HashKey, netip.MustParseAddr(src).As16(), k.Id)
	index = uint32(hash) & k.Lines
	if err := b.MeterSlots.Lookup(index, &line); err != nil {
		t.Fatal(err)
	}
	for i, s := range line.Slot {
		if s<<1>>40 == hash<<1>>40 {
			return index, line, i
		}
	}
	t.Fatalf("%s has no slot", src)
	return 0, line, 0
}

// Two CPUs that enter a key at the same time may choose different slots.
func TestAKeyInTwoSlotsIsCountedInOneOfThemAndNowhereElse(t *testing.T) {
	b := mustLoadMeter(t, 1000, perSecond(10))
	b.send(t, 1, udpFrom(offender4, 53))
	index, line, at := b.line(t, offender4)
	const one, two, other = 1, 2, 1 | 2
	own := line.Slot[at]
	line.Slot = [8]uint64{one: own, two: own, other: own ^ 1<<45}
	if err := b.MeterSlots.Put(index, &line); err != nil {
		t.Fatal(err)
	}
	b.send(t, 5, udpFrom(offender4, 53))
	_, after, _ := b.line(t, offender4)
	if after.Slot[other] != line.Slot[other] {
		t.Errorf("the slot of another key went from %#x to %#x", line.Slot[other], after.Slot[other])
	}
	if sum := after.Slot[one]&countMask + after.Slot[two]&countMask; sum != 2+5 {
		t.Errorf("the two slots count %d together, want 7", sum)
	}
}

func TestAFullCountLeavesRoomForAllThatAddAtOnce(t *testing.T) {
	b := mustLoadMeter(t, 1000, perSecond(maxUnits<<leastShift, shed, func(m *meter.Meter) { m.Count = meter.Bytes }))
	b.send(t, 1, udpFrom(offender4, 53))
	index, line, at := b.line(t, offender4)
	line.Slot[at] = line.Slot[at]&^countMask | countMask - 100
	if err := b.MeterSlots.Put(index, &line); err != nil {
		t.Fatal(err)
	}
	if got := b.send(t, 5, udpFrom(offender4, 53)); got != 0 {
		t.Errorf("%d of 5 packets far above the limit passed, want none", got)
	}
	if _, after, _ := b.line(t, offender4); after.Slot[at]&^(1<<63) != line.Slot[at] {
		t.Errorf("the slot went from %#x to %#x: 100 units are less than what all CPUs may add at once", line.Slot[at], after.Slot[at])
	}
}
