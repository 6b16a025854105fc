package loader

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"gabion/userspace/meter"
)

// prove lets this machine send something to a source on a connected socket, now.
func (b meterBench) prove(t *testing.T, src string) {
	t.Helper()
	mustRun(t, b.TestLearn, udpFrom(src, 53))
}

// sparing returns a meter bench where a meter sheds everything but what comes from proven sources.
func sparing(t *testing.T) meterBench {
	t.Helper()
	b := mustLoadMeter(t, 1000, perSecond(1, shed, func(m *meter.Meter) { m.Per, m.SpareProven = meter.Port, true }))
	b.send(t, 1, udpFrom(neighbour4, 53))
	if got := b.send(t, 1, udpFrom(neighbour4, 53)); got != 0 {
		t.Fatal("nothing is shed")
	}
	return b
}

// spared returns how many of the sources are.
func (b meterBench) spared(t *testing.T, sources []string) (n int) {
	t.Helper()
	for _, src := range sources {
		n += b.send(t, 1, udpFrom(src, 53))
	}
	return n
}

func TestANetworkFullOfCompletedHandshakesPushesOutNobodyElse(t *testing.T) {
	const each, flood = 500, 100_000 // more than the table holds
	b := sparing(t)
	var others []string
	for i := range each {
		others = append(others, netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}).String(), fmt.Sprintf("2001:db8:77:%x::1", i))
	}
	for _, src := range others {
		b.prove(t, src)
	}
	tick := time.Second * (1 << b.plane.abi.TickShift) / testHZ
	b.at(t, 5*time.Second+2*tick) // all that comes now is younger
	b.send(t, 1, udpFrom(neighbour4, 53))
	attacker := func(i int) string { return fmt.Sprintf("2001:db8:77:ffff::%x:%x", i>>16, i&0xffff) }
	for i := range flood {
		b.prove(t, attacker(i))
	}
	if got := b.spared(t, others); got != len(others) {
		t.Errorf("%d of %d proven sources are spared once a /64 has completed %d handshakes", got, len(others), flood)
	}
	var last []string
	for i := range flood {
		last = append(last, attacker(i))
	}
	if got := b.spared(t, last[flood-1:]); got != 1 {
		t.Error("the latest address of the network is not spared")
	}
	if got := b.spared(t, last); got < 16 || got > 32 {
		t.Errorf("%d addresses of the network are spared, want about 32", got)
	}
}

func TestAnAddressProvesOnlyItself(t *testing.T) {
	b := sparing(t)
	b.prove(t, offender4)
	b.prove(t, offender6)
	if got := b.spared(t, []string{offender4, offender6}); got != 2 {
		t.Errorf("%d of 2 proven sources are spared", got)
	}
	if got := b.spared(t, []string{neighbour4, "2001:db8:5::6", "2001:db8:5:1::5"}); got != 0 {
		t.Errorf("%d neighbours of proven sources are spared, want none", got)
	}
}

func TestAFewAddressesOfANetworkAreKnownTogether(t *testing.T) {
	b := sparing(t)
	for _, net := range []string{"2001:db8:1:1::%x", "2001:db8:1:2::%x", "2001:db8:1:3::%x"} {
		var few []string
		for i := range 4 {
			few = append(few, fmt.Sprintf(net, i+1))
			b.prove(t, few[i])
			b.prove(t, few[i]) // once more takes no other slot
		}
		if got := b.spared(t, few); got != len(few) {
			t.Errorf("%d of %d clients of a network are spared", got, len(few))
		}
	}
}
