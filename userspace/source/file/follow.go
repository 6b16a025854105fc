package file

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"gabion/userspace/event"
	"gabion/userspace/source"
	"gabion/userspace/source/file/offsets"
)

const (
	// batchLines bounds a batch: small enough to spread over workers, large enough that handing it
	// over costs nothing per line.
	batchLines = 512

	// turnBlocks is how much is read of one file before the others have their turn.
	turnBlocks = 8
)

// errOlderFirst means that files were found whose lines are older.
var errOlderFirst = errors.New("older files come first")

// errClosing means that the engine takes no more batches.
var errClosing = errors.New("engine is closing")

// follower is one run of a source.
type follower struct {
	*Source
	log     *slog.Logger
	emit    source.Emit
	acks    *source.Acks[offsets.Update]
	trouble troubles
	known   map[string]bool // patterns that an earlier run had

	tails   []*tail // in the order in which they are to be read
	byID    map[offsets.FileID]*tail
	current map[string]offsets.FileID // what was last at a matched path
	scanned bool                      // the first scan is over
	gaps    []gap                     // to be filled before the next read
	joint   *offsets.Update           // not nil: what is noted is one step
	names   map[string]*tail          // where a write to a file is reported
	buf     []byte
	events  source.Pool

	stopped atomic.Bool // Run is over: nobody else saves
}

func newFollower(s *Source, emit source.Emit) *follower {
	f := &follower{
		Source:  s,
		log:     s.cfg.Log.With("source", s.String()),
		emit:    emit,
		byID:    map[offsets.FileID]*tail{},
		current: map[string]offsets.FileID{},
		names:   map[string]*tail{},
		buf:     make([]byte, max(blockSize, s.cfg.MaxLine+2)+offsets.MarkSize),
	}
	f.acks = source.NewAcks(f.apply)
	f.trouble = troubles{log: f.log, known: map[string]string{}}
	known, err := s.cfg.Offsets.Begin(s.kind, s.cfg.Patterns, s.cfg.Now())
	if err != nil {
		f.log.Warn("saved log offsets cannot be used; starting as if for the first time", "err", err)
	}
	f.known = known
	return f
}

// apply makes a step part of what is saved. It may run on any goroutine.
func (f *follower) apply(u offsets.Update) {
	f.cfg.Offsets.Apply(u)
	if f.stopped.Load() {
		f.save()
	}
}

// note records a step that does not wait for the engine; it takes effect in its place among those
// that do.
func (f *follower) note(u offsets.Update) {
	if f.joint == nil {
		f.acks.Add(u)()
		return
	}
	*f.joint = append(*f.joint, u...)
}

// together makes one step of all that is noted in fn.
func (f *follower) together(fn func()) {
	if f.joint != nil {
		fn()
		return
	}
	f.joint = &offsets.Update{}
	fn()
	u := *f.joint
	f.joint = nil
	if len(u) > 0 {
		f.note(u)
	}
}

// skippedWhileEmpty opens copies that were made of a file of which nothing had been read yet: it
// may have been filled and truncated since, and nothing in it would tell.
func (f *follower) skippedWhileEmpty(t *tail) (found bool) {
	if !t.changed.Equal(t.looked) { // the last look saw no change
		return false
	}
	f.together(func() {
		f.gaps = append(f.gaps, gap{path: t.path, file: t.file, since: t.before, known: t})
		if found = f.fill(); found {
			f.order()
		}
	})
	return found
}

func (f *follower) noteTail(t *tail) {
	f.note(offsets.Update{{Entry: t.entry(f.kind)}})
}

func (f *follower) forget(e offsets.Entry) { f.note(offsets.Update{{Entry: e, Gone: true}}) }

// drain reads all files until none has anything left or stop says so. It returns true when there
// is more to read.
func (f *follower) drain(ctx context.Context, stop func() bool) (more bool, err error) {
	for {
		more = false
		for _, t := range slices.Clone(f.tails) {
			again, err := f.turn(ctx, t)
			if err != nil {
				return false, err
			}
			more = more || again
		}
		if !more || ctx.Err() != nil || stop() {
			return more, nil
		}
	}
}

// turn reads some blocks of one file. Trouble with the file is reported and does not stop the rest;
// the error is that of the engine.
func (f *follower) turn(ctx context.Context, t *tail) (more bool, err error) {
	for range turnBlocks {
		if !t.due || ctx.Err() != nil || f.byID[t.id] != t {
			return false, nil
		}
		more, err := f.step(t)
		switch {
		case errors.Is(err, errClosing):
			return false, err
		case errors.Is(err, errTruncated):
			f.truncated(t)
			return true, nil // what is left of its old content comes first
		case errors.Is(err, errOlderFirst):
			return true, nil
		}
		f.health(t, err)
		if t.due = more && err == nil; !t.due {
			return false, nil
		}
	}
	return true, nil
}

// health says once that a file cannot be read, and once that it can again.
func (f *follower) health(t *tail, err error) {
	switch {
	case err != nil && !t.failing:
		f.log.Warn("log file cannot be read; it is tried again", "path", t.path, "err", err)
	case err == nil && t.failing:
		f.log.Info("log file is read again", "path", t.path)
	}
	t.failing = err != nil
}

