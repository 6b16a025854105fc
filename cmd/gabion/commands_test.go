package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"golang.org/x/tools/txtar"
)

func testEnv(out, errs *bytes.Buffer) env {
	return env{
		stdin: strings.NewReader(""), stdout: out, stderr: errs,
		getenv: func(string) string { return "" },
		now:    func() time.Time { return time.Date(2026, 2, 12, 12, 0, 0, 0, time.UTC) },
	}
}

func TestEveryCommandExplainsItselfWithAnExample(t *testing.T) {
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, c := range cmd.Commands() {
			if c.Name() != "help" && c.Name() != "completion" {
				walk(c)
			}
		}
		t.Run(cmd.CommandPath(), func(t *testing.T) {
			if cmd.Short == "" || !strings.Contains(cmd.Example, "gabion") {
				t.Errorf("short %q, example %q", cmd.Short, cmd.Example)
			}
			var out, errs bytes.Buffer
			args := append(strings.Fields(cmd.CommandPath())[1:], "--help")
			if code := run(t.Context(), args, testEnv(&out, &errs)); code != exitOK || !strings.Contains(out.String(), "Examples:") {
				t.Errorf("--help = %d\n%s%s", code, out.String(), errs.String())
			}
		})
	}
	walk(newRoot(testEnv(&bytes.Buffer{}, &bytes.Buffer{})))
}

// update writes the golden files anew: go test ./cmd/gabion -update
var update = flag.Bool("update", false, "write what the commands print into testdata/output")

// TestOutput runs commands against a daemon that gives fixed answers. Each file holds the answers
// by path, and for each command line what it prints.
func TestOutput(t *testing.T) {
	files, err := filepath.Glob("testdata/output/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { checkOutput(t, file) })
	}
}

func checkOutput(t *testing.T, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	answers := http.NewServeMux()
	for _, f := range archive.Files {
		if path, ok := strings.CutPrefix(f.Name, "answer "); ok {
			answers.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(f.Data) })
		}
	}
	srv := httptest.NewServer(answers)
	defer srv.Close()
	for i, f := range archive.Files {
		line, ok := strings.CutPrefix(f.Name, "gabion ")
		if !ok {
			continue
		}
		var out, errs bytes.Buffer
		args := append(strings.Fields(line), "--socket", srv.URL, "--key-file", filepath.Join(t.TempDir(), "none"))
		if code := run(t.Context(), args, testEnv(&out, &errs)); code != exitOK {
			t.Errorf("%s = %d\n%s", f.Name, code, errs.String())
		}
		if strings.Contains(line, "-o json") && !json.Valid(out.Bytes()) {
			t.Errorf("%s printed no JSON: %s", f.Name, out.String())
		}
		if *update {
			archive.Files[i].Data = out.Bytes()
		} else if diff := cmp.Diff(string(f.Data), out.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", f.Name, diff)
		}
	}
	if *update {
		if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTextFromOutsideCannotDriveTheTerminal(t *testing.T) {
	for in, want := range map[string]string{
		"plain ü 漢":              "plain ü 漢",
		"\x1b[2Jgone":            `\x1b[2Jgone`,
		"a\nb\tc\r":              `a\x0ab\x09c\x0d`,
		"bad \xff utf8":          `bad \xff utf8`,
		"right\u202eto left":     `right\u202eto left`,
		"c1 \u009b31m":           `c1 \u009b31m`,
		"zero\u200bwidth \ufffd": `zero\u200bwidth \xef\xbf\xbd`,
	} {
		if got := printable(in, oneLine); got != want {
			t.Errorf("printable(%q) = %s, want %s", in, got, want)
		}
	}
	if got := printable("a\nb\x1b", keepLines); got != "a\nb\\x1b" {
		t.Errorf("with line breaks kept: %q", got)
	}
}
