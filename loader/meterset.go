package loader

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"strings"
	"time"

	"gabion/userspace/meter"
)

// Sizes of the kernel's tables (bpf/gabion.h); a test compares.
const (
	meterPlaces = 16
	meterLines  = 4096
	meterSlots  = 8
	scanPlaces  = 4
	scanLines   = 512
	sketchBits  = 512
	maxUnits    = 1 << 27 // half of what a slot can count
	leastShift  = 4       // of bytes
	maxScan     = 1500    // ports; beyond it the sketch is too full to tell
)

// noMeter is a place without a meter: these marks no packet has.
const noMeter = math.MaxUint32

// meterSet is what the kernel has in one half of its places, and what shows it.
type meterSet struct {
	view   bpfMeterView
	places [meterPlaces]bpfMeter
}

// newMeterSet compiles meters. One that old has as well, unchanged in everything, keeps its place, and
// with it its counts.
func newMeterSet(meters []*meter.Meter, hz uint64, old *meterSet) (*meterSet, error) {
	s := &meterSet{view: bpfMeterView{Flags: ^old.view.Flags & uint8(bpfMeterFlagMETERS_HALF)}}
	for i := range s.places {
		s.places[i].Marks = noMeter
	}
	if len(meters) > meterPlaces {
		return nil, fmt.Errorf("%d meters: the kernel runs at most %d", len(meters), meterPlaces)
	}
	var fresh []bpfMeter
	names := map[string]bool{}
	var scans [scanPlaces]bool
	for _, m := range meters {
		k, err := compileMeter(m, hz)
		if err == nil && names[m.Name] {
			err = errors.New("there are two of that name")
		}
		if err != nil {
			return nil, fmt.Errorf("meter %s: %w", m.Name, err)
		}
		names[m.Name] = true
		at := old.find(k.Id)
		if at < 0 {
			fresh = append(fresh, k)
			continue
		}
		s.places[at] = old.places[at]
		if k.Unit == uint8(bpfMeterUnitUNIT_PORTS) {
			scans[old.places[at].Sketch/(scanLines*meterSlots)] = true
		}
	}
	for _, k := range fresh {
		if err := s.add(k, &scans); err != nil {
			return nil, fmt.Errorf("meter %s: %w", nameOf(&k), err)
		}
	}
	s.show()
	return s, nil
}

// find returns the place of the meter with an id, -1 when it has none.
func (s *meterSet) find(id uint32) int {
	for i := range s.places {
		if s.places[i].Marks != noMeter && s.places[i].Id == id && id != 0 {
			return i
		}
	}
	return -1
}

// add gives a meter the first free place and, when it counts ports, the first free sketches.
func (s *meterSet) add(k bpfMeter, scans *[scanPlaces]bool) error {
	if k.Unit == uint8(bpfMeterUnitUNIT_PORTS) {
		i := 0
		for i < scanPlaces && scans[i] {
			i++
		}
		if i == scanPlaces {
			return fmt.Errorf("the kernel has room for %d meters that count ports", scanPlaces)
		}
		scans[i] = true
		k.Sketch = uint32(i * scanLines * meterSlots)
	}
	for i := range s.places {
		if s.places[i].Marks == noMeter {
			s.places[i] = k
			return nil
		}
	}
	return errors.New("no place left") // there are as many as meters
}

// show fills in the view.
func (s *meterSet) show() {
	const idle = bpfMeterFlagMETERS_NO_UDP | bpfMeterFlagMETERS_NO_SEGMENTS
	s.view.Flags |= uint8(idle)
	for i := range s.places {
		k := &s.places[i]
		if k.Marks == noMeter {
			continue
		}
		s.view.Count = uint8(i + 1)
		o := optionsOf(k)
		for _, f := range []struct {
			set  bool
			bits *uint16
		}{{o.shed, &s.view.Shed}, {o.spare, &s.view.Spare}, {o.proof, &s.view.Proof}} {
			if f.set {
				*f.bits |= 1 << i
			}
		}
		if o.answer {
			s.view.Flags |= uint8(bpfMeterFlagMETERS_ANSWERS)
			continue
		}
		if k.Marks&uint32(bpfMarkMARK_TCP|bpfMarkMARK_ICMP) == 0 {
			s.view.Flags &^= uint8(bpfMeterFlagMETERS_NO_UDP)
		}
		if k.Marks&uint32(bpfMarkMARK_UDP|bpfMarkMARK_ICMP|bpfMark(meter.SYN)) == 0 {
			s.view.Flags &^= uint8(bpfMeterFlagMETERS_NO_SEGMENTS)
		}
	}
}

