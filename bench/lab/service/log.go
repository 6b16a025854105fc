// Package service runs the lab's servers: a web server that writes an access log in the combined
// format, and a stand-in for sshd that writes sshd's messages. Both answer real connections; what
// they write is what nginx and OpenSSH write for the same.
package service

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"
)

// Line is one entry of a log. At is taken just before the write, so that a latency measured from
// it is never too small.
type Line struct {
	From netip.Addr
	At   time.Time
	Bad  bool // an attack leaves it, browsing does not
	Text string
}

// Log appends to one log file and tells of each line. It is safe for concurrent use.
type Log struct {
	mu   sync.Mutex
	file *os.File
	now  func() time.Time
	note func(Line)
}

// OpenLog creates the log file. note is called for every line just before
// its write, so that whoever sees what a line led to has seen the line.
func OpenLog(path string, now func() time.Time, note func(Line)) (*Log, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, fmt.Errorf("create log: %w", err)
	}
	return &Log{file: f, now: now, note: note}, nil
}

// append writes the line that format makes of the time, in one write. Text may hold several lines
// that belong to one event.
func (l *Log) append(from netip.Addr, bad bool, format func(at time.Time) string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.now()
	text := format(at)
	l.note(Line{From: from, At: at, Bad: bad, Text: text})
	if _, err := l.file.WriteString(text + "\n"); err != nil {
		return fmt.Errorf("write log: %w", err)
	}
	return nil
}

// Close closes the file.
func (l *Log) Close() error { return l.file.Close() }

// escape writes what a client sent as nginx does: bytes that could break the line become \xHH.
func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c < 0x20 || c == '"' || c == '\\' || c > 0x7e {
			fmt.Fprintf(&b, `\x%02X`, c)
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}
