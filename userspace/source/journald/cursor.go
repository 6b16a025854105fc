package journald

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"time"

	"gabion/userspace/source"
)

// maxFailures is how many runs in a row may end without an entry before the cursor is given up: the
// journal may have been replaced, and then no journalctl accepts it.
const maxFailures = 3

// restore reads the saved cursor at the first run.
func (s *Source) restore() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = false
	if s.position != "" || s.state == "" {
		return
	}
	data, err := os.ReadFile(s.state)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		s.cfg.Log.Warn("saved journal cursor cannot be read; starting at the end of the journal", "path", s.state, "err", err)
	case !isCursor(string(data)):
		s.cfg.Log.Warn("saved journal cursor is damaged; starting at the end of the journal", "path", s.state)
	default:
		s.cursor, s.saved, s.position = string(data), string(data), string(data)
	}
}

// isCursor reports whether text can be a cursor: printable, one word, of bounded length.
func isCursor(text string) bool {
	const most = 1024
	if text == "" || len(text) > most {
		return false
	}
	return strings.IndexFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

// done is told of every entry that the engine has done with, in order, on any goroutine.
func (s *Source) done(cursor string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cursor = cursor
	s.failures = 0
	switch {
	case s.stopped || s.cfg.Now().Sub(s.written) >= saveEvery:
		s.save(false)
	case s.late == nil:
		s.late = time.AfterFunc(saveEvery, s.saveLate)
	}
}

// saveLate saves what done did not.
func (s *Source) saveLate() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.late = nil
	s.save(false)
}

// stop saves the cursor; batches that are done later save theirs themselves.
func (s *Source) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	if s.late != nil {
		s.late.Stop()
		s.late = nil
	}
	s.save(true)
}

// save writes the cursor. The caller holds the lock.
func (s *Source) save(durable bool) {
	if s.state == "" || s.cursor == s.saved || s.cursor == "" {
		return
	}
	s.written = s.cfg.Now()
	err := source.WriteState(s.state, []byte(s.cursor), durable)
	if err == nil {
		s.saved = s.cursor
	}
	if failed := err != nil; failed != s.unsaved {
		s.unsaved = failed
		if failed {
			s.cfg.Log.Warn("journal cursor cannot be saved, a restart now would miss lines; make the state directory writable", "err", err)
		} else {
			s.cfg.Log.Info("journal cursor is saved again")
		}
	}
}

// judge gives the cursor up when journalctl keeps failing with it.
func (s *Source) judge(seen bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if seen || s.position == "" {
		s.failures = 0
		return
	}
	if s.failures++; s.failures < maxFailures {
		return
	}
	s.failures = 0
	s.position, s.cursor, s.saved = "", "", ""
	s.cfg.Log.Warn("journalctl keeps failing at the saved cursor; going on at the end of the journal", "source", s.name)
	if s.state != "" {
		if err := os.Remove(s.state); err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.cfg.Log.Warn("saved journal cursor cannot be removed", "path", s.state, "err", err)
		}
	}
}
