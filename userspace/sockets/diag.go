// Package sockets closes the TCP connections of banned sources.
//
// A ban drops what a source sends, and its connections stay all the same: in the kernel's tables, and
// with the worker of a server that waits for it, until a time limit ends them. A Closer ends them at
// once, through the kernel's sock_diag: whoever reads or writes such a socket gets ECONNABORTED. It
// reaches the sockets of one network namespace, and no other.
package sockets

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// Why the kernel cannot do what a Closer needs, and what to do about it.
var (
	ErrNoDiag    = errors.New("the kernel does not list TCP connections: modprobe tcp_diag")
	ErrNoDestroy = errors.New("the kernel closes no connections of others: use one with CONFIG_INET_DIAG_DESTROY")
)

// errGone says that a socket is not there any more.
var errGone = errors.New("no such socket")

// Socket is a TCP connection that is established, half open or being closed.
type Socket struct {
	Remote netip.Addr // IPv4 also where the socket is one of IPv6; without zone

	family uint8
	// id is the kernel's struct inet_diag_sockid as it came. With its cookie it names this socket, and
	// never one that takes the same addresses and ports later.
	id [idSize]byte
}

// Diag is a connection to the sock_diag of the network namespace that Open was called in. It belongs to
// one goroutine.
//
// (The SocketDestroy of github.com/vishvananda/netlink knows neither IPv6 nor cookies, and its listing
// keeps every socket of the machine in memory.)
type Diag struct {
	fd  int
	seq uint32
	buf [1 << 15]byte // the kernel fills as much at a time
}

// timeout bounds every wait for the kernel, which answers at once.
const timeout = 5 // seconds

// Open connects to the kernel. Close must be called.
func Open() (*Diag, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if errors.Is(err, unix.EPROTONOSUPPORT) {
		return nil, ErrNoDiag
	}
	if err != nil {
		return nil, fmt.Errorf("open sock_diag: %w", err)
	}
	limit := unix.Timeval{Sec: timeout}
	err = errors.Join(
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit),
		unix.Connect(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}), // hear the kernel only
	)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open sock_diag: %w", err), unix.Close(fd))
	}
	return &Diag{fd: fd}, nil
}

// Close ends the connection.
func (d *Diag) Close() error { return unix.Close(d.fd) }

// Connections calls visit for the TCP connections whose remote address lies in one of the prefixes,
// and perhaps for others: with many prefixes the kernel would take longer to choose than the caller.
// Prefixes are masked; one of IPv4 stands for its IPv4-mapped form too. When visit returns false the
// rest is left out.
func (d *Diag) Connections(within []netip.Prefix, visit func(Socket) bool) error {
	if slices.ContainsFunc(within, func(p netip.Prefix) bool { return p.Addr().Is4() }) {
		if more, err := d.list(unix.AF_INET, within, visit); err != nil || !more {
			return err
		}
	}
	_, err := d.list(unix.AF_INET6, within, visit) // such a socket may talk to an IPv4 address
	return err
}

// list goes through the connections of one family. It reports whether visit wants more.
func (d *Diag) list(family uint8, within []netip.Prefix, visit func(Socket) bool) (more bool, err error) {
	if len(within) > maxFilter {
		within = nil
	}
	if err := d.send(listRequest(family, connected(), within)); err != nil {
		return false, err
	}
	more = true
	err = d.receive(func(payload []byte) bool {
		if s, ok := parseSocket(payload); ok {
			more = visit(s)
		}
		return more
	})
	return more, err
}

// Destroy closes a socket. What reads or writes it gets ECONNABORTED, and the remote end a reset.
func (d *Diag) Destroy(s Socket) error {
	if err := d.send(destroyRequest(s)); err != nil {
		return err
	}
	err := d.receive(func([]byte) bool { return true })
	switch {
	case errors.Is(err, unix.ENOENT):
		return errGone
	case errors.Is(err, unix.EOPNOTSUPP):
		return ErrNoDestroy
	}
	return err
}

// send numbers a request and sends it.
func (d *Diag) send(msg []byte) error {
	d.seq++
	binary.NativeEndian.PutUint32(msg[8:], d.seq)
	for {
		_, err := unix.Write(d.fd, msg)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("ask sock_diag: %w", err)
		}
		return nil
	}
}

// receive reads the answers to the last request, up to where the kernel says that there are no more or
// what is wrong, and hands them over until visit returns false.
func (d *Diag) receive(visit func(payload []byte) bool) error {
	for wanted := true; ; {
		n, err := unix.Read(d.fd, d.buf[:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("read from sock_diag: %w", err)
		}
		for msg := d.buf[:n]; len(msg) > 0; {
			h, payload, rest, err := cut(msg)
			if err != nil {
				return err
			}
			msg = rest
			switch {
			case h.seq != d.seq:
			case h.kind == unix.NLMSG_DONE, h.kind == unix.NLMSG_ERROR:
				return verdict(payload)
			case wanted:
				wanted = visit(payload)
			}
		}
	}
}

// Probe says why connections cannot be closed here: with ErrNoDiag or ErrNoDestroy, or with whatever
// else stands in the way. It is nil when they can. It closes none.
func Probe() error {
	d, err := Open()
	if err != nil {
		return err
	}
	defer d.Close()
	// No state: the kernel looks who lists connections, and at none of them. Where nobody does, a
	// socket cannot be closed for the same reason as one that is not there.
	if err := d.send(listRequest(unix.AF_INET, 0, nil)); err != nil {
		return err
	}
	if err := d.receive(func([]byte) bool { return true }); err != nil {
		if errors.Is(err, unix.ENOENT) {
			return ErrNoDiag
		}
		return err
	}
	// No socket has port 0.
	if err := d.Destroy(Socket{family: unix.AF_INET}); !errors.Is(err, errGone) {
		return err
	}
	return nil
}
