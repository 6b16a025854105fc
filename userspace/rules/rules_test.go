package rules

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gabion/scenarios"
	"gabion/userspace/bucket"
	"gabion/userspace/decision"
	"gabion/userspace/enrich"
	"gabion/userspace/event"
	"gabion/userspace/expr"
	"gabion/userspace/exprlib"
	"gabion/userspace/grok"
	"gabion/userspace/yamlpos"
)

func deps() Deps {
	now := func() time.Time { return time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC) }
	log := slog.New(slog.DiscardHandler)
	lib := exprlib.New(exprlib.Deps{Log: log, Now: now})
	return Deps{
		Expr: expr.NewCompiler(lib.Functions()...), Lib: lib, Patterns: grok.NewSet(),
		Methods: enrich.Methods(enrich.Deps{Now: now}), Now: now, Log: log,
	}
}

// tree makes a file system of paths and contents.
func tree(files map[string]string) fs.FS {
	out := fstest.MapFS{}
	for name, text := range files {
		out[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

func scenario(name string) string {
	return "type: leaky\nname: " + name + "\ndescription: d\nfilter: 'true'\ncapacity: 1\nleakspeed: 1s\n"
}

func parser(name, more string) string {
	return "name: " + name + "\nstatics: [{meta: seen, value: yes}]\n" + more
}

func items(s *Set) []string {
	var out []string
	for _, i := range s.Items {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s", i.Kind, i.Name, i.Stage)))
	}
	return out
}

func messages(err error) []string {
	var errs yamlpos.Errors
	if !errors.As(err, &errs) {
		return nil
	}
	var out []string
	for _, e := range errs {
		out = append(out, e.Error())
	}
	return out
}

func TestLoadTellsRulesByPathOrByKey(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  []string
	}{
		{"the hub's layout", map[string]string{
			"parsers/s00-raw/a.yaml":               parser("raw", ""),
			"parsers/s01-parse/author/b.yml":       parser("parse", "stage: ignored\n"),
			"scenarios/c.yaml":                     scenario("s"),
			"postoverflows/s01-whitelist/d.yaml":   parser("post", ""),
			"collections/e.yaml":                   "parsers: [x]\n",
			"hub/parsers/s02-enrich/author/f.yaml": parser("deep", ""),
			"contexts/author/g.yaml":               "context: {}\n",
		}, []string{"parser deep s02-enrich", "parser raw s00-raw", "parser parse s01-parse", "postoverflow post s01-whitelist", "context author/g", "scenario s"}},
		{"by service", map[string]string{
			"ssh/parser.yaml":                       parser("p", "stage: s01-parse\n"),
			"ssh/rules.yaml":                        scenario("one") + "---\n" + scenario("two"),
			"ssh/alerts.yaml":                       "name: c\ncontext: {user: [evt.Meta.user]}\n",
			"ssh/postoverflows/s00-enrich/own.yaml": parser("o", ""),
			"ssh/test.txtar":                        "-- a --\n",
			"ssh/README.md":                         "# ssh\n",
			".git/x.yaml":                           "nonsense",
			"ssh/.hidden.yaml":                      "nonsense",
		}, []string{"parser p s01-parse", "postoverflow o s00-enrich", "context c", "scenario one", "scenario two"}},
		{"services below a folder called scenarios", map[string]string{
			"scenarios/ssh/parser.yaml": parser("p", "stage: s01-parse\n"),
			"scenarios/ssh/brute.yaml":  scenario("s"),
		}, []string{"parser p s01-parse", "scenario s"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Load([]Source{{Name: "rules", FS: tree(tt.files)}}, deps())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, items(s)); diff != "" {
				t.Errorf("items (-want +got):\n%s", diff)
			}
		})
	}
}

func TestALaterSourceReplacesRulesOfTheSameName(t *testing.T) {
	first := tree(map[string]string{"a.yaml": scenario("same") + "---\n" + scenario("only"), "b.yaml": parser("same", "stage: s01-parse\n")})
	second := tree(map[string]string{"x.yaml": strings.Replace(scenario("same"), "capacity: 1", "capacity: 7", 1)})
	s, err := Load([]Source{{Name: "first", FS: first}, {Name: "second", FS: second}}, deps())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, sc := range s.Scenarios {
		got = append(got, sc.Name+" "+sc.Pos.File)
	}
	if diff := cmp.Diff([]string{"only first/a.yaml", "same second/x.yaml"}, got); diff != "" {
		t.Errorf("scenarios (-want +got):\n%s", diff)
	}
}

func TestFaultsOfAllFilesComeAtOnceAndTheRestWorks(t *testing.T) {
	s, err := Load([]Source{{Name: "rules", FS: tree(map[string]string{
		"a.yaml":                   scenario("good") + "---\n" + strings.Replace(scenario("bad"), "capacity", "capcity", 1),
		"b.yaml":                   "name: what\n",
		"c.yaml":                   "type: [\n",
		"parsers/s01-parse/d.yaml": parser("fine", "") + "---\n" + parser("broken", "filter: evt.Nope\n") + "---\n" + parser("fine too", ""),
		"e.yaml":                   "type: leaky\nx: " + strings.Repeat("y", maxFile),
		"parsers/s01-parse/f.yaml": "name: empty\n",
		"g.yaml":                   strings.Replace(meterDoc("m"), "per: source", "per: planet", 1),
	})}}, deps())
	want := []string{
		"rules/a.yaml:", "rules/b.yaml:1:1:", "rules/c.yaml:", "rules/e.yaml:", "rules/parsers/s01-parse/d.yaml:6:13:", "rules/parsers/s01-parse/f.yaml:1:1:", "rules/g.yaml:4:6: unknown value",
	}
	got := messages(err)
	for _, w := range want {
		found := false
		for _, g := range got {
			found = found || strings.HasPrefix(g, w)
		}
		if !found {
			t.Errorf("no error begins with %s; all:\n%s", w, strings.Join(got, "\n"))
		}
	}
	if diff := cmp.Diff([]string{"parser fine s01-parse", "parser fine too s01-parse", "scenario good"}, items(s)); diff != "" {
		t.Errorf("items (-want +got):\n%s", diff)
	}
}

func meterDoc(name string) string {
	return "type: meter\nname: " + name + "\ncount: packets\nper: source\nlimit: 9\nwindow: 1s\naction: report\n"
}

func TestALaterSourceReplacesAMeterAndOneFileDoesNotRepeatIt(t *testing.T) {
	s, err := Load([]Source{
		{Name: "first", FS: tree(map[string]string{"scenarios/a.yaml": meterDoc("a/same") + "---\n" + meterDoc("a/only")})},
		{Name: "second", FS: tree(map[string]string{"b.yaml": strings.Replace(meterDoc("a/same"), "9", "7", 1) + "---\n" + meterDoc("a/same") + "---\n" + scenario("a/same")})},
	}, deps())
	want := []string{"second/b.yaml:9:1: meter a/same is defined at second/b.yaml:1:1 already"}
	if diff := cmp.Diff(want, messages(err)); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"scenario a/same", "meter a/only", "meter a/same"}, items(s)); diff != "" {
		t.Errorf("items (-want +got):\n%s", diff)
	}
	if len(s.Meters) != 2 || s.Meters[1].Limit != 7 {
		t.Errorf("meters = %+v", s.Meters)
	}
}

