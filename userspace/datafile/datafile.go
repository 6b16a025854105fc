// Package datafile loads the files that rules look things up in: lists of text, of regular
// expressions, and tables.
package datafile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"

	"gabion/userspace/ruledoc"
)

// Bounds of a data file.
const (
	maxBytes = 64 << 20
	maxLine  = 64 << 10
)

// Config says where a Store finds its files.
type Config struct {
	Dir     string // empty for none
	Shipped fs.FS  // read where Dir lacks the file; nil for none
	Log     *slog.Logger
}

// Store holds the data files that rules have declared. It is safe for concurrent use.
type Store struct {
	config  Config
	loading sync.Mutex // held while a file is loaded
	data    atomic.Pointer[files]
}

// New returns an empty Store.
func New(config Config) *Store {
	s := &Store{config: config}
	s.data.Store(&files{})
	return s
}

// files are the loaded data files by name. A value is never changed: loading replaces it.
type files struct {
	lists   map[string][]string
	regexps map[string][]*regexp.Regexp
	tables  map[string]*table
}

// Lines returns the lines of a file of type string; false when there is no such file.
func (s *Store) Lines(name string) ([]string, bool) {
	lines, ok := s.data.Load().lists[name]
	return lines, ok
}

// Matches reports whether a line of a file of type regexp matches the text; known is false when
// there is no such file.
func (s *Store) Matches(text, name string) (match, known bool) {
	patterns, ok := s.data.Load().regexps[name]
	for _, re := range patterns {
		if re.MatchString(text) {
			return true, ok
		}
	}
	return false, ok
}

// Rows returns the rows of a file of type map; false when there is no such file.
func (s *Store) Rows(name string) ([]map[string]string, bool) {
	t, ok := s.data.Load().tables[name]
	if !ok {
		return nil, false
	}
	return t.rows, true
}

// LookUp returns the tag that a file of type map gives to the text; false when there is no such
// file.
func (s *Store) LookUp(text, name string) (string, bool) {
	t, ok := s.data.Load().tables[name]
	if !ok {
		return "", false
	}
	return t.lookup(text), true
}

// LoadDeclared loads the data files that a rule declares. One that is missing makes look-ups find
// nothing, which is no reason to lose the rule: it is logged.
func (s *Store) LoadDeclared(declared []ruledoc.DataFile) {
	for _, f := range declared {
		if f.Type == "" {
			continue // only to be downloaded
		}
		if err := s.Load(f.DestFile, f.Type); err != nil {
			s.config.Log.Error("data file not loaded", "file", f.DestFile, "used_by", f.At.Pos().String(), "err", err)
		}
	}
}

// Load loads a data file that a rule declares, with the type it declares: string, regexp, map,
// or empty for a file that expressions do not read. The first load of a file and type counts. The
// error lists every faulty line as file:line; the good lines of a string or regexp file are
// loaded nevertheless.
func (s *Store) Load(file, typ string) error {
	if typ == "" {
		return nil
	}
	s.loading.Lock()
	defer s.loading.Unlock()
	old := s.data.Load()
	if typ == "regex" {
		typ = "regexp"
	}
	if old.has(file, typ) {
		return nil
	}
	load, ok := loaders[typ]
	if !ok {
		return fmt.Errorf("data file %s: type %q is not supported: use string, regexp or map", file, typ)
	}
	data, err := s.read(file)
	if err != nil {
		return err
	}
	next := &files{lists: maps.Clone(old.lists), regexps: maps.Clone(old.regexps), tables: maps.Clone(old.tables)}
	err = load(next, file, data)
	s.data.Store(next)
	return err
}

func (d *files) has(file, typ string) (ok bool) {
	switch typ {
	case "string":
		_, ok = d.lists[file]
	case "regexp":
		_, ok = d.regexps[file]
	case "map":
		_, ok = d.tables[file]
	}
	return ok
}

var loaders = map[string]func(d *files, file string, data []byte) error{
	"string": loadList,
	"regexp": loadRegexps,
	"map":    loadTable,
}

// read reads a file from the data directory or, where that lacks it, from the shipped files.
func (s *Store) read(file string) ([]byte, error) {
	if !fs.ValidPath(file) {
		return nil, fmt.Errorf("data file %q: name must be a path inside the data directory", file)
	}
	err := fmt.Errorf("data file %s: there is no data directory", file)
	var sources []fs.FS
	if s.config.Dir != "" {
		sources = append(sources, os.DirFS(s.config.Dir))
	}
	if s.config.Shipped != nil {
		sources = append(sources, s.config.Shipped)
	}
	for _, from := range sources {
		var data []byte
		if data, err = readBounded(from, file); err == nil {
			return data, nil
		}
		err = fmt.Errorf("read data file: %w", err)
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return nil, err
}

func readBounded(from fs.FS, file string) ([]byte, error) {
	info, err := fs.Stat(from, file)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", file)
	}
	if err != nil {
		return nil, err
	}
	f, err := from.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err == nil && len(data) > maxBytes {
		err = fmt.Errorf("%s is larger than %d MiB", file, maxBytes>>20)
	}
	return data, err
}

// eachLine calls add with every line that is neither empty nor a comment, and collects its errors
// with their places. A line that is too long ends the file.
func eachLine(file string, data []byte, add func(line string) error) error {
	const most = 50
	var errs []error
	n := 0
	for line := range bytes.Lines(data) {
		n++
		line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
		if len(line) > maxLine {
			errs = append(errs, fmt.Errorf("%s:%d: line is longer than %d KiB: the rest of the file is not read", file, n, maxLine>>10))
			break
		}
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		if err := add(string(line)); err != nil && len(errs) < most {
			errs = append(errs, fmt.Errorf("%s:%d: %w", file, n, err))
		}
	}
	return errors.Join(errs...)
}

func loadList(d *files, file string, data []byte) error {
	lines := []string{}
	err := eachLine(file, data, func(line string) error {
		lines = append(lines, line)
		return nil
	})
	d.lists = with(d.lists, file, lines)
	return err
}

func loadRegexps(d *files, file string, data []byte) error {
	var patterns []*regexp.Regexp
	err := eachLine(file, data, func(line string) error {
		re, err := regexp.Compile(line)
		if err == nil {
			patterns = append(patterns, re)
		}
		return err
	})
	d.regexps = with(d.regexps, file, patterns)
	return err
}

// loadTable loads rows of JSON. A table with a faulty row is not loaded: what it says would depend
// on which row is missing.
func loadTable(d *files, file string, data []byte) error {
	t := newTable()
	err := eachLine(file, data, func(line string) error {
		var row map[string]string
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			return fmt.Errorf("row is no JSON object of texts: %s", strings.TrimPrefix(err.Error(), "json: "))
		}
		return t.add(row)
	})
	if err == nil {
		d.tables = with(d.tables, file, t)
	}
	return err
}

func with[V any](m map[string]V, key string, value V) map[string]V {
	if m == nil {
		m = map[string]V{}
	}
	m[key] = value
	return m
}
