package hubtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"gabion/userspace/hub"
	"gabion/userspace/ruledoc"
	"gabion/userspace/rules"
	"gabion/userspace/yamlpos"
)

// installation is the rules of one test: what its configuration lists and nothing else.
type installation struct {
	sources []rules.Source
	data    []ruledoc.DataFile // that the items declare
	ownData bool               // an item of the test's own declares data files
}

// override is where the node of override_statics is installed: in front of all others.
const override = "parsers/s00-raw/00_overrides.yaml"

// install finds the items of a test. An entry is the name of an item of the hub, or else a path
// below the root of the hub or below the folder of the test.
func install(h *hub.Hub, root, dir string, c *config) (*installation, error) {
	in := &installation{}
	var items []hub.Item
	own := memory{}
	var errs yamlpos.Errors
	for kind, list := range c.lists() {
		for _, entry := range list {
			if entry.Text == "" {
				continue
			}
			if item, ok := h.Find(kind, entry.Text); ok {
				items = append(items, item)
				data, err := h.Read(item)
				errs.Add(entry.Pos, err)
				in.data = append(in.data, hub.DataFiles(data)...)
				continue
			}
			errs.Add(entry.Pos, in.path(own, h, kind, root, dir, entry.Text))
		}
	}
	if len(c.overrides) > 0 {
		text, err := overrides(c.overrides)
		errs.Add(yamlpos.Position{File: filepath.Join(dir, configFile)}, err)
		own[override] = text
	}
	in.sources = []rules.Source{h.Source(items), {Name: dir, FS: own}}
	errs.Sort()
	return in, errs.Err()
}

// path installs the file that an entry of the configuration names.
func (in *installation) path(own memory, h *hub.Hub, kind hub.Kind, root, dir, entry string) error {
	if !filepath.IsLocal(entry) {
		return fmt.Errorf("%q is neither an item nor a path inside the hub", entry)
	}
	for _, base := range []string{root, dir} {
		data, err := os.ReadFile(filepath.Join(base, entry))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read item: %w", err)
		}
		place, err := installedAt(kind, entry)
		if err != nil {
			return err
		}
		own[place] = data
		declared := hub.DataFiles(data)
		in.data = append(in.data, declared...)
		if rel, err := filepath.Rel(filepath.Dir(dir), filepath.Join(base, entry)); err == nil && filepath.IsLocal(rel) {
			in.ownData = in.ownData || len(declared) > 0
		}
		return nil
	}
	hint := ""
	if near := h.Nearest(kind, entry); near != "" {
		hint = fmt.Sprintf(": did you mean %q?", near)
	}
	return fmt.Errorf("there is no item %q in %s%s", entry, kind, hint)
}

// installedAt returns where a file is installed: .../stage/author/file below the folder of its stage.
func installedAt(kind hub.Kind, entry string) (string, error) {
	parts := strings.Split(path.Clean(filepath.ToSlash(entry)), "/")
	if kind == hub.Scenario {
		return path.Join(string(kind), path.Join(parts[max(0, len(parts)-2):]...)), nil
	}
	if len(parts) < 3 {
		return "", fmt.Errorf("the path %q tells no stage: want .../stage/author/file", entry)
	}
	return path.Join(string(kind), path.Join(parts[len(parts)-3:]...)), nil
}

// overrides returns the parser that sets the statics before all others.
func overrides(statics []map[string]any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b) // which is YAML too
	enc.SetEscapeHTML(false)
	err := enc.Encode(map[string]any{"name": "overrides", "filter": "1==1", "statics": statics})
	if err != nil {
		return nil, fmt.Errorf("override_statics: %w", err)
	}
	return b.Bytes(), nil
}
