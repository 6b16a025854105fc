package lab

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"gabion/bench/lab/observe"
	"gabion/bench/lab/report"
	"gabion/bench/lab/service"
)

// attacks is the number of different attacks; each has attackers of its own in both families.
const attacks = 3

// Pace of an attack.
const (
	linePause     = 75 * time.Millisecond // between two lines of a source: far longer than a ban takes
	connPause     = time.Millisecond      // between two connections of a flood
	connPatience  = 10 * time.Millisecond // for each of them: what is shed gets no answer
	enough        = 100                   // lines after which a source gives up
	floodPatience = 10 * time.Second      // after which a flooding source gives up
	knocks        = 5                     // attempts to get through a ban
	knockPatience = 60 * time.Millisecond // for each of them
	stepPatience  = 3 * time.Second
	atOnce        = 3 // sources of one attack and family that run at a time
)

// attack is one kind of attack over one family.
type attack struct {
	name    string
	family  string
	port    uint16
	sources []*attacker
	flood   bool
	scripts [][]string // sources take turns; each entry of a script is one request or one user name
	try     func(ctx context.Context, d *net.Dialer, server, what string) error
}

// attacker is one source of an attack. Its fields below mu's line are guarded by lab.mu.
type attacker struct {
	addr      netip.Addr
	of        *attack
	script    int
	ban       *observe.Sighting
	opened    []span      // connections of a flood; only its own goroutine touches it
	err       error       // why it stopped before its ban; likewise
	lines     []time.Time // bad lines written about it
	disturbed bool        // the daemon was down between its first line and its ban
}

func (a *attack) title() string { return a.name + " " + a.family }

// attackList returns all attacks with their sources.
func (l *lab) attackList() []*attack {
	var out []*attack
	for _, family := range []string{ipv4, ipv6} {
		list := []*attack{
			{name: "ssh-bruteforce", port: 22, scripts: sshScripts(), try: service.TrySSH},
			{name: "web-probing", port: 80, scripts: webScripts(), try: service.TryWeb},
			{name: "connection-flood", port: 80, flood: true, scripts: [][]string{{"/"}}, try: service.TryWeb},
		}
		for i, a := range list {
			a.family = family
			for n, addr := range l.plan.group(family, i) {
				s := &attacker{addr: addr, of: a, script: n % len(a.scripts)}
				a.sources = append(a.sources, s)
				l.sources[addr] = s
			}
		}
		out = append(out, list...)
	}
	return out
}

// launch runs an attack: a few of its sources at a time, each until it is banned and for a while
// after. It fails only when ctx ends; what a source could not do is in its err.
func (l *lab) launch(ctx context.Context, a *attack) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	if a.flood {
		group.SetLimit(1)
	}
	for i, s := range a.sources {
		group.Go(func() error {
			// Sources that began together would hit the daemon together for ever.
			if err := sleep(ctx, time.Duration(i%atOnce)*37*time.Millisecond); err != nil {
				return err
			}
			s.err = l.net.Spokes["attacker"].Do(func() error { return l.runAttacker(ctx, s) })
			return context.Cause(ctx)
		})
	}
	return group.Wait()
}

// runAttacker owns the attacker's thread in its namespace; it returns when the source is banned and
// has knocked in vain, when it gives up, or when ctx ends.
func (l *lab) runAttacker(ctx context.Context, s *attacker) error {
	ban := l.watcher.Await(s.addr)
	l.mu.Lock()
	s.ban = ban
	l.mu.Unlock()
	var err error
	if s.of.flood {
		err = l.flood(ctx, s)
	} else {
		err = l.attackByLines(ctx, s)
	}
	if err != nil {
		return err
	}
	for range knocks {
		if err := s.request(ctx, l.plan, knockPatience, 0); err == nil {
			return fmt.Errorf("%s got an answer although it is banned", s.addr)
		}
	}
	l.noteFirstDrop(s)
	return context.Cause(ctx)
}

