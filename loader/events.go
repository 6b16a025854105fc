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
)

// ConnEvent says that a source opened more TCP connections than the limit. There is at most one per
// source and window, or two: a burst may be reported first and proven real later.
type ConnEvent struct {
	Time        time.Time
	Source      netip.Addr
	Count       uint32 // connections so far in this window
	Limit       uint32
	Window      time.Duration
	Interface   string // empty when it is gone
	DstPort     uint16
	Established bool // false: too few of its handshakes were completed, its address may be forged: never ban it
}

// RunEvents hands each event to handle until ctx is done, and returns nil then. Events wait in the
// kernel while handle is busy, or no daemon runs; when the buffer is full they are counted as
// EventsFull and tried again. There must be only one reader.
func (p *Plane) RunEvents(ctx context.Context, handle func(ConnEvent)) error {
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
		rec   ringbuf.Record
		names = interfaceNames{}
	)
	for {
		err := r.ReadInto(&rec)
		if ctx.Err() != nil || errors.Is(err, os.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read events: %w", err)
		}
		ev, err := p.decodeEvent(rec.RawSample, names)
		if err != nil {
			return fmt.Errorf("read events: %w", err)
		}
		handle(ev)
	}
}

func (p *Plane) decodeEvent(raw []byte, names interfaceNames) (ConnEvent, error) {
	var e bpfConnEvent
	if _, err := binary.Decode(raw, binary.NativeEndian, &e); err != nil {
		return ConnEvent{}, fmt.Errorf("decode event of %d bytes: %w", len(raw), err)
	}
	return ConnEvent{
		Time:        p.clock.wallTime(e.Time),
		Source:      netip.AddrFrom16(e.Source).Unmap(),
		Count:       e.Count,
		Limit:       e.Limit,
		Window:      time.Duration(e.Window),
		Interface:   names.lookup(int(e.Ifindex)),
		DstPort:     e.DstPort,
		Established: e.Established == 1,
	}, nil
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
