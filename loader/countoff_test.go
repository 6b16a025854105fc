package loader

import (
	"slices"
	"testing"
)

// taker is a CPU that takes one off a slot, as count_down of bpf/egress.h does. Its steps are what happens
// at once; a CPU may be held up between any two of them.
type taker struct {
	step  int
	again bool // the count was below 0
}

// next does the next step and says whether there are more.
func (c *taker) next(slot *uint64) (more bool) {
	const below = countMask - 1<<23 // SLOT_COUNT - HEADROOM / 2
	c.step++
	switch c.step {
	case 1:
		return *slot&countMask != 0
	case 2:
		*slot--
	case 3:
		c.again = *slot&countMask > below
		return c.again
	case 4:
		*slot++
		return false
	}
	return true
}

// interleave runs CPUs in every order of their steps and hands what is left of the slot to check.
func interleave(slot uint64, cpus []taker, running []int, check func(slot uint64)) {
	if len(running) == 0 {
		check(slot)
		return
	}
	for i, cpu := range running {
		then, next := slices.Clone(cpus), slot
		rest := running
		if !then[cpu].next(&next) {
			rest = slices.Delete(slices.Clone(running), i, i+1)
		}
		interleave(next, then, rest, check)
	}
}

func TestCPUsThatTakeTheLastOneOffACountLeaveItsWindowAlone(t *testing.T) {
	const tag = 0x2a5a5a<<39 | 7<<28
	for cpus := 1; cpus <= 3; cpus++ {
		for count := range uint64(4) {
			var running []int
			for i := range cpus {
				running = append(running, i)
			}
			left := max(count, uint64(cpus)) - uint64(cpus)
			orders := 0
			interleave(tag|count, make([]taker, cpus), running, func(slot uint64) {
				orders++
				if got := slot & countMask; slot&^uint64(countMask) != tag || got < left || got > left+uint64(cpus)-1 {
					t.Fatalf("%d CPUs take one each off %d: the slot is %#x, want a count of %d, or up to %d more", cpus, count, slot, left, cpus-1)
				}
			})
			if orders == 0 {
				t.Error("nothing was tried")
			}
		}
	}
}

func TestTakingOneOffACountThatIsGoneChangesNothing(t *testing.T) {
	b := mustLoadMeter(t, 1000)
	const tag = 0x2a5a5a<<39 | 7<<28
	const full = countMask - 1<<24 // SLOT_COUNT - HEADROOM
	for count, want := range map[uint64]uint64{0: 0, 1: 0, 2: 1, 1000: 999, full: full - 1} {
		if err := b.MeterSlots.Put(uint32(0), &testbpfMeterLine{Slot: [8]uint64{tag | count}}); err != nil {
			t.Fatal(err)
		}
		mustRun(t, b.TestCountOff, udpFrom(offender4, 53))
		var line testbpfMeterLine
		if err := b.MeterSlots.Lookup(uint32(0), &line); err != nil {
			t.Fatal(err)
		}
		if got := line.Slot[0]; got != tag|want {
			t.Errorf("one taken off %d: the slot is %#x, want %#x", count, got, uint64(tag|want))
		}
	}
}
