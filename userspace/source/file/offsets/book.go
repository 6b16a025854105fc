// Package offsets remembers how far log files have been read, by what the files are and hold and not
// by their names, and which source reads them.
package offsets

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"gabion/userspace/source/ledger"
)

const (
	// Name begins the names of the files in the state directory.
	Name = "log-offsets"

	// CheckEvery bounds how often it is looked whether all offsets should be written anew, and so
	// how often that is tried after it failed.
	CheckEvery = time.Second

	// rewriteEvery is how long what has been forgotten stays in the file at most.
	rewriteEvery = time.Hour

	// maxEntries bounds what is remembered of files that nobody reads any more.
	maxEntries = 4096

	// keepClosed is how long a file that was read to its end after rotation stays known, should it
	// come back under another name.
	keepClosed = 24 * time.Hour

	// keepPattern is how long the daemon runs before it forgets a pattern that is configured no
	// more.
	keepPattern = time.Hour
)

// Entry is what is remembered of one generation of a file.
type Entry struct {
	Kind    string    `json:"type"` // label that selects parsers; the same file may be read as two types
	ID      FileID    `json:"id"`
	Path    string    `json:"path"` // as configured or matched: where its successor will be
	File    string    `json:"file"` // where it was last seen, symbolic links resolved
	Pos     Position  `json:"position"`
	Written time.Time `json:"written"`          // its modification time when it was last looked at
	At      time.Time `json:"at"`               // when it was last seen at Path
	Rotated bool      `json:"rotated,omitzero"` // has left Path
	Closed  bool      `json:"closed,omitzero"`  // read to its end after it left Path
}

// Key is what an entry is kept under.
type Key struct {
	Kind string
	ID   FileID
}

func (e Entry) key() Key { return Key{e.Kind, e.ID} }

// Since is when a file must have been written to at the earliest to hold what came after this one.
func (e Entry) Since() time.Time { return Later(e.Written, e.At.Add(-Slack)) }

// Slack is how far the clock that stamps files may be behind ours.
const Slack = time.Second

// Later returns the later of two times.
func Later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Change is one entry that is new or different, or forgotten.
type Change struct {
	Entry
	Gone bool `json:"gone,omitzero"`
}

// Update is a step from one consistent state of a source to the next: changes in their order.
type Update []Change

// record is what one line of the file of offsets says.
type record struct {
	Changes  Update   `json:"changes,omitempty"`
	Kind     string   `json:"type,omitempty"` // of Patterns
	Patterns []string `json:"patterns,omitempty"`
}

// Book remembers how far log files have been read, for all file sources of a daemon together,
// in the state directory. A step is kept, for all that SIGKILL can do, when Apply returns. It is
// safe for concurrent use.
type Book struct {
	Claims Claims // on the files that are read now

	mu       sync.Mutex
	ledger   *ledger.Ledger // nil: nothing is written
	loaded   time.Time      // zero before the files were read
	checked  time.Time
	rebuilt  time.Time
	stale    bool // the ledger lacks a step
	failed   bool // and that was said
	entries  map[Key]Entry
	patterns map[string]map[string]bool // type -> pattern -> configured now; false: known from before
}

// NewBook returns the offsets kept in the state directory dir; they are read when the first
// source starts. With an empty dir they last as long as the process.
func NewBook(dir string) *Book {
	b := &Book{entries: map[Key]Entry{}, patterns: map[string]map[string]bool{}}
	if dir != "" {
		b.ledger = ledger.New(filepath.Join(dir, Name))
	}
	return b
}

// Begin returns which patterns of a source that starts an earlier source of the same kind had: a
// file of theirs that is not remembered is new. An error means that nothing is remembered; the
// source can run all the same.
func (b *Book) Begin(kind string, patterns []string, now time.Time) (known map[string]bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.loaded.IsZero() {
		b.loaded = now
		err = b.load()
		b.stale = b.ledger != nil
		_ = b.rebuild(now) // the first save tries again, and says what is wrong
	}
	known = map[string]bool{}
	for _, p := range patterns {
		if _, ok := b.patterns[kind][p]; ok {
			known[p] = true
		}
	}
	return known, err
}

// Scanned remembers the patterns of a source. What matches them now must have been remembered
// before: after a crash in between they would make it new.
func (b *Book) Scanned(kind string, patterns []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := record{Kind: kind, Patterns: patterns}
	b.take(r, true)
	b.keep(r)
}

