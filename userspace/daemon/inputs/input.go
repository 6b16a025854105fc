// Package inputs keeps sources running and counts what they deliver.
package inputs

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"gabion/userspace/client"
	"gabion/userspace/daemon/health"
	"gabion/userspace/engine"
	"gabion/userspace/source"
)

// Pauses between attempts to run a source that failed.
const (
	firstPause = time.Second
	lastPause  = time.Minute
	settled    = 5 * time.Second // a source that has run for so long works again
)

// Input is one source with what happened to it.
type Input struct {
	name     string
	source   source.Source
	events   atomic.Uint64
	emitted  atomic.Uint64 // batches handed to the engine
	done     atomic.Uint64 // batches that went through it
	restarts atomic.Uint64

	mu      sync.Mutex
	running bool
	err     error
}

// New returns an input that does not run yet. The name tells it apart in metrics, so it is unique.
func New(name string, s source.Source) *Input { return &Input{name: name, source: s} }

// Name returns the name that New was given.
func (in *Input) Name() string { return in.name }

// positioner is a source that says when it knows where to begin to read: nothing that is written
// after that is missed. The channel is closed once, during the first run.
type positioner interface {
	Positioned() <-chan struct{}
}

// AwaitPosition returns when the source knows where to begin, if it can tell, and at the latest
// when ctx is done.
func (in *Input) AwaitPosition(ctx context.Context) {
	if p, ok := in.source.(positioner); ok {
		select {
		case <-p.Positioned():
		case <-ctx.Done():
		}
	}
}

// Run keeps the source running until ctx is done: after a failure it starts it again, with growing
// pauses, for a log that is unreadable today may be readable tomorrow. It owns the source.
func (in *Input) Run(ctx context.Context, emit source.Emit, log *slog.Logger, health *health.Board) error {
	pause := firstPause
	part := "source " + in.name
	for {
		in.set(true, nil)
		before := in.events.Load()
		works := time.AfterFunc(settled, func() { health.Report(part, nil) })
		err := in.source.Run(ctx, in.counting(emit))
		works.Stop()
		if ctx.Err() != nil || errors.Is(err, engine.ErrClosed) {
			in.set(false, nil)
			return nil
		}
		in.set(false, err)
		health.Report(part, err)
		if err == nil {
			log.Info("source ended", "source", in.name)
			return nil
		}
		if in.events.Load() > before {
			pause = firstPause
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		pause = min(2*pause, lastPause)
		in.restarts.Add(1)
	}
}

func (in *Input) counting(emit source.Emit) source.Emit {
	return func(b source.Batch) error {
		n, done := len(b.Events), b.Done // the engine owns the batch from here on
		b.Done = func() {
			in.done.Add(1)
			if done != nil {
				done()
			}
		}
		in.emitted.Add(1)
		err := emit(b)
		if err == nil {
			in.events.Add(uint64(n))
		}
		return err
	}
}

func (in *Input) set(running bool, err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.running, in.err = running, err
}

// Status says how the input does.
func (in *Input) Status() client.SourceStatus {
	in.mu.Lock()
	defer in.mu.Unlock()
	s := client.SourceStatus{
		Name: in.name, Running: in.running, Events: in.events.Load(), Restarts: in.restarts.Load(),
	}
	if in.err != nil {
		s.Error = in.err.Error()
	}
	return s
}
