package loader

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"gabion/loader/model"
	"gabion/userspace/decision"
)

// The tests here run whole frames through the programs that are shipped, on both hooks.

// Answers of the tc program (TC_ACT_*).
const (
	tcShot        = 2
	tcUnspecified = ^uint32(0)
)

// cutBehind is up to how many bytes behind its source a frame is cut: longer headers hold nothing new.
const cutBehind = 256

// hook is one of the two programs and its answers.
type hook struct {
	name       string
	prog       *ebpf.Program
	pass, drop uint32
	packetBuf  bool // the kernel makes a packet buffer of the frame first
}

// takes says whether the kernel runs the hook's program on a frame. No packet buffer is made of nothing
// behind the Ethernet header, nor, in a test run, of part of an IP header there.
func (h hook) takes(frame []byte) bool {
	if !h.packetBuf {
		return len(frame) >= minFrame
	}
	switch binary.BigEndian.Uint16(frame[minFrame-2:]) {
	case ethIPv4:
		return len(frame) >= v4Known
	case ethIPv6:
		return len(frame) >= v6Known
	}
	return len(frame) > minFrame
}

func hooks(p *Plane) []hook {
	out := []hook{
		{"XDP", p.xdp, xdpPass, xdpDrop, false},
		{"tc", p.tc, tcUnspecified, tcShot, true},
	}
	if p.jumbo != nil {
		out = append(out, hook{"XDP for jumbo frames", p.jumbo, xdpPass, xdpDrop, false})
	}
	return out
}

// seen is what a counter of the kernel stands for.
type seen struct {
	Outcome model.Outcome
	Family  string // "ipv4", "ipv6", or "" when the frame has no source
}

// outcomeCounters names the kernel's outcome counters in their order.
func outcomeCounters() []seen {
	var out []seen
	for _, c := range (Stats{}).Counters() {
		switch c.Name {
		case "received", "received_bytes":
			continue
		}
		out = append(out, seen{model.Outcome(c.Name), c.Family})
		if c.Name == string(model.TooManyTags) {
			break
		}
	}
	return out
}

// mustSee runs a frame through a hook and returns the outcome that was counted; the counters and the
// program's answer must agree.
func mustSee(t testing.TB, p *Plane, h hook, frame []byte) seen {
	t.Helper()
	before := mustStats(t, p)
	answer := mustRun(t, h.prog, frame)
	after := mustStats(t, p)
	after.add(before, -1)
	var got seen
	var outcomes uint64
	for _, c := range after.Counters()[2:][:len(outcomeCounters())] {
		if c.Value > 0 {
			got, outcomes = seen{model.Outcome(c.Name), c.Family}, outcomes+c.Value
		}
	}
	want, dropped := h.pass, uint64(0)
	if got.Outcome.Drops() {
		want, dropped = h.drop, uint64(len(frame))
	}
	if outcomes != 1 || after.Received != 1 || after.ReceivedBytes != uint64(len(frame)) || after.DroppedBytes != dropped {
		t.Fatalf("one packet of %d bytes through %s counted as %+v", len(frame), h.name, after)
	}
	if answer != want {
		t.Fatalf("%s answered %#x to a packet counted as %s", h.name, answer, got.Outcome)
	}
	return got
}

// treatment is a way to be treated, and a source of each family that is treated so by treated.
type treatment struct {
	name    string
	v4, v6  string
	outcome model.Outcome
}

func (tr treatment) source(family int) string {
	if family == 6 {
		return tr.v6
	}
	return tr.v4
}

func treatments() []treatment {
	return []treatment{
		{"clean", "203.0.113.9", "2001:db8:9::1", model.Passed},
		{"banned", "192.0.2.1", "2001:db8:2::1", model.Dropped},
		{"in a banned prefix", "198.51.100.200", "2001:db8:1::1", model.Dropped},
		{"in shadow", "192.0.2.2", "2001:db8:2::2", model.Shadowed},
		{"of a class that is off", "192.0.2.3", "2001:db8:2::3", model.Disabled},
		{"of a ban that is over", "192.0.2.4", "2001:db8:2::4", model.Expired},
		{"banned and allowed", "192.0.2.5", "2001:db8:2::5", model.Allowed},
	}
}

// mustTreat opens a plane that treats sources as treatments says.
func mustTreat(t testing.TB) *Plane {
	t.Helper()
	p := mustOpen(t, small(pinDir(t)))
	past := time.Now().Add(-time.Minute)
	const off = decision.ClassFirstList // lists start switched off
	mustBan(t, p, ban("198.51.100.0/24", decision.ClassBan, inAnHour()), ban("2001:db8:1::/48", decision.ClassBan, inAnHour()))
	for _, host := range []string{"192.0.2.%d/32", "2001:db8:2::%d/128"} {
		mustBan(t, p,
			ban(fmt.Sprintf(host, 1), decision.ClassBan, inAnHour()),
			ban(fmt.Sprintf(host, 2), decision.ClassShadow, inAnHour()),
			ban(fmt.Sprintf(host, 3), off, inAnHour()),
			ban(fmt.Sprintf(host, 4), decision.ClassBan, past),
			ban(fmt.Sprintf(host, 5), decision.ClassBan, inAnHour()))
		mustAllow(t, p, fmt.Sprintf(host, 5), fmt.Sprintf(host, 9))
	}
	return p
}

