package lab

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"gabion/bench/lab/report"
	"gabion/bench/lab/spoof"
	"gabion/bench/lab/topology"
)

// The flood from made-up sources.
const (
	spoofedSources = 100_000
	spoofedRate    = 100_000 // packets per second: each source once
	spoofedTime    = 3 * time.Second
	calmTime       = 2 * time.Second // of browsing to compare with
	afterFlood     = 300 * time.Millisecond
)

// runSYNFlood floods the web server's port with SYNs from made-up sources while the client browses,
// and compares with how it browsed just before.
func (l *lab) runSYNFlood(ctx context.Context, b *browser) (*report.SYNFlood, error) {
	flood, err := l.buildFlood()
	if err != nil {
		return nil, err
	}
	calm := l.Now()
	if err := sleep(ctx, calmTime); err != nil {
		return nil, err
	}
	before, err := l.bans(netip.Addr{})
	if err != nil {
		return nil, err
	}
	shed, err := l.shed()
	if err != nil {
		return nil, err
	}
	l.say("attacker", "sends %d SYNs a second from %d made-up sources of %s", spoofedRate, spoofedSources, floodSources)
	began := l.Now()
	sent, err := l.send(ctx, flood)
	if err != nil {
		return nil, err
	}
	ended := l.Now()
	if err := b.passed(ctx, ended); err != nil {
		return nil, err
	}
	if err := sleep(ctx, afterFlood); err != nil { // a ban that it led to would be there by then
		return nil, err
	}
	r := &report.SYNFlood{
		Sources: spoofedSources, Seconds: report.Milliseconds(sent.Took) / 1000, Sent: sent.Sent,
		Rate: float64(sent.Sent) / sent.Took.Seconds(), Calm: b.between(calm, began), Flood: b.between(began, ended),
	}
	r.Passed = len(l.tap.SYNs(floodSources.Addr()))
	// The flood runs in so many windows at most: one that had begun before it, and one that has not ended.
	windows := int(sent.Took/(spoofedWindow-tick)) + 2
	r.PassedAboveLimit = max(0, r.Passed-windows*spoofedLimit)
	if r.Shed, err = l.shed(); err != nil {
		return nil, err
	}
	r.Shed -= shed
	after, err := l.bans(netip.Addr{})
	if err != nil {
		return nil, err
	}
	for prefix := range after {
		if _, ok := before[prefix]; !ok {
			r.Bans++
		}
	}
	l.say("server", "%d of %d SYNs shed in the kernel, %d reached the stack, %d bans made", r.Shed, r.Sent, r.Passed, r.Bans)
	return r, nil
}

// buildFlood makes the frames: to build them while sending would cost as much as the sending.
func (l *lab) buildFlood() (*spoof.Flood, error) {
	var gateway net.HardwareAddr
	err := l.net.Server.Do(func() error {
		link, err := net.InterfaceByName(attackerLink)
		if err != nil {
			return fmt.Errorf("find %s: %w", attackerLink, err)
		}
		gateway = link.HardwareAddr
		return nil
	})
	if err != nil {
		return nil, err
	}
	target := netip.AddrPortFrom(l.plan.server(ipv4), 80)
	return spoof.New(floodSources, spoofedSources, target, gateway), nil
}

func (l *lab) send(ctx context.Context, f *spoof.Flood) (sent spoof.Result, err error) {
	err = l.net.Spokes["attacker"].Do(func() error {
		sent, err = f.Send(ctx, topology.ServerEnd, spoofedRate, spoofedTime, l.Now)
		return err
	})
	if err == nil {
		err = context.Cause(ctx)
	}
	return sent, err
}

// shed returns how many packets the meters dropped so far.
func (l *lab) shed() (uint64, error) {
	s, err := l.table().Stats()
	return s.ShedV4 + s.ShedV6, err
}
