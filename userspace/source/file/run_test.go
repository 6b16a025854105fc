package file

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"gabion/userspace/event"
	"gabion/userspace/source"
	"gabion/userspace/source/file/offsets"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// running is a source that runs in a goroutine.
type running struct {
	*Source
	lines chan string
	done  chan func() // of each batch
	end   func() error
}

func mustRun(t *testing.T, cfg Config) *running {
	t.Helper()
	cfg.Labels, cfg.Now = map[string]string{"type": "syslog"}, time.Now
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{Source: s, lines: make(chan string, 10000), done: make(chan func(), 10000)}
	ended := make(chan error, 1)
	go func() {
		ended <- s.Run(ctx, func(b source.Batch) error {
			for _, e := range b.Events {
				r.lines <- e.Line.Raw
			}
			r.done <- b.Done
			return nil
		})
	}()
	r.end = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { _ = r.end() })
	return r
}

func (r *running) mustGive(t *testing.T, want ...string) {
	t.Helper()
	for _, w := range want {
		if got := <-r.lines; got != w {
			t.Fatalf("line %q, want %q", got, w)
		}
	}
}

func TestWhatIsWrittenOnceASourceIsPositionedIsRead(t *testing.T) {
	rig := newRig(t)
	rig.write("app.log", "before\n")
	cfg := rig.cfg
	cfg.Patterns, cfg.Offsets = []string{filepath.Join(rig.dir, "app.log")}, NewOffsets(rig.state)
	r := mustRun(t, cfg)
	<-r.Positioned()
	rig.write("app.log", "after\n")
	r.mustGive(t, "after")
}

func TestInotifyTellsOfLinesAndRotationsWithoutAPoll(t *testing.T) {
	rig := newRig(t)
	rig.write("app.log", "")
	state := t.TempDir()
	offsets := NewOffsets(state)
	r := mustRun(t, Config{Patterns: []string{rig.path("app.log"), rig.path("*.txt")}, Poll: time.Hour, From: Beginning, Offsets: offsets})
	rig.write("app.log", "one\n")
	r.mustGive(t, "one")
	rig.rename("app.log", "app.log.1")
	rig.write("app.log", "two\n")
	r.mustGive(t, "two")
	rig.write("new.txt", "three\n")
	r.mustGive(t, "three")
	rig.must(os.Remove(rig.path("new.txt")))
	rig.write("new.txt", "four\n")
	r.mustGive(t, "four")
	if err := r.end(); err != nil {
		t.Error(err)
	}
}

func TestBatchesThatAreDoneAfterTheEndStillCount(t *testing.T) {
	rig := newRig(t)
	state := t.TempDir()
	rig.write("app.log", "")
	cfg := Config{Patterns: []string{rig.path("app.log")}, From: Beginning, Offsets: NewOffsets(state)}
	r := mustRun(t, cfg)
	rig.write("app.log", "one\n")
	r.mustGive(t, "one")
	done := <-r.done
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	done()
	cfg.Offsets = NewOffsets(state)
	r = mustRun(t, cfg)
	rig.write("app.log", "two\n")
	r.mustGive(t, "two")
}

func TestAPollFindsWhatNobodyTellsOf(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(dir, "app.log")
		r := mustRun(t, Config{Patterns: []string{path}, PollOnly: true})
		synctest.Wait()
		if err := os.WriteFile(path, []byte("one\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		r.mustGive(t, "one")
		if took := time.Since(began); took > DefaultPoll {
			t.Errorf("took %v, want at most %v", took, DefaultPoll)
		}
		if err := r.end(); err != nil {
			t.Error(err)
		}
	})
}

func TestRunEndsWhenTheEngineCloses(t *testing.T) {
	rig := newRig(t)
	rig.write("app.log", "one\n")
	s, err := New(Config{Patterns: []string{rig.path("app.log")}, From: Beginning, Now: time.Now})
	rig.must(err)
	if err := s.Run(t.Context(), func(source.Batch) error { return errors.New("closing") }); err != nil {
		t.Errorf("error %v, want none", err)
	}
}

