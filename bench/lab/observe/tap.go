package observe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Tap counts, per source, the packets that arrive in the network stack on one interface, and notes when
// new connections do. Native XDP runs before it: a packet that XDP drops never gets here.
type Tap struct {
	fd    int
	group netip.Prefix
	done  chan struct{}

	mu      sync.Mutex
	closing bool
	sources map[netip.Addr]*arrivals
}

type arrivals struct {
	before uint64
	after  uint64
	from   time.Time // zero: not banned yet
	syns   []time.Time
}

// maxSYNs bounds what is noted of one source.
const maxSYNs = 1 << 18

// tapBuffer holds a flood's packets while the reader waits for its turn on a busy CPU.
const tapBuffer = 16 << 20

// stamps asks for the time at which the stack received a packet. SO_TIMESTAMP would do the same, and
// for a packet that came before the kernel had switched stamping on, a few milliseconds after the
// socket was opened, give the time of the reading instead.
const stamps = unix.SOF_TIMESTAMPING_RX_SOFTWARE | unix.SOF_TIMESTAMPING_SOFTWARE

// OpenTap opens a tap on an interface of the calling thread's network namespace. The sources of group
// count as one, under its first address.
func OpenTap(ifname string, group netip.Prefix) (*Tap, error) {
	fail := func(err error) (*Tap, error) { return nil, fmt.Errorf("watch packets on %s: %w", ifname, err) }
	link, err := net.InterfaceByName(ifname)
	if err != nil {
		return fail(err)
	}
	// Protocol 0 keeps the socket silent until it is bound to its interface.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fail(err)
	}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, tapBuffer),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING, stamps),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 50_000}),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_ALL), Ifindex: link.Index}),
	)
	if err != nil {
		_ = unix.Close(fd)
		return fail(err)
	}
	t := &Tap{fd: fd, group: group.Masked(), done: make(chan struct{}), sources: map[netip.Addr]*arrivals{}}
	go t.runRead()
	return t, nil
}

// runRead owns the socket; it returns when Close asks for it.
func (t *Tap) runRead() {
	defer close(t.done)
	packet, control := make([]byte, 64), make([]byte, 128)
	for !t.isClosing() {
		n, cn, _, from, err := unix.Recvmsg(t.fd, packet, control, 0)
		if err != nil {
			continue // the timeout that lets Close in, or a signal
		}
		link, ok := from.(*unix.SockaddrLinklayer)
		if !ok || link.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		src, syn, ok := inspect(networkOrder(link.Protocol), packet[:n])
		if !ok {
			continue
		}
		if t.group.Contains(src) {
			src = t.group.Addr()
		}
		t.count(src, syn, stamp(control[:cn]))
	}
}

func (t *Tap) isClosing() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.closing
}

// count files one packet. One read before its source's ban was announced has an older timestamp
// than the announcement, so it needs no second look.
func (t *Tap) count(src netip.Addr, syn bool, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.entry(src)
	if syn && len(a.syns) < maxSYNs {
		a.syns = append(a.syns, at)
	}
	if a.from.IsZero() || !at.After(a.from) {
		a.before++
		return
	}
	a.after++
}

func (t *Tap) entry(src netip.Addr) *arrivals {
	a := t.sources[src]
	if a == nil {
		a = &arrivals{}
		t.sources[src] = a
	}
	return a
}

// Banned says that a source is banned from now on: packets stamped later are leaks. The clock is
// read under the lock, so that no packet is counted between.
func (t *Tap) Banned(src netip.Addr, now func() time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.entry(src).from = now()
}

// Arrived returns how many packets of a source arrived before its ban and after it.
func (t *Tap) Arrived(src netip.Addr) (before, after uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.entry(src)
	return a.before, a.after
}

// SYNs returns when the stack received new connections of a source, in order.
func (t *Tap) SYNs(src netip.Addr) []time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.entry(src).syns)
}

// Lost returns the packets that the tap was too slow to count since the last call.
func (t *Tap) Lost() (uint32, error) {
	st, err := unix.GetsockoptTpacketStats(t.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return 0, fmt.Errorf("read packet socket statistics: %w", err)
	}
	return st.Drops, nil
}

// Close ends the tap.
func (t *Tap) Close() error {
	t.mu.Lock()
	t.closing = true
	t.mu.Unlock()
	<-t.done
	return unix.Close(t.fd)
}

// inspect reads the source address of an IP packet, and whether it is a TCP SYN without ACK.
func inspect(proto uint16, packet []byte) (src netip.Addr, syn, ok bool) {
	const tcp, flags, flagSYN, flagACK = 6, 13, 0x02, 0x10
	var next byte
	var header int
	switch {
	case proto == unix.ETH_P_IP && len(packet) >= 20:
		src, next, header = netip.AddrFrom4([4]byte(packet[12:16])), packet[9], int(packet[0]&0xf)*4
	case proto == unix.ETH_P_IPV6 && len(packet) >= 40:
		src, next, header = netip.AddrFrom16([16]byte(packet[8:24])), packet[6], 40
	default:
		return netip.Addr{}, false, false
	}
	if next == tcp && len(packet) > header+flags {
		syn = packet[header+flags]&(flagSYN|flagACK) == flagSYN
	}
	return src, syn, true
}

// stamp reads the kernel's timestamp; without one the packet is from the tap's first moments and
// counts as the oldest.
func stamp(control []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return time.Time{}
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPING && len(m.Data) >= 16 {
			return time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:])))
		}
	}
	return time.Time{}
}

func networkOrder(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}
