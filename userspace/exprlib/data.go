package exprlib

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"strings"

	"gabion/userspace/expr"
	"gabion/userspace/ruledoc"
)

// Bounds of a data file.
const (
	maxDataBytes = 64 << 20
	maxDataLine  = 64 << 10
)

// dataFiles are the loaded data files by name. A value is never changed: loading replaces it.
type dataFiles struct {
	lists   map[string][]string
	regexps map[string][]*regexp.Regexp
	tables  map[string]*table
}

func (l *Lib) dataFunctions() []expr.Function {
	return []expr.Function{
		bind1("File", ok1(l.file)),
		bind2("RegexpInFile", ok2(l.regexpInFile)),
		bind1("FileMap", ok1(l.fileMap)),
		bind2("LookupFile", ok2(l.lookupFile)),
	}
}

func (l *Lib) file(name string) []string {
	lines, ok := l.data.Load().lists[name]
	l.unknownUnless(ok, "File", name)
	return lines
}

func (l *Lib) regexpInFile(text, name string) bool {
	patterns, ok := l.data.Load().regexps[name]
	l.unknownUnless(ok, "RegexpInFile", name)
	for _, re := range patterns {
		if re.MatchString(text) {
			return true
		}
	}
	return false
}

func (l *Lib) fileMap(name string) []map[string]string {
	t, ok := l.data.Load().tables[name]
	l.unknownUnless(ok, "FileMap", name)
	if !ok {
		return []map[string]string{}
	}
	return t.rows
}

func (l *Lib) lookupFile(text, name string) string {
	t, ok := l.data.Load().tables[name]
	l.unknownUnless(ok, "LookupFile", name)
	if !ok {
		return ""
	}
	return t.lookup(text)
}

func (l *Lib) unknownUnless(ok bool, helper, name string) {
	if !ok && l.warned.first(helper+" "+name) {
		l.deps.Log.Warn("data file not loaded", "helper", helper, "file", name)
	}
}

// LoadDeclared loads the data files that a rule declares. One that is missing makes look-ups find
// nothing, which is no reason to lose the rule: it is logged.
func (l *Lib) LoadDeclared(files []ruledoc.DataFile) {
	for _, f := range files {
		if f.Type == "" {
			continue // only to be downloaded
		}
		if err := l.LoadData(f.DestFile, f.Type); err != nil {
			l.deps.Log.Error("data file not loaded", "file", f.DestFile, "used_by", f.At.Pos().String(), "err", err)
		}
	}
}

// LoadData loads a data file that a rule declares, with the type it declares: string, regexp, map,
// or empty for a file that expressions do not read. The first load of a file and type counts. The
// error lists every faulty line as file:line; the good lines of a string or regexp file are
// loaded nevertheless.
func (l *Lib) LoadData(file, typ string) error {
	if typ == "" {
		return nil
	}
	l.loading.Lock()
	defer l.loading.Unlock()
	old := l.data.Load()
	if typ == "regex" {
		typ = "regexp"
	}
	if old.has(file, typ) {
		return nil
	}
	load, ok := dataTypes[typ]
	if !ok {
		return fmt.Errorf("data file %s: type %q is not supported: use string, regexp or map", file, typ)
	}
	data, err := l.readData(file)
	if err != nil {
		return err
	}
	next := &dataFiles{lists: maps.Clone(old.lists), regexps: maps.Clone(old.regexps), tables: maps.Clone(old.tables)}
	err = load(next, file, data)
	l.data.Store(next)
	return err
}

func (d *dataFiles) has(file, typ string) (ok bool) {
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

var dataTypes = map[string]func(d *dataFiles, file string, data []byte) error{
	"string": loadList,
	"regexp": loadRegexps,
	"map":    loadTable,
}

// readData reads a file from the data directory or, where that lacks it, from the shipped files.
func (l *Lib) readData(file string) ([]byte, error) {
	if !fs.ValidPath(file) {
		return nil, fmt.Errorf("data file %q: name must be a path inside the data directory", file)
	}
	err := fmt.Errorf("data file %s: there is no data directory", file)
	var sources []fs.FS
	if l.deps.DataDir != "" {
		sources = append(sources, os.DirFS(l.deps.DataDir))
	}
	if l.deps.Data != nil {
		sources = append(sources, l.deps.Data)
	}
	for _, s := range sources {
		var data []byte
		if data, err = readBounded(s, file); err == nil {
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
	data, err := io.ReadAll(io.LimitReader(f, maxDataBytes+1))
	if err == nil && len(data) > maxDataBytes {
		err = fmt.Errorf("%s is larger than %d MiB", file, maxDataBytes>>20)
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
		if len(line) > maxDataLine {
			errs = append(errs, fmt.Errorf("%s:%d: line is longer than %d KiB: the rest of the file is not read", file, n, maxDataLine>>10))
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

func loadList(d *dataFiles, file string, data []byte) error {
	lines := []string{}
	err := eachLine(file, data, func(line string) error {
		lines = append(lines, line)
		return nil
	})
	d.lists = with(d.lists, file, lines)
	return err
}

func loadRegexps(d *dataFiles, file string, data []byte) error {
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
func loadTable(d *dataFiles, file string, data []byte) error {
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
