package file

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"gabion/userspace/source"
)

const (
	offsetsVersion = 1
	offsetsName    = "log-offsets.json"

	// saveEvery bounds how often offsets are written while lines flow.
	saveEvery = time.Second

	// maxEntries bounds what is remembered of files that nobody reads any more.
	maxEntries = 4096

	// keepClosed is how long a file that was read to its end after rotation stays known, should it
	// come back under another name.
	keepClosed = 24 * time.Hour

	// keepPattern is how long the daemon runs before it forgets a pattern that is configured no
	// more.
	keepPattern = time.Hour
)

// entry is what is remembered of one generation of a file.
type entry struct {
	Kind    string    `json:"type"` // label that selects parsers; the same file may be read as two types
	ID      fileID    `json:"id"`
	Path    string    `json:"path"`             // as configured or matched: where its successor will be
	File    string    `json:"file"`             // where it was last seen, symbolic links resolved
	Pos     position  `json:"position"`         //
	Written time.Time `json:"written"`          // its modification time when it was last looked at
	At      time.Time `json:"at"`               // when it was last seen at Path
	Rotated bool      `json:"rotated,omitzero"` // has left Path
	Closed  bool      `json:"closed,omitzero"`  // read to its end after it left Path
}

type entryKey struct {
	kind string
	id   fileID
}

func (e entry) key() entryKey { return entryKey{e.Kind, e.ID} }

// since is when a file must have been written to at the earliest to hold what came after this one.
func (e entry) since() time.Time { return later(e.Written, e.At.Add(-slack)) }

// slack is how far the clock that stamps files may be behind ours.
const slack = time.Second

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// change is one entry that is new or different, or forgotten.
type change struct {
	entry
	gone bool
}

// update is a step from one consistent state of a source to the next: changes in their order.
type update []change

// Offsets remembers how far log files have been read, for all file sources of a daemon together,
// in one file of the state directory. It is safe for concurrent use.
type Offsets struct {
	path string // empty: nothing is written

	mu       sync.Mutex
	loaded   time.Time // zero before the file was read
	written  time.Time
	dirty    bool
	entries  map[entryKey]entry
	patterns map[string]map[string]bool // type -> pattern -> configured now; false: known from before
}

// NewOffsets returns the offsets kept in the state directory dir; they are read when the first
// source starts. With an empty dir they last as long as the process.
func NewOffsets(dir string) *Offsets {
	o := &Offsets{entries: map[entryKey]entry{}, patterns: map[string]map[string]bool{}}
	if dir != "" {
		o.path = filepath.Join(dir, offsetsName)
	}
	return o
}

type offsetsFile struct {
	Version  int                 `json:"version"`
	Patterns map[string][]string `json:"patterns"`
	Files    []entry             `json:"files"`
}

// begin registers the patterns of a source that starts and returns those that an earlier source of
// the same kind had: a file of theirs that is not remembered is new. An error means that nothing
// is remembered; the source can run all the same.
func (o *Offsets) begin(kind string, patterns []string, now time.Time) (known map[string]bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.loaded.IsZero() {
		o.loaded = now
		err = o.load()
	}
	known = map[string]bool{}
	if o.patterns[kind] == nil {
		o.patterns[kind] = map[string]bool{}
	}
	for _, p := range patterns {
		if _, ok := o.patterns[kind][p]; ok {
			known[p] = true
		}
		o.patterns[kind][p] = true
	}
	o.dirty = true
	return known, err
}

func (o *Offsets) load() error {
	if o.path == "" {
		return nil
	}
	data, err := os.ReadFile(o.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read saved log offsets: %w", err)
	}
	var f offsetsFile
	if err := json.Unmarshal(data, &f); err != nil {
		return fmt.Errorf("read saved log offsets from %s: %w", o.path, err)
	}
	if f.Version != offsetsVersion {
		return fmt.Errorf("read saved log offsets from %s: version %d, want %d", o.path, f.Version, offsetsVersion)
	}
	for _, e := range f.Files {
		o.entries[e.key()] = e
	}
	for kind, patterns := range f.Patterns {
		o.patterns[kind] = map[string]bool{}
		for _, p := range patterns {
			o.patterns[kind][p] = false
		}
	}
	return nil
}

// of returns what is remembered of files read as kind, in the order in which they were last read.
func (o *Offsets) of(kind string) []entry {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []entry
	for k, e := range o.entries {
		if k.kind == kind {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b entry) int { return a.At.Compare(b.At) })
	return out
}

func (o *Offsets) get(kind string, id fileID) (entry, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	e, ok := o.entries[entryKey{kind, id}]
	return e, ok
}

func (o *Offsets) apply(u update) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.dirty = true
	for _, c := range u {
		if c.gone {
			delete(o.entries, c.key())
			continue
		}
		o.entries[c.key()] = c.entry
	}
}

// flush writes what has changed, unless it did so less than a second ago; force writes now, and
// durable waits for the disk.
func (o *Offsets) flush(now time.Time, force, durable bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.path == "" || !o.dirty || !force && now.Sub(o.written) < saveEvery {
		return nil
	}
	o.prune(now)
	f := offsetsFile{Version: offsetsVersion, Patterns: map[string][]string{}, Files: make([]entry, 0, len(o.entries))}
	for kind, patterns := range o.patterns {
		for p := range patterns {
			f.Patterns[kind] = append(f.Patterns[kind], p)
		}
		slices.Sort(f.Patterns[kind])
	}
	for _, e := range o.entries {
		f.Files = append(f.Files, e)
	}
	slices.SortFunc(f.Files, func(a, b entry) int { return a.At.Compare(b.At) })
	data, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("save log offsets: %w", err)
	}
	o.written = now // also after a failure: it is tried again a second later
	if err := source.WriteState(o.path, data, durable); err != nil {
		return fmt.Errorf("save log offsets: %w", err)
	}
	o.dirty = false
	return nil
}

// prune forgets what can serve no more.
func (o *Offsets) prune(now time.Time) {
	for k, e := range o.entries {
		if e.Closed && now.Sub(e.At) > keepClosed {
			delete(o.entries, k)
		}
	}
	if now.Sub(o.loaded) > keepPattern {
		for _, patterns := range o.patterns {
			for p, configured := range patterns {
				if !configured {
					delete(patterns, p)
				}
			}
		}
	}
	if len(o.entries) <= maxEntries {
		return
	}
	all := make([]entry, 0, len(o.entries))
	for _, e := range o.entries {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b entry) int {
		if a.Closed != b.Closed {
			if a.Closed {
				return -1
			}
			return 1
		}
		return a.At.Compare(b.At)
	})
	for _, e := range all[:len(all)-maxEntries] {
		delete(o.entries, e.key())
	}
}