// fate says what becomes of the first n bytes of a shape whose source is treated so.
func (tr treatment) fate(s shape, n int) seen {
	switch {
	case n < s.known:
		return seen{Outcome: model.Truncated}
	case s.outcome != "":
		return seen{Outcome: s.outcome}
	}
	return seen{tr.outcome, fmt.Sprintf("ipv%d", s.family)}
}

// Inside each shape there are addresses that nobody banned: only the outermost source counts.
func TestEveryKindOfPacketIsJudgedByItsOuterSource(t *testing.T) {
	p := mustTreat(t)
	counted := map[seen]bool{}
	for _, s := range traffic() {
		for _, tr := range treatments() {
			for _, h := range hooks(p) {
				whole := s.from(tr.source(s.family))
				want := tr.fate(s, len(whole))
				if got := mustSee(t, p, h, whole); got != want {
					t.Errorf("%s from a source that is %s: %s counted %v, want %v", s.name, tr.name, h.name, got, want)
				}
				counted[want] = true
			}
		}
	}
	for _, c := range outcomeCounters() {
		if c.Outcome != model.Truncated && c.Outcome != "shed" && !counted[c] { // no meter is in force
			t.Errorf("no packet of this test raises the counter %v", c)
		}
	}
}

// An inner header that names a banned source must not matter.
func TestABannedAddressInsideATunnelDropsNothing(t *testing.T) {
	p := mustTreat(t)
	segment := synSegment()
	for _, tt := range []struct {
		name  string
		frame []byte
	}{
		{"IPv4 in IPv4", frame(eth(ethIPv4), ipv4("203.0.113.9", protoIPIP, 0), ipv4("192.0.2.1", protoTCP, 0), segment)},
		{"GRE", frame(eth(ethIPv4), ipv4("203.0.113.9", protoGRE, 0), []byte{0, 0, 8, 0}, ipv4("192.0.2.1", protoTCP, 0), segment)},
		{"VXLAN", frame(eth(ethIPv6), ipv6("2001:db8:9::1", protoUDP), udp(50000, 4789), []byte{8, 0, 0, 0, 0, 0, 1, 0},
			eth(ethIPv6), ipv6("2001:db8:2::1", protoTCP), segment)},
		{"a banned destination", frame(eth(ethIPv4), ipv4("203.0.113.9", protoTCP, 0)[:16], []byte{192, 0, 2, 1}, segment)},
	} {
		for _, h := range hooks(p) {
			if got := mustSee(t, p, h, tt.frame); got.Outcome != model.Passed {
				t.Errorf("%s: %s counted %v, want passed", tt.name, h.name, got)
			}
		}
	}
}

func TestAFrameCutAtAnyByteIsJudgedOnceItsSourceIsThere(t *testing.T) {
	p := mustTreat(t)
	for _, s := range traffic() {
		for _, tr := range treatments()[:2] {
			whole := s.from(tr.source(s.family))
			for n := minFrame; n <= min(len(whole), s.known+cutBehind); n++ {
				want := tr.fate(s, n)
				for _, h := range hooks(p) {
					if !h.takes(whole[:n]) {
						continue
					}
					if got := mustSee(t, p, h, whole[:n]); got != want {
						t.Errorf("%d of %d bytes of %s from a source that is %s: %s counted %v, want %v", n, len(whole), s.name, tr.name, h.name, got, want)
					}
				}
			}
		}
	}
}

// Jumbo frames reach an XDP program in several buffers, of which it sees the first. They are judged,
// and counted with all their bytes, like any other.
func TestJumboFramesAreJudgedAndCountedWhole(t *testing.T) {
	p := mustTreat(t)
	if p.jumbo == nil {
		t.Skip("SKIPPED: needs XDP programs that take frames of several buffers (kernel 5.18)")
	}
	jumbo := hooks(p)[2]
	for _, s := range traffic() {
		for _, tr := range treatments() {
			for _, size := range []int{1514, 4096, 9018, 64 << 10} {
				whole := s.from(tr.source(s.family))
				if len(whole) >= size {
					continue // it has a header of its own this long
				}
				whole = append(whole, make([]byte, size-len(whole))...)
				want := tr.fate(s, size)
				if got := mustSee(t, p, jumbo, whole); got != want {
					t.Errorf("%d bytes of %s from a source that is %s counted %v, want %v", size, s.name, tr.name, got, want)
				}
			}
		}
	}
}