func TestTheMeterThatIsTooManyIsNamed(t *testing.T) {
	for _, tt := range []struct {
		count string
		fit   int
		want  string
	}{
		{"packets", 16, "rules/16.yaml:1:1: meter m/16 is one too many: the kernel runs at most 16"},
		{"ports", 4, "rules/04.yaml:1:1: meter m/4 is one too many: the kernel runs at most 4 that count ports"},
	} {
		t.Run(tt.count, func(t *testing.T) {
			files := map[string]string{}
			for i := range tt.fit + 1 {
				files[fmt.Sprintf("%02d.yaml", i)] = strings.Replace(meterDoc(fmt.Sprintf("m/%d", i)), "packets", tt.count, 1)
			}
			s, err := Load([]Source{{Name: "rules", FS: tree(files)}}, deps())
			if diff := cmp.Diff([]string{tt.want}, messages(err)); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
			if len(s.Meters) != tt.fit {
				t.Errorf("%d meters, want %d", len(s.Meters), tt.fit)
			}
		})
	}
}

func TestLinksAndOddFilesOnDisk(t *testing.T) {
	dir, hub := t.TempDir(), t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.WriteFile(filepath.Join(hub, "s.yaml"), []byte(scenario("linked")), 0o600))
	must(os.Symlink(filepath.Join(hub, "s.yaml"), filepath.Join(dir, "s.yaml")))
	must(os.Symlink("nowhere", filepath.Join(dir, "broken.yaml")))
	must(os.Symlink(dir, filepath.Join(dir, "loop")))
	must(os.Symlink(dir, filepath.Join(dir, "loop.yaml")))
	must(syscall.Mkfifo(filepath.Join(dir, "pipe.yaml"), 0o600))
	s, err := Load([]Source{{Name: "dir", FS: os.DirFS(dir)}, {Name: "gone", FS: os.DirFS(filepath.Join(dir, "gone"))}}, deps())
	want := []string{
		"dir/broken.yaml: read rule file: no such file or directory", "dir/pipe.yaml: not a regular file",
		"gone: read directory: no such file or directory",
	}
	if diff := cmp.Diff(want, messages(err)); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"scenario linked"}, items(s)); diff != "" {
		t.Errorf("items (-want +got):\n%s", diff)
	}
}

func TestTheShippedRulesLoad(t *testing.T) {
	s, err := Load([]Source{{Name: "embedded", FS: scenarios.FS()}}, deps())
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Scenarios) == 0 || len(s.Parsers.Stages()) != 3 {
		t.Errorf("%d scenarios, parser stages %v", len(s.Scenarios), s.Parsers.Stages())
	}
}

