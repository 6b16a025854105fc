package file

import (
	"cmp"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gabion/userspace/source/file/offsets"
)

// resume opens the files that are remembered, wherever they are now, and returns what is
// remembered of content that is not where it was.
func (f *follower) resume(matches []found) (lost []offsets.Entry) {
	at := map[offsets.FileID]found{}
	for _, m := range matches {
		if _, ok := at[m.id]; !ok {
			at[m.id] = m
		}
	}
	entries := slices.DeleteFunc(f.cfg.Offsets.Of(f.kind), func(e offsets.Entry) bool { return !f.owns(e.Path) })
	slices.SortStableFunc(entries, func(a, b offsets.Entry) int { return cmp.Compare(rank(a), rank(b)) })
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
		if !ok && !e.Closed {
			lost = append(lost, e)
		}
	}
	return lost
}

// rank puts what is at its path last.
func rank(e offsets.Entry) int {
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
func (f *follower) reopen(e offsets.Entry, m found) bool {
	t := f.open(m.path, e.File)
	if t == nil {
		return true
	}
	if same, err := t.resume(e.Pos); err != nil || !same {
		f.remove(t)
		return false
	}
	t.path, t.rotated = e.Path, e.Rotated || m.path != e.Path
	t.mtime, t.seen = e.Written, e.At // what is newer has not been looked at
	if e.Pos.Offset == 0 && !e.Rotated {
		f.gaps = append(f.gaps, gap{path: e.Path, file: e.File, since: e.Since(), known: t})
	}
	f.noteTail(t)
	return true
}

// recover looks for the rest of content that was lost sight of while the source was not running.
func (f *follower) recover(e offsets.Entry) {
	self := f.byID[e.ID]
	last, ok := f.inherit(e, self)
	if !ok {
		last = e.Since()
		f.log.Info("earlier content of a log file is gone; what was not read of it is lost", "path", e.Path, "read_until", e.At)
	}
	f.gaps = append(f.gaps, gap{path: e.Path, file: e.File, since: last})
	if self == nil {
		f.forget(e)
	}
}

// truncated deals with a file that lost its content; the copy of that may be matched by a pattern
// and not be known yet.
func (f *follower) truncated(t *tail) {
	f.together(func() {
		f.scan()
		f.renew(t)
		f.fill()
	})
	f.order()
}

// renew begins anew with a file that lost its content. What had not been read of that is read from
// the copy, if there is one.
func (f *follower) renew(t *tail) {
	if !f.lostContent(t) {
		return
	}
	f.count.truncations.Add(1)
	last, ok := f.inherit(t.entry(f.kind), t)
	if !ok {
		last = t.before
	}
	f.gaps = append(f.gaps, gap{path: t.path, file: t.file, since: last})
	t.pos, t.drained, t.due, t.judged = offsets.Position{}, false, true, t.rotated
	f.noteTail(t)
}

// lostContent reports whether what was read of a file is not there any more.
func (f *follower) lostContent(t *tail) bool {
	return t.original == nil && t.pos.Offset > 0 && f.unread(t)
}

// inherit makes every copy of old content go on where that had been read up to. self is the file
// that held it, if it is open. It returns when the copy was last written.
func (f *follower) inherit(old offsets.Entry, self *tail) (last time.Time, ok bool) {
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
				c.rotated = c.rotated || c.path != old.Path
			}
		}
		if taken {
			f.noteTail(c)
			last, ok = c.mtime, true
		}
	}
	if ok || old.Pos.Tail.N == 0 {
		return last, ok
	}
	beside := f.beside(old.Path, old.File)
	slices.Reverse(beside) // the newest that matches is it
	for _, s := range beside {
		if c := f.adopt(s, old.Path, old.Pos); c != nil {
			return s.mtime, true
		}
	}
	return time.Time{}, false
}

// unread reports whether nothing has been read of what a file holds now.
func (f *follower) unread(c *tail) bool {
	if c.pos.Offset == 0 {
		return true
	}
	same, err := c.pos.Matches(c.f, c.size)
	return err == nil && !same
}

// mayContinue reports whether a file can be, by its name, a copy of old content: a rotated one, or
// one that was saved anew at the same path.
func mayContinue(old offsets.Entry, c *tail) bool {
	if c.file == old.File {
		return old.Pos.Offset >= sameContent
	}
	return isCopyName(old.File, c.file) || isCopyName(old.Path, c.file)
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
		if o != t && !o.rotated && isCopyName(o.file, t.file) && f.lostContent(o) {
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
		n := min(offsets.MarkSize, t.size, o.size)
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
func (f *follower) adopt(s found, path string, pos offsets.Position) *tail {
	t := f.open(s.path, s.file)
	if t == nil {
		return nil
	}
	if same, err := t.resume(pos); err != nil || !same {
		f.remove(t)
		return nil
	}
	t.path, t.rotated, t.judged = path, true, true
	f.noteTail(t)
	return t
}

// gap is a time in which files may have come to a path and gone without being seen.
type gap struct {
	path, file string
	since      time.Time
	known      *tail // not nil: copies of this one are none of them
}

// fill opens the rotated files that nobody has read and that were written to in a gap. It returns
// whether there were any.
func (f *follower) fill() (filled bool) {
	for len(f.gaps) > 0 {
		g := f.gaps[0]
		f.gaps = f.gaps[1:]
		for _, t := range slices.Clone(f.tails) {
			if t.path == g.path {
				f.renew(t) // its copy is beside it, but it is no file that nobody has read
			}
		}
		for _, s := range f.beside(g.path, g.file) {
			if s.mtime.Before(g.since) {
				continue
			}
			t := f.adopt(s, g.path, offsets.Position{})
			if t != nil && g.known != nil && t.size <= g.known.size && samePrefix(t.f, g.known.f, t.size) {
				f.forget(t.entry(f.kind))
				f.remove(t)
				t = nil
			}
			filled = filled || t != nil
		}
	}
	return filled
}

// beside returns the rotated files of a path, and the other targets of a symbolic link, that are neither open nor remembered, oldest first.
func (f *follower) beside(path, file string) []found {
	base, other := filepath.Base(file), filepath.Base(path)
	all := siblings(file, func(name string) bool {
		return isRotatedName(base, name) || isRotatedName(other, name) ||
			path != file && isNextName(base, name) // the old target may have been truncated, too
	})
	return slices.DeleteFunc(all, func(s found) bool {
		if f.byID[s.id] != nil {
			return true
		}
		e, ok := f.cfg.Offsets.Get(f.kind, s.id)
		return ok && f.holds(s, e.Pos)
	})
}

// holds reports whether a file that is not open holds at pos what was read.
func (f *follower) holds(s found, pos offsets.Position) bool {
	t, err := openTail(s.path, s.file, f.cfg.Now())
	if err != nil {
		return true // unreadable: nothing to gain from it
	}
	same, err := pos.Matches(t.f, t.size)
	_ = t.f.Close() // opened for reading: nothing can be lost
	return err != nil || same
}
