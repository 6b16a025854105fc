package lab

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"gabion/bench/lab/report"
	"gabion/loader"
)

// attackAll lets the client browse, runs the attacks and reports.
func (l *lab) attackAll(ctx context.Context) (*report.Report, error) {
	mode, err := l.xdpMode()
	if err != nil {
		return nil, step("look at the interfaces", err)
	}
	l.say("server", "gabion protects %s and %s, XDP mode %s", attackerLink, clientLink, mode)
	b := &browser{begun: map[string]time.Time{}}
	for _, family := range []string{ipv4, ipv6} {
		l.tasks.Go(func() { l.runBrowser(ctx, b, family) })
	}
	l.say("client", "browses %s and %s, a fresh connection for every page", l.plan.server(ipv4), l.plan.server(ipv6))
	all := l.attackList()
	rep := &report.Report{XDPMode: mode}
	if l.Chaos {
		rep.Chaos, err = l.runChaos(ctx, all)
	} else {
		err = l.runAttacks(ctx, all, false)
	}
	if err == nil {
		err = l.runAttacks(ctx, all, true)
	}
	if err == nil {
		rep.SYNFlood, err = l.runSYNFlood(ctx, b)
	}
	if err != nil {
		return nil, step("attack", err)
	}
	l.settling.Wait()
	if err := l.watcher.Err(); err != nil {
		return nil, step("watch bans", err)
	}
	if err := l.fill(ctx, rep, all); err != nil {
		return nil, step("collect results", err)
	}
	rep.Client = b.result()
	l.say("client", "%d pages, %d failed", rep.Client.Requests, rep.Client.Failed)
	return rep, nil
}

// runAttacks runs the log attacks, or the floods, of both families at once. Floods come by
// themselves: they would disturb what the others measure.
func (l *lab) runAttacks(ctx context.Context, all []*attack, floods bool) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, a := range all {
		if a.flood != floods {
			continue
		}
		group.Go(func() error {
			err := l.launch(ctx, a)
			if err == nil {
				l.sum(a)
			}
			return err
		})
	}
	return group.Wait()
}

// sum says how an attack ended.
func (l *lab) sum(a *attack) {
	banned, dropped := 0, uint64(0)
	for _, s := range a.sources {
		if s.err != nil {
			l.say(a.title(), "%v", s.err)
		}
		if r, ok, err := l.table().BanHit(hostPrefix(s.addr)); err == nil && ok {
			banned++
			dropped += r.Hits
		}
	}
	l.say(a.title(), "over: %d of %d sources banned, %d packets dropped", banned, len(a.sources), dropped)
}

// xdpMode returns the mode of the attachments, or all of them when they differ.
func (l *lab) xdpMode() (string, error) {
	list, err := l.table().Attachments()
	if err != nil {
		return "", err
	}
	var mode loader.Mode
	for _, a := range list {
		if mode != "" && mode != a.Mode {
			return fmt.Sprintf("%s and %s", mode, a.Mode), nil
		}
		mode = a.Mode
	}
	if mode == "" {
		return "", fmt.Errorf("nothing is attached below %s", l.pins)
	}
	return string(mode), nil
}
