package lab

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"gabion/bench/lab/report"
	"gabion/bench/lab/service"
)

// Pace and patience of the client.
const (
	browsePause    = 50 * time.Millisecond
	browsePatience = 2 * time.Second
	keptFailures   = 5
	keptTimes      = 100_000 // of requests: a person may leave the lab's shell open for days
)

// browser is the client: it requests one page after the other, each over a fresh connection.
type browser struct {
	mu    sync.Mutex
	all   report.Client
	times []visit
	begun map[string]time.Time // the last request of each family that has ended
}

// visit is one request.
type visit struct {
	at     time.Time // when it began
	took   time.Duration
	failed bool
}

// runBrowser owns one family's requests and a thread in the client's namespace; it returns when ctx
// ends. A request that the end cuts off does not count.
func (l *lab) runBrowser(ctx context.Context, b *browser, family string) {
	err := l.net.Spokes["client"].Do(func() error {
		pages := service.Pages()
		for n := 0; ; n++ {
			at := l.Now()
			err := l.browse(ctx, family, pages[n%len(pages)])
			if ctx.Err() != nil {
				return nil
			}
			b.note(at, l.Now().Sub(at), family, err)
			if sleep(ctx, browsePause) != nil {
				return nil
			}
		}
	})
	if err != nil {
		l.abort(step("browse", err))
	}
}

func (l *lab) browse(ctx context.Context, family, path string) error {
	ctx, cancel := context.WithTimeout(ctx, browsePatience)
	defer cancel()
	d := &net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(l.plan.client(family), 0))}
	c, err := service.Dial(ctx, d, netip.AddrPortFrom(l.plan.server(family), 80).String())
	if err != nil {
		return err
	}
	defer c.Close()
	answer, err := service.Fetch(c, path)
	if err != nil {
		return err
	}
	if status, _, _ := strings.Cut(answer, "\r\n"); status != "HTTP/1.1 200 OK" {
		return fmt.Errorf("%s answered %q", path, status)
	}
	return nil
}

func (b *browser) note(at time.Time, took time.Duration, family string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all.Requests++
	b.begun[family] = at
	if len(b.times) < keptTimes {
		b.times = append(b.times, visit{at: at, took: took, failed: err != nil})
	}
	if err == nil {
		return
	}
	b.all.Failed++
	if len(b.all.Failures) < keptFailures {
		b.all.Failures = append(b.all.Failures, fmt.Sprintf("%s: %v", family, err))
	}
}

// result returns how all requests went.
func (b *browser) result() report.Client {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.all
	out.Failures = slices.Clone(b.all.Failures)
	out.LatencyMS = report.Summarise(b.latencies(func(time.Time) bool { return true }))
	return out
}

// between returns how the requests went that began in the given time.
func (b *browser) between(from, to time.Time) report.Client {
	b.mu.Lock()
	defer b.mu.Unlock()
	within := func(at time.Time) bool { return !at.Before(from) && at.Before(to) }
	var out report.Client
	for _, v := range b.times {
		if within(v.at) {
			out.Requests++
			if v.failed {
				out.Failed++
			}
		}
	}
	out.LatencyMS = report.Summarise(b.latencies(within))
	return out
}

// latencies returns how long the requests took that were answered.
func (b *browser) latencies(want func(at time.Time) bool) []time.Duration {
	var out []time.Duration
	for _, v := range b.times {
		if !v.failed && want(v.at) {
			out = append(out, v.took)
		}
	}
	return out
}

// passed returns when each family has ended a request that it began after t, so that those from
// before are all noted.
func (b *browser) passed(ctx context.Context, t time.Time) error {
	for !b.isPast(t) {
		if err := sleep(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

func (b *browser) isPast(t time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, family := range []string{ipv4, ipv6} {
		if !b.begun[family].After(t) {
			return false
		}
	}
	return true
}
