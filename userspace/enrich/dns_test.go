package enrich

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gabion/userspace/event"
)

// fakeDNS answers from a table and counts what it was asked.
type fakeDNS struct {
	mu    sync.Mutex
	names map[string]string
	asked map[string]int
	gate  chan struct{} // nil: answer at once
}

func (f *fakeDNS) resolve(ctx context.Context, address string) ([]string, error) {
	f.mu.Lock()
	f.asked[address]++
	name := f.names[address]
	f.mu.Unlock()
	if f.gate != nil {
		select {
		case <-f.gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if name == "" {
		return nil, errors.New("no such host")
	}
	return []string{name, "other.example.org."}, nil
}

func newFakeDNS() *fakeDNS {
	return &fakeDNS{names: map[string]string{"192.0.2.1": "Host.Example.com."}, asked: map[string]int{}}
}

func ask(r *resolver, value string) string {
	var evt event.Event
	if err := r.method(value, &evt); err != nil {
		return err.Error()
	}
	return evt.Enriched.Get("reverse_dns")
}

func TestReverseDNS(t *testing.T) {
	dns := newFakeDNS()
	now := clock()
	r := newResolver(Deps{Now: func() time.Time { return now }, Resolve: dns.resolve})
	steps := []struct {
		name, value, want string
		after             time.Duration
		asked             int
	}{
		{"the first name is kept as it is", "192.0.2.1", "Host.Example.com.", 0, 1},
		{"a second question is answered from memory", "192.0.2.1", "Host.Example.com.", 59 * time.Minute, 1},
		{"an answer is forgotten after an hour", "192.0.2.1", "Host.Example.com.", time.Minute, 2},
		{"an address without a name", "192.0.2.2", "", 0, 1},
		{"the lack of a name is remembered", "192.0.2.2", "", 4 * time.Minute, 1},
		{"but only for five minutes", "192.0.2.2", "", time.Minute, 2},
		{"text that is no address is not asked", "example.com", "", 0, 0},
		{"nothing is not asked", "", "", 0, 0},
	}
	for _, s := range steps {
		now = now.Add(s.after)
		if got := ask(r, s.value); got != s.want {
			t.Errorf("%s: name = %q, want %q", s.name, got, s.want)
		}
		if got := dns.asked[s.value]; got != s.asked {
			t.Errorf("%s: asked %d times, want %d", s.name, got, s.asked)
		}
	}
}

func TestReverseDNSAsksOnceAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS()
		dns.gate = make(chan struct{})
		r := newResolver(Deps{Now: time.Now, Resolve: dns.resolve})
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if got := ask(r, "192.0.2.1"); got != "Host.Example.com." {
					t.Errorf("name = %q", got)
				}
			})
		}
		synctest.Wait()
		close(dns.gate)
		wg.Wait()
		if got := dns.asked["192.0.2.1"]; got != 1 {
			t.Errorf("asked %d times, want 1", got)
		}
	})
}

func TestReverseDNSGivesUpOnSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS()
		dns.gate = make(chan struct{}) // never closed
		r := newResolver(Deps{Now: time.Now, Resolve: dns.resolve})
		start := time.Now()
		if got := ask(r, "192.0.2.1"); got != "" {
			t.Errorf("name = %q, want none", got)
		}
		if took := time.Since(start); took != dnsTimeout {
			t.Errorf("gave up after %v, want %v", took, dnsTimeout)
		}
	})
}

func TestReverseDNSMemoryIsBounded(t *testing.T) {
	dns := newFakeDNS()
	r := newResolver(Deps{Now: clock, Resolve: dns.resolve})
	addr := netip.MustParseAddr("2001:db8::")
	for range dnsEntries + 100 {
		addr = addr.Next()
		ask(r, addr.String())
	}
	if len(r.answers) != dnsEntries || len(r.order) != dnsEntries {
		t.Errorf("%d answers in a ring of %d, want %d", len(r.answers), len(r.order), dnsEntries)
	}
	if ask(r, "2001:db8::1"); dns.asked["2001:db8::1"] != 2 {
		t.Error("the address that came first should be forgotten first")
	}
}
