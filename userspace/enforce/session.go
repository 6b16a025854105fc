package enforce

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Limits of the search for SSH sessions: local users decide how many processes there are and what
// is in their environments.
const (
	maxProcesses = 1 << 16
	maxEnviron   = 32 << 10 // bytes read of one environment; sshd puts its variables first
	maxSessions  = 4096
)

// Session is the connection that SSH_CONNECTION names.
type Session struct {
	Client, Server netip.AddrPort
}

// sessionClients returns the client addresses of the authenticated SSH sessions.
func (s System) sessionClients() ([]netip.Addr, error) {
	claimed, hidden, err := claimedSessions(s.Proc)
	if err != nil {
		return nil, err
	}
	var out []netip.Addr
	if len(claimed) > 0 {
		live, err := s.Established(claimed)
		if err != nil {
			return nil, fmt.Errorf("look for established connections: %w", err)
		}
		for _, session := range live {
			out = append(out, session.Client.Addr())
		}
	}
	if hidden {
		return out, fmt.Errorf("%w: environments of other users' processes cannot be read, so their SSH sessions are not protected: give gabion the capability CAP_SYS_PTRACE", errPartly)
	}
	return out, nil
}

// claimedSessions returns what the environments of all processes call their SSH connection. Some
// environments may be hidden from us; processes that end meanwhile are not missed.
func claimedSessions(proc string) (out []Session, hidden bool, err error) {
	dir, err := os.Open(proc)
	if err != nil {
		return nil, false, fmt.Errorf("list processes: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(maxProcesses)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false, fmt.Errorf("list processes in %s: %w", proc, err)
	}
	seen := map[Session]bool{}
	buf := make([]byte, maxEnviron)
	for _, name := range names {
		if _, err := strconv.ParseUint(name, 10, 32); err != nil {
			continue
		}
		env, err := readUpTo(filepath.Join(proc, name, "environ"), buf)
		if errors.Is(err, fs.ErrPermission) {
			hidden = true
		}
		session, ok := parseSession(env)
		if !ok || seen[session] {
			continue
		}
		seen[session] = true
		if out = append(out, session); len(out) == maxSessions {
			break
		}
	}
	return out, hidden, nil
}

func readUpTo(path string, buf []byte) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	n, err := io.ReadFull(f, buf)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return buf[:n], err
}

// parseSession finds SSH_CONNECTION, "client port server port", in a process environment.
func parseSession(env []byte) (Session, bool) {
	for len(env) > 0 {
		var entry []byte
		entry, env, _ = bytes.Cut(env, []byte{0})
		value, ok := bytes.CutPrefix(entry, []byte("SSH_CONNECTION="))
		if !ok {
			continue
		}
		field := strings.Fields(string(value))
		if len(field) != 4 {
			return Session{}, false
		}
		client, err1 := parseEnd(field[0], field[1])
		server, err2 := parseEnd(field[2], field[3])
		return Session{client, server}, err1 == nil && err2 == nil
	}
	return Session{}, false
}

// parseEnd reads one end of a connection. The zone of a link-local address stays: the socket is
// found only with its interface.
func parseEnd(host, port string) (netip.AddrPort, error) {
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), err
}
