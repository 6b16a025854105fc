package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// logins finds the connections that an sshd serves for a user who has authenticated, also when the
// user has no process: port forwarding alone, or the sftp that is part of sshd.
//
// Before authentication sshd runs as root and as an account of its own, whatever user it was asked
// for. It becomes the user only afterwards, and only then PAM opens a session, with which the kernel
// notes the user as the one who logged in. So these are proofs:
//
//   - The process is that user and no other, was logged in as that user, and has the socket from an
//     sshd that is root. A daemon that a user started for himself has no such parent.
//   - For root, who has no process but root's: it was logged in as root, in another login than the
//     sshd that listens, it does not call itself one that waits ("sshd: root [priv]"), and the
//     connection is to a port on which its parent listens: other connections may be forwarded ones.
//
// Without pam_loginuid nobody is logged in that way, and only the environment proves a session.
type logins struct {
	proc  string
	known map[heldSocket]Session // to read the socket table only when there is a new login
}

// heldSocket is a socket in the hands of a process. Neither number is used anew while it is.
type heldSocket struct{ pid, inode string }

// find returns the connections of the users that sshd serves.
func (l *logins) find(pids []string) ([]Session, error) {
	var proven []heldSocket
	for _, pid := range pids {
		if p, ok := l.read(pid); ok {
			for _, inode := range l.proven(p) {
				proven = append(proven, heldSocket{pid, inode})
			}
		}
		if len(proven) >= maxSessions {
			break
		}
	}
	var err error
	if slices.ContainsFunc(proven, func(h heldSocket) bool { _, ok := l.known[h]; return !ok }) {
		err = l.look(proven)
	}
	next := make(map[heldSocket]Session, len(proven))
	var out []Session
	for _, h := range proven {
		s, ok := l.known[h]
		if !ok && err != nil {
			continue // to be looked for again
		}
		next[h] = s // the zero Session: it is no TCP connection of this namespace
		if s.Client.IsValid() {
			out = append(out, s)
		}
	}
	l.known = next
	if err != nil {
		return out, fmt.Errorf("look for the connections of sshd: %w", err)
	}
	return out, nil
}

// look finds the ends of the sockets of which nothing is known yet.
func (l *logins) look(held []heldSocket) error {
	of := map[string][]heldSocket{}
	for _, h := range held {
		of[h.inode] = append(of[h.inode], h)
	}
	return sockets(l.proc, func(s socket) {
		for _, h := range of[s.inode] {
			if _, judged := l.known[h]; !judged && s.state == tcpEstablished {
				l.known[h] = s.ends
			}
		}
	})
}

// server is a process of sshd.
type server struct {
	pid, parent  string
	uid          string // empty: not the same in every respect
	loginUID     string
	auditSession string
	title        string
	sockets      []string // inodes
}

// unset is what the kernel calls the user and the session of a process that nobody logged in for.
const unset = "4294967295"

// read returns a process; false when it is no sshd, or has ended.
func (l *logins) read(pid string) (server, bool) {
	comm, err := l.text(pid, "comm")
	if err != nil || !strings.HasPrefix(comm, "sshd") {
		return server{}, false
	}
	p := server{pid: pid, sockets: l.sockets(pid)}
	p.title, _ = l.text(pid, "cmdline") // what cannot be read proves nothing
	p.loginUID, _ = l.text(pid, "loginuid")
	p.auditSession, _ = l.text(pid, "sessionid")
	status, _ := l.text(pid, "status")
	for line := range strings.Lines(status) {
		field := strings.Fields(line)
		switch {
		case len(field) == 2 && field[0] == "PPid:":
			p.parent = field[1]
		case len(field) == 5 && field[0] == "Uid:" && len(slices.Compact(field[1:])) == 1:
			p.uid = field[1]
		}
	}
	return p, true
}

// proven returns the sockets of a process that may be the connection of an authenticated user.
func (l *logins) proven(p server) []string {
	if p.uid == "" || p.loginUID != p.uid || p.loginUID == unset {
		return nil
	}
	parent, isSSHD := l.read(p.parent)
	if p.uid != "0" {
		if !isSSHD || parent.uid != "0" {
			return nil
		}
		return slices.DeleteFunc(p.sockets, func(inode string) bool { return !slices.Contains(parent.sockets, inode) })
	}
	return l.provenRoot(p, parent)
}

func (l *logins) provenRoot(p, parent server) []string {
	_, says, ok := strings.Cut(strings.TrimRight(p.title, "\x00 \n"), ": ")
	if !ok || strings.HasSuffix(says, "]") || strings.HasPrefix(says, "[") {
		return nil
	}
	if parent.pid == "" { // systemd listens for it
		parent.pid, parent.sockets = p.parent, l.sockets(p.parent)
		parent.auditSession, _ = l.text(p.parent, "sessionid")
	}
	if p.auditSession == "" || p.auditSession == unset || parent.auditSession == "" || p.auditSession == parent.auditSession {
		return nil
	}
	if !l.judge(p, parent) {
		return nil
	}
	return p.sockets
}

// judge decides about the sockets of root's login that are new: the connection is the one to a port
// that the parent listens on. The others are known from here on as none. It is false when the socket
// tables cannot be read.
func (l *logins) judge(p, parent server) bool {
	ports := map[uint16]bool{}
	ends := map[string]Session{}
	for _, inode := range p.sockets {
		if _, ok := l.known[heldSocket{p.pid, inode}]; !ok {
			ends[inode] = Session{}
		}
	}
	if len(ends) == 0 {
		return true
	}
	err := sockets(l.proc, func(s socket) {
		if s.state == tcpListen && slices.Contains(parent.sockets, s.inode) {
			ports[s.ends.Server.Port()] = true
		}
		if _, ok := ends[s.inode]; ok && s.state == tcpEstablished {
			ends[s.inode] = s.ends
		}
	})
	if err != nil {
		return false
	}
	for inode, s := range ends {
		if !ports[s.Server.Port()] {
			s = Session{}
		}
		l.known[heldSocket{p.pid, inode}] = s
	}
	return true
}

// text returns the beginning of a file of a process, without the newline at its end.
func (l *logins) text(pid, name string) (string, error) {
	const most = 4 << 10
	b, err := readUpTo(filepath.Join(l.proc, pid, name), make([]byte, most))
	return strings.TrimSuffix(string(b), "\n"), err
}

// sockets returns the inodes of the sockets that a process has open, of the first ones of its files.
func (l *logins) sockets(pid string) []string {
	const most = 1024
	path := filepath.Join(l.proc, pid, "fd")
	dir, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(most) // what cannot be read proves nothing
	var out []string
	for _, name := range names {
		link, err := os.Readlink(filepath.Join(path, name))
		if inode, ok := strings.CutPrefix(link, "socket:["); err == nil && ok {
			out = append(out, strings.TrimSuffix(inode, "]"))
		}
	}
	return out
}