// attackByLines makes one bad request after the other until the source is banned.
func (l *lab) attackByLines(ctx context.Context, s *attacker) error {
	for n := range enough {
		err := s.request(ctx, l.plan, stepPatience, n)
		banned, waitErr := s.awaitBan(ctx, linePause)
		switch {
		case waitErr != nil:
			return waitErr
		case banned:
			return nil // and the request may have failed because of it
		case err != nil:
			return fmt.Errorf("request %d from %s: %w", n+1, s.addr, err)
		}
	}
	return fmt.Errorf("%s is not banned after %d bad lines", s.addr, enough)
}

// flood opens one connection after the other until the source is banned, whatever becomes of them.
func (l *lab) flood(ctx context.Context, s *attacker) error {
	began := l.Now()
	for l.Now().Sub(began) < floodPatience {
		from := l.Now()
		s.ban.Hurry()
		_ = s.request(ctx, l.plan, connPatience, 0) // what is above the limit is shed
		s.opened = append(s.opened, span{from, l.Now()})
		if banned, err := s.awaitBan(ctx, connPause); err != nil || banned {
			return err
		}
	}
	return fmt.Errorf("%s is not banned after %d connections", s.addr, len(s.opened))
}

// request makes the n-th request of the source's script.
func (s *attacker) request(ctx context.Context, p plan, patience time.Duration, n int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	d := &net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(s.addr, 0))}
	script := s.of.scripts[s.script]
	to := netip.AddrPortFrom(p.server(s.of.family), s.of.port)
	return s.of.try(ctx, d, to.String(), script[n%len(script)])
}

func (s *attacker) awaitBan(ctx context.Context, d time.Duration) (bool, error) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false, context.Cause(ctx)
	case <-s.ban.Banned:
		return true, nil
	case <-t.C:
		return false, nil
	}
}

// onLine files a line that a service wrote.
func (l *lab) onLine(line service.Line) {
	if !line.Bad {
		return
	}
	l.mu.Lock()
	s := l.sources[line.From]
	first := false
	if s != nil && len(s.lines) < 2*enough {
		s.lines = append(s.lines, line.At)
		s.disturbed = s.disturbed || l.down
		first = len(s.lines) == 1
	}
	l.mu.Unlock()
	if s == nil {
		return
	}
	s.ban.Hurry()
	if first {
		text, _, _ := strings.Cut(line.Text, "\n")
		l.sayOf(s, "first bad line from %s: %s", s.addr, text)
	}
}

// onBan runs on the watcher's goroutine: what takes time goes elsewhere.
func (l *lab) onBan(b *observe.Sighting) {
	l.settling.Go(func() {
		observe.Quiesce()
		l.tap.Banned(b.Addr, l.Now)
	})
	l.mu.Lock()
	s := l.sources[b.Addr]
	var what string
	switch {
	case s == nil:
	case s.of.flood:
		what = "after its connections went over the limit"
	default:
		at, _ := lastBefore(s.lines, b.At)
		what = fmt.Sprintf("%d lines, the last %.1f ms ago", len(s.lines), report.Milliseconds(b.At.Sub(at)))
	}
	l.mu.Unlock()
	if s != nil {
		l.settling.Go(func() { l.sayOf(s, "%s is banned in the kernel (%s)", s.addr, what) })
	}
}

// noteFirstDrop tells of the first packet that the kernel dropped for a source.
func (l *lab) noteFirstDrop(s *attacker) {
	if r, ok, err := l.table().BanHit(hostPrefix(s.addr)); err == nil && ok && r.Hits > 0 {
		l.sayOf(s, "%s is dropped: %d packets so far, no answer to %d attempts", s.addr, r.Hits, knocks)
	}
}

// sayOf tells about one source: the first of its attack in any case, the others as details.
func (l *lab) sayOf(s *attacker, format string, args ...any) {
	l.tell(Moment{Who: s.of.title(), Text: fmt.Sprintf(format, args...), Detail: s != s.of.sources[0]})
}

func hostPrefix(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }
