package sockets

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Sizes in bytes of the kernel's structs nlmsghdr, nlattr, inet_diag_sockid, inet_diag_req_v2 and
// inet_diag_msg (linux/netlink.h, linux/inet_diag.h).
const (
	headerSize  = 16
	attrSize    = 4
	idSize      = 48
	requestSize = 8 + idSize
	answerSize  = 4 + idSize + 20
)

// remoteOffset is where the remote address begins in inet_diag_sockid, behind two ports and the local one.
const remoteOffset = 20

// timerTimeWait is the timer of a connection that is over and of which only the name is left. It shows
// with the state it was in before.
const timerTimeWait = 3

// maxFilter is how many prefixes the kernel is asked to choose by: it compares one after the other.
const maxFilter = 32

// connected returns the states that a Closer is after, as bits: all but listening, over and closed.
func connected() uint32 {
	return 1<<unix.BPF_TCP_ESTABLISHED | 1<<unix.BPF_TCP_SYN_SENT | 1<<unix.BPF_TCP_SYN_RECV | 1<<unix.BPF_TCP_NEW_SYN_RECV |
		1<<unix.BPF_TCP_FIN_WAIT1 | 1<<unix.BPF_TCP_FIN_WAIT2 | 1<<unix.BPF_TCP_CLOSE_WAIT | 1<<unix.BPF_TCP_LAST_ACK | 1<<unix.BPF_TCP_CLOSING
}

// request returns a request to sock_diag without a number: nlmsghdr and inet_diag_req_v2.
func request(kind, flags uint16, family uint8, states uint32, id [idSize]byte) []byte {
	b := make([]byte, headerSize+requestSize)
	binary.NativeEndian.PutUint16(b[4:], kind)
	binary.NativeEndian.PutUint16(b[6:], flags|unix.NLM_F_REQUEST)
	r := b[headerSize:]
	r[0], r[1] = family, unix.IPPROTO_TCP
	binary.NativeEndian.PutUint32(r[4:], states)
	copy(r[8:], id[:])
	return sized(b)
}

// sized writes its length into a message.
func sized(b []byte) []byte {
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	return b
}

// listRequest asks for the sockets of a family in some states, of these prefixes if there are any.
func listRequest(family uint8, states uint32, within []netip.Prefix) []byte {
	b := request(unix.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP, family, states, [idSize]byte{})
	if len(within) == 0 {
		return b
	}
	const bytecode = 1 // INET_DIAG_REQ_BYTECODE
	code := filter(within)
	b = binary.NativeEndian.AppendUint16(b, uint16(attrSize+len(code)))
	b = binary.NativeEndian.AppendUint16(b, bytecode)
	return sized(append(b, code...))
}

// destroyRequest asks to close a socket and to say whether that was done.
func destroyRequest(s Socket) []byte {
	return request(unix.SOCK_DESTROY, unix.NLM_F_ACK, s.family, 0, s.id)
}

// Operations of the kernel's language for choosing sockets (linux/inet_diag.h).
const (
	opJump   = 1 // INET_DIAG_BC_JMP
	opRemote = 8 // INET_DIAG_BC_D_COND
	opSize   = 4
)

// filter returns a program that takes a socket whose remote address is in one of the prefixes: each is
// compared, then follows a jump to the end, which means yes. Behind the end means no.
func filter(within []netip.Prefix) []byte {
	var b []byte
	for i, p := range within {
		rest := 0
		for _, q := range within[i+1:] {
			rest += opSize + compareSize(q)
		}
		size := compareSize(p)
		b = append(b, opRemote, byte(size))
		b = binary.NativeEndian.AppendUint16(b, uint16(size+opSize)) // to the next prefix, or behind the end
		family := byte(unix.AF_INET)
		if p.Addr().Is6() {
			family = unix.AF_INET6
		}
		b = append(b, family, byte(p.Bits()), 0, 0)
		b = binary.NativeEndian.AppendUint32(b, ^uint32(0)) // any port
		b = append(b, p.Addr().AsSlice()...)
		if rest > 0 {
			b = append(b, opJump, opSize)
			b = binary.NativeEndian.AppendUint16(b, uint16(rest))
		}
	}
	return b
}

// compareSize is the size of a comparison with a prefix: the operation, inet_diag_hostcond, the address.
func compareSize(p netip.Prefix) int { return opSize + 8 + p.Addr().BitLen()/8 }

// header is what matters of an nlmsghdr.
type header struct {
	kind uint16
	seq  uint32
}

// cut takes the first message off.
func cut(b []byte) (h header, payload, rest []byte, err error) {
	if len(b) < headerSize {
		return h, nil, nil, fmt.Errorf("read from sock_diag: %d bytes are no message", len(b))
	}
	size := int(binary.NativeEndian.Uint32(b))
	if size < headerSize || size > len(b) {
		return h, nil, nil, fmt.Errorf("read from sock_diag: a message of %d bytes in %d", size, len(b))
	}
	h = header{kind: binary.NativeEndian.Uint16(b[4:]), seq: binary.NativeEndian.Uint32(b[8:])}
	next := min((size+3)&^3, len(b)) // messages begin at multiples of 4
	return h, b[headerSize:size], b[next:], nil
}

// verdict is what NLMSG_DONE or NLMSG_ERROR says: nothing or 0 when all went well.
func verdict(payload []byte) error {
	if len(payload) < 4 {
		return nil
	}
	if n := int32(binary.NativeEndian.Uint32(payload)); n < 0 {
		return fmt.Errorf("sock_diag says: %w", unix.Errno(-n))
	}
	return nil
}

// parseSocket reads an inet_diag_msg. It is false for what is no connection any more.
func parseSocket(b []byte) (Socket, bool) {
	if len(b) < answerSize || b[2] == timerTimeWait {
		return Socket{}, false
	}
	s := Socket{family: b[0]}
	copy(s.id[:], b[4:])
	remote := s.id[remoteOffset:]
	switch s.family {
	case unix.AF_INET:
		s.Remote = netip.AddrFrom4([4]byte(remote))
	case unix.AF_INET6:
		s.Remote = netip.AddrFrom16([16]byte(remote)).Unmap()
	default:
		return Socket{}, false
	}
	return s, true
}
