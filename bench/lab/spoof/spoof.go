// Package spoof floods a link with SYNs whose source addresses are made up, as a botnet or a single
// host behind a careless provider does. Frames go out on one interface of a network namespace, past
// the sender's own stack.
package spoof

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"gabion/bench/packet"
)

// Flood is a number of frames that are sent in turn, from a new source each.
type Flood struct {
	frames [][]byte
}

// New builds one SYN from each of the first n addresses of an IPv4 network to the target. gateway is
// the hardware address that the frames are for. It panics when the network has not so many addresses:
// that is a programming error.
func New(sources netip.Prefix, n int, target netip.AddrPort, gateway net.HardwareAddr) *Flood {
	if !sources.Addr().Is4() || n > 1<<(32-sources.Bits()) {
		panic(fmt.Sprintf("%d sources of %s", n, sources))
	}
	base := binary.BigEndian.Uint32(sources.Masked().Addr().AsSlice())
	f := &Flood{frames: make([][]byte, n)}
	for i := range f.frames {
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], base+uint32(i))
		from := netip.AddrPortFrom(netip.AddrFrom4(a), uint16(1024+i%60000))
		f.frames[i] = packet.TCP(from, target, packet.SYN)
		copy(f.frames[i], gateway)
	}
	return f
}

// Result is what a flood sent.
type Result struct {
	Sent    uint64
	Refused uint64 // frames that the link had no room for
	Took    time.Duration
}

// tick is how often the sender catches up with its rate: often enough that nobody's queue is filled
// by one burst.
const tick = time.Millisecond

// Send sends the frames in turn for a while, so many per second or as many as it can, on an interface
// of the calling thread's network namespace. It ends early, without an error, when ctx does.
func (f *Flood) Send(ctx context.Context, ifname string, rate int, during time.Duration, now func() time.Time) (Result, error) {
	var r Result
	fd, err := open(ifname)
	if err != nil {
		return r, fmt.Errorf("send packets on %s: %w", ifname, err)
	}
	defer unix.Close(fd)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	began := now()
	for next := 0; ; {
		r.Took = now().Sub(began)
		if r.Took >= during || ctx.Err() != nil {
			return r, nil
		}
		for due := int(r.Took.Seconds() * float64(rate)); next < due; next++ {
			_, err := unix.Write(fd, f.frames[next%len(f.frames)])
			switch {
			case err == nil:
				r.Sent++
			case errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.EAGAIN):
				r.Refused++
			default:
				return r, fmt.Errorf("send packets on %s: %w", ifname, err)
			}
			if next%256 == 255 && now().Sub(began) >= during {
				break // the rate is more than this machine can send
			}
		}
		<-ticker.C
	}
}

// open returns a packet socket that only sends, straight to the driver.
func open(ifname string) (int, error) {
	link, err := net.InterfaceByName(ifname)
	if err != nil {
		return -1, err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1),
		unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: link.Index}),
	)
	if err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}
