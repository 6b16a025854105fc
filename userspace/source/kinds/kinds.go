// Package kinds makes sources of their YAML: it knows every kind of source and the keys of each,
// which are those of CrowdSec's acquisition files where the kind exists there.
package kinds

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"gabion/userspace/source"
	"gabion/userspace/source/file"
	"gabion/userspace/source/kernel"
	"gabion/userspace/yamlpos"
)

// Deps is what sources need besides their configuration.
type Deps struct {
	StateDir     string        // where cursors are kept; empty: nothing is remembered
	Offsets      *file.Offsets // one for all file sources, made by file.NewOffsets(StateDir)
	KernelEvents kernel.Stream // nil: there is no data plane, and a source of kind kernel is an error
	Log          *slog.Logger
	Now          func() time.Time
}

// kinds are the sources by the value of their key "source".
var kinds = map[string]func(*yamlpos.Document, Deps) (source.Source, error){
	"file":       newFile,
	"journalctl": newJournald,
	"kernel":     newKernel,
}

// Check reports what is wrong with the configuration of a source; it needs no data plane.
func Check(doc *yamlpos.Document) error {
	idle := func(ctx context.Context, _ func(kernel.Event)) error { <-ctx.Done(); return nil }
	_, err := Decode(doc, Deps{KernelEvents: idle, Now: func() time.Time { return time.Time{} }})
	return err
}

// Decode makes a source of its configuration; nothing is opened or started before it runs. The
// error is a yamlpos.Errors with everything that is wrong.
func Decode(doc *yamlpos.Document, deps Deps) (source.Source, error) {
	if deps.StateDir != "" && deps.Offsets == nil {
		panic("kinds: Deps without Offsets: file sources of one daemon share them")
	}
	kind, err := kindOf(doc)
	if err != nil {
		return nil, err
	}
	return kinds[kind](doc, deps)
}

// kindOf returns the kind of a source. Without the key "source" the other keys tell, as in CrowdSec.
func kindOf(doc *yamlpos.Document) (string, error) {
	var keys map[string]*yamlpos.Document
	if err := doc.Decode(&keys); err != nil {
		return "", err
	}
	value, ok := keys["source"]
	switch {
	case ok:
	case doc.Has("filename"), doc.Has("filenames"):
		return "file", nil
	case doc.Has("journalctl_filter"):
		return "journalctl", nil
	default:
		return "", yamlpos.Errors{doc.Pos().Errorf("the source does not say of which kind it is: write source: and one of %s", list())}
	}
	var name yamlpos.Text
	if err := value.Decode(&name); err != nil {
		return "", err
	}
	if _, ok := kinds[name.Text]; ok {
		return name.Text, nil
	}
	if near := yamlpos.Nearest(name.Text, maps.Keys(kinds)); near != "" {
		return "", yamlpos.Errors{name.Errorf(0, "unknown source %q: did you mean %q? There are %s", name.Text, near, list())}
	}
	return "", yamlpos.Errors{name.Errorf(0, "unknown source %q: there are %s", name.Text, list())}
}

// list returns the kinds as text.
func list() string { return strings.Join(slices.Sorted(maps.Keys(kinds)), ", ") }
