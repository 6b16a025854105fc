package sockets

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"gabion/userspace/decision"
)

// Bounds of what a Closer holds and does: a botnet decides how many bans there are, and each of its
// members how many connections.
const (
	maxQueue = 1 << 16 // prefixes that wait
	maxRound = 1 << 16 // sockets closed in one round; there is another for the rest

	// restFactor is how many times as long as a round took a Closer rests after it, so that looking
	// through a large table of sockets takes a tenth of one processor at most.
	restFactor = 9
)

// Table is what a Closer asks of the kernel; Diag is one.
type Table interface {
	Connections(within []netip.Prefix, visit func(Socket) bool) error
	Destroy(Socket) error
	Close() error
}

// Config says what a Closer works with. All but Open is required.
type Config struct {
	// Drops reports whether a ban holds for what an address sends, and nothing allows it. It is asked
	// of every socket right before that is closed.
	Drops func(netip.Addr) bool
	// Look brings up to date what Drops goes by, such as who has logged in a moment ago. It is called
	// once a round, if there is anything to close.
	Look func()
	Open func() (Table, error) // nil: the kernel, in the network namespace of the thread
	Log  *slog.Logger
	Now  func() time.Time
}

// Stats counts what a Closer did.
type Stats struct {
	Closed   uint64
	Spared   uint64 // sockets of a banned source that something allows, or whose ban has ended
	Failures uint64 // sockets that the kernel did not close, and rounds in which it did not list them
	Unqueued uint64 // bans whose connections stay open, for too many were waiting
	Rounds   uint64 // times that the kernel was asked for its sockets
	Waiting  int    // prefixes
}

// Closer closes the connections of sources, some time after it was told to and never on the goroutine
// that told it. What comes in while it works waits and is done together. Add and Stats are safe for
// concurrent use.
type Closer struct {
	drops func(netip.Addr) bool
	look  func()
	open  func() (Table, error)
	log   *slog.Logger
	now   func() time.Time
	wake  chan struct{}

	mu    sync.Mutex // covers the rest
	queue map[netip.Prefix]struct{}
	stats Stats
}

// New returns a Closer that does nothing before Run.
func New(c Config) *Closer {
	open := c.Open
	if open == nil {
		open = func() (Table, error) { return Open() }
	}
	return &Closer{
		drops: c.Drops, look: c.Look, open: open, log: c.Log, now: c.Now,
		wake: make(chan struct{}, 1), queue: map[netip.Prefix]struct{}{},
	}
}

// Add has the connections of these prefixes closed. It returns at once. Prefixes are masked, and none
// is IPv4-mapped. Those that find the queue full are counted, and their connections stay.
func (c *Closer) Add(prefixes []netip.Prefix) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range prefixes {
		if _, waits := c.queue[p]; !waits && len(c.queue) >= maxQueue {
			c.stats.Unqueued++
			continue
		}
		c.queue[p] = struct{}{}
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Stats returns the counters.
func (c *Closer) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	st := c.stats
	st.Waiting = len(c.queue)
	return st
}

// Run does what Add asks for, one round for all that waits, with a rest in between. It returns nil when
// ctx ends; what waits then is forgotten.
func (c *Closer) Run(ctx context.Context) error {
	rest := time.NewTimer(0)
	defer rest.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.wake:
		}
		select {
		case <-ctx.Done():
			return nil
		case <-rest.C:
		}
		began := c.now()
		if within := c.take(); len(within) > 0 {
			c.round(ctx, within)
		}
		rest.Reset(restFactor * max(0, c.now().Sub(began)))
	}
}

// take empties the queue.
func (c *Closer) take() []netip.Prefix {
	c.mu.Lock()
	queue := c.queue
	c.queue = map[netip.Prefix]struct{}{}
	c.mu.Unlock()
	return slices.Collect(maps.Keys(queue)) // which may be many: Add does not wait for that
}

// round closes the connections of some prefixes, and logs what came of it.
func (c *Closer) round(ctx context.Context, within []netip.Prefix) {
	done, err := c.closeAll(ctx, within)
	if err != nil && done.Failures == 0 {
		done.Failures = 1
	}
	c.mu.Lock()
	c.stats.Rounds++
	c.stats.Closed += done.Closed
	c.stats.Spared += done.Spared
	c.stats.Failures += done.Failures
	unqueued := c.stats.Unqueued
	c.mu.Unlock()
	if done.Closed+done.Spared > 0 {
		c.log.Info("connections of banned sources closed", "count", done.Closed, "spared", done.Spared, "bans", len(within), "unqueued", unqueued)
	}
	if err != nil {
		c.log.Warn("connections of banned sources not closed", "failures", done.Failures, "bans", len(within), "err", err)
	}
}

// closeAll finds and closes connections. The error is the first of all.
func (c *Closer) closeAll(ctx context.Context, within []netip.Prefix) (done Stats, err error) {
	table, err := c.open()
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, table.Close()) }()
	found, more, err := c.find(table, within, &done)
	if len(found) == 0 {
		return done, err
	}
	c.look()
	for _, s := range found {
		if ctx.Err() != nil {
			break
		}
		if !c.drops(s.Remote) {
			done.Spared++
			continue
		}
		switch failed := table.Destroy(s); {
		case failed == nil:
			done.Closed++
		case errors.Is(failed, errGone): // it ended by itself
		default:
			if done.Failures++; err == nil {
				err = fmt.Errorf("close a connection of %s: %w", s.Remote, failed)
			}
		}
	}
	if more && done.Closed > 0 { // otherwise there is no end of it
		c.Add(within)
	}
	return done, err
}

// find returns the connections that are to be closed as far as is known now, or the first of them.
func (c *Closer) find(table Table, within []netip.Prefix, done *Stats) (found []Socket, more bool, err error) {
	var wanted decision.PrefixMap[struct{}]
	for _, p := range within {
		wanted.Put(p, struct{}{})
	}
	err = table.Connections(within, func(s Socket) bool {
		switch {
		case !covers(&wanted, s.Remote):
		case !c.drops(s.Remote):
			done.Spared++
		case len(found) == maxRound:
			more = true
		default:
			found = append(found, s)
		}
		return !more
	})
	return found, more, err
}

func covers(wanted *decision.PrefixMap[struct{}], addr netip.Addr) bool {
	for range wanted.Covering(netip.PrefixFrom(addr, addr.BitLen())) {
		return true
	}
	return false
}
