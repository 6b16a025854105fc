package file

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"gabion/userspace/source"
	"gabion/userspace/source/file/offsets"
)

// maxWatches bounds the directories that are watched; files elsewhere are found by polling.
const maxWatches = 1024

// Run follows the files until ctx is done or the engine closes. Batches that are done only after
// that still move the saved offsets.
func (s *Source) Run(ctx context.Context, emit source.Emit) error {
	f := newFollower(s, emit)
	defer f.stop()
	w := f.newWatcher()
	defer w.close()
	ticker := time.NewTicker(s.cfg.Poll)
	defer ticker.Stop()
	if err := f.pass(ctx, w, true); err != nil {
		return closed(err)
	}
	for {
		f.save()
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if err := f.pass(ctx, w, true); err != nil {
				return closed(err)
			}
		case ev, ok := <-w.events:
			if !ok {
				w.events = nil
				continue
			}
			scan := f.collect(w, ev)
			if err := f.pass(ctx, w, scan); err != nil {
				return closed(err)
			}
		case err, ok := <-w.errors:
			if !ok {
				w.errors = nil
				continue
			}
			// Events were lost: the next poll finds what they would have told.
			f.log.Debug("watching log directories failed", "err", err)
		}
	}
}

// closed turns the engine's refusal into the regular end of a run.
func closed(err error) error {
	if errors.Is(err, errClosing) {
		return nil
	}
	return err
}

// pass brings everything up to date: a scan for new and rotated files if wanted, then reading until
// nothing is left or the next poll is due.
func (f *follower) pass(ctx context.Context, w *watcher, scan bool) error {
	for {
		if scan {
			first := !f.scanned
			f.scan()
			if first {
				f.cfg.Offsets.Scanned(f.kind, f.cfg.Patterns)
				f.position.Do(func() { close(f.positioned) })
			}
			w.follow(f)
			f.save()
			for _, t := range f.tails {
				t.due = true
			}
		}
		began := f.cfg.Now()
		due := func() bool { f.save(); return f.cfg.Now().Sub(began) >= f.cfg.Poll }
		more, err := f.drain(ctx, due)
		if err != nil {
			return err
		}
		if scan || more {
			if err := f.settled(f.cfg.Now()); err != nil {
				return err
			}
		}
		if !more || ctx.Err() != nil {
			return nil
		}
		scan = true
	}
}

// save keeps the file of offsets in shape; it costs nothing most of the time.
func (f *follower) save() { f.cfg.Offsets.Save(f.cfg.Now(), false, f.log) }

// stop closes the files and waits until the offsets are on the disk; batches that are done later
// are still remembered.
func (f *follower) stop() {
	f.stopped.Store(true)
	for _, t := range f.tails {
		_ = t.f.Close() // opened for reading: nothing can be lost
		f.cfg.Offsets.Claims.Release(offsets.Key{Kind: f.kind, ID: t.id})
	}
	f.cfg.Offsets.Save(f.cfg.Now(), true, f.log)
}

// watcher tells of changes in the directories of the followed files. Without inotify it is silent.
type watcher struct {
	fs     *fsnotify.Watcher
	events chan fsnotify.Event
	errors chan error
	dirs   map[string]bool
}

func (f *follower) newWatcher() *watcher {
	w := &watcher{dirs: map[string]bool{}}
	if f.cfg.PollOnly {
		return w
	}
	fs, err := fsnotify.NewWatcher()
	if err != nil {
		f.log.Warn("inotify cannot be used; log files are polled: raise fs.inotify.max_user_instances", "every", f.cfg.Poll, "err", err)
		return w
	}
	w.fs, w.events, w.errors = fs, fs.Events, fs.Errors
	return w
}

func (w *watcher) close() {
	if w.fs != nil {
		_ = w.fs.Close() // the kernel forgets the watches with the descriptor
	}
}

// follow watches the directories of the patterns and of the files that are open.
func (w *watcher) follow(f *follower) {
	if w.fs == nil {
		return
	}
	want := map[string]bool{}
	for _, p := range f.cfg.Patterns {
		if dir := filepath.Dir(p); !strings.ContainsAny(dir, `*?[\`) {
			want[dir] = true
		}
	}
	for _, t := range f.tails {
		if !t.rotated {
			want[filepath.Dir(t.path)], want[filepath.Dir(t.file)] = true, true
		}
	}
	for dir := range w.dirs {
		if !want[dir] {
			_ = w.fs.Remove(dir) // fails when the directory is gone, and its watch with it
			delete(w.dirs, dir)
		}
	}
	for dir := range want {
		if w.dirs[dir] || len(w.dirs) >= maxWatches {
			continue
		}
		if err := w.fs.Add(dir); err != nil {
			f.log.Debug("directory cannot be watched; it is polled", "dir", dir, "err", err)
			continue
		}
		w.dirs[dir] = true
	}
}

// collect takes an event and those that wait behind it, and reports whether files came or went.
func (f *follower) collect(w *watcher, ev fsnotify.Event) (scan bool) {
	const most = 1024
	for range most {
		t := f.names[ev.Name]
		if t != nil {
			t.due = true
		}
		if ev.Op&^fsnotify.Write != 0 {
			scan = scan || t != nil || f.owns(ev.Name)
		}
		if w.dirs[ev.Name] && (ev.Has(fsnotify.Remove) || ev.Has(fsnotify.Rename)) {
			delete(w.dirs, ev.Name)
			scan = true
		}
		select {
		case next, ok := <-w.events:
			if !ok {
				w.events = nil
				return scan
			}
			ev = next
		default:
			return scan
		}
	}
	return scan
}
