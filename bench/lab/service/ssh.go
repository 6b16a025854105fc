package service

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// Banner is what the ssh stand-in says first.
const Banner = "SSH-2.0-OpenSSH_9.9"

// Denied is its answer to every password.
const Denied = "Permission denied"

// attempts is the number of passwords that one connection may try, sshd's MaxAuthTries.
const attempts = 6

// patience is how long a connection may take in all.
const patience = 10 * time.Second

// accounts are the users that exist; for others sshd writes "invalid user".
var accounts = map[string]bool{"root": true, "backup": true}

// SSH stands in for sshd: after the version lines, each line of the client is a user name, a space
// and a password. No password is right.
type SSH struct {
	log       *Log
	listeners []net.Listener
	wg        sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool // nil once closed
	next  int               // process number of the next connection's child
}

// ServeSSH serves on the listeners until Close.
func ServeSSH(l *Log, listeners ...net.Listener) *SSH {
	s := &SSH{log: l, listeners: listeners, conns: map[net.Conn]bool{}, next: 4200}
	for _, ln := range listeners {
		s.wg.Add(1)
		go s.runAccept(ln)
	}
	return s
}

// runAccept owns one listener; it returns when Close closes it.
func (s *SSH) runAccept(ln net.Listener) {
	defer s.wg.Done()
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		if pid, ok := s.keep(c); ok {
			go s.runConn(c, pid)
		}
	}
}

// keep registers a connection, unless the server is closing.
func (s *SSH) keep(c net.Conn) (pid int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == nil {
		_ = c.Close()
		return 0, false
	}
	s.conns[c] = true
	s.next++
	s.wg.Add(1)
	return s.next, true
}

// runConn owns one connection; it returns when the peer ends it, is out of attempts or is silent
// for too long, or when Close closes it.
func (s *SSH) runConn(c net.Conn, pid int) {
	defer s.wg.Done()
	defer s.drop(c)
	defer time.AfterFunc(patience, func() { _ = c.Close() }).Stop()
	peer, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return
	}
	if _, err := io.WriteString(c, Banner+"\r\n"); err != nil {
		return
	}
	in := bufio.NewScanner(c)
	in.Buffer(make([]byte, 256), 1024)
	if !in.Scan() { // the client's version
		return
	}
	for range attempts {
		if !in.Scan() {
			return
		}
		user, _, _ := strings.Cut(in.Text(), " ")
		if s.deny(user, peer, pid) != nil {
			return
		}
		if _, err := io.WriteString(c, Denied+"\r\n"); err != nil {
			return
		}
	}
}

func (s *SSH) deny(user string, peer netip.AddrPort, pid int) error {
	from := peer.Addr().Unmap()
	user = escape(user)
	return s.log.append(from, true, func(at time.Time) string {
		head := fmt.Sprintf("%s lab sshd[%d]: ", at.Format(time.Stamp), pid)
		tail := fmt.Sprintf("%s from %s port %d", user, from, peer.Port())
		if accounts[user] {
			return head + "Failed password for " + tail + " ssh2"
		}
		return head + "Invalid user " + tail + "\n" + head + "Failed password for invalid user " + tail + " ssh2"
	})
}

func (s *SSH) drop(c net.Conn) {
	_ = c.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// Close ends the listeners and all connections and waits for their goroutines.
func (s *SSH) Close() error {
	for _, ln := range s.listeners {
		_ = ln.Close()
	}
	s.mu.Lock()
	conns := s.conns
	s.conns = nil
	for c := range conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
	return nil
}
