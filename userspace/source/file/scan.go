package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"gabion/userspace/source/file/offsets"
)

// sameContent is how much of a file must have been read before a new file with the same beginning
// at the same path counts as the same file saved anew, as editors do.
const sameContent = 1024

// openFiles is what trouble with the number of files is filed under.
const openFiles = "open files"

var errNotRegular = errors.New("it is no regular file")

// expand returns the regular files that match the patterns, each once, and reports what else does.
func (f *follower) expand() []found {
	var out []found
	seen := map[string]bool{}
	subjects := map[string]bool{openFiles: true}
	for _, pattern := range f.cfg.Patterns {
		paths, _ := filepath.Glob(pattern) // New has checked the pattern
		isGlob := strings.ContainsAny(pattern, `*?[\`)
		subjects[pattern] = true
		if len(paths) == 0 {
			f.missing(pattern, isGlob)
			continue
		}
		if isGlob {
			f.trouble.clear(pattern)
		}
		for _, path := range paths {
			if seen[path] || f.excluded(path) || isGlob && isCompressed(path) {
				continue
			}
			seen[path], subjects[path] = true, true
			if m, ok := f.identify(path); ok {
				m.known = f.known[pattern]
				out = append(out, m)
			}
		}
	}
	f.trouble.keep(subjects)
	return out
}

func (f *follower) missing(pattern string, isGlob bool) {
	if isGlob {
		f.trouble.report(pattern, "no log file matches the pattern; files are read as soon as they appear", "no match")
		return
	}
	f.trouble.report(pattern, "log file does not exist; it is read as soon as it appears", "does not exist")
}

func (f *follower) excluded(path string) bool {
	return slices.ContainsFunc(f.cfg.Exclude, func(re *regexp.Regexp) bool { return re.MatchString(path) })
}

func (f *follower) identify(path string) (found, bool) {
	file := path
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		file = resolved
	}
	m, info, err := lookAt(path, file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.trouble.report(path, "log file is a symbolic link to nothing; it is read as soon as its target exists", "dangling link")
	case errors.Is(err, fs.ErrPermission):
		f.trouble.report(path, permissionAdvice, "permission denied")
	case err != nil:
		f.trouble.report(path, "log file cannot be read; it is tried again", err.Error())
	case info.IsDir():
		f.trouble.report(path, "path is a directory; name the files in it, for example with a pattern that ends in /*.log", "is a directory")
	case !info.Mode().IsRegular():
		f.trouble.report(path, "path is no regular file and is not read", info.Mode().Type().String())
	default:
		return m, true
	}
	return found{}, false
}

// scan compares what the patterns match with what is open: it takes in new files and notices those
// that have left their path.
func (f *follower) scan() {
	f.together(f.scanAll)
	f.order()
}

func (f *follower) scanAll() {
	matches := f.expand()
	var lost []offsets.Entry
	if !f.scanned {
		lost = f.resume(matches)
	}
	present := map[offsets.FileID]bool{}
	var fresh []found
	for _, m := range matches {
		if t := f.byID[m.id]; t != nil {
			f.moved(t, m, present[m.id])
		} else if !present[m.id] {
			fresh = append(fresh, m)
		}
		present[m.id] = true
	}
	for _, t := range f.tails {
		t.matched = present[t.id]
		if !t.matched && !t.rotated {
			f.rotated(t)
		}
	}
	slices.SortFunc(fresh, byAge)
	for _, m := range fresh {
		f.take(m)
	}
	for _, e := range lost {
		f.recover(e)
	}
	f.fill()
	f.scanned = true
}

// moved notes where a file that is open was found; again is set when it has been found under
// another name before.
func (f *follower) moved(t *tail, m found, again bool) {
	f.current[m.path] = m.id
	f.trouble.clear(m.path)
	switch {
	case m.path == t.path:
		t.rotated, t.seen = false, f.cfg.Now()
	case !again && !t.rotated:
		f.rotated(t)
	}
}

func (f *follower) rotated(t *tail) {
	t.rotated = true
	t.changed = f.cfg.Now()
	f.count.rotations.Add(1)
	f.noteTail(t)
}

// order puts the files into the order of their lines: rotated ones first, the oldest first.
func (f *follower) order() {
	slices.SortStableFunc(f.tails, func(a, b *tail) int {
		if a.rotated != b.rotated {
			if a.rotated {
				return -1
			}
			return 1
		}
		return a.mtime.Compare(b.mtime)
	})
	clear(f.names)
	for _, t := range f.tails {
		if !t.rotated {
			f.names[t.path], f.names[t.file] = t, t
		}
	}
}

// take opens a file that is not open yet and decides where to begin in it.
func (f *follower) take(m found) {
	t := f.open(m.path, m.file)
	if t == nil {
		f.passOver(m)
		return
	}
	t.path, t.matched = m.path, true
	previous, switched := f.current[m.path]
	f.current[m.path] = t.id
	if err := f.start(t, m, f.byID[previous]); err != nil {
		f.trouble.report(m.path, "log file cannot be read; it is tried again", err.Error())
		f.remove(t)
		return
	}
	f.noteTail(t)
	if !switched || previous == t.id {
		return
	}
	if p := f.byID[previous]; p != nil {
		f.gaps = append(f.gaps, gap{path: t.path, file: p.file, since: p.entry(f.kind).Since(), known: p})
	} else if e, ok := f.cfg.Offsets.Get(f.kind, previous); ok {
		f.gaps = append(f.gaps, gap{path: t.path, file: e.File, since: e.Since()})
	}
}

// passOver remembers the end of a file that exists at the very first start and cannot be opened, so
// that it is not taken for a new one when it can.
func (f *follower) passOver(m found) {
	if f.scanned || m.known || f.cfg.From == Beginning || f.byID[m.id] != nil {
		return
	}
	if f.cfg.Offsets.Claims.Taken(offsets.Key{Kind: f.kind, ID: m.id}, f.Source) {
		return
	}
	if _, ok := f.cfg.Offsets.Get(f.kind, m.id); ok {
		return
	}
	f.note(offsets.Update{{Entry: offsets.Entry{
		Kind: f.kind, ID: m.id, Path: m.path, File: m.file, Pos: offsets.Position{Offset: m.size}, At: f.cfg.Now(),
	}}})
}

// start sets the position at which reading of a new file begins. previous is what was followed at
// its path before, if it is still open.
func (f *follower) start(t *tail, m found, previous *tail) error {
	saved, ok := f.cfg.Offsets.Get(f.kind, t.id)
	if ok {
		if same, err := t.resume(saved.Pos); err != nil || same {
			t.rotated = saved.Rotated && saved.Path != m.path
			return err
		}
	}
	if previous != nil && previous != t && previous.pos.Offset >= sameContent {
		if same, err := t.resume(previous.pos); err != nil || same {
			return err
		}
	}
	if f.scanned || m.known || ok || f.cfg.From == Beginning {
		return nil
	}
	end, err := f.lastLine(t)
	if err != nil {
		return err
	}
	t.pos, err = offsets.PositionAt(t.f, end)
	return err
}

// lastLine returns where the half line at the end of a file begins, or its size when there is none.
func (f *follower) lastLine(t *tail) (int64, error) {
	from := max(0, t.size-int64(f.cfg.MaxLine))
	buf := f.buf[:t.size-from]
	n, err := t.f.ReadAt(buf, from)
	if ignoreEOF(err) != nil {
		return 0, fmt.Errorf("read end: %w", err)
	}
	for i := n - 1; i >= 0; i-- {
		if buf[i] == '\n' {
			return from + int64(i) + 1, nil
		}
	}
	if from == 0 {
		return 0, nil
	}
	return from + int64(n), nil
}

// open opens a file and adds it to those that are read; nil when that is impossible, which is
// reported, or when it is open already.
func (f *follower) open(path, file string) *tail {
	if len(f.tails) >= f.cfg.MaxFiles {
		f.trouble.report(openFiles, "too many log files match; the others are not read: make the patterns narrower or raise max_files",
			fmt.Sprintf("limit of %d is reached", f.cfg.MaxFiles))
		return nil
	}
	f.trouble.clear(openFiles)
	t, err := openTail(path, file, f.cfg.Now())
	switch {
	case errors.Is(err, fs.ErrPermission):
		f.trouble.report(path, permissionAdvice, "permission denied")
		return nil
	case errors.Is(err, os.ErrNotExist):
		return nil // gone since it was looked at; the next scan says more
	case err != nil:
		f.trouble.report(path, "log file cannot be opened; it is tried again", err.Error())
		return nil
	}
	if f.byID[t.id] != nil {
		_ = t.f.Close() // opened for reading: nothing can be lost
		return nil
	}
	if owner := f.cfg.Offsets.Claims.Take(offsets.Key{Kind: f.kind, ID: t.id}, f.Source); owner != f.Source {
		_ = t.f.Close() // opened for reading: nothing can be lost
		f.trouble.report(path, "log file is read by another source with the same type already; its lines are not counted twice", owner.String())
		return nil
	}
	f.trouble.clear(path)
	f.add(t)
	return t
}
