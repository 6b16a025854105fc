package loader

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/cilium/ebpf/ringbuf"
	"github.com/google/go-cmp/cmp"

	"gabion/userspace/meter"
)

// reports returns how many events of each kind wait in the ring, by meter and whether they are proven.
func (b meterBench) reports(t *testing.T) map[string]int {
	t.Helper()
	out := map[string]int{}
	names := meterNames{plane: b.plane}
	for _, e := range b.raw(t) {
		name, err := names.lookup(e.Meter)
		if err != nil {
			t.Fatal(err)
		}
		out[fmt.Sprintf("%s %t", name, e.Established == 1)]++
	}
	return out
}

func TestForgedSourcesUseUpNeitherTheBudgetNorTheRingOfProvenOnes(t *testing.T) {
	const forged, proven = 100, 5
	for _, tt := range []struct {
		name   string
		budget uint64
		first  int // events of forged sources
		lost   func(Stats) uint64
	}{
		{"budget", 7, 7, func(s Stats) uint64 { return s.EventsOverBudget }},
		{"ring", 1 << 40, os.Getpagesize()/2/72 + 1, func(s Stats) uint64 { return s.EventsFull }}, // 64 bytes and a head of 8
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newConnections(1)
			b := mustLoadMeter(t, tt.budget, m)
			pinCPU(t)
			for i := range proven {
				src := fmt.Sprintf("198.51.100.%d", i)
				b.connect(t, src, 2)
				b.complete(t, src, m)
			}
			for i := range forged {
				b.connect(t, fmt.Sprintf("203.0.113.%d", i), 3)
			}
			if got := b.stats(t); int(got.Events) != tt.first || int(tt.lost(got)) != forged-tt.first {
				t.Fatalf("%d reports of forged sources written, %d put off; want %d and %d", got.Events, tt.lost(got), tt.first, forged-tt.first)
			}
			for i := range proven {
				b.connect(t, fmt.Sprintf("198.51.100.%d", i), 1)
			}
			want := map[string]int{"test/meter false": tt.first, "test/meter true": proven}
			if diff := cmp.Diff(want, b.reports(t)); diff != "" {
				t.Errorf("reports (-want +got):\n%s", diff)
			}
			if got := int(tt.lost(b.stats(t))); got != forged-tt.first {
				t.Errorf("%d reports put off, want those of %d forged sources", got, forged-tt.first)
			}
		})
	}
}

func TestForgedSourcesOfOneMeterDoNotUseUpTheBudgetOfAnother(t *testing.T) {
	const budget = 7
	named := func(name string, change func(*meter.Meter)) *meter.Meter {
		return perSecond(10, change, func(m *meter.Meter) { m.Name = name })
	}
	b := mustLoadMeter(t, budget,
		named("test/scan", func(m *meter.Meter) { m.Count, m.Match.Protocol = meter.Ports, meter.UDP }),
		named("test/ping", func(m *meter.Meter) { m.Match.Protocol = meter.ICMP }),
		named("test/tcp", func(m *meter.Meter) { m.Per, m.Match.Protocol = meter.Network, meter.TCP }))
	pinCPU(t)
	for i := range 50 {
		for port := range uint16(40) {
			b.send(t, 1, udpFrom(fmt.Sprintf("203.0.113.%d", i), port))
		}
	}
	b.send(t, 11, frame(eth(ethIPv4), ipv4(offender4, protoICMP, 0), icmp(8)))
	b.send(t, 11, frame(eth(ethIPv4), ipv4(offender4, protoTCP, 0), tcp(1, 2, ackFlag)))
	want := map[string]int{"test/scan false": budget, "test/ping false": 1, "test/tcp false": 1}
	if diff := cmp.Diff(want, b.reports(t)); diff != "" {
		t.Errorf("reports (-want +got):\n%s", diff)
	}
}

func TestWhatAMeterShedsDoesNotUseUpTheSamplesOfBans(t *testing.T) {
	const budget = 3
	b := mustLoadMeter(t, 1000, perSecond(1, shed))
	pinCPU(t)
	mustBan(t, b.plane, ban("192.0.2.1/32", 0, inAnHour()))
	if err := b.Sampling.Put(uint32(0), &testbpfSampling{Until: uint64(time.Hour), Budget: budget}); err != nil {
		t.Fatal(err)
	}
	b.send(t, 100, udpFrom(offender4, 53))
	b.send(t, 100, udpFrom("192.0.2.1", 53))
	r, err := ringbuf.NewReader(b.testbpfObjects.Samples)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	r.SetDeadline(time.Unix(1, 0))
	got := map[string]int{}
	for {
		rec, err := r.Read()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		var s bpfDropSample
		if _, err := binary.Decode(rec.RawSample, binary.NativeEndian, &s); err != nil {
			t.Fatal(err)
		}
		got[fmt.Sprintf("%s %s", DropReason(s.Reason), netip.AddrFrom16(s.Source).Unmap())]++
	}
	want := map[string]int{"meter " + offender4: budget, "ban 192.0.2.1": budget}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("samples (-want +got):\n%s", diff)
	}
}
