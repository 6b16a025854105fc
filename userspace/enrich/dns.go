package enrich

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"gabion/userspace/event"
)

const (
	dnsTimeout     = 3 * time.Second
	dnsEntries     = 16384
	dnsKeepFound   = time.Hour
	dnsKeepMissing = 5 * time.Minute
)

// resolver looks up the name of an address and remembers the answer, also that there is none. It
// is safe for concurrent use; one address is looked up once at a time.
type resolver struct {
	deps Deps

	mu      sync.Mutex
	answers map[netip.Addr]*answer
	order   []netip.Addr // ring of the remembered addresses, oldest at next once full
	next    int
}

// answer is one lookup. Its fields are read after ready is closed.
type answer struct {
	ready chan struct{}
	name  string
	until time.Time
}

func newResolver(deps Deps) *resolver {
	return &resolver{deps: deps, answers: map[netip.Addr]*answer{}}
}

// method stores the first name of the address as reverse_dns, with its final dot.
func (r *resolver) method(value string, evt *event.Event) error {
	addr, err := netip.ParseAddr(value)
	if err != nil || r.deps.Resolve == nil {
		return nil // a value that is no address has no name
	}
	if name := r.name(addr); name != "" {
		evt.Enriched.Set("reverse_dns", name)
	}
	return nil
}

func (r *resolver) name(addr netip.Addr) string {
	a, mine := r.claim(addr)
	if mine {
		r.lookUp(addr, a)
	}
	<-a.ready
	return a.name
}

// claim returns the answer to wait for, and whether the caller is the one to look it up.
func (r *resolver) claim(addr netip.Addr) (*answer, bool) {
	now := r.deps.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	a, known := r.answers[addr]
	if known {
		select {
		case <-a.ready:
			if now.Before(a.until) {
				return a, false
			}
		default:
			return a, false
		}
	} else {
		r.remember(addr)
	}
	a = &answer{ready: make(chan struct{})}
	r.answers[addr] = a
	return a, true
}

// remember makes room for addr: when full, the address that came first is forgotten.
func (r *resolver) remember(addr netip.Addr) {
	if len(r.order) < dnsEntries {
		r.order = append(r.order, addr)
		return
	}
	delete(r.answers, r.order[r.next])
	r.order[r.next] = addr
	r.next = (r.next + 1) % dnsEntries
}

func (r *resolver) lookUp(addr netip.Addr, a *answer) {
	defer close(a.ready)
	ctx, cancel := context.WithTimeout(context.Background(), dnsTimeout)
	defer cancel()
	keep := dnsKeepMissing
	if names, err := r.deps.Resolve(ctx, addr.String()); err == nil && len(names) > 0 {
		a.name = names[0]
		keep = dnsKeepFound
	}
	a.until = r.deps.Now().Add(keep)
}
