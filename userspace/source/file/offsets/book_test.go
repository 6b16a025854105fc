package offsets

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func mustBegin(t testing.TB, dir string, now time.Time) (*Book, map[string]bool) {
	t.Helper()
	b := NewBook(dir)
	known, err := b.Begin("syslog", []string{"/var/log/*.log"}, now)
	if err != nil {
		t.Fatal(err)
	}
	return b, known
}

func TestABookKeepsStepsWithoutBeingSaved(t *testing.T) {
	dir, now := t.TempDir(), time.Unix(1_000_000, 0).UTC()
	b, known := mustBegin(t, dir, now)
	if len(known) > 0 {
		t.Errorf("known at the first start: %v", known)
	}
	one := Entry{Kind: "syslog", ID: FileID{1, 2}, Path: "/var/log/a.log", Pos: Position{Offset: 7}, At: now}
	two := Entry{Kind: "syslog", ID: FileID{1, 3}, Path: "/var/log/b.log", At: now.Add(time.Second), Rotated: true}
	b.Apply(Update{{Entry: one}, {Entry: two}})
	if _, known := mustBegin(t, dir, now); len(known) > 0 {
		t.Errorf("patterns known before what matches them was: %v", known)
	}
	b, _ = mustBegin(t, dir, now) // the look above wrote the files anew
	b.Scanned("syslog", []string{"/var/log/*.log"})
	one.Pos.Offset = 9
	b.Apply(Update{{Entry: one}})
	b, known = mustBegin(t, dir, now)
	if !known["/var/log/*.log"] {
		t.Error("the pattern is not known any more")
	}
	if diff := cmp.Diff([]Entry{one, two}, b.Of("syslog")); diff != "" {
		t.Errorf("after SIGKILL (-want +got):\n%s", diff)
	}
	b.Apply(Update{{Entry: two, Gone: true}})
	b, _ = mustBegin(t, dir, now)
	if diff := cmp.Diff([]Entry{one}, b.Of("syslog")); diff != "" {
		t.Errorf("after forgetting (-want +got):\n%s", diff)
	}
}

func TestABookIsBounded(t *testing.T) {
	dir, now := t.TempDir(), time.Unix(1_000_000, 0)
	b, _ := mustBegin(t, dir, now)
	for i := range 2 * maxEntries {
		b.Apply(Update{{Entry: Entry{Kind: "syslog", ID: FileID{1, uint64(i)}, At: now, Closed: i < maxEntries}}})
	}
	b.Save(now.Add(CheckEvery), false, slog.New(slog.DiscardHandler))
	left := b.Of("syslog")
	if len(left) != maxEntries || left[0].Closed {
		t.Errorf("%d entries, the first closed: %v; want %d open ones", len(left), left[0].Closed, maxEntries)
	}
}

// BenchmarkAcknowledge measures what it costs to remember one batch: the engine waits for it.
func BenchmarkAcknowledge(b *testing.B) {
	for _, files := range []int{1, 1000} {
		b.Run(fmt.Sprintf("%d files", files), func(b *testing.B) {
			now := time.Now()
			book, _ := mustBegin(b, b.TempDir(), now)
			mark := MarkOf(strings.Repeat("x", MarkSize))
			e := Entry{Kind: "syslog", Path: "/var/log/nginx/access.log", File: "/var/log/nginx/access.log", Written: now, At: now}
			for n := 0; b.Loop(); n++ {
				e.ID = FileID{Dev: 1, Ino: uint64(n % files)}
				e.Pos = Position{Offset: int64(n), Head: mark, Tail: mark}
				book.Apply(Update{{Entry: e}})
				if n%10000 == 0 { // as often as once a second
					now = now.Add(CheckEvery)
					book.Save(now, false, slog.Default())
				}
			}
		})
	}
}
