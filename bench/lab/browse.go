package lab

import (
	"context"
	"fmt"
	"net"
	"net/netip"
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
	mu       sync.Mutex
	requests int
	failed   int
	failures []string
	took     []time.Duration
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
			b.note(l.Now().Sub(at), family, err)
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

func (b *browser) note(took time.Duration, family string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests++
	if err == nil {
		if len(b.took) < keptTimes {
			b.took = append(b.took, took)
		}
		return
	}
	b.failed++
	if len(b.failures) < keptFailures {
		b.failures = append(b.failures, fmt.Sprintf("%s: %v", family, err))
	}
}

func (b *browser) result() report.Client {
	b.mu.Lock()
	defer b.mu.Unlock()
	return report.Client{Requests: b.requests, Failed: b.failed, LatencyMS: report.Summarise(b.took), Failures: b.failures}
}