// compileMeter translates a meter, without a place and sketches.
func compileMeter(m *meter.Meter, hz uint64) (bpfMeter, error) {
	k := bpfMeter{WindowNs: uint64(m.Window), Wanted: m.Limit, Lines: meterLines - 1, Unit: uint8(m.Count)}
	if m.Name == "" || len(m.Name) >= len(k.Name) {
		return k, fmt.Errorf("a name has 1 to %d bytes", len(k.Name)-1)
	}
	for i, c := range []byte(m.Name) {
		k.Name[i] = int8(c)
	}
	if m.Window < time.Millisecond || m.Window > 24*time.Hour {
		return k, fmt.Errorf("a window of %s: it must be between 1ms and 24h", m.Window)
	}
	k.Window = uint32(max(1, math.Round(m.Window.Seconds()*float64(hz))))
	for _, step := range []func(*bpfMeter, *meter.Meter) error{
		compileMatch, compilePorts, compileLimit, compileKey, compileOptions,
	} {
		if err := step(&k, m); err != nil {
			return k, err
		}
	}
	k.Id = idOf(&k)
	return k, nil
}

// compileMatch makes the marks to compare.
func compileMatch(k *bpfMeter, m *meter.Meter) error {
	match := &m.Match
	want := func(mark bpfMark) { k.Mask |= uint32(mark); k.Marks |= uint32(mark) }
	not := func(mark bpfMark) { k.Mask |= uint32(mark) }
	switch match.Protocol {
	case meter.Any:
	case meter.TCP:
		want(bpfMarkMARK_TCP)
	case meter.UDP:
		want(bpfMarkMARK_UDP)
	case meter.ICMP:
		want(bpfMarkMARK_ICMP)
	default:
		return fmt.Errorf("unknown protocol %d", match.Protocol)
	}
	switch match.Answer {
	case meter.None:
		not(bpfMarkMARK_CLOSED | bpfMarkMARK_HALF_OPEN)
	case meter.Closed:
		want(bpfMarkMARK_CLOSED)
	case meter.HalfOpen:
		want(bpfMarkMARK_HALF_OPEN)
	default:
		return fmt.Errorf("unknown answer %d", match.Answer)
	}
	if match.Answer == meter.None {
		set, clear := match.Flags, match.NoFlags
		if m.Count == meter.Connections {
			set, clear = set|meter.SYN, clear|meter.ACK
			want(bpfMarkMARK_TCP)
		}
		if set&clear != 0 {
			return errors.New("a TCP flag must be set and clear: nothing matches")
		}
		if set|clear != 0 {
			want(bpfMarkMARK_HEADER | bpfMarkMARK_TCP | bpfMark(set))
			not(bpfMark(clear))
		}
	}
	return nil
}

// compilePorts makes the ranges of ports and the ICMP types.
func compilePorts(k *bpfMeter, m *meter.Meter) error {
	match := &m.Match
	if len(match.Ports) > len(k.Port) || len(match.ICMPTypes) > len(k.Types) {
		return fmt.Errorf("at most %d ranges of ports and %d ICMP types", len(k.Port), len(k.Types))
	}
	k.Port[0].Span = math.MaxUint16
	for i := range k.Port {
		k.Port[i] = k.Port[0]
		if len(match.Ports) == 0 {
			continue
		}
		r := match.Ports[min(i, len(match.Ports)-1)]
		if r.First > r.Last {
			return fmt.Errorf("ports from %d to %d: the first must not be above the last", r.First, r.Last)
		}
		k.Port[i].First, k.Port[i].Span = r.First, r.Last-r.First
	}
	if len(match.Ports) > 0 || m.Count == meter.Ports || m.Per == meter.Port {
		if match.Protocol == meter.ICMP {
			return errors.New("ICMP has no ports")
		}
		k.Mask |= uint32(bpfMarkMARK_HEADER | bpfMarkMARK_ICMP)
		k.Marks |= uint32(bpfMarkMARK_HEADER)
	}
	if len(match.ICMPTypes) == 0 {
		return nil
	}
	if match.Protocol != meter.ICMP {
		return errors.New("ICMP types need the protocol ICMP")
	}
	for i := range k.Types {
		k.Types[i] = match.ICMPTypes[min(i, len(match.ICMPTypes)-1)]
	}
	k.Mask |= uint32(bpfMarkMARK_HEADER)
	k.Marks |= uint32(bpfMarkMARK_HEADER | bpfMarkMARK_TYPES)
	return nil
}

