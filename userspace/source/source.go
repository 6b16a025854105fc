// Package source says what a source of events is. The kinds live below it: file, journald, kernel.
//
// A source reads, cuts its input into events and hands them over in batches. It remembers how far
// it came only after the engine has called Done, so that a crash repeats lines and never loses one.
package source

import (
	"context"

	"gabion/userspace/event"
)

// Batch is a run of events in the order in which they were read.
type Batch struct {
	Events []*event.Event

	// Done may be nil. The receiver calls it exactly once, from any goroutine, after every event
	// of the batch has gone through parsers and scenarios, and uses no event any more: from then on
	// the source may save its position and use the events again. Batches may be done in another
	// order than they were emitted.
	Done func()
}

// Emit hands a batch to the engine. It blocks while the engine is busy, which is the only
// back-pressure there is; an error means that the engine is closing and took nothing.
type Emit func(Batch) error

// Source produces batches until its context is done.
type Source interface {
	// Run returns nil when ctx is done or the input has ended. After any other error it may be
	// called again. Once Run has returned it does not use emit any more.
	Run(ctx context.Context, emit Emit) error

	// String names the source in log messages.
	String() string
}
