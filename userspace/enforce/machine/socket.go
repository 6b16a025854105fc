package machine

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// socketTable tells which TCP connections of this network namespace are established. It asks the
// kernel for each one (sock_diag), for /proc/net/tcp lists every socket and takes long on a busy
// server; that is what is left on a kernel without sock_diag.
type socketTable struct {
	proc   string
	probed bool // sock_diag is known to work, or not
	diag   bool
}

func (t *socketTable) established(sessions []Session) ([]Session, error) {
	if !t.probed {
		// An exact question answers "no such entry" both for a connection that is gone and for
		// a kernel that does not know the protocol; a listing tells these apart.
		all := &diagRequest{family: unix.AF_INET, states: 1 << tcpListen}
		_, err := all.execute(unix.NLM_F_DUMP)
		t.probed, t.diag = true, err == nil
	}
	if !t.diag {
		return t.fromProc(sessions)
	}
	var out []Session
	for _, s := range sessions {
		ok, err := ask(s)
		if err != nil {
			return t.fromProc(sessions) // slow, and better than to leave a session out
		}
		if ok {
			out = append(out, s)
		}
	}
	return out, nil
}

// TCP states as the kernel numbers them.
const (
	tcpEstablished = 1
	tcpListen      = 10
)

// ask looks up one connection. The kernel falls back to a listening socket, hence the state.
func ask(s Session) (bool, error) {
	req := &diagRequest{family: unix.AF_INET, states: 1 << tcpEstablished, session: s}
	if s.Server.Addr().Is6() {
		req.family = unix.AF_INET6
	}
	if zone := s.Client.Addr().Zone(); zone != "" {
		link, err := net.InterfaceByName(zone)
		if err != nil {
			return false, nil //nolint:nilerr // the interface is gone, and the session with it
		}
		req.ifindex = uint32(link.Index)
	}
	answers, err := req.execute(0)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("ask for socket %v: %w", s, err)
	}
	// struct inet_diag_msg begins with one byte of family and one of state.
	return slices.ContainsFunc(answers, func(m []byte) bool { return len(m) > 1 && m[1] == tcpEstablished }), nil
}

// diagRequest is the kernel's struct inet_diag_req_v2.
type diagRequest struct {
	family  uint8
	states  uint32
	session Session
	ifindex uint32
}

func (r *diagRequest) execute(flags int) ([][]byte, error) {
	req := nl.NewNetlinkRequest(nl.SOCK_DIAG_BY_FAMILY, flags)
	req.AddData(r)
	return req.Execute(unix.NETLINK_INET_DIAG, nl.SOCK_DIAG_BY_FAMILY)
}

// Len returns the size of the request in bytes.
func (r *diagRequest) Len() int { return 56 }

// Serialize returns the request as the kernel reads it: ports and addresses in network byte order,
// the rest in the machine's.
func (r *diagRequest) Serialize() []byte {
	b := make([]byte, r.Len())
	b[0], b[1] = r.family, unix.IPPROTO_TCP
	binary.NativeEndian.PutUint32(b[4:], r.states)
	binary.BigEndian.PutUint16(b[8:], r.session.Server.Port())
	binary.BigEndian.PutUint16(b[10:], r.session.Client.Port())
	copy(b[12:28], r.session.Server.Addr().AsSlice())
	copy(b[28:44], r.session.Client.Addr().AsSlice())
	binary.NativeEndian.PutUint32(b[44:], r.ifindex)
	binary.NativeEndian.PutUint32(b[48:], ^uint32(0)) // any cookie
	binary.NativeEndian.PutUint32(b[52:], ^uint32(0))
	return b
}

// fromProc looks the connections up in the socket tables of this thread's network namespace.
func (t *socketTable) fromProc(sessions []Session) ([]Session, error) {
	wanted := map[Session]Session{}
	for _, s := range sessions {
		wanted[withoutZone(s)] = s
	}
	var out []Session
	err := sockets(t.proc, func(s socket) {
		if full, ok := wanted[s.ends]; ok && s.state == tcpEstablished {
			out = append(out, full)
			delete(wanted, s.ends)
		}
	})
	return out, err
}

// socket is a line of the socket tables. Addresses have no zone.
type socket struct {
	ends  Session
	state uint8
	inode string
}

// sockets calls visit for every TCP socket of this thread's network namespace.
func sockets(proc string, visit func(socket)) error {
	for _, name := range []string{"tcp", "tcp6"} {
		f, err := os.Open(filepath.Join(proc, "thread-self", "net", name))
		if errors.Is(err, os.ErrNotExist) && name == "tcp6" {
			continue // IPv6 is switched off
		}
		if err != nil {
			return err
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			if s, ok := parseSocket(lines.Text()); ok {
				visit(s)
			}
		}
		err = lines.Err()
		f.Close()
		if err != nil {
			return fmt.Errorf("read %s: %w", f.Name(), err)
		}
	}
	return nil
}

// parseSocket reads a line: number, local and remote end, state, and the inode as the tenth field.
func parseSocket(line string) (socket, bool) {
	field := strings.Fields(line)
	if len(field) < 4 {
		return socket{}, false
	}
	server, ok1 := parseHex(field[1])
	client, ok2 := parseHex(field[2])
	state, err := strconv.ParseUint(field[3], 16, 8)
	s := socket{ends: Session{client, server}, state: uint8(state)}
	if len(field) > 9 {
		s.inode = field[9]
	}
	return s, ok1 && ok2 && err == nil
}

func withoutZone(s Session) Session {
	bare := func(a netip.AddrPort) netip.AddrPort {
		return netip.AddrPortFrom(a.Addr().WithZone(""), a.Port())
	}
	return Session{bare(s.Client), bare(s.Server)}
}

// parseHex reads "0100007F:0016": the address as words in the machine's byte order.
func parseHex(s string) (netip.AddrPort, bool) {
	host, port, _ := strings.Cut(s, ":")
	raw, err := hex.DecodeString(host)
	n, err2 := strconv.ParseUint(port, 16, 16)
	if err != nil || err2 != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	addr, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), ok
}
