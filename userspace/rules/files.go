package rules

import (
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"gabion/userspace/yamlpos"
)

// maxFile bounds the size of a rule file.
const maxFile = 1 << 20

// Source is a tree of rule files.
type Source struct {
	Name string // stands in front of every path in messages: the directory, or "embedded"
	FS   fs.FS
	Only string // a file or folder, of which alone the rules are read; "" for all

	// Published tells the hash and the version of a file, for the alerts of its scenarios; nil when
	// nobody published the rules.
	Published func(path string, text []byte) (hash, version string)
}

// file is a rule file that was read.
type file struct {
	source int // index of its source
	path   string
	name   string // as messages show it
	data   []byte
}

// readFiles reads the rule files of all sources, in the order in which their rules take effect:
// by source, then by path.
func readFiles(sources []Source) ([]file, yamlpos.Errors) {
	var files []file
	var errs yamlpos.Errors
	for i, src := range sources {
		w := walk{source: i, src: src}
		w.start(src.Only)
		slices.SortFunc(w.files, func(a, b file) int { return cmp.Compare(a.path, b.path) })
		files = append(files, w.files...)
		errs = append(errs, w.errs...)
	}
	return files, errs
}

// walk reads one source. It follows links to files, as the hub installs them, and no links to
// directories, so that it ends.
type walk struct {
	source int
	src    Source
	files  []file
	errs   yamlpos.Errors
}

func (w *walk) name(p string) string { return path.Join(w.src.Name, p) }

func (w *walk) failf(p, format string, args ...any) {
	w.errs = append(w.errs, yamlpos.Position{File: w.name(p)}.Errorf(format, args...))
}

func (w *walk) start(at string) {
	if at == "" {
		w.directory(".")
		return
	}
	info, err := fs.Stat(w.src.FS, at)
	switch {
	case err != nil:
		w.failf(at, "read rules: %v", cause(err))
	case info.IsDir():
		w.directory(at)
	default:
		w.file(at)
	}
}

func (w *walk) directory(dir string) {
	entries, err := fs.ReadDir(w.src.FS, dir)
	if err != nil {
		w.failf(dir, "read directory: %v", cause(err))
	}
	for _, e := range entries {
		p := path.Join(dir, e.Name())
		switch {
		case strings.HasPrefix(e.Name(), "."):
		case e.IsDir():
			w.directory(p)
		case path.Ext(p) == ".yaml" || path.Ext(p) == ".yml":
			w.file(p)
		}
	}
}

func (w *walk) file(p string) {
	info, err := fs.Stat(w.src.FS, p)
	switch {
	case err != nil:
		w.failf(p, "read rule file: %v", cause(err))
		return
	case info.IsDir():
		return
	case !info.Mode().IsRegular():
		w.failf(p, "not a regular file")
		return
	}
	data, err := readFile(w.src.FS, p)
	if err != nil {
		w.failf(p, "read rule file: %v", cause(err))
		return
	}
	w.files = append(w.files, file{source: w.source, path: p, name: w.name(p), data: data})
}

func readFile(fsys fs.FS, p string) ([]byte, error) {
	f, err := fsys.Open(p)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("the file is larger than %d MiB", maxFile>>20)
	}
	return data, nil
}

// cause is an error without the path, which the position says already.
func cause(err error) error {
	if pe, ok := err.(*fs.PathError); ok {
		return pe.Err
	}
	return err
}
