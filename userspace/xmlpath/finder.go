package xmlpath

import (
	"hash/maphash"
	"strings"

	"gabion/userspace/recent"
)

// What a Finder remembers.
const (
	rememberedDocs  = 64
	rememberedLarge = 4 // documents above largeDoc
	rememberedPaths = 1024
	maxPath         = 1024     // bytes
	largeDoc        = 64 << 10 // bytes
)

// Finder finds elements. Rules ask for dozens of elements of one document, so it remembers the last
// documents, also those that are none, and paths. It is safe for concurrent use.
type Finder struct {
	seed  maphash.Seed
	docs  *recent.Cache[uint64, *Element] // by hash, with a seed that nobody outside knows; nil: no document
	large *recent.Cache[uint64, *Element]
	paths *recent.Cache[string, []step] // nil: no path
}

// NewFinder returns a Finder that remembers nothing yet.
func NewFinder() *Finder {
	return &Finder{
		seed: maphash.MakeSeed(), docs: recent.New[uint64, *Element](rememberedDocs),
		large: recent.New[uint64, *Element](rememberedLarge), paths: recent.New[string, []step](rememberedPaths),
	}
}

// Find returns the first element of a document that a path leads to, or nil.
func (f *Finder) Find(text, path string) *Element {
	steps := f.path(path)
	if steps == nil {
		return nil
	}
	doc := f.document(text)
	if doc == nil {
		return nil
	}
	at := []*Element{doc}
	for _, s := range steps {
		at = s.apply(at)
	}
	if len(at) == 0 || at[0] == doc {
		return nil
	}
	return at[0]
}

func (f *Finder) path(text string) []step {
	if steps, ok := f.paths.Get(text); ok {
		return steps
	}
	if len(text) > maxPath {
		return nil
	}
	text = strings.Clone(text) // an expression may have made it of a line
	steps, err := parsePath(text)
	if err != nil {
		steps = nil
	}
	f.paths.Put(text, steps)
	return steps
}

func (f *Finder) document(text string) *Element {
	docs := f.docs
	if len(text) > largeDoc {
		docs = f.large
	}
	key := maphash.String(f.seed, text)
	if doc, ok := docs.Get(key); ok {
		return doc
	}
	doc, err := parseXML(text)
	if err != nil {
		doc = nil
	}
	docs.Put(key, doc)
	return doc
}
