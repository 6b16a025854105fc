package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func inf() float64 { return math.Inf(1) }

// childEnv names the store that a re-executed test binary appends to until it is killed.
const childEnv = "GABION_STORE_TEST_CHILD"

func childPath() string { return os.Getenv(childEnv) }

// runChild appends and acknowledges, one line per Sync, for ever.
func runChild(path string) {
	s, err := Open(context.Background(), path, slog.New(slog.DiscardHandler))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for n := 1; ; n++ {
		if err := s.Append(alertN(n)); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		if n%7 == 0 {
			if err := s.Sync(context.Background()); err != nil {
				os.Exit(1)
			}
			fmt.Println(n)
		}
	}
}

func TestWhatWasAcknowledgedSurvivesKill9(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gabion.db")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	last := 0
	for round := range 3 {
		os.Remove(path)
		os.Remove(path + "-wal")
		os.Remove(path + "-shm")
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), childEnv+"="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var said bytes.Buffer
		buf := make([]byte, 64)
		for bytes.Count(said.Bytes(), []byte("\n")) < 5+round*8 {
			n, err := out.Read(buf)
			if err != nil {
				t.Fatalf("child ended: %v: %s", err, said.String())
			}
			said.Write(buf[:n])
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		rest, _ := readAll(out)
		cmd.Wait()
		lines := strings.Split(said.String()+rest, "\n")
		last, err = strconv.Atoi(lines[len(lines)-2]) // the part after the last newline is cut off
		if err != nil {
			t.Fatalf("child said %q", lines)
		}
		s := mustOpen(t, path)
		found, err := s.Alerts(t.Context(), AlertFilter{Limit: MaxLimit, Before: int64(last) + 1})
		if err != nil || len(found) != last {
			t.Errorf("round %d: %d alerts up to %d, %v; all were acknowledged", round, len(found), last, err)
		}
		for _, a := range found {
			if len(a.Decisions) != 1 {
				t.Errorf("alert %d has %d decisions: half a transaction", a.ID, len(a.Decisions))
			}
		}
		s.Close()
	}
}

func readAll(r interface{ Read([]byte) (int, error) }) (string, error) {
	var b bytes.Buffer
	_, err := b.ReadFrom(r)
	return b.String(), err
}

// logBuffer collects what is logged.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), s)
}

func (l *logBuffer) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// mustMount mounts a small tmpfs and unmounts it at the end of the test.
func mustMount(t *testing.T, options string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root to mount a small tmpfs")
	}
	dir := t.TempDir()
	if err := syscall.Mount("gabion-test", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("SKIPPED: cannot mount a tmpfs here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
			syscall.Unmount(dir, syscall.MNT_DETACH)
		}
	})
	return dir
}

func TestAFullDiskLosesNothingThatFitsTheQueue(t *testing.T) {
	dir := mustMount(t, "size=16m")
	const alerts = 1000 // far more than the pages that tmpfs may find after it said it is full
	var log logBuffer
	path := filepath.Join(dir, "gabion.db")
	s, err := Open(t.Context(), path, log.logger())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	mustAppend(t, s, alertN(1))

	ballast := filepath.Join(dir, "ballast")
	mustFill(t, ballast)
	for n := 2; n <= alerts; n++ {
		if err := s.Append(alertN(n)); err != nil {
			t.Fatalf("append with a full disk: %v", err)
		}
	}
	for s.Stats().Err == nil {
		<-time.After(time.Millisecond)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(300*time.Millisecond, cancel)
	if err := s.Sync(ctx); err == nil || !strings.Contains(err.Error(), "free space") {
		t.Errorf("sync with a full disk: %v; want the advice to free space", err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	mustSync(t, s)
	if st := s.Stats(); st.Written != alerts || st.Unrecorded != 0 || st.Err != nil {
		t.Errorf("stats = %+v; want all written", st)
	}
	if n := log.count("store cannot be written"); n != 1 {
		t.Errorf("the start of the trouble is logged %d times, want once", n)
	}
	if n := log.count("store can be written again"); n != 1 {
		t.Errorf("the end of the trouble is logged %d times, want once", n)
	}
}

// mustFill writes a file until the disk is full.
func mustFill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 512))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}

