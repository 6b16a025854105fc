package dns

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
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

func clock() time.Time { return time.Date(2024, 6, 1, 12, 0, 0, 0, time.UTC) }

func mustAsk(t *testing.T, r *Resolver, address string) string {
	t.Helper()
	return strings.Join(r.Names(netip.MustParseAddr(address)), " ")
}

func TestReverseDNS(t *testing.T) {
	dns := newFakeDNS()
	now := clock()
	r := New(Config{Now: func() time.Time { return now }, LookupAddr: dns.resolve})
	steps := []struct {
		name, value, want string
		after             time.Duration
		asked             int
	}{
		{"names are kept as they are", "192.0.2.1", "Host.Example.com. other.example.org.", 0, 1},
		{"a second question is answered from memory", "192.0.2.1", "Host.Example.com. other.example.org.", 59 * time.Minute, 1},
		{"an answer is forgotten after an hour", "192.0.2.1", "Host.Example.com. other.example.org.", time.Minute, 2},
		{"an address without a name", "192.0.2.2", "", 0, 1},
		{"the lack of a name is remembered", "192.0.2.2", "", 4 * time.Minute, 1},
		{"but only for five minutes", "192.0.2.2", "", time.Minute, 2},
		{"an address written as IPv6 is the same", "::ffff:192.0.2.2", "", 0, 0},
	}
	for _, s := range steps {
		now = now.Add(s.after)
		if got := mustAsk(t, r, s.value); got != s.want {
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
		r := New(Config{Now: time.Now, LookupAddr: dns.resolve})
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if got := mustAsk(t, r, "192.0.2.1"); got != "Host.Example.com. other.example.org." {
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
		r := New(Config{Now: time.Now, LookupAddr: dns.resolve})
		start := time.Now()
		if got := mustAsk(t, r, "192.0.2.1"); got != "" {
			t.Errorf("name = %q, want none", got)
		}
		if took := time.Since(start); took != Timeout {
			t.Errorf("gave up after %v, want %v", took, Timeout)
		}
	})
}

func TestSilentServersCannotHoldUpEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := newFakeDNS()
		dns.gate = make(chan struct{}) // never closed
		r := New(Config{Now: time.Now, LookupAddr: dns.resolve})
		addr := netip.MustParseAddr("198.51.100.0")
		start := time.Now()
		for range 200 {
			addr = addr.Next()
			r.Names(addr)
		}
		if took := time.Since(start); took < mostPatience || took > mostPatience+time.Minute {
			t.Errorf("200 silent servers took %v", took)
		}
		cut := r.answers[question{false, addr.String()}]
		if keeps := time.Until(cut.until); keeps != keepCutShort {
			t.Errorf("an answer that was not waited for is missing for %v, want %v", keeps, keepCutShort)
		}
		time.Sleep(10 * time.Minute)
		start = time.Now()
		r.Names(addr.Next())
		if took := time.Since(start); took != Timeout {
			t.Errorf("after a rest the look-up took %v, want %v", took, Timeout)
		}
	})
}

func TestReverseDNSMemoryIsBounded(t *testing.T) {
	dns := newFakeDNS()
	r := New(Config{Now: clock, LookupAddr: dns.resolve})
	addr := netip.MustParseAddr("2001:db8::")
	for range Entries + 100 {
		addr = addr.Next()
		mustAsk(t, r, addr.String())
	}
	if len(r.answers) != Entries || len(r.order) != Entries {
		t.Errorf("%d answers in a ring of %d, want %d", len(r.answers), len(r.order), Entries)
	}
	if mustAsk(t, r, "2001:db8::1"); dns.asked["2001:db8::1"] != 2 {
		t.Error("the address that came first should be forgotten first")
	}
}

func TestConfirmedNamesLeadBackToTheAddress(t *testing.T) {
	names := map[string][]string{
		"192.0.2.1": {"crawl.example.com."},
		"192.0.2.2": {"crawl.example.com."},
		"192.0.2.3": {"a.example.net.", "b.example.net.", "c.example.net.", "crawl.example.com."},
	}
	asked := map[string]int{}
	r := New(Config{
		Now:        clock,
		LookupAddr: func(_ context.Context, address string) ([]string, error) { return names[address], nil },
		LookupHost: func(_ context.Context, host string) ([]string, error) {
			asked[host]++
			return []string{"2001:db8::1", "::ffff:192.0.2.1", "192.0.2.3"}, nil
		},
	})
	want := func(name string) bool { return name == "crawl.example.com" }
	for address, confirmed := range map[string]bool{"192.0.2.1": true, "::ffff:192.0.2.1": true, "192.0.2.2": false, "192.0.2.3": false, "192.0.2.4": false} {
		if got := r.Confirmed(netip.MustParseAddr(address), 3, want); got != confirmed {
			t.Errorf("%s: confirmed = %v", address, got)
		}
	}
	if len(asked) != 1 || asked["crawl.example.com."] != 1 {
		t.Errorf("asked for %v, want the wanted name once", asked)
	}
}

func TestWithoutAResolverNothingIsFound(t *testing.T) {
	for name, r := range map[string]*Resolver{"nil": nil, "empty": New(Config{Now: clock})} {
		if r.Names(netip.MustParseAddr("192.0.2.1")) != nil || r.Addresses("example.com") != nil {
			t.Errorf("%s resolver finds something", name)
		}
	}
	dns := newFakeDNS()
	r := New(Config{Now: clock, LookupHost: dns.resolve})
	if r.Addresses("") != nil || r.Addresses(strings.Repeat("a", maxName+1)) != nil || len(dns.asked) > 0 {
		t.Errorf("asked for %v", dns.asked)
	}
}

func TestALookUpThatCrashesLeavesNobodyWaiting(t *testing.T) {
	r := New(Config{Now: clock, LookupHost: func(context.Context, string) ([]string, error) { panic("broken") }})
	func() {
		defer func() { _ = recover() }()
		r.Addresses("example.com")
	}()
	if got := r.Addresses("example.com"); got != nil {
		t.Errorf("got %v", got)
	}
}
