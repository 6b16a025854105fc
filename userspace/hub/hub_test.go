package hub

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"gabion/userspace/expr"
	"gabion/userspace/grok"
	"gabion/userspace/rules"
)

// tree makes a file system of paths and contents.
func tree(files map[string]string) fs.FS {
	out := fstest.MapFS{}
	for name, text := range files {
		out[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

func mustNew(t *testing.T, files map[string]string) *Hub {
	t.Helper()
	h, err := New("hub", tree(files))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func paths(items []Item) (out []string) {
	for _, i := range items {
		out = append(out, i.Path)
	}
	return out
}

func TestAnItemIsNamedByItsAuthorAndFile(t *testing.T) {
	h := mustNew(t, map[string]string{
		"parsers/s01-parse/ann/shop-logs.yaml":   "name: another/name",
		"parsers/s01-parse/ann/README.md":        "",
		"parsers/no-stage.yaml":                  "",
		"scenarios/ann/shop-bf.yml":              "",
		"scenarios/.hidden/x.yaml":               "",
		"postoverflows/s00-enrich/bob/rdns.yaml": "",
		"contexts/bob/shop.yaml":                 "",
		"docker/compose.yaml":                    "",
	})
	want := []Item{
		{Parser, "ann/shop-logs", "s01-parse", "parsers/s01-parse/ann/shop-logs.yaml"},
		{PostOverflow, "bob/rdns", "s00-enrich", "postoverflows/s00-enrich/bob/rdns.yaml"},
		{Scenario, "ann/shop-bf", "", "scenarios/ann/shop-bf.yml"},
		{Context, "bob/shop", "", "contexts/bob/shop.yaml"},
	}
	if diff := cmp.Diff(want, h.Items()); diff != "" {
		t.Errorf("items differ (-want +got):\n%s", diff)
	}
	if got, ok := h.Find(Scenario, "ann/shop-bf"); !ok || got != want[2] {
		t.Errorf("found %v, %v", got, ok)
	}
	if got, ok := h.Find(Parser, "ann/shop-bf"); ok {
		t.Errorf("a scenario was found among the parsers: %v", got)
	}
}

func TestAnInstalledItemHasTheAuthorOfItsFile(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"hub/parsers/s01-parse/ann", "parsers/s01-parse", "scenarios"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "hub/parsers/s01-parse/ann/shop-logs.yaml")
	for _, f := range []string{file, filepath.Join(dir, "scenarios/mine.yaml")} {
		if err := os.WriteFile(f, []byte("name: x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(file, filepath.Join(dir, "parsers/s01-parse/shop-logs.yaml")); err != nil {
		t.Fatal(err)
	}
	h, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := []Item{
		{Parser, "ann/shop-logs", "s01-parse", "parsers/s01-parse/shop-logs.yaml"},
		{Scenario, "mine", "", "scenarios/mine.yaml"},
	}
	if diff := cmp.Diff(want, h.Items()); diff != "" {
		t.Errorf("items differ (-want +got):\n%s", diff)
	}
	if data, err := h.Read(want[0]); string(data) != "name: x" || err != nil {
		t.Errorf("read %q, %v", data, err)
	}
}

var collections = map[string]string{
	"collections/ann/shop.yaml": "name: ann/Shop\nunknown: 1\nparsers: [ann/shop-logs]\ncollections:\n  - bob/base\n",
	"collections/bob/base.yml":  "scenarios: [ann/shop-bf, '']\ncollections: [ann/shop]\n",
	"collections/bob/bad.yaml":  "parsers:\n  - ann/shop-log\nscenarios: {x: y}\n",

	"parsers/s01-parse/ann/shop-logs.yaml":  "a",
	"parsers/s01-parse/ann/other-logs.yaml": "b",
	"scenarios/ann/shop-bf.yaml":            "c",
}

func TestACollectionHoldsTheItemsOfThoseInsideIt(t *testing.T) {
	h := mustNew(t, collections)
	items, err := h.Collection("ann/shop")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"parsers/s01-parse/ann/shop-logs.yaml", "scenarios/ann/shop-bf.yaml"}
	if diff := cmp.Diff(want, paths(items)); diff != "" {
		t.Errorf("items differ (-want +got):\n%s", diff)
	}
	var read []string
	err = fs.WalkDir(h.Source(items).FS, ".", func(p string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			read = append(read, p)
		}
		return err
	})
	if diff := cmp.Diff(want, read); diff != "" || err != nil {
		t.Errorf("source differs (-want +got), %v:\n%s", err, diff)
	}
	if _, err := h.Source(items).FS.Open("parsers/s01-parse/ann/other-logs.yaml"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that was not chosen: %v", err)
	}
}

func TestACollectionSaysWhatIsMissing(t *testing.T) {
	h := mustNew(t, collections)
	_, err := h.Collection("bob/bad", "nobody/none")
	if err == nil {
		t.Fatal("no error")
	}
	want := []string{
		`hub: there is no "nobody/none" in hub/collections`,
		`hub/collections/bob/bad.yaml:2:5: there is no "ann/shop-log" in hub/parsers: did you mean "ann/shop-logs"?`,
		"hub/collections/bob/bad.yaml:3:12: want a list, found a mapping",
	}
	if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
		t.Errorf("error differs (-want +got):\n%s", diff)
	}
}

func TestAFolderIsReadAsAHubWhenItHasCollections(t *testing.T) {
	for _, tt := range []struct {
		name        string
		files       []string
		collections []string
		want        []string
		err         string
	}{
		{"plain folder", []string{"ssh/a.yaml", "scenarios/b.yaml"}, nil, []string{"scenarios/b.yaml", "ssh/a.yaml"}, ""},
		{"hub", []string{"collections/ann/c.yaml", "docker/a.yaml", "scenarios/ann/b.yaml"}, nil, []string{"scenarios/ann/b.yaml"}, ""},
		{"no hub", []string{"ssh/a.yaml"}, []string{"ann/c"}, nil, ErrNotHub.Error()},
		{"collection that is not there", []string{"scenarios/ann/b.yaml"}, []string{"ann/c"}, nil, `there is no "ann/c"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, f := range tt.files {
				f = filepath.Join(dir, f)
				if err := errors.Join(os.MkdirAll(filepath.Dir(f), 0o755), os.WriteFile(f, nil, 0o644)); err != nil {
					t.Fatal(err)
				}
			}
			source, err := OpenRules(dir, tt.collections...)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error is %v, want one with %q", err, tt.err)
				}
				return
			}
			var got []string
			walk := fs.WalkDir(source.FS, ".", func(p string, e fs.DirEntry, err error) error {
				if err == nil && !e.IsDir() {
					got = append(got, p)
				}
				return err
			})
			if diff := cmp.Diff(tt.want, got); diff != "" || err != nil || walk != nil {
				t.Errorf("files differ (-want +got), %v, %v:\n%s", err, walk, diff)
			}
		})
	}
	if _, err := OpenRules(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error of a directory that is not there: %v", err)
	}
}

func TestAScenarioTellsTheVersionThatItsFileHasInTheIndex(t *testing.T) {
	const (
		text = "type: trigger\nname: a\ndescription: d\nfilter: 'true'\n"
		hash = "7d9be9a7e3d3d2ff0a2b1c65a36b3a3e5b3a0c0d2e6b8b3a4f1f9f0c6a1d2e3f"
	)
	sum := sha256.Sum256([]byte(text))
	real := hex.EncodeToString(sum[:])
	index := `{"scenarios": {"ann/a": {"path": "x", "versions": {"0.1": {"digest": "` + hash + `"}, "0.2": {"digest": "` + strings.ToUpper(real) + `"}}}}, "parsers": {}}`
	for _, tt := range []struct {
		name, index, path     string
		wantHash, wantVersion string
	}{
		{"as published", index, "scenarios/ann/a.yaml", real, "0.2"},
		{"changed since", strings.ReplaceAll(index, strings.ToUpper(real), hash), "scenarios/ann/a.yaml", real, "?"},
		{"of a hub without index", "", "scenarios/ann/a.yaml", real, "?"},
		{"of a hub with a damaged index", "{", "scenarios/ann/a.yaml", real, "?"},
		{"one's own", index, "scenarios/a.yaml", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files := map[string]string{tt.path: text}
			if tt.index != "" {
				files["hub/.index.json"] = tt.index
			}
			h := mustNew(t, files)
			set, err := rules.Load([]rules.Source{h.Source(h.Items())}, rules.Deps{
				Expr: expr.NewCompiler(), Patterns: grok.NewSet(), Log: slog.New(slog.DiscardHandler),
			})
			if err != nil {
				t.Fatal(err)
			}
			if s := set.Scenarios[0]; s.Hash != tt.wantHash || s.Version != tt.wantVersion {
				t.Errorf("hash %q and version %q, want %q and %q", s.Hash, s.Version, tt.wantHash, tt.wantVersion)
			}
		})
	}
}

func TestCollectionsThatReadNoRawLinesGetWhatDoes(t *testing.T) {
	own := map[string]string{
		"collections/ann/ssh.yaml":                       "name: ann/ssh\nparsers: [ann/sshd]\n",
		"collections/ann/all.yaml":                       "name: ann/all\nparsers: [ann/raw, ann/sshd]\n",
		"parsers/s00-raw/ann/raw.yaml":                   "",
		"parsers/s01-parse/ann/sshd.yaml":                "",
		"parsers/s00-raw/crowdsecurity/syslog-logs.yaml": "",
	}
	h := mustNew(t, own)
	for name, want := range map[string][]string{
		"ann/ssh": {"parsers/s01-parse/ann/sshd.yaml", "parsers/s00-raw/crowdsecurity/syslog-logs.yaml"},
		"ann/all": {"parsers/s00-raw/ann/raw.yaml", "parsers/s01-parse/ann/sshd.yaml"},
	} {
		items, err := h.Collection(name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, paths(h.withBase(items))); diff != "" {
			t.Errorf("%s: items differ (-want +got):\n%s", name, diff)
		}
	}
}
