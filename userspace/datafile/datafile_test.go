package datafile

import (
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
)

func testStore() *Store {
	return New(Config{Log: slog.New(slog.DiscardHandler), Shipped: fstest.MapFS{
		"agents.txt":  {Data: []byte("# bad agents\nnikto \n\nsqlmap\r\n")},
		"paths.txt":   {Data: []byte("^/\\.git/\n(\n\\.php$\n")},
		"lists/a.txt": {},
		"long.txt":    {Data: []byte("a\n" + strings.Repeat("x", maxLine+1) + "\nb\n")},
		"rows.json":   {Data: []byte(`{"pattern":"a","tag":"b","type":"x"}`)},
		"broken.json": {Data: []byte(`{"pattern":"a","tag":"b"}` + "\n" + `{"pattern":1}` + "\nnope\n")},
	}})
}

func TestLoadReportsWhatIsWrong(t *testing.T) {
	s := testStore()
	for _, tt := range []struct{ name, file, typ, want string }{
		{"missing file", "nope.txt", "string", "read data file: open nope.txt: file does not exist"},
		{"outside the directory", "../x", "string", `data file "../x": name must be a path inside the data directory`},
		{"directory", "lists", "string", "read data file: lists is no regular file"},
		{"line that is too long", "long.txt", "string", "long.txt:2: line is longer than 64 KiB: the rest of the file is not read"},
		{"unknown row type", "rows.json", "map", `rows.json:1: row has type "x": use equals, contains or regex`},
		{"unknown type", "agents.txt", "robots", `data file agents.txt: type "robots" is not supported: use string, regexp, map or bots`},
		{"faulty rows", "broken.json", "map", "broken.json:1: row lacks \"type\"\nbroken.json:2: row is no JSON object of texts: cannot unmarshal number into Go value of type string\nbroken.json:3: row is no JSON object of texts: invalid character 'o' in literal null (expecting 'u')"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := s.Load(tt.file, tt.typ); err == nil || err.Error() != tt.want {
				t.Errorf("err  = %v\nwant = %s", err, tt.want)
			}
		})
	}
	if err := s.Load("anything.mmdb", ""); err != nil {
		t.Errorf("file without a type: %v", err)
	}
}

func TestTheDirectoryComesBeforeShippedFiles(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/agents.txt", []byte("local\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := New(Config{Dir: dir, Shipped: fstest.MapFS{"agents.txt": {Data: []byte("shipped\n")}, "other.txt": {Data: []byte("shipped\n")}}})
	for _, f := range []string{"agents.txt", "other.txt"} {
		if err := s.Load(f, "string"); err != nil {
			t.Fatal(err)
		}
	}
	local, _ := s.Lines("agents.txt")
	shipped, _ := s.Lines("other.txt")
	if got := local[0] + " " + shipped[0]; got != "local shipped" {
		t.Errorf("got %q", got)
	}
}

func TestFilesLoadWhileRulesRun(t *testing.T) {
	s := testStore()
	if err := s.Load("agents.txt", "string"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				if lines, ok := s.Lines("agents.txt"); !ok || len(lines) != 2 {
					t.Error("a loaded file is gone")
				}
				s.Matches("/x.php", "paths.txt")
			}
		})
	}
	for _, f := range [][2]string{{"paths.txt", "regexp"}, {"long.txt", "string"}, {"paths.txt", "string"}} {
		wg.Go(func() { _ = s.Load(f[0], f[1]) })
	}
	wg.Wait()
	lines, _ := s.Lines("paths.txt")
	if match, known := s.Matches("/x.php", "paths.txt"); !match || !known || len(lines) != 3 {
		t.Error("files loaded at the same time got lost")
	}
}
