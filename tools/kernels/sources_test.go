package main

import (
	"os"
	"path/filepath"
	"testing"
)

func mustWrite(t *testing.T, file, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestTheMirrorsAreThoseOfTheMachine(t *testing.T) {
	const other = "Types: deb\nURIs: https://other.example/node\nSuites: nodistro\nComponents: main\n"
	for _, tt := range []struct {
		name, file, content string
		want                mirrors
	}{
		{
			name: "stanzas", file: "sources.list.d/debian.sources",
			content: "# a comment\nTypes: deb deb-src\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-updates\n" +
				"Components: main\nSigned-By: /keys/own.gpg\n\n" +
				"Types: deb\nURIs: http://mirror.example/security\nSuites: bookworm-security\nComponents: main\n",
			want: mirrors{
				main:     mirror{"http://mirror.example/debian", "/keys/own.gpg"},
				security: mirror{"http://mirror.example/security", debianKeyring},
			},
		},
		{
			name: "lines", file: "sources.list",
			content: "#deb http://no.example/debian stable main\n" +
				"deb-src http://source.example/debian stable main\n" +
				"deb [arch=amd64 signed-by=/keys/own.gpg] http://mirror.example/debian stable main contrib # why\n" +
				"deb http://mirror.example/security bullseye/updates main\n",
			want: mirrors{
				main:     mirror{"http://mirror.example/debian", "/keys/own.gpg"},
				security: mirror{"http://mirror.example/security", debianKeyring},
			},
		},
		{
			name: "an entry that is turned off, and a key within the file", file: "sources.list.d/a.sources",
			content: "Types: deb\nURIs: http://off.example/debian\nSuites: sid\nEnabled: no\n\n" +
				"Types: deb\nURIs: http://mirror.example/debian\nSuites: sid\nSigned-By:\n -----BEGIN PGP\n .\n abc\n",
			want: mirrors{main: mirror{"http://mirror.example/debian", debianKeyring}},
		},
		{
			name: "no security archive", file: "sources.list.d/one.list",
			content: "deb http://mirror.example/debian trixie main\n",
			want:    mirrors{main: mirror{"http://mirror.example/debian", debianKeyring}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			mustWrite(t, filepath.Join(dir, "sources.list.d/0-other.sources"), other)
			mustWrite(t, filepath.Join(dir, tt.file), tt.content)
			got, err := readMirrors(dir)
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("mirrors = %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestAMachineWithoutDebianArchiveIsToldSo(t *testing.T) {
	dir := t.TempDir()
	mustWrite(t, filepath.Join(dir, "sources.list"), "deb http://mirror.example/ubuntu noble main\n")
	if m, err := readMirrors(dir); err == nil {
		t.Errorf("mirrors = %+v, want an error", m)
	}
}
