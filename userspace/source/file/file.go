// Package file follows log files: it delivers every line once, across rotation by renaming, by
// copying and truncating, by switching a symbolic link, across deletion, and across restarts.
//
// A file is known by its device and inode and by the bytes around the point up to which it has been
// read, never by its name. What the engine has done with is saved; after a crash only batches that
// it had not done with are read again. Everything a Source owns belongs to the goroutine of Run.
package file

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gabion/userspace/source/file/offsets"
)

// Start says where to begin in files that exist when the source starts for the first time ever.
// Files that appear later are always read from their beginning.
type Start int

// The places to start from.
const (
	End Start = iota
	Beginning
)

// Defaults of Config.
const (
	DefaultPoll     = time.Second
	DefaultLinger   = time.Minute
	DefaultMaxLine  = 64 << 10
	DefaultMaxFiles = 1024
)

// Offsets remembers how far log files have been read, for all file sources of a daemon together.
type Offsets = offsets.Book

// NewOffsets returns the offsets kept in the state directory dir; they are read when the first
// source starts. With an empty dir they last as long as the process.
func NewOffsets(dir string) *Offsets { return offsets.NewBook(dir) }

// Config is what a Source needs. Zero values stand for the defaults.
type Config struct {
	Patterns []string          // paths or globs
	Exclude  []*regexp.Regexp  // paths that match are not read
	Labels   map[string]string // of every line; "type" selects the parsers
	From     Start
	PollOnly bool          // do without inotify, which knows nothing of what other machines write
	Poll     time.Duration // how often files are looked at in any case
	Linger   time.Duration // how long a rotated file may rest before it is closed
	MaxLine  int           // bytes; longer lines are cut
	MaxFiles int           // open at the same time

	Offsets *Offsets // nil: nothing is remembered
	Log     *slog.Logger
	Now     func() time.Time
}

// Source follows the files that match its patterns.
type Source struct {
	cfg   Config
	kind  string
	count counters

	position   sync.Once
	positioned chan struct{} // closed by position

	mu    sync.Mutex
	files []FileStats
}

// New checks the configuration and returns a source that has not touched any file yet.
func New(cfg Config) (*Source, error) {
	if len(cfg.Patterns) == 0 {
		return nil, errors.New("no file to follow: name at least one path or pattern")
	}
	cfg.Patterns = slices.Clone(cfg.Patterns)
	for i, p := range cfg.Patterns {
		if _, err := filepath.Match(p, ""); err != nil {
			return nil, fmt.Errorf("pattern %q: %w", p, err)
		}
		path, err := filepath.Abs(p)
		if err != nil {
			return nil, fmt.Errorf("find absolute path of %q: %w", p, err)
		}
		cfg.Patterns[i] = path
	}
	if cfg.Offsets == nil {
		cfg.Offsets = NewOffsets("")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	setDefault(&cfg.Poll, DefaultPoll)
	setDefault(&cfg.Linger, DefaultLinger)
	setDefault(&cfg.MaxLine, DefaultMaxLine)
	setDefault(&cfg.MaxFiles, DefaultMaxFiles)
	return &Source{cfg: cfg, kind: cfg.Labels["type"], positioned: make(chan struct{})}, nil
}

// Positioned returns a channel that is closed once it is settled where reading of every file that
// was there begins. What is written after that is never passed over, also at the very first start.
func (s *Source) Positioned() <-chan struct{} { return s.positioned }

func setDefault[T int | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

// String names the source by its patterns.
func (s *Source) String() string {
	const most = 3
	list := s.cfg.Patterns
	if len(list) > most {
		return fmt.Sprintf("file:%s and %d more", strings.Join(list[:most], ","), len(list)-most)
	}
	return "file:" + strings.Join(list, ",")
}

type counters struct {
	lines, bytes, cut, rotations, truncations atomic.Uint64
}

// Stats says what a source has done since it was made.
type Stats struct {
	Lines       uint64 // delivered
	Bytes       uint64 // read in the course of it
	Cut         uint64 // lines longer than the limit
	Rotations   uint64 // files that left their path
	Truncations uint64 // files that lost their content and began anew
	Files       []FileStats
}

// FileStats says how far one open file has been read.
type FileStats struct {
	Path   string
	Offset int64
	Lag    int64 // bytes that are there and have not been read
}

// Stats returns the counters; the list of files is at most one poll old. It is safe for concurrent
// use.
func (s *Source) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{
		Lines:       s.count.lines.Load(),
		Bytes:       s.count.bytes.Load(),
		Cut:         s.count.cut.Load(),
		Rotations:   s.count.rotations.Load(),
		Truncations: s.count.truncations.Load(),
		Files:       slices.Clone(s.files),
	}
}
