// Package dns looks up the names of addresses and the addresses of names, and remembers the
// answers, also that there is none.
//
// What is looked up comes from attackers, who also run servers that never answer: the number of
// remembered answers, their size and the time of a look-up are bounded, and one question is asked
// once at a time. An event waits for its answer; so that a crowd of silent servers cannot hold up
// the events of others, no more than a tenth of the time is spent waiting in the long run.
package dns

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// Bounds of a Resolver.
const (
	Timeout     = 3 * time.Second
	Entries     = 16384 // answers remembered
	KeepFound   = time.Hour
	KeepMissing = 5 * time.Minute
	maxAnswers  = 16  // kept of one answer
	maxName     = 254 // bytes of a name, with its final dot

	mostPatience  = 30 * time.Second // of waiting in a row
	leastPatience = 100 * time.Millisecond
	patienceGrows = 10               // one second in so many
	keepCutShort  = 30 * time.Second // that there is no answer, when it was not waited for as long as it should
)

// Config says whom a Resolver asks.
type Config struct {
	LookupAddr func(ctx context.Context, address string) ([]string, error) // PTR names
	LookupHost func(ctx context.Context, host string) ([]string, error)    // addresses
	Now        func() time.Time
}

// Resolver looks up names and addresses. It is safe for concurrent use. A nil Resolver finds
// nothing.
type Resolver struct {
	config Config

	mu      sync.Mutex
	answers map[question]*answer
	order   []question // ring of the remembered questions, oldest at next once full
	next    int

	patience time.Duration // waiting that is left; negative when several waited at once
	grown    time.Time     // when patience was reckoned last
}

type question struct {
	host bool // asks for the addresses of a name
	text string
}

// answer is one look-up. Its fields are read after ready is closed.
type answer struct {
	ready chan struct{}
	texts []string
	until time.Time
}

// New returns a Resolver that remembers nothing yet.
func New(config Config) *Resolver {
	return &Resolver{config: config, answers: map[question]*answer{}, patience: mostPatience}
}

// Names returns the names of an address as they were answered, with their final dot. The slice is
// shared: it must not be changed.
func (r *Resolver) Names(addr netip.Addr) []string {
	if r == nil || r.config.LookupAddr == nil || !addr.IsValid() {
		return nil
	}
	return r.ask(question{false, addr.Unmap().WithZone("").String()})
}

// Addresses returns the addresses of a name as text. The slice is shared: it must not be changed.
func (r *Resolver) Addresses(host string) []string {
	if r == nil || r.config.LookupHost == nil || host == "" || len(host) > maxName {
		return nil
	}
	return r.ask(question{true, host})
}

// Confirmed reports whether one of the first names of an address, at most so many, is wanted and
// leads back to the address. Whoever has an address can claim any name for it, but not that. Names
// are shown to want without their final dot.
func (r *Resolver) Confirmed(addr netip.Addr, most int, want func(name string) bool) bool {
	names := r.Names(addr)
	for _, name := range names[:min(most, len(names))] {
		if want(strings.TrimSuffix(name, ".")) && r.leadsTo(name, addr.Unmap()) {
			return true
		}
	}
	return false
}

func (r *Resolver) leadsTo(name string, addr netip.Addr) bool {
	for _, text := range r.Addresses(name) {
		if a, err := netip.ParseAddr(text); err == nil && a.Unmap() == addr {
			return true
		}
	}
	return false
}

func (r *Resolver) ask(q question) []string {
	a, mine := r.claim(q)
	if mine {
		r.lookUp(q, a)
	}
	<-a.ready
	return a.texts
}

// claim returns the answer to wait for, and whether the caller is the one to look it up.
func (r *Resolver) claim(q question) (*answer, bool) {
	now := r.config.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	a, known := r.answers[q]
	if known {
		select {
		case <-a.ready:
			if now.Before(a.until) {
				return a, false
			}
		default:
			return a, false
		}
	}
	q.text = strings.Clone(q.text) // it may be a slice of a whole block of the log
	if !known {
		r.remember(q)
	}
	a = &answer{ready: make(chan struct{})}
	r.answers[q] = a
	return a, true
}

// remember makes room for a question: when full, the one that came first is forgotten.
func (r *Resolver) remember(q question) {
	if len(r.order) < Entries {
		r.order = append(r.order, q)
		return
	}
	delete(r.answers, r.order[r.next])
	r.order[r.next] = q
	r.next = (r.next + 1) % Entries
}

func (r *Resolver) lookUp(q question, a *answer) {
	defer close(a.ready)
	start := r.config.Now()
	a.until = start.Add(KeepMissing) // also when the look-up crashes
	wait := r.wait(start)
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	look := r.config.LookupAddr
	if q.host {
		look = r.config.LookupHost
	}
	texts, err := look(ctx, q.text)
	keep := KeepMissing
	switch {
	case err == nil && len(texts) > 0:
		a.texts = texts[:min(len(texts), maxAnswers)]
		keep = KeepFound
	case ctx.Err() != nil && wait < Timeout:
		keep = keepCutShort
	}
	end := r.config.Now()
	a.until = end.Add(keep)
	r.waited(end.Sub(start))
}

// wait returns how long the next look-up may take.
func (r *Resolver) wait(now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.grown.IsZero() {
		r.patience = min(r.patience+max(now.Sub(r.grown), 0)/patienceGrows, mostPatience)
	}
	r.grown = now
	return min(max(r.patience, leastPatience), Timeout)
}

// waited takes what a look-up took from the patience.
func (r *Resolver) waited(took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.patience = max(r.patience-max(took, 0), -mostPatience)
}