func (b *Book) load() error {
	if b.ledger == nil {
		return nil
	}
	lines, err := b.ledger.Load()
	if err != nil {
		return err
	}
	for _, line := range lines {
		var r record
		if err := json.Unmarshal(line, &r); err != nil {
			return fmt.Errorf("read a saved log offset: %w", err)
		}
		b.take(r, false)
	}
	return nil
}

// take makes a record part of what is known.
func (b *Book) take(r record, configured bool) {
	for _, c := range r.Changes {
		if c.Gone {
			delete(b.entries, c.key())
			continue
		}
		b.entries[c.key()] = c.Entry
	}
	if len(r.Patterns) > 0 && b.patterns[r.Kind] == nil {
		b.patterns[r.Kind] = map[string]bool{}
	}
	for _, p := range r.Patterns {
		b.patterns[r.Kind][p] = configured
	}
}

// keep writes a record behind the others.
func (b *Book) keep(r record) {
	if b.ledger == nil || b.stale {
		return
	}
	line, err := json.Marshal(r)
	b.stale = err != nil || !b.ledger.Append(line)
}

// Of returns what is remembered of files read as kind, in the order in which they were last read.
func (b *Book) Of(kind string) []Entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []Entry
	for k, e := range b.entries {
		if k.Kind == kind {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b Entry) int { return a.At.Compare(b.At) })
	return out
}

// Get returns what is remembered of a file read as kind.
func (b *Book) Get(kind string, id FileID) (Entry, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, ok := b.entries[Key{Kind: kind, ID: id}]
	return e, ok
}

// Apply makes a step part of what is remembered.
func (b *Book) Apply(u Update) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := record{Changes: u}
	b.take(r, false)
	b.keep(r)
}

// Save writes all offsets anew if that is due; what Apply has kept needs none of it. durable waits
// for the disk. Trouble is said once.
func (b *Book) Save(now time.Time, durable bool, log *slog.Logger) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ledger == nil || !durable && now.Sub(b.checked) < CheckEvery {
		return
	}
	b.checked = now
	var err error
	if b.stale || b.ledger.Full() || b.ledger.Lost() || now.Sub(b.rebuilt) >= rewriteEvery {
		err = b.rebuild(now)
	}
	if err == nil && durable {
		err = b.ledger.Sync()
	}
	switch failed := b.stale || err != nil; {
	case failed && !b.failed:
		log.Warn("log offsets cannot be saved, a restart now would read lines again; make the state directory writable", "err", err)
		b.failed = true
	case !failed && b.failed:
		log.Info("log offsets are saved again")
		b.failed = false
	}
}

// rebuild writes all that is remembered.
func (b *Book) rebuild(now time.Time) error {
	if b.ledger == nil {
		return nil
	}
	b.prune(now)
	lines := make([][]byte, 0, len(b.entries)+len(b.patterns))
	add := func(r record) error {
		line, err := json.Marshal(r)
		lines = append(lines, line)
		return err
	}
	for _, e := range b.entries {
		if err := add(record{Changes: Update{{Entry: e}}}); err != nil {
			return fmt.Errorf("save log offsets: %w", err)
		}
	}
	for kind, patterns := range b.patterns {
		if err := add(record{Kind: kind, Patterns: slices.Collect(maps.Keys(patterns))}); err != nil {
			return fmt.Errorf("save log offsets: %w", err)
		}
	}
	if err := b.ledger.Rebuild(lines); err != nil {
		return fmt.Errorf("save log offsets: %w", err)
	}
	b.stale, b.rebuilt = false, now
	return nil
}

// prune forgets what can serve no more.
func (b *Book) prune(now time.Time) {
	for k, e := range b.entries {
		if e.Closed && now.Sub(e.At) > keepClosed {
			delete(b.entries, k)
		}
	}
	if now.Sub(b.loaded) > keepPattern {
		for _, patterns := range b.patterns {
			for p, configured := range patterns {
				if !configured {
					delete(patterns, p)
				}
			}
		}
	}
	if len(b.entries) <= maxEntries {
		return
	}
	all := make([]Entry, 0, len(b.entries))
	for _, e := range b.entries {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b Entry) int {
		if a.Closed != b.Closed {
			if a.Closed {
				return -1
			}
			return 1
		}
		return a.At.Compare(b.At)
	})
	for _, e := range all[:len(all)-maxEntries] {
		delete(b.entries, e.key())
	}
}
