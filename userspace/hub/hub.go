// Package hub reads a tree of published rules: a checkout of a hub, or the folder that its rules
// are installed in. It knows which file an item name means and which items a collection holds.
// Nothing is fetched and nothing is written.
package hub

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	"gabion/userspace/rules"
	"gabion/userspace/yamlpos"
)

// Kind says what an item is. It is the name of the folder that such items lie in.
type Kind string

// Kinds of items.
const (
	Parser       Kind = "parsers"
	PostOverflow Kind = "postoverflows"
	Scenario     Kind = "scenarios"
	Context      Kind = "contexts"
	Collection   Kind = "collections"
	AppSecRule   Kind = "appsec-rules"
	AppSecConfig Kind = "appsec-configs"
)

var kinds = [...]Kind{Parser, PostOverflow, Scenario, Context, Collection, AppSecRule, AppSecConfig}

// staged says of which kinds the items lie in a folder per stage.
func (k Kind) staged() bool { return k == Parser || k == PostOverflow }

// Item is a file of a hub.
type Item struct {
	Kind  Kind
	Name  string // author/name
	Stage string // of a parser or post-overflow rule, such as s01-parse
	Path  string // below the root of the tree, with slashes
}

// Hub is an index of a tree of rules. It is immutable and safe for concurrent use.
type Hub struct {
	name  string
	fsys  fs.FS
	items []Item // by kind, then path
	named map[id]int

	authored map[string]bool          // paths of files that are of an author, so from a hub
	versions func() map[string]string // by hash; the index is read once somebody asks
}

type id struct {
	kind Kind
	name string
}

// ErrNotHub is returned for a folder that has none of a hub's folders.
var ErrNotHub = errors.New("no hub: there is neither a folder parsers nor scenarios nor collections")

// Open reads the index of a checkout or an installed tree in a directory.
func Open(dir string) (*Hub, error) { return New(dir, os.DirFS(dir)) }

// New reads the index of a tree. The name stands in front of every path in messages.
func New(name string, fsys fs.FS) (*Hub, error) {
	if !hasFolder(fsys, Parser, Scenario, Collection) {
		return nil, fmt.Errorf("read hub %s: %w", name, ErrNotHub)
	}
	h := &Hub{name: name, fsys: fsys, named: map[id]int{}, authored: map[string]bool{}}
	h.versions = sync.OnceValue(func() map[string]string { return readVersions(fsys) })
	for _, kind := range kinds {
		if err := h.walk(kind, string(kind)); err != nil {
			return nil, fmt.Errorf("read hub %s: %w", name, err)
		}
	}
	slices.SortStableFunc(h.items, func(a, b Item) int {
		return cmp.Or(cmp.Compare(slices.Index(kinds[:], a.Kind), slices.Index(kinds[:], b.Kind)), cmp.Compare(a.Path, b.Path))
	})
	for i, item := range h.items {
		h.authored[item.Path] = strings.Contains(item.Name, "/")
		key := id{item.Kind, item.Name}
		if _, twice := h.named[key]; !twice {
			h.named[key] = i
		}
	}
	return h, nil
}

// hasFolder reports whether the tree has a folder of one of the kinds.
func hasFolder(fsys fs.FS, kinds ...Kind) bool {
	for _, kind := range kinds {
		if info, err := fs.Stat(fsys, string(kind)); err == nil && info.IsDir() {
			return true
		}
	}
	return false
}

// walk adds the files of a folder and those below it. A folder that is missing has none. Links to
// files are followed, as items are installed, and no links to folders, so that it ends.
func (h *Hub) walk(kind Kind, dir string) error {
	entries, err := fs.ReadDir(h.fsys, dir)
	if err != nil && !(errors.Is(err, fs.ErrNotExist) && dir == string(kind)) {
		return err
	}
	for _, e := range entries {
		p := path.Join(dir, e.Name())
		ext := path.Ext(p)
		switch {
		case strings.HasPrefix(e.Name(), "."):
		case e.IsDir():
			if err := h.walk(kind, p); err != nil {
				return err
			}
		case ext == ".yaml" || ext == ".yml":
			if item, ok := h.item(kind, p); ok {
				h.items = append(h.items, item)
			}
		}
	}
	return nil
}

// item reads what a path says: kind/stage/author/file in a checkout, without the author where it is
// installed. The author is then that of the file that the link points to, if it is one.
func (h *Hub) item(kind Kind, p string) (Item, bool) {
	parts := strings.Split(p, "/")[1:]
	item := Item{Kind: kind, Path: p}
	if kind.staged() {
		if len(parts) < 2 {
			return item, false // a parser without a stage
		}
		item.Stage, parts = parts[0], parts[1:]
	}
	if len(parts) == 1 {
		if target, err := fs.ReadLink(h.fsys, p); err == nil {
			parts = strings.Split(target, "/")
		}
	}
	item.Name = strings.TrimSuffix(parts[len(parts)-1], path.Ext(p))
	if len(parts) > 1 {
		item.Name = parts[len(parts)-2] + "/" + item.Name
	}
	return item, true
}

// Items returns the items of the given kinds, or all, by kind and path.
func (h *Hub) Items(of ...Kind) []Item {
	if len(of) == 0 {
		return slices.Clone(h.items)
	}
	var out []Item
	for _, item := range h.items {
		if slices.Contains(of, item.Kind) {
			out = append(out, item)
		}
	}
	return out
}

// Find returns the item of a kind and name.
func (h *Hub) Find(kind Kind, name string) (Item, bool) {
	i, ok := h.named[id{kind, name}]
	if !ok {
		return Item{}, false
	}
	return h.items[i], true
}

// Nearest returns the name of the kind that one may have meant by another, "" when none is near.
func (h *Hub) Nearest(kind Kind, name string) string {
	return yamlpos.Nearest(name, func(yield func(string) bool) {
		for _, item := range h.items {
			if item.Kind == kind && !yield(item.Name) {
				return
			}
		}
	})
}

// Name returns what stands in front of the paths of items in messages: the directory.
func (h *Hub) Name() string { return h.name }

// Read returns the content of an item's file.
func (h *Hub) Read(item Item) ([]byte, error) { return fs.ReadFile(h.fsys, item.Path) }

// Source returns a source of rules that holds the files of items and nothing else.
func (h *Hub) Source(items []Item) rules.Source {
	return rules.Source{Name: h.name, FS: newSelection(h.fsys, items), Published: h.published}
}
