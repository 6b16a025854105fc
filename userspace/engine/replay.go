package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"time"

	"gabion/userspace/decision"
	"gabion/userspace/event"
	"gabion/userspace/profile"
	"gabion/userspace/rules"
	"gabion/userspace/source"
)

// ReplayOptions says how to read the log of a replay.
type ReplayOptions struct {
	Type   string            // label "type" of every line, such as syslog
	Labels map[string]string // further labels
	File   string            // name of the log as rules see it, evt.Line.Src
	Module string            // kind of source as rules see it; "" means file

	// Now is when a line happened whose own time no parser finds; zero means the Unix epoch.
	Now time.Time

	Workers, Shards int // 0 means 1; the result does not depend on them
	MaxBuckets      int // 0 means bucket.DefaultMaxBuckets
	Log             *slog.Logger
	Totals          func(Totals) // may be nil; called once, when the replay has ended
}

// Totals sums up a replay.
type Totals struct {
	Stats
	CutLines uint64 // lines longer than 1 MiB, of which only the beginning was read
}

// Bounds of a batch of a replay: several of them wait in the queues at a time, and their events are
// to stay in the processor's cache.
const (
	replayBatch = 64      // lines
	replayBytes = 1 << 20 // after which no line is added
)

// Replay runs a log through the rules in the log's own time. It yields the alerts with their
// decisions in the order of the lines that led to them, as they happen, numbered from 1; an error
// of the reader or of ctx comes last. Decisions begin when their alert happened.
func Replay(ctx context.Context, set *rules.Set, profiles *profile.Profiles, r io.Reader, opts ReplayOptions) iter.Seq2[*decision.Alert, error] {
	return func(yield func(*decision.Alert, error) bool) {
		if opts.Now.IsZero() {
			opts.Now = time.Unix(0, 0).UTC()
		}
		ctx, cancel := context.WithCancelCause(ctx)
		e := newEngine(Config{
			Rules: set, Profiles: profiles, Workers: opts.Workers, Shards: opts.Shards, MaxBuckets: opts.MaxBuckets,
			Now: func() time.Time { return opts.Now }, Log: opts.Log,
		}, make(chan *job, 1))
		e.Start()
		defer func() { // whoever reads may leave by a panic: let the goroutines end
			cancel(nil)
			for range e.deliver {
			}
		}()
		f := feeder{engine: e, lines: newLineReader(r), opts: opts}
		ended := make(chan error, 1)
		go f.run(ctx, ended)
		stopped := false
		var id int64
		for j := range e.deliver {
			<-j.finished
			alerts := j.alerts()
			e.end(j)
			for _, a := range alerts {
				id++
				a.ID = id
				if !stopped && !yield(a, nil) {
					stopped = true
					cancel(errStopped)
				}
			}
		}
		err := <-ended
		if opts.Totals != nil {
			opts.Totals(Totals{Stats: e.Stats(), CutLines: f.lines.cut})
		}
		if err != nil && !stopped {
			yield(nil, err)
		}
	}
}

var errStopped = errors.New("replay stopped by its reader")

// feeder reads the log of a replay into batches.
type feeder struct {
	engine *Engine
	lines  *lineReader
	opts   ReplayOptions
	events source.Pool
	labels map[string]string
}

// run feeds the engine until the log ends or ctx is done, closes it and reports how it went.
func (f *feeder) run(ctx context.Context, ended chan<- error) {
	f.labels = map[string]string{}
	for k, v := range f.opts.Labels {
		f.labels[k] = v
	}
	f.labels["type"] = f.opts.Type
	var err error
	for err == nil {
		if err = context.Cause(ctx); err != nil {
			break
		}
		slab := f.events.Slab()
		if err = f.fill(slab); slab.Len() > 0 {
			if emitErr := f.engine.Emit(slab.Batch(nil)); emitErr != nil {
				err = emitErr
			}
		}
	}
	f.engine.Close()
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("replay %s: %w", f.opts.File, err)
	}
	ended <- err
}

// fill reads the next lines; the error is that of the reader.
func (f *feeder) fill(slab *source.Slab) error {
	module := f.opts.Module
	if module == "" {
		module = "file"
	}
	for size := 0; slab.Len() < replayBatch && size < replayBytes; {
		line, err := f.lines.next()
		if err != nil {
			return err
		}
		size += len(line)
		evt := slab.Next()
		evt.ExpectMode, evt.Process, evt.Time = event.Replay, true, f.opts.Now
		evt.Line = event.Line{Raw: line, Src: f.opts.File, Time: f.opts.Now, Labels: f.labels, Process: true, Module: module}
	}
	return nil
}
