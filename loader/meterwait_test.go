package loader

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gabion/userspace/meter"
)

// halves reads the places of both halves.
func halves(t *testing.T, p *Plane) (out [2 * meterPlaces]bpfMeter) {
	t.Helper()
	for i := range out {
		if err := p.maps.Meters.Lookup(uint32(i), &out[i]); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// Packets that began before a change read the half of the meters that the next change fills.
func TestAHalfOfTheMetersIsFilledWhenNoPacketReadsIt(t *testing.T) {
	p := mustOpen(t, small(pinDir(t)))
	var steps []string
	before := halves(t, p)
	f := p.tables.v4
	wait := f.wait
	f.wait = func() error {
		if halves(t, p) != before {
			t.Error("meters were written before packets were waited for")
		}
		steps = append(steps, "waited")
		return wait()
	}
	set := func(m ...*meter.Meter) {
		t.Helper()
		before = halves(t, p)
		if err := p.SetMeters(m); err != nil {
			t.Fatal(err)
		}
		if halves(t, p) == before {
			t.Error("no meters were written")
		}
		steps = append(steps, "set")
	}
	set(perSecond(1)) // Open has waited
	set(perSecond(2))
	set()
	if diff := cmp.Diff([]string{"set", "waited", "set", "waited", "set"}, steps); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
}

func TestMetersStayWhenPacketsCannotBeWaitedFor(t *testing.T) {
	b := mustLoadMeter(t, 1000, perSecond(1))
	errWait := errors.New("no memory")
	f := b.plane.tables.v4
	wait := f.wait
	f.wait = func() error { return errWait }
	before := halves(t, b.plane)
	if err := b.plane.SetMeters(nil); !errors.Is(err, errWait) {
		t.Errorf("error = %v, want %v", err, errWait)
	}
	if halves(t, b.plane) != before || mustMeterSet(t, b).view.Count != 1 {
		t.Error("meters changed")
	}
	f.wait = wait
	b.set(t)
	if got := mustMeterSet(t, b).view.Count; got != 0 {
		t.Errorf("%d meters in force once packets could be waited for, want none", got)
	}
}
