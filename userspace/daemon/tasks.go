package daemon

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

// task is a Task made of a name and a function.
type task struct {
	name string
	run  func(context.Context) error
}

func (t task) String() string                { return t.name }
func (t task) Run(ctx context.Context) error { return t.run(ctx) }

// runTasks runs all tasks and returns when all have ended; the first failure ends the others.
func runTasks(ctx context.Context, tasks []Task) error {
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

// every calls f at once and then each period until ctx is done.
func every(name string, period time.Duration, f func(ctx context.Context)) Task {
	return task{name, func(ctx context.Context) error {
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
