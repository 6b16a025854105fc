package machine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
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

// SessionClients returns the client addresses of the authenticated SSH sessions whose connection is
// established. There are two proofs that somebody has authenticated: a process that has the
// connection in its environment, and an sshd that has become the user (see logins).
func (s System) SessionClients() ([]netip.Addr, error) {
	pids, err := processes(s.Proc)
	if err != nil {
		return nil, err
	}
	sessions, hidden := claimedSessions(s.Proc, pids)
	served, trouble := s.logins.find(pids)
	sessions = append(sessions, served...)
	var out []netip.Addr
	if len(sessions) > 0 {
		live, err := s.Established(sessions)
		if err != nil {
			trouble = errors.Join(trouble, fmt.Errorf("look for established connections: %w", err))
		}
		for _, session := range live {
			out = append(out, session.Client.Addr())
		}
	}
	if trouble != nil {
		return out, trouble
	}
	if len(hidden) > 0 {
		return out, fmt.Errorf("%w: the environments of %d processes cannot be read (the first: process %s), so an SSH session that only they prove is not protected: give gabion the capability CAP_SYS_PTRACE if it lacks it",
			ErrPartly, len(hidden), hidden[0])
	}
	return out, nil
}

// processes returns the ids of the processes there are.
func processes(proc string) ([]string, error) {
	dir, err := os.Open(proc)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(maxProcesses)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("list processes in %s: %w", proc, err)
	}
	return slices.DeleteFunc(names, func(name string) bool {
		_, err := strconv.ParseUint(name, 10, 32)
		return err != nil
	}), nil
}

// claimedSessions returns what the environments of processes call their SSH connection, and the
// processes whose environment is hidden from us. Those that end meanwhile are not missed.
func claimedSessions(proc string, pids []string) (out []Session, hidden []string) {
	seen := map[Session]bool{}
	buf := make([]byte, maxEnviron)
	for _, pid := range pids {
		env, err := readUpTo(filepath.Join(proc, pid, "environ"), buf)
		if errors.Is(err, fs.ErrPermission) {
			hidden = append(hidden, pid)
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
	return out, hidden
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

// parseSession finds SSH_CONNECTION, "client port server port", in a process environment. sshd gives
// it to PAM as well, whose modules may start a program while nobody has authenticated yet: what has
// a PAM_TYPE proves nothing.
func parseSession(env []byte) (session Session, ok bool) {
	for len(env) > 0 {
		var entry []byte
		entry, env, _ = bytes.Cut(env, []byte{0})
		name, value, _ := bytes.Cut(entry, []byte{'='})
		switch string(name) {
		case "PAM_TYPE":
			return Session{}, false
		case "SSH_CONNECTION":
			session, ok = parseConnection(string(value))
		}
	}
	return session, ok
}

func parseConnection(value string) (Session, bool) {
	field := strings.Fields(value)
	if len(field) != 4 {
		return Session{}, false
	}
	client, err1 := parseEnd(field[0], field[1])
	server, err2 := parseEnd(field[2], field[3])
	return Session{client, server}, err1 == nil && err2 == nil
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
