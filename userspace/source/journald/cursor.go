package journald

import "strings"

// maxFailures is how many runs in a row may end without an entry before the cursor is given up: the
// journal may have been replaced, and then no journalctl accepts it.
const maxFailures = 3

// restore reads the saved cursor at the first run.
func (s *Source) restore() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == nil || s.loaded {
		return
	}
	s.loaded = true
	records, err := s.state.Load()
	if err != nil {
		s.cfg.Log.Warn("saved journal cursor cannot be read; starting at the end of the journal", "source", s.name, "err", err)
	}
	if len(records) == 0 {
		return
	}
	last := string(records[len(records)-1])
	if !isCursor(last) {
		s.cfg.Log.Warn("saved journal cursor is damaged; starting at the end of the journal", "source", s.name)
		return
	}
	s.cursor, s.position = last, last
}

// isCursor reports whether text can be a cursor: printable, one word, of bounded length.
func isCursor(text string) bool {
	const most = 1024
	if text == "" || len(text) > most {
		return false
	}
	return strings.IndexFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

// done is told of every entry that the engine has done with, in order, on any goroutine. When it
// returns the cursor is safe from SIGKILL.
func (s *Source) done(cursor string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cursor = cursor
	s.failures = 0
	if s.state == nil || s.state.Append([]byte(cursor)) && !s.state.Full() {
		return
	}
	if now := s.cfg.Now(); s.unsaved == nil || now.Sub(s.tried) >= retryEvery {
		s.tried = now
		s.report(s.state.Rebuild([][]byte{[]byte(cursor)}))
	}
}

// stop waits until the cursor is on the disk; batches that are done later are still remembered.
func (s *Source) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == nil || s.cursor == "" {
		return
	}
	var err error
	if s.state.Lost() {
		err = s.state.Rebuild([][]byte{[]byte(s.cursor)})
	}
	if err == nil {
		err = s.state.Sync()
	}
	s.report(err)
}

// report says once that the cursor cannot be saved, and once that it can again.
func (s *Source) report(err error) {
	switch {
	case err != nil && s.unsaved == nil:
		s.cfg.Log.Warn("journal cursor cannot be saved, a restart now would read entries again; make the state directory writable", "source", s.name, "err", err)
	case err == nil && s.unsaved != nil:
		s.cfg.Log.Info("journal cursor is saved again", "source", s.name)
	}
	s.unsaved = err
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
	s.position, s.cursor = "", ""
	s.cfg.Log.Warn("journalctl keeps failing at the saved cursor; going on at the end of the journal", "source", s.name)
	if s.state != nil {
		if err := s.state.Remove(); err != nil {
			s.cfg.Log.Warn("saved journal cursor cannot be removed", "source", s.name, "err", err)
		}
	}
}
