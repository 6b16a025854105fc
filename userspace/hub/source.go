package hub

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"

	"gabion/userspace/rules"
)

// OpenRules returns the rules of a directory as a source: the items of the collections, when some
// are named, else every parser, post-overflow rule, scenario and context of a hub, and all of a
// folder that has no folder of collections. To collections that do not read raw lines come the
// parsers that do so in every install.
func OpenRules(dir string, collections ...string) (rules.Source, error) {
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is not a directory", dir)
	}
	if err != nil {
		return rules.Source{}, fmt.Errorf("read rules: %w", err)
	}
	if len(collections) == 0 && !hasFolder(os.DirFS(dir), Collection) {
		return rules.Source{Name: dir, FS: os.DirFS(dir)}, nil
	}
	h, err := Open(dir)
	if err != nil {
		return rules.Source{}, err
	}
	if len(collections) == 0 {
		return h.Source(h.Items(Parser, PostOverflow, Scenario, Context)), nil
	}
	items, err := h.Collection(collections...)
	return h.Source(h.withBase(items)), err
}

// base is the parsers that an install of the public hub has from the beginning: without them no line gets
// to a collection's own. Their names are the hub's.
func base() [3]string {
	return [...]string{"crowdsecurity/syslog-logs", "crowdsecurity/dateparse-enrich", "crowdsecurity/geoip-enrich"}
}

const rawStage = "s00-raw" // of the hub

// withBase adds the base, as far as the hub has it, to items of which none reads raw lines.
func (h *Hub) withBase(items []Item) []Item {
	if slices.ContainsFunc(items, func(i Item) bool { return i.Kind == Parser && i.Stage == rawStage }) {
		return items
	}
	for _, name := range base() {
		if item, ok := h.Find(Parser, name); ok && !slices.Contains(items, item) {
			items = append(items, item)
		}
	}
	return items
}

// selection is a file system with some files of another.
type selection struct {
	fs.FS
	paths map[string]bool // of the files and of the folders that they are in
}

func newSelection(fsys fs.FS, items []Item) *selection {
	s := &selection{FS: fsys, paths: map[string]bool{".": true}}
	for _, item := range items {
		for p := item.Path; !s.paths[p]; p = path.Dir(p) {
			s.paths[p] = true
		}
	}
	return s
}

// Open implements fs.FS.
func (s *selection) Open(name string) (fs.File, error) {
	if !s.paths[name] {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return s.FS.Open(name)
}

// ReadDir implements fs.ReadDirFS.
func (s *selection) ReadDir(name string) ([]fs.DirEntry, error) {
	if !s.paths[name] {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	entries, err := fs.ReadDir(s.FS, name)
	return slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return !s.paths[path.Join(name, e.Name())] }), err
}
