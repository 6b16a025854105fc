package file

import (
	"cmp"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// resume opens the files that are remembered, wherever they are now, and returns what is
// remembered of content that is not where it was.
func (f *follower) resume(matches []found) (lost []entry) {
	at := map[fileID]found{}
	for _, m := range matches {
		if _, ok := at[m.id]; !ok {
			at[m.id] = m
		}
	}
	entries := slices.DeleteFunc(f.cfg.Offsets.of(f.kind), func(e entry) bool { return !f.owns(e.Path) })
	slices.SortStableFunc(entries, func(a, b entry) int { return cmp.Compare(rank(a), rank(b)) })
	for _, e := range entries {
		f.current[e.Path] = e.ID
		m, ok := at[e.ID]
		if !ok && e.Closed {
			continue
		}
		if !ok {
			m, ok = findByID(e.File, e.ID)
		}
		if ok {
			ok = f.reopen(e, m)
		}
		if t := f.byID[e.ID]; ok && t != nil {
			f.skippedWhileEmpty(t, e)
		}
		if !ok && !e.Closed {
			lost = append(lost, e)
		}
	}
	return lost
}

// rank puts what is at its path last.
func rank(e entry) int {
	switch {
	case e.Closed:
		return 0
	case e.Rotated:
		return 1
	}
	return 2
}

// owns reports whether a path is one of the source's.
func (f *follower) owns(path string) bool {
	return slices.ContainsFunc(f.cfg.Patterns, func(p string) bool {
		ok, _ := filepath.Match(p, path) // New has checked the pattern
		return ok || p == path
	})
}

// reopen goes on reading a file where it was left; false when it does not hold what was read any
// more. A file that cannot be opened now stays remembered.
func (f *follower) reopen(e entry, m found) bool {
	t := f.open(m.path, e.File)
	if t == nil {
		return true
	}
	t.path, t.rotated = e.Path, e.Rotated || m.path != e.Path
	if same, err := t.resume(e.Pos); err != nil || !same {
		f.remove(t)
		return false
	}
	return true
}

// recover looks for the rest of content that was lost sight of while the source was not running.
func (f *follower) recover(e entry) {
	self := f.byID[e.ID]
	set, last, ok := f.inherit(e, self)
	if !ok {
		last = e.since()
		f.log.Info("earlier content of a log file is gone; what was not read of it is lost", "path", e.Path, "read_until", e.At)
	}
	u := update{set: append(set, f.skipped(e.Path, e.File, last, nil)...)}
	if self == nil {
		u.drop = append(u.drop, e.key())
	}
	f.note(u)
}

// truncated begins anew with a file that lost its content. What had not been read of that is read
// from the copy, if there is one.
func (f *follower) truncated(t *tail) {
	f.count.truncations.Add(1)
	f.scan() // the copy may be matched by a pattern and not be known yet
	old := t.entry(f.kind)
	set, last, ok := f.inherit(old, t)
	if ok {
		set = append(set, f.skipped(t.path, t.file, last, nil)...)
	}
	t.pos, t.drained, t.due, t.judged = position{}, false, true, t.rotated
	f.note(update{set: append(set, t.entry(f.kind))})
	f.order()
}

// inherit makes every copy of old content go on where that had been read up to. self is the file
// that held it, if it is open. It returns the copies' entries and when the copy was last written.
func (f *follower) inherit(old entry, self *tail) (set []entry, last time.Time, ok bool) {
	for _, c := range f.tails {
		if c == self {
			continue
		}
		taken := c.original != nil && c.original == self
		if taken {
			taken = c.settle() == nil
		} else if old.Pos.Tail.N > 0 && f.unread(c) && mayContinue(old, c) {
			if same, err := c.resume(old.Pos); err == nil && same {
				c.judged, c.drained, c.due, taken = true, false, true, true
				c.rotated = c.path != old.Path
			}
		}
		if taken {
			set, last, ok = append(set, c.entry(f.kind)), c.mtime, true
		}
	}
	if ok || old.Pos.Tail.N == 0 {
		return set, last, ok
	}
	beside := f.beside(old.Path, old.File)
	slices.Reverse(beside) // the newest that matches is it
	for _, s := range beside {
		if c := f.adopt(s, old.Path, old.Pos); c != nil {
			return []entry{c.entry(f.kind)}, s.mtime, true
		}
	}
	return nil, time.Time{}, false
}

// unread reports whether nothing has been read of what a file holds now.
func (f *follower) unread(c *tail) bool {
	if c.pos.Offset == 0 {
		return true
	}
	same, err := c.pos.matches(c.f, c.size)
	return err == nil && !same
}

// mayContinue reports whether a file can be, by its name, a copy of old content: a rotated one, or
// one that was saved anew at the same path.
func mayContinue(old entry, c *tail) bool {
	if c.path == old.Path {
		return old.Pos.Offset >= sameContent
	}
	return isCopyName(old.File, c.file)
}

// isCopyName reports whether a file beside another is called like a copy of it.
func isCopyName(original, file string) bool {
	name, base := filepath.Base(file), filepath.Base(original)
	return filepath.Dir(original) == filepath.Dir(file) &&
		(isRotatedName(base, name) || strings.HasPrefix(name, base) && name != base)
}

// checkOriginals deals with truncation of the files that t may be a copy of, so that t is compared
// with what they hold, not with what they held. It returns true when there was any.
func (f *follower) checkOriginals(t *tail) bool {
	for _, o := range f.tails {
		if o == t || o.pos.Offset == 0 || o.rotated || !isCopyName(o.file, t.file) {
			continue
		}
		if _, err := o.look(f.cfg.Now()); errors.Is(err, errTruncated) || err == nil && f.unread(o) {
			f.truncated(o)
			return true
		}
	}
	return false
}

// originalOf returns the open file that a new one may be a copy of.
func (f *follower) originalOf(t *tail) *tail {
	if t.rotated {
		return nil
	}
	for _, o := range f.tails {
		if o == t || o.rotated || o.original != nil || !isCopyName(o.file, t.file) {
			continue
		}
		n := min(markSize, t.size, o.size)
		if n > 0 && samePrefix(o.f, t.f, n) {
			return o
		}
	}
	return nil
}

// samePrefix reports whether two files begin with the same n bytes.
func samePrefix(a, b io.ReaderAt, n int64) bool {
	x, y := make([]byte, min(n, blockSize)), make([]byte, min(n, blockSize))
	for at := int64(0); at < n; at += blockSize {
		size := min(n-at, blockSize)
		i, _ := a.ReadAt(x[:size], at) // too few bytes are a difference, whatever the reason
		j, _ := b.ReadAt(y[:size], at)
		if int64(i) < size || int64(j) < size || string(x[:size]) != string(y[:size]) {
			return false
		}
	}
	return true
}

// adopt opens a rotated file from pos on; nil when it does not hold there what was read.
func (f *follower) adopt(s found, path string, pos position) *tail {
	t := f.open(s.path, s.file)
	if t == nil {
		return nil
	}
	if same, err := t.resume(pos); err != nil || !same {
		f.remove(t)
		return nil
	}
	t.path, t.rotated, t.judged = path, true, true
	return t
}

// skippedSince opens the files that were at a path, unseen, between previous and its successor t.
func (f *follower) skippedSince(previous fileID, t *tail) []entry {
	if p := f.byID[previous]; p != nil {
		return f.skipped(t.path, p.file, p.entry(f.kind).since(), p)
	}
	if e, ok := f.cfg.Offsets.get(f.kind, previous); ok {
		return f.skipped(t.path, e.File, e.since(), nil)
	}
	return nil
}

// skippedWhileEmpty opens copies that were made of a file of which nothing had been read yet: it
// may have been filled and truncated since, and nothing in it would tell.
func (f *follower) skippedWhileEmpty(t *tail, last entry) bool {
	if t.pos.Offset > 0 || t.rotated {
		return false
	}
	set := f.skipped(t.path, t.file, last.since(), t)
	if len(set) == 0 {
		return false
	}
	f.note(update{set: set})
	f.order()
	return true
}

// skipped opens the rotated files of a path that nobody has read and that were written to since:
// they came and went while nobody looked. A copy of known is none of them.
func (f *follower) skipped(path, file string, since time.Time, known *tail) (set []entry) {
	for _, s := range f.beside(path, file) {
		if s.mtime.Before(since) {
			continue
		}
		t := f.adopt(s, path, position{})
		if t == nil {
			continue
		}
		if known != nil && t.size <= known.size && samePrefix(t.f, known.f, t.size) {
			f.remove(t)
			continue
		}
		set = append(set, t.entry(f.kind))
	}
	return set
}

// beside returns the rotated files of a path, and the other targets of a symbolic link, that are neither open nor remembered, oldest first.
func (f *follower) beside(path, file string) []found {
	base, other := filepath.Base(file), filepath.Base(path)
	all := siblings(file, func(name string) bool {
		return isRotatedName(base, name) || isRotatedName(other, name) || path != file && isNextName(base, name)
	})
	return slices.DeleteFunc(all, func(s found) bool {
		if f.byID[s.id] != nil {
			return true
		}
		e, ok := f.cfg.Offsets.get(f.kind, s.id)
		return ok && f.holds(s, e.Pos)
	})
}

// holds reports whether a file that is not open holds at pos what was read.
func (f *follower) holds(s found, pos position) bool {
	t, err := openTail(s.path, s.file, f.cfg.Now())
	if err != nil {
		return true // unreadable: nothing to gain from it
	}
	same, err := pos.matches(t.f, t.size)
	_ = t.f.Close() // opened for reading: nothing can be lost
	return err != nil || same
}
