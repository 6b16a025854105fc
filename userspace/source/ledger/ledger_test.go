package ledger

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// mustLoad reads a ledger as a new process does.
func mustLoad(t *testing.T, path string) []string {
	t.Helper()
	records, err := New(path).Load()
	if err != nil {
		t.Fatal(err)
	}
	return texts(records)
}

func texts(records [][]byte) []string {
	var out []string
	for _, r := range records {
		out = append(out, string(r))
	}
	return out
}

func mustRebuild(t testing.TB, l *Ledger, records ...string) {
	t.Helper()
	var data [][]byte
	for _, r := range records {
		data = append(data, []byte(r))
	}
	if err := l.Rebuild(data); err != nil {
		t.Fatal(err)
	}
}

func mustAppend(t *testing.T, l *Ledger, records ...string) {
	t.Helper()
	for _, r := range records {
		if !l.Append([]byte(r)) {
			t.Fatalf("Append(%q) = false, want true", r)
		}
	}
}

func TestWhatWasAppendedIsThereWithoutACloseOrSync(t *testing.T) {
	path := filepath.Join(t.TempDir(), "made", "state")
	l := New(path)
	if l.Append([]byte("early")) {
		t.Error("Append before Rebuild = true, want false")
	}
	mustRebuild(t, l)
	mustAppend(t, l, "one", "")
	if diff := cmp.Diff([]string{"one", ""}, mustLoad(t, path)); diff != "" {
		t.Errorf("after steps (-want +got):\n%s", diff)
	}
	mustRebuild(t, l, "state")
	mustAppend(t, l, "two")
	if diff := cmp.Diff([]string{"state", "two"}, mustLoad(t, path)); diff != "" {
		t.Errorf("after a rebuild (-want +got):\n%s", diff)
	}
	next := New(path)
	if _, err := next.Load(); err != nil {
		t.Fatal(err)
	}
	mustRebuild(t, next, "state", "two")
	mustAppend(t, next, "three")
	if diff := cmp.Diff([]string{"state", "two", "three"}, mustLoad(t, path)); diff != "" {
		t.Errorf("after a restart (-want +got):\n%s", diff)
	}
}

// TestAWriteThatStopsAnywhereCostsAtMostWhatItWrote cuts the newest file at every length: what is
// found is always what was kept at some moment, and never less than the state before.
func TestAWriteThatStopsAnywhereCostsAtMostWhatItWrote(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	l := New(path)
	mustRebuild(t, l, "old")
	mustAppend(t, l, "step")
	mustRebuild(t, l, "old and step", "more")
	mustAppend(t, l, "one", "two")
	whole, err := os.ReadFile(l.name(l.slot))
	if err != nil {
		t.Fatal(err)
	}
	steps := [][]string{{"old", "step"}, {"old and step", "more"}, {"old and step", "more", "one"}, {"old and step", "more", "one", "two"}}
	at := 0
	for n := range len(whole) + 1 {
		if err := os.WriteFile(l.name(l.slot), whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		got := mustLoad(t, path)
		for at+1 < len(steps) && cmp.Equal(got, steps[at+1]) {
			at++
		}
		if diff := cmp.Diff(steps[at], got); diff != "" {
			t.Fatalf("cut at %d of %d bytes (-want +got):\n%s", n, len(whole), diff)
		}
	}
	if at != len(steps)-1 {
		t.Errorf("the whole file gives %q", steps[at])
	}
}

func TestAStateThatCannotBeWrittenLeavesTheOldOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	l := New(path)
	mustRebuild(t, l, "old")
	if err := os.Mkdir(l.name(1-l.slot), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := l.Rebuild([][]byte{[]byte("new")}); err == nil {
		t.Fatal("Rebuild over a directory: no error")
	}
	mustAppend(t, l, "step")
	if diff := cmp.Diff([]string{"old", "step"}, mustLoad(t, path)); diff != "" {
		t.Errorf("after the failure (-want +got):\n%s", diff)
	}
}

func TestAFullDiskStopsStepsUntilARebuild(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	l := New(path)
	mustRebuild(t, l, "old")
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("SKIPPED: needs /dev/full")
	}
	_ = l.f.Close()
	l.f = full
	if l.Append([]byte("lost")) || l.Append([]byte("after it")) {
		t.Error("Append on a full disk = true, want false")
	}
	mustRebuild(t, l, "old", "lost", "after it")
	mustAppend(t, l, "step")
	if diff := cmp.Diff([]string{"old", "lost", "after it", "step"}, mustLoad(t, path)); diff != "" {
		t.Errorf("after the rebuild (-want +got):\n%s", diff)
	}
}

func TestForeignFilesAreSaidAndReplaced(t *testing.T) {
	for _, tt := range []struct{ name, content string }{
		{"text", "hello\n"},
		{"another version", string(appendRecord(nil, []byte("gabion ledger 2 7 0")))},
		{"a state cut short", string(appendRecord(nil, []byte(title+" 7 3")))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state")
			l := New(path)
			if err := os.WriteFile(l.name(0), []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := l.Load(); err == nil {
				t.Error("no error")
			}
			mustRebuild(t, l, "new")
			if diff := cmp.Diff([]string{"new"}, mustLoad(t, path)); diff != "" {
				t.Errorf("after a rebuild (-want +got):\n%s", diff)
			}
		})
	}
}

func TestALedgerSaysWhenItsFileIsFullOrGone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dir")
	l := New(filepath.Join(dir, "state"))
	mustRebuild(t, l)
	record := make([]byte, growth/4)
	for n := 0; !l.Full(); n++ {
		if n > 4 {
			t.Fatal("not full after more than it may grow")
		}
		mustAppend(t, l, string(record))
	}
	if l.Lost() {
		t.Error("Lost = true, want false")
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if !l.Lost() {
		t.Error("Lost after the directory was removed = false, want true")
	}
	mustRebuild(t, l, "again")
	if diff := cmp.Diff([]string{"again"}, mustLoad(t, l.path)); diff != "" {
		t.Errorf("after the rebuild (-want +got):\n%s", diff)
	}
}

func BenchmarkAppend(b *testing.B) {
	l := New(filepath.Join(b.TempDir(), "state"))
	mustRebuild(b, l)
	record := []byte(fmt.Sprintf("%0400d", 0))
	for b.Loop() {
		if !l.Append(record) {
			b.Fatal("append failed")
		}
		if l.Full() {
			mustRebuild(b, l, "state")
		}
	}
}