func TestEventsAreLiveLinesInBoundedBatches(t *testing.T) {
	r := newRig(t, "app.log")
	r.begin()
	r.hold = true
	_, text := lines("a", 0, 3*batchLines)
	r.write("app.log", text)
	r.poll()
	for _, b := range r.pending {
		if n := len(b.Events); n == 0 || n > batchLines {
			t.Errorf("batch of %d lines, want 1 to %d", n, batchLines)
		}
	}
	got := *r.pending[0].Events[0]
	want := event.Event{
		Type: event.Log, ExpectMode: event.Live, Process: true, Time: r.now,
		Line: event.Line{Raw: "a line 0", Src: r.path("app.log"), Time: r.now, Labels: map[string]string{"type": "syslog"}, Process: true, Module: "file"},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b event.Fields) bool { return maps.Equal(a.Map(), b.Map()) })); diff != "" {
		t.Errorf("event differs (-want +got):\n%s", diff)
	}
	stats := r.follow.Stats()
	wantStats := Stats{Lines: 3 * batchLines, Bytes: uint64(len(text)), Files: []FileStats{{Path: r.path("app.log"), Offset: int64(len(text))}}}
	if diff := cmp.Diff(wantStats, stats); diff != "" {
		t.Errorf("stats differ (-want +got):\n%s", diff)
	}
}

func TestHostileContentIsBounded(t *testing.T) {
	r := newRig(t, "app.log")
	r.cfg.MaxLine = 1000
	r.begin()
	r.write("app.log", "before\n"+strings.Repeat("x", 3<<20))
	r.poll()
	r.restart() // in the middle of a line that was cut
	r.poll()
	r.write("app.log", strings.Repeat("y", 100)+"\nafter\x00\xff\n"+strings.Repeat("\n", 200000)+"last\n")
	r.poll()
	want := []string{"before", strings.Repeat("x", 1000), "after\x00\xff", "last"}
	if diff := cmp.Diff(want, r.got); diff != "" {
		t.Errorf("lines differ (-want +got):\n%s", diff)
	}
}

func TestTroubleIsSaidOnceAndOtherFilesGoOn(t *testing.T) {
	r := newRig(t, "good.log", "missing.log", "dir", "dangling", "none*.log")
	r.must(os.Mkdir(r.path("dir"), 0o700))
	r.link("nowhere", "dangling")
	r.begin()
	r.write("good.log", "good\n")
	for range 3 {
		r.poll()
	}
	for _, want := range []string{"log file does not exist", "path is a directory", "symbolic link to nothing", "no log file matches the pattern"} {
		if n := strings.Count(r.log.String(), want); n < 1 || n > 2 { // good.log and missing.log are both missing at first
			t.Errorf("%q is said %d times:\n%s", want, n, &r.log)
		}
	}
	r.write("missing.log", "here\n")
	r.must(os.Remove(r.path("dir")))
	r.write("dir", "a file now\n")
	r.write("nowhere", "somewhere\n")
	r.write("none1.log", "one\n")
	r.poll()
	for _, want := range []string{"good", "here", "a file now", "somewhere", "one"} {
		if !strings.Contains(strings.Join(r.got, "\n"), want) {
			t.Errorf("%q is missing in %q", want, r.got)
		}
	}
	r.log.Reset()
	r.poll()
	if r.log.Len() > 0 {
		t.Errorf("a quiet poll says:\n%s", &r.log)
	}
	r.must(os.Remove(r.path("missing.log")))
	r.poll()
	r.poll()
	if n := strings.Count(r.log.String(), "log file does not exist"); n != 1 {
		t.Errorf("a vanished file is reported %d times:\n%s", n, &r.log)
	}
}

func TestTheNumberOfOpenFilesIsBounded(t *testing.T) {
	r := newRig(t, "*.log")
	r.cfg.MaxFiles = 2
	r.begin()
	for i := range 4 {
		r.write(fmt.Sprintf("%d.log", i), "line\n")
	}
	r.poll()
	r.poll()
	if n := len(r.follow.tails); n != 2 {
		t.Errorf("%d files open, want 2", n)
	}
	if n := strings.Count(r.log.String(), "too many log files match"); n != 1 {
		t.Errorf("the limit is reported %d times:\n%s", n, &r.log)
	}
}

func TestOffsetsThatCannotBeUsedAreSaidAndNotFatal(t *testing.T) {
	r := newRig(t, "app.log")
	r.must(os.WriteFile(filepath.Join(r.state, offsets.Name+".0"), []byte("{broken"), 0o600))
	r.write("app.log", "old\n")
	r.begin()
	if !strings.Contains(r.log.String(), "saved log offsets cannot be used") {
		t.Errorf("log:\n%s", &r.log)
	}
	r.must(os.RemoveAll(r.state))
	r.must(os.WriteFile(r.state, nil, 0o600)) // a file where the directory should be
	for range 3 {
		r.now = r.now.Add(offsets.CheckEvery)
		r.write("app.log", "new\n")
		r.poll()
	}
	if diff := cmp.Diff([]string{"new", "new", "new"}, r.got); diff != "" {
		t.Errorf("lines differ (-want +got):\n%s", diff)
	}
	if n := strings.Count(r.log.String(), "log offsets cannot be saved"); n != 1 {
		t.Errorf("trouble is reported %d times:\n%s", n, &r.log)
	}
}

