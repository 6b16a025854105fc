package lists

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"gabion/userspace/decision"
	"gabion/userspace/statefile"
)

// indexName is the file that says which lists there are, and which snapshot of each counts.
const indexName = "index.json"

// snapshotExt ends the names of snapshots: NAME.VERSION.list.
const snapshotExt = ".list"

// ErrUnknown says that there is no list of that name.
var ErrUnknown = errors.New("no such list")

// Meta says what a list is.
type Meta struct {
	Name     string         `json:"name"`
	Class    decision.Class `json:"class"`  // kernel class, its own
	Mode     string         `json:"mode"`   // drop, shadow or off
	Origin   string         `json:"origin"` // where it was read from
	Entries  int            `json:"entries"`
	Imported time.Time      `json:"imported"`
	Until    time.Time      `json:"until"`   // when all of it ends
	Version  uint64         `json:"version"` // of its snapshot
}

// Dir is a directory with the snapshots of the lists. The index is the truth: it changes in one step,
// after a snapshot is complete on disk. It is safe for concurrent use.
type Dir struct {
	path string

	mu    sync.Mutex
	metas []Meta // by class
}

// Open reads the index in a directory; without a directory or an index there are no lists. Snapshots
// that an import left half-way are deleted.
func Open(path string) (*Dir, error) {
	d := &Dir{path: path}
	data, err := os.ReadFile(filepath.Join(path, indexName))
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return d, nil
	case err != nil:
		return nil, fmt.Errorf("read lists: %w", err)
	}
	if err := json.Unmarshal(data, &d.metas); err != nil {
		return nil, fmt.Errorf("read lists: %s is damaged: %w: delete it and import the lists again", filepath.Join(path, indexName), err)
	}
	seen := map[decision.Class]bool{}
	for _, m := range d.metas {
		_, err := decision.ParseMode(m.Mode)
		if CheckName(m.Name) != nil || m.Class < decision.ClassFirstList || m.Class >= decision.Classes || seen[m.Class] || err != nil {
			return nil, fmt.Errorf("read lists: %s is damaged at list %q: delete it and import the lists again", filepath.Join(path, indexName), m.Name)
		}
		seen[m.Class] = true
	}
	d.clean()
	return d, nil
}

// clean deletes snapshots that the index does not name. One that stays costs room on the disk only.
func (d *Dir) clean() {
	named := map[string]bool{}
	for _, m := range d.metas {
		named[m.file()] = true
	}
	found, _ := filepath.Glob(filepath.Join(d.path, "*"+snapshotExt+"*"))
	for _, path := range found {
		if !named[filepath.Base(path)] {
			_ = os.Remove(path)
		}
	}
}

func (m Meta) file() string { return fmt.Sprintf("%s.%d%s", m.Name, m.Version, snapshotExt) }

// List returns what lists there are, by class.
func (d *Dir) List() []Meta {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.metas)
}

// Get returns a list by its name.
func (d *Dir) Get(name string) (Meta, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if i := d.index(name); i >= 0 {
		return d.metas[i], true
	}
	return Meta{}, false
}

// FreeClass returns the first class without a list; false when each has one.
func (d *Dir) FreeClass() (decision.Class, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := decision.ClassFirstList; c < decision.Classes; c++ {
		if !slices.ContainsFunc(d.metas, func(m Meta) bool { return m.Class == c }) {
			return c, true
		}
	}
	return 0, false
}

// Load reads the entries of a list.
func (d *Dir) Load(name string) (*Entries, error) {
	m, ok := d.Get(name)
	if !ok {
		return nil, fmt.Errorf("load list %s: %w", name, ErrUnknown)
	}
	f, err := os.Open(filepath.Join(d.path, m.file()))
	if err != nil {
		return nil, fmt.Errorf("load list %s: %w", name, err)
	}
	defer f.Close()
	e, err := readSnapshot(f)
	if err != nil {
		return nil, fmt.Errorf("load list %s from %s: %w", name, f.Name(), err)
	}
	return e, nil
}

// Save keeps a list, in place of an older one of its name. The version is the directory's.
func (d *Dir) Save(m Meta, e *Entries) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	metas := slices.Clone(d.metas)
	m.Version, m.Entries = 1, e.Len()
	if i := d.index(m.Name); i >= 0 {
		m.Version = metas[i].Version + 1
		metas[i] = m
	} else {
		metas = append(metas, m)
		slices.SortFunc(metas, func(a, b Meta) int { return int(a.Class) - int(b.Class) })
	}
	if err := os.MkdirAll(d.path, 0o700); err != nil {
		return fmt.Errorf("save list %s: %w", m.Name, err)
	}
	if err := statefile.Replace(filepath.Join(d.path, m.file()), e.write); err != nil {
		return fmt.Errorf("save list %s: %w", m.Name, err)
	}
	if err := d.commit(metas); err != nil {
		return fmt.Errorf("save list %s: %w", m.Name, err)
	}
	return nil
}

// SetMode keeps the mode of a list.
func (d *Dir) SetMode(name string, mode decision.Mode) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := d.index(name)
	if i < 0 {
		return fmt.Errorf("set mode of list %s: %w", name, ErrUnknown)
	}
	metas := slices.Clone(d.metas)
	metas[i].Mode = mode.String()
	if err := d.commit(metas); err != nil {
		return fmt.Errorf("set mode of list %s: %w", name, err)
	}
	return nil
}

// Remove forgets a list.
func (d *Dir) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := d.index(name)
	if i < 0 {
		return fmt.Errorf("remove list %s: %w", name, ErrUnknown)
	}
	if err := d.commit(slices.Delete(slices.Clone(d.metas), i, i+1)); err != nil {
		return fmt.Errorf("remove list %s: %w", name, err)
	}
	return nil
}

// commit makes metas the index. The caller holds mu.
func (d *Dir) commit(metas []Meta) error {
	data, err := json.MarshalIndent(metas, "", "  ")
	if err != nil {
		return err
	}
	err = statefile.Replace(filepath.Join(d.path, indexName), func(w io.Writer) error {
		_, err := w.Write(append(data, '\n'))
		return err
	})
	if err != nil {
		return err
	}
	d.metas = metas
	d.clean()
	return nil
}

func (d *Dir) index(name string) int {
	return slices.IndexFunc(d.metas, func(m Meta) bool { return m.Name == name })
}

// CheckName says what is wrong with the name of a list, which is part of file names and of labels.
func CheckName(name string) error {
	const most = 63
	good := name != "" && len(name) <= most && name[0] != '.' && name[0] != '-' &&
		strings.IndexFunc(name, func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789._-", r) }) < 0
	if !good {
		return fmt.Errorf("%.80q is no name for a list: use a to z, 0 to 9, dot, dash and underscore, at most %d, letter or digit first", name, most)
	}
	return nil
}