// step reads one block of a file.
func (f *follower) step(t *tail) (more bool, err error) {
	if more, err := t.look(f.cfg.Now()); err != nil || !more {
		return false, err
	}
	if t.pos.Offset == 0 && !t.rotated && f.skippedWhileEmpty(t) {
		return false, errOlderFirst
	}
	if !t.judged && t.pos.Offset == 0 && t.size > 0 {
		if f.checkOriginals(t) {
			return true, nil
		}
		t.original, t.same, t.judged = f.originalOf(t), 0, true
	}
	if t.original != nil {
		isCopy, more, err := t.compare(f.buf)
		if err != nil || isCopy {
			return more, err
		}
		t.original = nil
	}
	block, err := t.read(f.buf)
	if err != nil {
		return false, err
	}
	if t.pos.Offset == 0 && block != "" && block[0] == 0 {
		return true, t.skipHole(f.buf)
	}
	return f.deliver(t, block, false)
}

// deliver hands the lines of a block to the engine. With final set, what is left without a newline
// is a line, too.
func (f *follower) deliver(t *tail, block string, final bool) (more bool, err error) {
	base := t.pos
	c := &cutter{text: block[base.Context():], max: f.cfg.MaxLine, skip: base.Skip}
	for {
		slab := f.events.Slab()
		f.addEvents(slab, t, c, final)
		n := slab.Len()
		if n == 0 && base.Offset+int64(c.used) == t.pos.Offset {
			slab.Drop()
			break
		}
		next := base.Advance(block, c.used, c.skip)
		f.count.bytes.Add(uint64(next.Offset - t.pos.Offset))
		e := t.entry(f.kind)
		e.Pos = next
		done := f.acks.Add(offsets.Update{{Entry: e}})
		if n == 0 {
			t.pos = next
			slab.Drop()
			done()
			break
		}
		if err := f.emit(slab.Batch(done)); err != nil {
			return false, fmt.Errorf("%w: %w", errClosing, err)
		}
		t.pos = next
		f.count.lines.Add(uint64(n))
	}
	f.count.cut.Add(uint64(c.long))
	full := len(block) == len(f.buf)
	t.drained = !full && t.size <= t.pos.Offset+int64(len(c.text)-c.used)
	return !t.drained, nil
}

// addEvents makes events of the next lines of a block.
func (f *follower) addEvents(slab *source.Slab, t *tail, c *cutter, final bool) {
	now := f.cfg.Now()
	for slab.Len() < batchLines {
		line, ok := c.next()
		if !ok && final {
			line, ok = c.last()
		}
		if !ok {
			break
		}
		e := slab.Next()
		e.Type, e.ExpectMode, e.Process, e.Time = event.Log, event.Live, true, now
		e.Line = event.Line{Raw: line, Src: t.path, Time: now, Labels: f.cfg.Labels, Process: true, Module: "file"}
	}
}

// finish delivers the half line at the end of a rotated file that has come to rest, and closes the
// file unless it is still matched.
func (f *follower) finish(t *tail) error {
	if t.original != nil || t.size < t.pos.Offset {
		return nil
	}
	if t.size > t.pos.Offset {
		block, err := t.read(f.buf)
		if err != nil {
			return nil // its next turn says what is wrong
		}
		if _, err := f.deliver(t, block, true); err != nil {
			return err
		}
	}
	if !t.matched {
		f.close(t)
	}
	return nil
}

// close forgets a file that needs no reading any more.
func (f *follower) close(t *tail) {
	for _, c := range f.tails {
		if c.original == t {
			f.settle(c)
		}
	}
	info, err := t.f.Stat()
	if err == nil && offsets.LinksOf(info) == 0 {
		f.forget(t.entry(f.kind))
	} else {
		e := t.entry(f.kind)
		e.Closed = true
		f.note(offsets.Update{{Entry: e}})
	}
	f.remove(t)
}

func (f *follower) settle(c *tail) {
	err := c.settle()
	f.health(c, err)
	if err == nil {
		f.noteTail(c)
	}
}

func (f *follower) add(t *tail) {
	f.tails = append(f.tails, t)
	f.byID[t.id] = t
}

func (f *follower) remove(t *tail) {
	f.tails = slices.DeleteFunc(f.tails, func(o *tail) bool { return o == t })
	delete(f.byID, t.id)
	f.cfg.Offsets.Claims.Release(offsets.Key{Kind: f.kind, ID: t.id})
	_ = t.f.Close() // opened for reading: nothing can be lost
}

// settled closes what has been rotated and has come to rest, and publishes the state of the files.
func (f *follower) settled(now time.Time) error {
	for _, t := range slices.Clone(f.tails) {
		if t.rotated && t.drained && now.Sub(t.changed) >= f.cfg.Linger {
			if err := f.finish(t); err != nil {
				return err
			}
		}
	}
	list := make([]FileStats, 0, len(f.tails))
	for _, t := range f.tails {
		list = append(list, FileStats{Path: t.path, Offset: t.pos.Offset, Lag: max(0, t.size-t.pos.Offset)})
	}
	f.mu.Lock()
	f.files = list
	f.mu.Unlock()
	return nil
}
