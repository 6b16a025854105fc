package file

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
	offsetsName = "log-offsets"

	// checkEvery bounds how often it is looked whether all offsets should be written anew, and so
	// how often that is tried after it failed.
	checkEvery = time.Second

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
	Gone bool `json:"gone,omitzero"`
}

// update is a step from one consistent state of a source to the next: changes in their order.
type update []change

// record is what one line of the file of offsets says.
type record struct {
	Changes  update   `json:"changes,omitempty"`
	Kind     string   `json:"type,omitempty"` // of Patterns
	Patterns []string `json:"patterns,omitempty"`
}

// Offsets remembers how far log files have been read, for all file sources of a daemon together,
// in the state directory. A step is kept, for all that SIGKILL can do, when apply returns. It is
// safe for concurrent use.
type Offsets struct {
	claims claims

	mu       sync.Mutex
	ledger   *ledger.Ledger // nil: nothing is written
	loaded   time.Time      // zero before the files were read
	checked  time.Time
	rebuilt  time.Time
	stale    bool // the ledger lacks a step
	failed   bool // and that was said
	entries  map[entryKey]entry
	patterns map[string]map[string]bool // type -> pattern -> configured now; false: known from before
}

// NewOffsets returns the offsets kept in the state directory dir; they are read when the first
// source starts. With an empty dir they last as long as the process.
func NewOffsets(dir string) *Offsets {
	o := &Offsets{entries: map[entryKey]entry{}, patterns: map[string]map[string]bool{}}
	if dir != "" {
		o.ledger = ledger.New(filepath.Join(dir, offsetsName))
	}
	return o
}

// begin returns which patterns of a source that starts an earlier source of the same kind had: a
// file of theirs that is not remembered is new. An error means that nothing is remembered; the
// source can run all the same.
func (o *Offsets) begin(kind string, patterns []string, now time.Time) (known map[string]bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.loaded.IsZero() {
		o.loaded = now
		err = o.load()
		o.stale = o.ledger != nil
		_ = o.rebuild(now) // the first save tries again, and says what is wrong
	}
	known = map[string]bool{}
	for _, p := range patterns {
		if _, ok := o.patterns[kind][p]; ok {
			known[p] = true
		}
	}
	return known, err
}

// scanned remembers the patterns of a source. What matches them now must have been remembered
// before: after a crash in between they would make it new.
func (o *Offsets) scanned(kind string, patterns []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	r := record{Kind: kind, Patterns: patterns}
	o.take(r, true)
	o.keep(r)
}

func (o *Offsets) load() error {
	if o.ledger == nil {
		return nil
	}
	lines, err := o.ledger.Load()
	if err != nil {
		return err
	}
	for _, line := range lines {
		var r record
		if err := json.Unmarshal(line, &r); err != nil {
			return fmt.Errorf("read a saved log offset: %w", err)
		}
		o.take(r, false)
	}
	return nil
}

// take makes a record part of what is known.
func (o *Offsets) take(r record, configured bool) {
	for _, c := range r.Changes {
		if c.Gone {
			delete(o.entries, c.key())
			continue
		}
		o.entries[c.key()] = c.entry
	}
	if len(r.Patterns) > 0 && o.patterns[r.Kind] == nil {
		o.patterns[r.Kind] = map[string]bool{}
	}
	for _, p := range r.Patterns {
		o.patterns[r.Kind][p] = configured
	}
}

// keep writes a record behind the others.
func (o *Offsets) keep(r record) {
	if o.ledger == nil || o.stale {
		return
	}
	line, err := json.Marshal(r)
	o.stale = err != nil || !o.ledger.Append(line)
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

// apply makes a step part of what is remembered.
func (o *Offsets) apply(u update) {
	o.mu.Lock()
	defer o.mu.Unlock()
	r := record{Changes: u}
	o.take(r, false)
	o.keep(r)
}

// save writes all offsets anew if that is due; what apply has kept needs none of it. durable waits
// for the disk. Trouble is said once.
func (o *Offsets) save(now time.Time, durable bool, log *slog.Logger) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ledger == nil || !durable && now.Sub(o.checked) < checkEvery {
		return
	}
	o.checked = now
	var err error
	if o.stale || o.ledger.Full() || o.ledger.Lost() || now.Sub(o.rebuilt) >= rewriteEvery {
		err = o.rebuild(now)
	}
	if err == nil && durable {
		err = o.ledger.Sync()
	}
	switch failed := o.stale || err != nil; {
	case failed && !o.failed:
		log.Warn("log offsets cannot be saved, a restart now would read lines again; make the state directory writable", "err", err)
		o.failed = true
	case !failed && o.failed:
		log.Info("log offsets are saved again")
		o.failed = false
	}
}

// rebuild writes all that is remembered.
func (o *Offsets) rebuild(now time.Time) error {
	if o.ledger == nil {
		return nil
	}
	o.prune(now)
	lines := make([][]byte, 0, len(o.entries)+len(o.patterns))
	add := func(r record) error {
		line, err := json.Marshal(r)
		lines = append(lines, line)
		return err
	}
	for _, e := range o.entries {
		if err := add(record{Changes: update{{entry: e}}}); err != nil {
			return fmt.Errorf("save log offsets: %w", err)
		}
	}
	for kind, patterns := range o.patterns {
		if err := add(record{Kind: kind, Patterns: slices.Collect(maps.Keys(patterns))}); err != nil {
			return fmt.Errorf("save log offsets: %w", err)
		}
	}
	if err := o.ledger.Rebuild(lines); err != nil {
		return fmt.Errorf("save log offsets: %w", err)
	}
	o.stale, o.rebuilt = false, now
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