func TestCloseOnAFullDiskSaysWhatIsLost(t *testing.T) {
	dir := mustMount(t, "size=16m")
	s, err := Open(t.Context(), filepath.Join(dir, "gabion.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	mustFill(t, filepath.Join(dir, "ballast"))
	for n := 1; n <= 1000; n++ {
		s.Append(alertN(n))
	}
	if err := s.Close(); err == nil || !strings.Contains(err.Error(), "operations were not recorded") {
		t.Errorf("close = %v; want it to say what is lost", err)
	}
}

func TestOpenSaysWhatIsWrongAndWhatToDo(t *testing.T) {
	discard := slog.New(slog.DiscardHandler)
	for _, tt := range []struct {
		name  string
		path  func(t *testing.T) string
		is    error
		words []string
	}{
		{"a missing directory", func(t *testing.T) string {
			return filepath.Join(t.TempDir(), "no", "gabion.db")
		}, os.ErrNotExist, []string{"mkdir -p", "state_dir"}},
		{"a directory in the file's place", func(t *testing.T) string {
			return t.TempDir()
		}, syscall.EISDIR, []string{"move that directory away"}},
		{"a file that is no database", func(t *testing.T) string {
			path := filepath.Join(t.TempDir(), "gabion.db")
			mustWrite(t, path, bytes.Repeat([]byte("garbage\x00"), 1000))
			return path
		}, ErrCorrupt, []string{"away and start again"}},
		{"a damaged database", func(t *testing.T) string {
			path := filepath.Join(t.TempDir(), "gabion.db")
			s := mustOpen(t, path)
			s.Close()
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for i := 100; i < len(data); i++ {
				data[i] = 0xa5
			}
			mustWrite(t, path, data)
			return path
		}, ErrCorrupt, []string{"away and start again"}},
		{"another program's database", func(t *testing.T) string {
			path := filepath.Join(t.TempDir(), "gabion.db")
			mustExec(t, path, "CREATE TABLE t (x)")
			return path
		}, ErrForeign, []string{"move it away"}},
		{"a newer gabion's database", func(t *testing.T) string {
			path := filepath.Join(t.TempDir(), "gabion.db")
			mustOpen(t, path).Close()
			mustExec(t, path, "PRAGMA user_version = 99")
			return path
		}, ErrNewer, []string{"version 99", "install the newer gabion"}},
		{"a read-only file system", func(t *testing.T) string {
			dir := mustMount(t, "size=1m")
			if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
				t.Fatal(err)
			}
			return filepath.Join(dir, "gabion.db")
		}, syscall.EROFS, []string{"read-only", "remount"}},
		{"a full disk", func(t *testing.T) string {
			dir := mustMount(t, "size=16k")
			mustWrite(t, filepath.Join(dir, "ballast"), make([]byte, 12<<10))
			return filepath.Join(dir, "gabion.db")
		}, nil, []string{"free space"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := tt.path(t)
			s, err := Open(t.Context(), path, discard)
			if err == nil {
				s.Close()
				t.Fatal("it opened")
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("error %q is not %q", err, tt.is)
			}
			for _, word := range append(tt.words, path) {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("error %q does not say %q", err, word)
				}
			}
		})
	}
}

func mustWrite(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func mustExec(t *testing.T, path, query string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(query); err != nil {
		t.Fatal(err)
	}
}

func TestTheStoreIsReadableByItsOwnerOnly(t *testing.T) {
	s := mustOpenNew(t)
	mustAppend(t, s, alertN(1))
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(s.Path() + suffix)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode of %q = %v, %v", suffix, info.Mode(), err)
		}
	}
}

func TestLostAlertsAreCountedAndLoggedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logBuffer
		q := newQueue(2, log.logger())
		for n := range 10 {
			err := q.offer(op{alert: alertN(n)})
			if want := n >= 2; errors.Is(err, ErrQueueFull) != want {
				t.Errorf("append %d: %v", n, err)
			}
		}
		if q.lost() != 8 || log.count("alerts not recorded") != 1 {
			t.Errorf("lost %d, logged %d times; want 8, once", q.lost(), log.count("alerts not recorded"))
		}
		time.Sleep(lossReport + time.Second)
		synctest.Wait()
		if log.count("alerts not recorded") != 2 || log.count("alerts=7 total=8") != 1 {
			t.Errorf("after a minute: %s", log.buf.String())
		}
		time.Sleep(10 * lossReport)
		synctest.Wait()
		if log.count("alerts not recorded") != 2 {
			t.Errorf("logged without a new loss: %s", log.buf.String())
		}
		q.remove(1)
		if err := q.offer(op{alert: alertN(11)}); err != nil {
			t.Errorf("append with room again: %v", err)
		}
		q.close()
	})
}
