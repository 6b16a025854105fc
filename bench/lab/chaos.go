package lab

import (
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"gabion/bench/lab/report"
	"gabion/bench/lab/service"
	"gabion/loader"
	"gabion/userspace/decision"
)

// Times of the chaos run.
const (
	shortBan  = 3 * time.Second
	deadAfter = 1 * time.Second // how long the daemon stays dead after the short ban's end
	midAttack = 4               // bans at least, before the daemon is killed
	guestWait = 80 * time.Millisecond
)

// runChaos kills the daemon while the log attacks run, and starts it again.
func (l *lab) runChaos(ctx context.Context, all []*attack) (*report.Chaos, error) {
	c := &report.Chaos{Kind: "kill"}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return l.runAttacks(ctx, all, false) })
	group.Go(func() error {
		for l.countBanned() < min(midAttack, len(l.sources)/3) {
			if err := sleep(ctx, 20*time.Millisecond); err != nil {
				return err
			}
		}
		return l.killAndRestart(ctx, c)
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for _, s := range l.sources {
		if s.disturbed && s.banned() {
			c.BansAfterRestart++
		}
	}
	return c, nil
}

func (l *lab) countBanned() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, s := range l.sources {
		if s.banned() {
			n++
		}
	}
	return n
}

func (l *lab) killAndRestart(ctx context.Context, c *report.Chaos) error {
	guest := l.plan.guest(ipv4)
	ban, err := l.banShortly(ctx, guest)
	if err != nil {
		return step("ban for a short time", err)
	}
	l.say("server", "%s is banned by hand for %s", guest, shortBan)
	l.setDown(true)
	l.daemon.kill()
	died := l.Now()
	before, err := l.bans(guest)
	if err != nil {
		return err
	}
	c.BannedBefore = len(before)
	l.say("server", "the daemon is killed (SIGKILL) in mid-attack with %d bans in the kernel", len(before))
	if err := l.whileDead(ctx, c, ban, before); err != nil {
		return err
	}
	during, err := l.bans(guest)
	if err != nil {
		return err
	}
	for prefix, rule := range before {
		c.DroppedWhileDead += during[prefix].Hits - rule.Hits
	}
	l.say("server", "%d packets of banned sources were dropped while no daemon ran", c.DroppedWhileDead)
	c.DeadMS = report.Milliseconds(l.Now().Sub(died))
	if err := l.startDaemon(ctx); err != nil {
		return step("start daemon again", err)
	}
	l.setDown(false)
	return l.compare(ctx, c, guest, before)
}

// setDown says whether a daemon reads the logs. Sources in the middle of their attack when it stops
// are marked here, those that go on or begin meanwhile by onLine.
func (l *lab) setDown(down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = down
	for _, s := range l.sources {
		if len(s.lines) > 0 && !s.banned() {
			s.disturbed = true
		}
	}
}

// brief is a ban that ends while no daemon runs.
type brief struct {
	guest    netip.Addr
	promised time.Time // the guest must not come in before
	ends     time.Time // as the kernel's tables are read: later by less than two ticks, exact to some jiffies
}

// banShortly bans an address with the command line.
func (l *lab) banShortly(ctx context.Context, guest netip.Addr) (brief, error) {
	f := filesIn(l.dir)
	ban := brief{guest: guest, promised: l.Now().Add(shortBan)}
	cmd := exec.CommandContext(ctx, l.Binary, "decisions", "add", "--ip", guest.String(), "--duration", shortBan.String(),
		"--reason", "lab: short ban", "--socket", f.socket, "--key-file", f.key)
	if out, err := cmd.CombinedOutput(); err != nil {
		return ban, fmt.Errorf("%s: %w: %s", cmd.String(), err, out)
	}
	rule, ok, err := l.table().BanHit(hostPrefix(guest))
	if err != nil || !ok {
		return ban, fmt.Errorf("the ban of %s is not in the kernel: %v", guest, err)
	}
	ban.ends = rule.Until
	return ban, nil
}