// compileLimit translates the limit into the units that the kernel counts.
func compileLimit(k *bpfMeter, m *meter.Meter) error {
	units := m.Limit
	switch m.Count {
	case meter.Packets, meter.Connections:
	case meter.Bytes:
		k.Shift = leastShift
		for (m.Limit-1)>>k.Shift >= maxUnits {
			k.Shift++
		}
		units = (m.Limit-1)>>k.Shift + 1
	case meter.Ports:
		if m.Limit > maxScan {
			return fmt.Errorf("a limit of %d ports: up to %d can be told apart", m.Limit, maxScan)
		}
		units = bitsOfPorts(m.Limit)
		k.Lines = scanLines - 1
	default:
		return fmt.Errorf("unknown count %d", m.Count)
	}
	if m.Limit == 0 || units > maxUnits {
		return fmt.Errorf("a limit of %d %s: it must be between 1 and %d: choose a shorter window", m.Limit, m.Count, maxUnits)
	}
	k.Limit = uint32(units)
	return nil
}

// compileKey makes the masks of the key. An IPv4 source is in ::ffff:0:0/96.
func compileKey(k *bpfMeter, m *meter.Meter) error {
	switch m.Per {
	case meter.Source:
		k.Prefixlen = [2]uint8{32, 128}
	case meter.Network:
		k.Prefixlen = [2]uint8{24, 64}
	case meter.Port:
		k.KeyPort = 0xffffff
		return nil
	default:
		return fmt.Errorf("unknown key %d", m.Per)
	}
	k.KeyHigh = math.MaxUint64
	k.KeyLow = [2]uint64{lowMask(int(k.Prefixlen[0]) + 32), lowMask(int(k.Prefixlen[1]) - 64)}
	return nil
}

// lowMask returns a mask of the first bits of 8 bytes in the order of the wire.
func lowMask(bits int) uint64 {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], ^(math.MaxUint64 >> bits))
	return binary.NativeEndian.Uint64(b[:])
}

// What is done above the limit, in meter.Prefixlen's neighbour: see optionsOf.
const (
	optionShed = 1 << iota
	optionSpare
)

func compileOptions(k *bpfMeter, m *meter.Meter) error {
	answer := m.Match.Answer != meter.None
	switch {
	case m.Shed && answer:
		return errors.New("what this machine sends is not shed")
	case m.SpareProven && (!m.Shed || m.Per == meter.Source):
		return errors.New("sparing proven sources needs shedding per network or port")
	case answer && (m.Count == meter.Bytes || m.Match.Protocol == meter.ICMP):
		return errors.New("answers are counted in packets, connections or ports, of TCP or UDP")
	}
	if m.Shed {
		k.Options |= optionShed
	}
	if m.SpareProven {
		k.Options |= optionSpare
	}
	return nil
}

// options is what the view says about a meter.
type options struct{ shed, spare, proof, answer bool }

func optionsOf(k *bpfMeter) options {
	const syn = bpfMarkMARK_TCP | bpfMarkMARK_HEADER | bpfMark(meter.SYN)
	const mask = syn | bpfMark(meter.ACK)
	return options{
		shed:  k.Options&optionShed != 0,
		spare: k.Options&optionSpare != 0,
		proof: k.Mask&uint32(mask) == uint32(mask) && k.Marks&uint32(mask) == uint32(syn) && k.Prefixlen[0] == 32 &&
			(k.Unit == uint8(bpfMeterUnitUNIT_CONNECTIONS) || k.Unit == uint8(bpfMeterUnitUNIT_PACKETS)),
		answer: k.Marks&uint32(bpfMarkMARK_CLOSED|bpfMarkMARK_HALF_OPEN) != 0,
	}
}

// idOf names a meter by everything it is, so that its counts survive a restart and no other gets them.
func idOf(k *bpfMeter) uint32 {
	h := fnv.New32a()
	_ = binary.Write(h, binary.NativeEndian, k) // a hash takes everything
	return max(h.Sum32(), 1)
}

func nameOf(k *bpfMeter) string {
	var b strings.Builder
	for _, c := range k.Name {
		if c == 0 {
			break
		}
		b.WriteByte(byte(c))
	}
	return b.String()
}

// bitsOfPorts says how many bits of a sketch so many ports set on average, portsOfBits the reverse
// (linear counting).
func bitsOfPorts(ports uint64) uint64 {
	return uint64(max(1, math.Round(sketchBits*(1-math.Exp(-float64(ports)/sketchBits)))))
}

func portsOfBits(bits uint64) uint64 {
	free := max(sketchBits-float64(bits), 0.5)
	return uint64(math.Round(sketchBits * math.Log(sketchBits/free)))
}
