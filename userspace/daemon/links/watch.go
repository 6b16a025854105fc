package links

import (
	"context"
	"fmt"
	"time"

	"github.com/vishvananda/netlink"
)

// Pauses of the watch over interfaces.
const (
	poll   = time.Second           // for what no change tells of: routes, a configuration that was read again
	settle = 20 * time.Millisecond // after a change: they come in bursts
)

// Run checks the interfaces when they change, and otherwise now and then, until ctx is done. It owns the
// attachments.
func (l *Links) Run(ctx context.Context, now func() time.Time) error {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	var settled <-chan time.Time // nil: nothing has changed since the last check
	changes := l.subscribe(ctx)
	for {
		select {
		case <-ctx.Done():
			return nil
		case _, ok := <-changes:
			if !ok {
				changes = nil // too many at once: the next poll finds them
			}
			if settled == nil {
				settled = time.After(settle)
			}
			continue
		case <-settled:
			settled = nil
		case <-tick.C:
			if changes == nil {
				changes = l.subscribe(ctx)
			}
		}
		l.Check(now())
	}
}

// subscribe returns nil, on which nothing arrives, when nobody tells of changes.
func (l *Links) subscribe(ctx context.Context) <-chan struct{} {
	if l.cfg.Changes == nil {
		return nil
	}
	changes, err := l.cfg.Changes(ctx)
	l.cfg.Health.Report("changes of interfaces", err)
	return changes
}

// Changes asks the kernel to tell of changed interfaces of this network namespace. Changes that nobody
// has asked for yet become one.
func Changes(ctx context.Context) (<-chan struct{}, error) {
	ctx, stop := context.WithCancel(ctx)
	updates, changes := make(chan netlink.LinkUpdate), make(chan struct{}, 1)
	// What goes wrong later closes updates.
	options := netlink.LinkSubscribeOptions{ErrorCallback: func(error) {}}
	if err := netlink.LinkSubscribeWithOptions(updates, ctx.Done(), options); err != nil {
		stop()
		return nil, fmt.Errorf("ask for changes of interfaces: %w", err)
	}
	go runChanges(updates, changes, stop)
	return changes, nil
}

// runChanges owns changes, which it never waits for, and ends when updates is closed: with the context
// of the subscription, or when the kernel had more to tell than its buffer holds. Stop closes the socket.
func runChanges(updates <-chan netlink.LinkUpdate, changes chan<- struct{}, stop func()) {
	defer stop()
	defer close(changes)
	for range updates {
		select {
		case changes <- struct{}{}:
		default:
		}
	}
}
