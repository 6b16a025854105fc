package main

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// entries takes an archive apart by what the kernel's documentation says of the format.
func entries(t *testing.T, b []byte) (names []string, content map[string]string) {
	t.Helper()
	content = map[string]string{}
	number := func(at int) (n int) {
		for _, c := range b[at : at+8] {
			n = n<<4 | bytes.IndexByte([]byte("0123456789abcdef"), c)
		}
		return n
	}
	round := func(n int) int { return (n + 3) &^ 3 }
	for len(b) > 0 {
		if !bytes.HasPrefix(b, []byte("070701")) {
			t.Fatalf("no header where one should be: %q", b[:min(len(b), 16)])
		}
		size, length := number(6+6*8), number(6+11*8)
		name := string(b[110 : 110+length-1])
		b = b[round(110+length):]
		names = append(names, name)
		content[name] = string(b[:size])
		b = b[round(size):]
	}
	return names, content
}

func TestTheInitramfsHasDirectoriesBeforeFilesAndAnEnd(t *testing.T) {
	dir := t.TempDir()
	mustWrite(t, filepath.Join(dir, "rows.txt"), "rows")
	mustWrite(t, filepath.Join(dir, "deep/more.txt"), "more")
	var b bytes.Buffer
	a := newInitramfs(&b)
	for _, err := range []error{
		a.add("/init", 0o755, []byte("#!")),
		a.add("/src/loader/loader.test", 0o755, []byte("binary")),
		a.addTree("/src/loader/testdata", dir),
		a.close(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	names, content := entries(t, b.Bytes())
	want := []string{
		"init", "src", "src/loader", "src/loader/loader.test", "src/loader/testdata", "src/loader/testdata/deep",
		"src/loader/testdata/deep/more.txt", "src/loader/testdata/rows.txt", "TRAILER!!!",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if got := content["src/loader/testdata/rows.txt"]; got != "rows" {
		t.Errorf("content = %q, want %q", got, "rows")
	}
}
