package engine

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"time"

	"gabion/userspace/bucket"
)

// saving is a save in progress, as the shard that it has come to sees it.
type saving struct {
	pieces   chan []byte   // closed by the shard when there is no more
	spare    chan []byte   // pieces that were written, for use again
	complete bool          // everything was sent; set before pieces is closed
	stop     chan struct{} // closed by whoever saves when it gives up
}

// Save writes the live buckets and blackholes as they are at about time now, so that Restore can read
// them. It may be called while the engine runs, by one goroutine at a time: the shards hand over
// what they have in pieces between their jobs and never wait for the writer. A save that Close
// overtakes fails with ErrClosed; after Close it writes the end state.
func (e *Engine) Save(ctx context.Context, w io.Writer, now time.Time) error {
	e.mu.Lock()
	set, running := e.rules.set, e.started
	e.mu.Unlock()
	buf := bufio.NewWriterSize(w, 1<<20)
	out, err := bucket.NewSaver(buf, e.hasher, e.names, set.Scenarios, now)
	if err != nil {
		return err
	}
	for _, s := range e.shards {
		if running {
			err = e.saveShard(ctx, s, out)
		} else {
			err = s.save(out)
		}
		if err != nil {
			return err
		}
	}
	if err := out.Close(); err != nil {
		return err
	}
	return buf.Flush()
}

// saveShard writes what a running shard hands over.
func (e *Engine) saveShard(ctx context.Context, s *shard, out *bucket.Saver) error {
	sv := &saving{pieces: make(chan []byte), spare: make(chan []byte, 1), stop: make(chan struct{})}
	defer close(sv.stop)
	select {
	case s.saves <- sv:
	case <-e.ended:
		return s.save(out)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for {
		select {
		case piece, ok := <-sv.pieces:
			if !ok && sv.complete {
				return nil
			}
			if !ok {
				return ErrClosed
			}
			if err := out.Write(piece); err != nil {
				return err
			}
			sv.spare <- piece
		case <-e.ended:
			return ErrClosed
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// save writes what a shard has that does not run.
func (s *shard) save(out *bucket.Saver) error {
	var piece []byte
	for next, more := 0, true; more; {
		piece, next, more = s.table.Piece(piece[:0], next)
		if err := out.Write(piece); err != nil {
			return err
		}
	}
	return nil
}

// handover is how far a shard is with a save.
type handover struct {
	to    *saving // nil while nobody saves
	piece []byte  // to be sent next
	next  int     // row to go on with
	more  bool
}

// offer returns where the next piece goes, and what ends the save: nil when there is none.
func (h *handover) offer(t *bucket.Table) (to chan<- []byte, stop <-chan struct{}) {
	if h.to == nil {
		return nil, nil
	}
	for len(h.piece) == 0 && h.more {
		h.piece, h.next, h.more = t.Piece(h.piece, h.next)
	}
	if len(h.piece) == 0 {
		h.to.complete = true
		h.end()
		return nil, nil
	}
	return h.to.pieces, h.to.stop
}

// begin takes up a save.
func (h *handover) begin(sv *saving) { *h = handover{to: sv, more: true} }

// sent notes that the piece is on its way.
func (h *handover) sent() {
	h.piece = nil
	select {
	case p := <-h.to.spare:
		h.piece = p[:0]
	default:
	}
}

// end ends the save, if there is one.
func (h *handover) end() {
	if h.to != nil {
		close(h.to.pieces)
		*h = handover{}
	}
}

// Restore reads what Save wrote into the engine, which must not have been started. Buckets of
// scenarios whose definition changed are left out, and so are those whose time was over at time now.
// With an error the engine is as before.
func (e *Engine) Restore(r io.Reader, now time.Time) (bucket.Loaded, error) {
	l, err := bucket.NewLoader(r, e.rules.set.Scenarios, now)
	if err != nil {
		return bucket.Loaded{}, fmt.Errorf("read saved buckets: %w", err)
	}
	var tables []*bucket.Table
	for range e.shards {
		tables = append(tables, e.newTable(l.Hasher(), l.Names()))
	}
	found, err := l.Load(tables)
	if err != nil {
		for _, t := range tables {
			t.Close()
		}
		return bucket.Loaded{}, fmt.Errorf("read saved buckets: %w", err)
	}
	e.hasher, e.names = l.Hasher(), l.Names()
	for i, s := range e.shards {
		s.table.Close()
		s.table = tables[i]
	}
	return found, nil
}
