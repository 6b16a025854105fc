package hubtest

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gabion/userspace/geo"
)

// memory is a file system of files by path.
type memory map[string][]byte

// Open implements fs.FS.
func (m memory) Open(name string) (fs.File, error) {
	data, ok := m[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &openFile{Reader: bytes.NewReader(data), info: fileInfo{path.Base(name), int64(len(data)), false}}, nil
}

// ReadDir implements fs.ReadDirFS.
func (m memory) ReadDir(dir string) ([]fs.DirEntry, error) {
	found := map[string]fs.DirEntry{}
	for p, data := range m {
		rest, ok := strings.CutPrefix(p, dir+"/")
		if dir == "." {
			rest, ok = p, true
		}
		if !ok {
			continue
		}
		name, _, deeper := strings.Cut(rest, "/")
		found[name] = fs.FileInfoToDirEntry(fileInfo{name, int64(len(data)), deeper})
	}
	var out []fs.DirEntry
	for _, name := range sortedKeys(found) {
		out = append(out, found[name])
	}
	return out, nil
}

type openFile struct {
	*bytes.Reader
	info fileInfo
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *openFile) Close() error               { return nil }

type fileInfo struct {
	name string
	size int64
	dir  bool
}

func (i fileInfo) Name() string       { return i.name }
func (i fileInfo) Size() int64        { return i.size }
func (i fileInfo) ModTime() time.Time { return time.Time{} }
func (i fileInfo) IsDir() bool        { return i.dir }
func (i fileInfo) Sys() any           { return nil }
func (i fileInfo) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o555
	}
	return 0o444
}

// dirs is a file system over directories: a file is that of the first directory that has it.
type dirs []string

// Open implements fs.FS.
func (d dirs) Open(name string) (fs.File, error) {
	for _, dir := range d {
		f, err := os.DirFS(dir).Open(name)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// find returns the path of a file in the first directory that has it, "" when none has.
func (d dirs) find(name string) string {
	i := slices.IndexFunc(d, func(dir string) bool {
		info, err := os.Stat(filepath.Join(dir, filepath.FromSlash(name)))
		return err == nil && info.Mode().IsRegular()
	})
	if i < 0 {
		return ""
	}
	return filepath.Join(d[i], filepath.FromSlash(name))
}

// databases returns the directory of the address databases: the first that has one.
func (d dirs) databases() string {
	for _, dir := range d {
		one := dirs{dir}
		if one.find(geo.CityFile) != "" || one.find(geo.ASNFile) != "" {
			return dir
		}
	}
	return ""
}
