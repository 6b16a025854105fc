package file

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gabion/userspace/source/file/offsets"
)

// maxSiblings bounds how many files beside a log are looked at in search of its earlier content.
const maxSiblings = 1024

// compressed are the endings of files that are no text. Their content was read before they were
// compressed.
var compressed = []string{".gz", ".xz", ".bz2", ".zst", ".lz4", ".lzo", ".Z", ".zip", ".7z"}

func isCompressed(path string) bool {
	return slices.ContainsFunc(compressed, func(end string) bool { return strings.HasSuffix(path, end) })
}

// isRotatedName reports whether name is what log rotation makes of base: app.log.1,
// app.log-20260212, app-20260212.log, app.log.old.
func isRotatedName(base, name string) bool {
	if isCompressed(name) {
		return false
	}
	if rest, ok := strings.CutPrefix(name, base); ok {
		return isRotationSuffix(rest)
	}
	ext := filepath.Ext(base)
	rest, ok := strings.CutPrefix(name, strings.TrimSuffix(base, ext))
	if !ok || ext == "" {
		return false
	}
	rest, ok = strings.CutSuffix(rest, ext)
	return ok && isRotationSuffix(rest)
}

// isNextName reports whether two names differ in nothing but digits, if at all: targets that a symbolic link
// is switched between, such as app-2026-02-11.log and app-2026-02-12.log.
func isNextName(base, name string) bool {
	digits := strings.NewReplacer("0", "", "1", "", "2", "", "3", "", "4", "", "5", "", "6", "", "7", "", "8", "", "9", "")
	return !isCompressed(name) && digits.Replace(base) == digits.Replace(name)
}

func isRotationSuffix(s string) bool {
	if len(s) < 2 || !strings.ContainsRune(".-_", rune(s[0])) {
		return false
	}
	switch s[1:] {
	case "old", "bak", "prev", "orig", "save":
		return true
	}
	digits := strings.ContainsAny(s, "0123456789")
	return digits && strings.Trim(s, "0123456789.-_:+TZ") == ""
}

// found is a regular file by one of its names.
type found struct {
	path  string
	file  string // path with symbolic links resolved
	id    offsets.FileID
	size  int64
	mtime time.Time
	known bool // matched by a pattern that an earlier run of the source had, too
}

func lookAt(path, file string) (found, os.FileInfo, error) {
	info, err := os.Stat(path)
	if err != nil {
		return found{}, nil, err
	}
	return found{path: path, file: file, id: offsets.IDOf(info), size: info.Size(), mtime: info.ModTime()}, info, nil
}

// byAge sorts files that were last written to longer ago first. Of rotated files with the same
// time the one with the higher number is older.
func byAge(a, b found) int {
	return cmp.Or(a.mtime.Compare(b.mtime), cmp.Compare(len(b.path), len(a.path)), cmp.Compare(b.path, a.path))
}

// siblings returns the regular files beside file that accept agrees to by name, oldest first.
func siblings(file string, accept func(name string) bool) []found {
	dir := filepath.Dir(file)
	names, err := os.ReadDir(dir)
	if err != nil {
		return nil // the directory itself is gone: there is nothing to find
	}
	var out []found
	for _, entry := range names {
		if !entry.Type().IsRegular() || !accept(entry.Name()) {
			continue
		}
		path := filepath.Join(dir, entry.Name())
		if s, _, err := lookAt(path, path); err == nil {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, byAge)
	return out[max(0, len(out)-maxSiblings):]
}

// findByID returns where the file with that identity is now, in the directory of file.
func findByID(file string, id offsets.FileID) (found, bool) {
	for _, s := range siblings(file, func(string) bool { return true }) {
		if s.id == id {
			return s, true
		}
	}
	return found{}, false
}