func TestAFileThatWasThereFirstIsReadFromItsEndAndANewOneFromItsBeginning(t *testing.T) {
	r := newRig(t, "*.log")
	r.write("old.log", "old\nhalf a li")
	r.begin()
	r.kill()
	r.write("old.log", "ne\n")
	r.write("new.log", "new\n")
	r.start()
	r.poll()
	r.cfg.Patterns = append(r.cfg.Patterns, r.path("*.txt"))
	r.write("old.txt", "old\n")
	r.restart()
	r.poll()
	r.write("new.txt", "newer\n")
	r.poll()
	if diff := cmp.Diff([]string{"half a line", "new", "newer"}, r.got); diff != "" {
		t.Errorf("lines differ (-want +got):\n%s", diff)
	}
}

func TestCompressedAndExcludedFilesAreNotRead(t *testing.T) {
	r := newRig(t, "app.log*")
	r.begin()
	r.write("app.log.2.gz", "compressed\n")
	r.write("app.log", "plain\n")
	r.poll()
	if diff := cmp.Diff([]string{"plain"}, r.got); diff != "" {
		t.Errorf("lines differ (-want +got):\n%s", diff)
	}
}

func TestAFileThatTwoSourcesMatchIsReadByOneOfThem(t *testing.T) {
	r := newRig(t, "app.log")
	r.write("app.log", "")
	r.begin()
	narrow, cfg := r.follow, r.cfg
	cfg.Patterns = []string{r.path("*.log")}
	s, err := New(cfg)
	r.must(err)
	wide := newFollower(s, r.emit)
	both := func(line string) {
		t.Helper()
		r.write("app.log", line+"\n")
		for _, f := range []*follower{wide, narrow} {
			if f != nil {
				r.must(f.pass(t.Context(), r.watch, true))
			}
		}
	}
	both("one")
	both("two")
	narrow.stop()
	narrow = nil
	both("three") // the other one goes on where it was left
	if diff := cmp.Diff([]string{"one", "two", "three"}, r.got); diff != "" {
		t.Errorf("lines differ (-want +got):\n%s", diff)
	}
	if n := strings.Count(r.log.String(), "read by another source"); n != 1 {
		t.Errorf("the overlap is said %d times:\n%s", n, &r.log)
	}
	cfg.Labels = map[string]string{"type": "nginx"}
	s, err = New(cfg)
	r.must(err)
	other := newFollower(s, r.emit) // another type is read by other parsers
	r.must(other.pass(t.Context(), r.watch, true))
	narrow = other
	both("four")
	if diff := cmp.Diff([]string{"one", "two", "three", "four", "four"}, r.got); diff != "" {
		t.Errorf("lines differ (-want +got):\n%s", diff)
	}
}

func TestWhatIsNoFileIsNeverOpened(t *testing.T) {
	r := newRig(t, "*")
	r.must(syscall.Mkfifo(r.path("fifo"), 0o600))
	r.must(syscall.Mknod(r.path("device"), syscall.S_IFIFO|0o600, 0))
	r.must(os.Mkdir(r.path("dir"), 0o700))
	r.link("loop", "loop")
	socket, err := net.Listen("unix", r.path("socket"))
	r.must(err)
	defer socket.Close()
	r.link("/dev/zero", "zero")
	r.write("good.log", "")
	r.begin()
	r.write("good.log", "one\n")
	r.poll()
	r.must(os.Remove(r.path("good.log")))
	r.must(syscall.Mkfifo(r.path("good.log"), 0o600)) // in the place of a log
	r.poll()
	r.must(os.Remove(r.path("good.log")))
	r.write("good.log", "two\n")
	r.poll()
	if diff := cmp.Diff([]string{"one", "two"}, r.got); diff != "" {
		t.Errorf("lines differ (-want +got):\n%s", diff)
	}
	if n := len(r.follow.tails); n > 2 {
		t.Errorf("%d files open", n)
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	for name, patterns := range map[string][]string{"no pattern": nil, "a bad pattern": {"/a/["}} {
		if _, err := New(Config{Patterns: patterns, Log: slog.Default()}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
