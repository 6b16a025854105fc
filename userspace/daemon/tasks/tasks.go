// Package tasks runs what lives as long as the process.
package tasks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

// Task is anything that runs as long as the process. Run returns nil when ctx is done; any other
// return ends the daemon.
type Task interface {
	fmt.Stringer
	Run(ctx context.Context) error
}

// named is a Task made of a name and a function.
type named struct {
	name string
	run  func(context.Context) error
}

func (t named) String() string                { return t.name }
func (t named) Run(ctx context.Context) error { return t.run(ctx) }

// New returns a task of that name.
func New(name string, run func(context.Context) error) Task { return named{name, run} }

// Run runs all tasks and returns when all have ended; the first failure ends the others.
func Run(ctx context.Context, tasks []Task) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, t := range tasks {
		g.Go(func() error {
			err := t.Run(ctx)
			if err == nil || ctx.Err() != nil && errors.Is(err, ctx.Err()) {
				return nil
			}
			return fmt.Errorf("%s: %w", t, err)
		})
	}
	return g.Wait()
}

// Every calls f at once and then each period until ctx is done.
func Every(name string, period time.Duration, f func(ctx context.Context)) Task {
	return named{name, func(ctx context.Context) error {
		tick := time.NewTicker(period)
		defer tick.Stop()
		for {
			f(ctx)
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
		}
	}}
}
