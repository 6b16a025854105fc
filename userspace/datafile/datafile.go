// Package datafile loads the files that rules look things up in: lists of text, of regular
// expressions, tables, and descriptions of robots.
//
// Files are read when the rules are loaded and never while an event waits; one that is missing then
// is named in the log, and look-ups in it find nothing.
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
	"gabion/userspace/search"
)

// Bounds of a data file.
const (
	maxBytes   = 64 << 20
	maxLine    = 64 << 10
	maxLines   = 1_000_000
	maxRegexps = 20_000
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
	version uint64
	lists   map[string][]string
	regexps map[string]*patterns
	tables  map[string]*table
	bots    map[string][]*Bot
}

// Version is another number whenever a file was loaded. As long as it stays, so does what was read.
func (s *Store) Version() uint64 { return s.data.Load().version }

// Lines returns the lines of a file of type string; false when there is no such file.
func (s *Store) Lines(name string) ([]string, bool) {
	lines, ok := s.data.Load().lists[name]
	return lines, ok
}

// Matches reports whether a line of a file of type regexp matches the text; known is false when
// there is no such file.
func (s *Store) Matches(text, name string) (match, known bool) {
	p, ok := s.data.Load().regexps[name]
	return ok && p.match(text), ok
}

// Bots returns the rows of a file of type bots; false when there is no such file.
func (s *Store) Bots(name string) ([]*Bot, bool) {
	bots, ok := s.data.Load().bots[name]
	return bots, ok
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
		err := s.Load(f.DestFile, f.Type)
		if f.Type == "" && f.DestFile != "" {
			err = s.present(f.DestFile)
		}
		if err != nil {
			s.config.Log.Error("data file not loaded", "file", f.DestFile, "used_by", f.At.Pos().String(), "err", err)
		}
		switch f.Strategy {
		case "", "LRU", "LFU", "ARC": // results are remembered in one way, which no rule can tell
		default:
			s.config.Log.Warn("unknown cache strategy ignored: use LRU, LFU or ARC", "strategy", f.Strategy, "used_by", f.At.Key("strategy").String())
		}
	}
}

// Load loads a data file that a rule declares, with the type it declares: string, regexp, map, bots,
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
		return fmt.Errorf("data file %s: type %q is not supported: use string, regexp, map or bots", file, typ)
	}
	data, err := s.read(file)
	if err != nil {
		return err
	}
	next := &files{version: old.version + 1, lists: maps.Clone(old.lists), regexps: maps.Clone(old.regexps), tables: maps.Clone(old.tables), bots: maps.Clone(old.bots)}
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
	case "bots":
		_, ok = d.bots[file]
	}
	return ok
}

var loaders = map[string]func(d *files, file string, data []byte) error{
	"string": loadList,
	"regexp": loadRegexps,
	"map":    loadTable,
	"bots":   loadBots,
}

// present reports whether a file exists that helpers read in their own way, such as an address
// database.
func (s *Store) present(file string) error {
	_, err := s.locate(file)
	return err
}

// read reads a file from the data directory or, where that lacks it, from the shipped files.
func (s *Store) read(file string) ([]byte, error) {
	from, err := s.locate(file)
	if err != nil {
		return nil, err
	}
	data, err := readBounded(from, file)
	if err != nil {
		return nil, fmt.Errorf("read data file: %w", err)
	}
	return data, nil
}

// locate finds where a regular file of that name is.
func (s *Store) locate(file string) (fs.FS, error) {
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
		var info fs.FileInfo
		info, err = fs.Stat(from, file)
		switch {
		case err == nil && info.Mode().IsRegular():
			return from, nil
		case err == nil:
			err = fmt.Errorf("%s is no regular file", file)
		}
		err = fmt.Errorf("read data file: %w", err)
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return nil, err
}

func readBounded(from fs.FS, file string) ([]byte, error) {
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

// errFull makes eachLine stop: the file has as many lines as are read.
var errFull = errors.New("too many lines: the rest of the file is not read")

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
		err := add(string(line))
		if err != nil && len(errs) < most {
			errs = append(errs, fmt.Errorf("%s:%d: %w", file, n, err))
		}
		if errors.Is(err, errFull) {
			break
		}
	}
	return errors.Join(errs...)
}

func loadList(d *files, file string, data []byte) error {
	lines := []string{}
	err := eachLine(file, data, func(line string) error {
		if len(lines) == maxLines {
			return errFull
		}
		lines = append(lines, line)
		return nil
	})
	d.lists = with(d.lists, file, lines)
	return err
}

func loadRegexps(d *files, file string, data []byte) error {
	var list []*regexp.Regexp
	err := eachLine(file, data, func(line string) error {
		if len(list) == maxRegexps {
			return errFull
		}
		re, err := regexp.Compile(line)
		if err == nil {
			list = append(list, re)
		}
		return err
	})
	d.regexps = with(d.regexps, file, newPatterns(list))
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
		t.contains = search.New(t.words, false)
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
