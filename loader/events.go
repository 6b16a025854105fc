package loader

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/cilium/ebpf/ringbuf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"gabion/userspace/meter"
)

// Event says that a key of a meter is above its limit. There is at most one per key and window; for a
// meter of new connections per source there may be two, when a burst is proven real after the first.
type Event struct {
	Time        time.Time
	Meter       string       // name
	Source      netip.Addr   // with a meter per source; else the zero Addr, since nobody in particular is to blame
	Prefix      netip.Prefix // the key: of one source, or of its network; the zero Prefix with a meter per port
	Count       uint64       // units so far in this window; distinct ports are estimated
	Limit       uint64
	Window      time.Duration
	Interface   string // empty when it is gone
	Protocol    string // "tcp", "udp" or "icmp", of either version; else empty: of the packet that led to the event
	DstPort     uint16 // likewise; 0 when it has none
	Established bool   // false: too few of its handshakes were completed, its address may be forged: never ban it
}

// RunEvents hands each event to handle until ctx is done, and returns nil then. Events wait in the
// kernel while handle is busy, or no daemon runs; when the buffer is full they are counted as
// EventsFull and tried again. There must be only one reader.
func (p *Plane) RunEvents(ctx context.Context, handle func(Event)) error {
	if err := p.writable(); err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	r, err := ringbuf.NewReader(p.maps.Events)
	if err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	defer r.Close()
	// Closing is what makes a blocked Read return.
	stop := context.AfterFunc(ctx, func() { r.Close() })
	defer stop()
	var (
		rec    ringbuf.Record
		names  = interfaceNames{}
		meters = meterNames{plane: p}
	)
	for {
		err := r.ReadInto(&rec)
		if ctx.Err() != nil || errors.Is(err, os.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read events: %w", err)
		}
		e, err := parseEvent(rec.RawSample)
		if err != nil {
			return fmt.Errorf("read events: %w", err)
		}
		name, err := meters.lookup(e.Meter)
		if err != nil {
			return fmt.Errorf("read events: %w", err)
		}
		if name == "" {
			p.log.Debug("event of a meter that is gone left out", "meter", e.Meter)
			continue
		}
		ev := eventOf(&e)
		ev.Time, ev.Meter, ev.Interface = p.clock.wallTime(e.Time), name, names.lookup(int(e.Ifindex))
		handle(ev)
	}
}

func parseEvent(raw []byte) (bpfMeterEvent, error) {
	var e bpfMeterEvent
	if _, err := binary.Decode(raw, binary.NativeEndian, &e); err != nil {
		return e, fmt.Errorf("decode event of %d bytes: %w", len(raw), err)
	}
	return e, nil
}

// eventOf translates what needs no names and no clock.
func eventOf(e *bpfMeterEvent) Event {
	src := netip.AddrFrom16(e.Source).Unmap()
	ev := Event{
		Count: uint64(e.Count), Limit: e.Limit, Window: time.Duration(e.Window), DstPort: e.DstPort,
		Established: e.Established == 1,
	}
	switch e.Protocol {
	case unix.IPPROTO_TCP:
		ev.Protocol = meter.TCP.String()
	case unix.IPPROTO_UDP:
		ev.Protocol = meter.UDP.String()
	case unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6:
		ev.Protocol = meter.ICMP.String()
	}
	switch bpfMeterUnit(e.Unit) {
	case bpfMeterUnitUNIT_BYTES:
		ev.Count <<= e.Shift
	case bpfMeterUnitUNIT_PORTS:
		ev.Count = portsOfBits(ev.Count)
	}
	if e.Prefixlen == 0 {
		return ev
	}
	ev.Prefix, _ = src.Prefix(int(e.Prefixlen)) // the kernel writes 24, 32, 64 or 128
	if ev.Prefix.IsSingleIP() {
		ev.Source = src
	}
	return ev
}

// meterNames knows the names of the meters in force, and of those before: events may wait in the ring
// while meters change.
type meterNames struct {
	plane *Plane
	names map[uint32]string
}

// lookup returns the name of the meter with an id, "" when it is gone.
func (n *meterNames) lookup(id uint32) (string, error) {
	if name, ok := n.names[id]; ok {
		return name, nil
	}
	n.names = map[uint32]string{}
	for i := range uint32(2 * meterPlaces) {
		var k bpfMeter
		if err := n.plane.maps.Meters.Lookup(i, &k); err != nil {
			return "", fmt.Errorf("read meter: %w", err)
		}
		n.names[k.Id] = nameOf(&k)
	}
	return n.names[id], nil
}

// interfaceNames remembers names by interface number. Numbers are not reused while a machine runs, and
// a renamed interface only shows its old name in events.
type interfaceNames map[int]string

func (n interfaceNames) lookup(ifindex int) string {
	name, ok := n[ifindex]
	if ok {
		return name
	}
	l, err := netlink.LinkByIndex(ifindex)
	if err != nil {
		return ""
	}
	n[ifindex] = l.Attrs().Name
	return n[ifindex]
}