// whileDead lets the banned sources go on and the guest try its luck, until a while after the end
// of the guest's ban.
func (l *lab) whileDead(ctx context.Context, c *report.Chaos, ban brief, before map[netip.Prefix]decision.Rule) error {
	group, ctx := errgroup.WithContext(ctx)
	deadline := ban.ends.Add(deadAfter)
	group.Go(func() error {
		return l.net.Spokes["attacker"].Do(func() error { return l.runGuest(ctx, c, ban, deadline) })
	})
	var banned []*attacker
	for prefix := range before {
		if s := l.sources[prefix.Addr()]; s != nil {
			banned = append(banned, s)
		}
	}
	group.Go(func() error {
		return l.net.Spokes["attacker"].Do(func() error {
			for n := 0; len(banned) > 0 && l.Now().Before(deadline); n++ {
				s := banned[n%len(banned)]
				if err := s.request(ctx, l.plan, knockPatience, 0); err == nil {
					return fmt.Errorf("%s got an answer although it is banned and no daemon runs", s.addr)
				}
				if err := sleep(ctx, 10*time.Millisecond); err != nil {
					return err
				}
			}
			return nil
		})
	})
	return group.Wait()
}

// runGuest owns a thread in the attacker's namespace: it tries again and again to get an answer
// from the web server, and returns when it has one or at the deadline.
func (l *lab) runGuest(ctx context.Context, c *report.Chaos, ban brief, deadline time.Time) error {
	s := &attacker{addr: ban.guest, of: &attack{family: ipv4, port: 80, scripts: [][]string{{"/"}}, try: service.TryWeb}}
	for l.Now().Before(deadline) {
		if err := s.request(ctx, l.plan, guestWait, 0); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if l.Now().Before(ban.promised) {
				c.ShortBanHeld++
			}
			continue
		}
		late := l.Now().Sub(ban.promised)
		c.ExpiredLateMS = report.Milliseconds(late)
		if late < 0 {
			c.Problems = append(c.Problems, fmt.Sprintf("the short ban let %s in %s before its end", ban.guest, -late))
			return nil
		}
		c.ExpiredWhileDead = true
		l.say("server", "%s is let in again %.0f ms after the end of its ban, still without a daemon", ban.guest, c.ExpiredLateMS)
		return sleep(ctx, deadline.Sub(l.Now()))
	}
	return nil
}

// compare looks for the bans from before in the kernel and in what the new daemon says.
func (l *lab) compare(ctx context.Context, c *report.Chaos, guest netip.Addr, before map[netip.Prefix]decision.Rule) error {
	plane, err := loader.OpenReadOnly(l.pins)
	if err != nil {
		return err
	}
	l.usePlane(plane)
	after, err := l.bans(guest)
	if err != nil {
		return err
	}
	decisions, err := l.scenarios(ctx)
	if err != nil {
		return err
	}
	for prefix, rule := range before {
		// The end is computed from two clocks each time, so it may differ by their reading.
		now, ok := after[prefix]
		late := now.Until.Sub(rule.Until)
		switch {
		case !ok || late < -time.Second:
			c.Problems = append(c.Problems, fmt.Sprintf("%s was banned until %s, and is now %+v", prefix, rule.Until, now))
		case late > time.Second:
			c.Prolonged++
			c.BannedAfter++
		default:
			c.BannedAfter++
		}
		switch d, ok := decisions[prefix.Addr()]; {
		case !ok:
		case d.Origin == decision.OriginAdopted:
			c.Adopted++
		default:
			c.Restored++
		}
	}
	slices.Sort(c.Problems)
	l.say("server", "the daemon runs again: %d of %d bans in place, %d restored, %d adopted", c.BannedAfter, c.BannedBefore, c.Restored, c.Adopted)
	return nil
}

// bans returns what the kernel holds, the guest's ban left out.
func (l *lab) bans(guest netip.Addr) (map[netip.Prefix]decision.Rule, error) {
	out := map[netip.Prefix]decision.Rule{}
	for r, err := range l.table().Bans() {
		if err != nil {
			return nil, err
		}
		if r.Prefix != hostPrefix(guest) {
			out[r.Prefix] = r
		}
	}
	return out, nil
}