func FuzzClassify(f *testing.F) {
	f.Add("ssh/a.yaml", scenario("x")+"---\n"+parser("y", "stage: s01-parse"))
	f.Add("parsers/s00-raw/a.yaml", "a: [")
	f.Fuzz(func(t *testing.T, path, text string) {
		if !fs.ValidPath(path) {
			return
		}
		docs, _ := classify(file{path: path, name: path, data: []byte(text)})
		for _, d := range docs {
			if d.kind == "" {
				t.Errorf("a document of %q has no kind", path)
			}
		}
	})
}

func TestReadTakesOnlyWhatIsNamedAndKeepsItsPlace(t *testing.T) {
	fsys := fstest.MapFS{
		"parsers/s01-parse/a.yaml": {Data: []byte("name: a\n---\nname: b\n")},
		"parsers/s01-parse/c.yaml": {Data: []byte("name: c\n")},
		"scenarios/d.yaml":         {Data: []byte("name: d\ntype: trigger\n")},
	}
	for _, tt := range []struct{ only, want string }{
		{"", "parser s01-parse a, parser s01-parse b, parser s01-parse c, scenario  d"},
		{"parsers/s01-parse", "parser s01-parse a, parser s01-parse b, parser s01-parse c"},
		{"parsers/s01-parse/a.yaml", "parser s01-parse a, parser s01-parse b"},
		{"scenarios/d.yaml", "scenario  d"},
		{"none", "rules/none: read rules: file does not exist"},
	} {
		docs, err := Read([]Source{{Name: "rules", FS: fsys, Only: tt.only}})
		var got []string
		for _, d := range docs {
			got = append(got, fmt.Sprintf("%s %s %s", d.Kind, d.Stage, d.Name))
		}
		if err != nil {
			got = append(got, err.Error())
		}
		if text := strings.Join(got, ", "); text != tt.want {
			t.Errorf("only %q: %s; want %s", tt.only, text, tt.want)
		}
	}
}

func TestAlertsHaveTheContextOfAllFiles(t *testing.T) {
	s, err := Load([]Source{{Name: "rules", FS: tree(map[string]string{
		"contexts/a.yaml":  "context: {user: [evt.Meta.user]}\n",
		"contexts/b.yaml":  "context: {line: [evt.Line.Raw], user: [evt.Meta.user]}\n",
		"scenarios/s.yaml": "type: trigger\nname: s\ndescription: d\nfilter: 'true'\n",
	})}}, deps())
	if err != nil {
		t.Fatal(err)
	}
	evt := &event.Event{
		Line: event.Line{Raw: "a line"}, Time: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
		Meta: event.MakeFields("source_ip", "192.0.2.1", "user", "eve"),
	}
	m, err := s.Scenarios[0].Match(evt, evt.Time)
	if err != nil {
		t.Fatal(err)
	}
	hasher := bucket.NewHasher()
	out, err := bucket.NewTable(bucket.TableConfig{Hasher: hasher}).Pour(s.Scenarios[0], hasher.ID(s.Scenarios[0], m.Key), m)
	if err != nil || out == nil {
		t.Fatal(out, err)
	}
	want := []decision.Meta{{Key: "line", Value: `["a line"]`}, {Key: "user", Value: `["eve"]`}}
	if diff := cmp.Diff(want, out.Overflow.Alert.Meta); diff != "" {
		t.Errorf("context differs (-want +got):\n%s", diff)
	}
}

func TestAPathOnDiskKeepsItsPlaceInATree(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "hub", "parsers", "s01-parse", "a.yaml")
	for _, name := range []string{file, filepath.Join(dir, "flat", "b.yaml")} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte("name: a\nstage: s00-raw\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ path, file, stage string }{
		{"hub", "hub/parsers/s01-parse/a.yaml", "s01-parse"},
		{"hub/parsers", "hub/parsers/s01-parse/a.yaml", "s01-parse"},
		{"hub/parsers/s01-parse", "hub/parsers/s01-parse/a.yaml", "s01-parse"},
		{"hub/parsers/s01-parse/a.yaml", "hub/parsers/s01-parse/a.yaml", "s01-parse"},
		{"flat", "flat/b.yaml", "s00-raw"},
		{"flat/b.yaml", "flat/b.yaml", "s00-raw"},
	} {
		s, err := At(filepath.Join(dir, tt.path))
		if err != nil {
			t.Fatal(err)
		}
		docs, err := Read([]Source{s})
		if err != nil || len(docs) != 1 {
			t.Fatalf("%s: %d documents, error %v", tt.path, len(docs), err)
		}
		if got := docs[0].File(); got != filepath.Join(dir, tt.file) || docs[0].Stage != tt.stage {
			t.Errorf("%s: file %s of stage %s, want %s of %s", tt.path, got, docs[0].Stage, tt.file, tt.stage)
		}
	}
}
