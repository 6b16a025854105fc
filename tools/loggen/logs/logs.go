// Package logs writes logs of made-up servers, with which the engine is measured and tested.
//
// The same options give the same bytes, on every machine. Addresses of attackers are of the network
// that is set aside for benchmarks, 198.18.0.0/16, and when they are more than it has, of the unused
// 240.0.0.0/4; some are of 2001:db8::/32. Nothing is kept but the attacks that are under way, so a log
// may be larger than memory.
package logs

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"time"
)

// Options says how a log is to be. Zero values mean those of the kind.
type Options struct {
	Lines   int
	Sources int // addresses of attackers: fewer come where there are too few hostile lines for them
	Hostile int // lines of attackers in a thousand
	Seed    uint64
	Start   time.Time     // time of the first line
	Span    time.Duration // until the last line; without it lines come as fast as those of the kind
}

// Kind is a kind of log.
type Kind struct {
	Name     string
	Type     string // the label that selects the parsers
	About    string
	Defaults Options

	begin func(*scene) writer
}

// writer appends the next line, without its end, and says what it is.
type writer interface {
	line(b []byte, s *scene) []byte
}

// Kinds returns all kinds of logs.
func Kinds() []Kind {
	start := time.Date(2026, time.March, 2, 6, 25, 1, 0, time.UTC)
	const day = 24 * time.Hour
	return []Kind{
		{"auth", "syslog", "auth.log of a server: logins, sudo, cron, systemd, and attacks on sshd",
			Options{Lines: 1_000_000, Sources: 50_000, Hostile: 300, Start: start, Span: 10 * day}, newAuth},
		{"nginx", "nginx", "access log of a web server: visitors, crawlers, monitors, and attacks",
			Options{Lines: 1_000_000, Sources: 20_000, Hostile: 50, Start: start, Span: 2 * day}, newWeb},
		{"stubborn", "syslog", "auth.log in which one address fails with every line",
			Options{Lines: 8_000, Sources: 1, Hostile: 1000, Start: start, Span: 8 * time.Hour}, newFailures},
		{"crowd", "syslog", "auth.log in which every line is the failure of another address, all within a minute",
			Options{Lines: 1_000_000, Sources: 1_000_000, Hostile: 1000, Start: start, Span: 50 * time.Second}, newFailures},
	}
}

// Named returns the kind of that name.
func Named(name string) (Kind, error) {
	for _, k := range Kinds() {
		if k.Name == name {
			return k, nil
		}
	}
	return Kind{}, fmt.Errorf("unknown kind of log %q", name)
}

// Write writes a log.
func (k Kind) Write(w io.Writer, o Options) error {
	if err := o.check(); err != nil {
		return err
	}
	o = k.defaults(o)
	s := &scene{Options: o, random: random{state: o.Seed}}
	lines := k.begin(s)
	out := bufio.NewWriterSize(w, 1<<16)
	var b []byte
	for n := range o.Lines {
		// Seconds are enough: no format here shows more.
		s.now = o.Start.Unix() + int64(o.Span/time.Second)*int64(n)/int64(max(1, o.Lines-1))
		b = append(lines.line(b[:0], s), '\n')
		if _, err := out.Write(b); err != nil {
			return fmt.Errorf("write %s log: %w", k.Name, err)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write %s log: %w", k.Name, err)
	}
	return nil
}

func (k Kind) defaults(o Options) Options {
	d := k.Defaults
	set := func(v *int, or int) {
		if *v == 0 {
			*v = or
		}
	}
	set(&o.Lines, d.Lines)
	set(&o.Sources, d.Sources)
	set(&o.Hostile, d.Hostile)
	if o.Start.IsZero() {
		o.Start = d.Start
	}
	if o.Span == 0 {
		o.Span = d.Span / time.Second * time.Duration(o.Lines) / time.Duration(d.Lines) * time.Second
	}
	return o
}

func (o Options) check() error {
	const most = 1_000_000_000
	switch {
	case o.Lines > most:
		return fmt.Errorf("a log has at most %d lines", most)
	case o.Lines < 0, o.Sources < 0, o.Span < 0:
		return errors.New("lines, sources and span must not be negative")
	case o.Hostile < 0, o.Hostile > 1000:
		return errors.New("hostile is a share of 1000 lines: use 0 to 1000")
	case o.Sources > maxSources:
		return fmt.Errorf("there are at most %d sources", maxSources)
	}
	return nil
}

// scene is the state of a log that is being written.
type scene struct {
	Options
	random
	now int64 // Unix seconds
}
