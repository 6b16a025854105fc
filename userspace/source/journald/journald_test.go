package journald

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"gabion/userspace/source"
)

// TestMain lets the test binary stand in for journalctl: with STAND_IN set it prints the entries in
// the file of that name that come after the cursor it was given, and then follows until it is told
// to end, or exits with the code in STAND_IN_EXIT.
func TestMain(m *testing.M) {
	if path := os.Getenv("STAND_IN"); path != "" {
		standIn(path)
	}
	goleak.VerifyTestMain(m)
}

func standIn(path string) {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	after, last := "", false
	for _, arg := range os.Args {
		if c, ok := strings.CutPrefix(arg, "--after-cursor="); ok {
			after = c
		}
		last = last || arg == "--lines=0"
	}
	data, err := os.ReadFile(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	show := after == "" && !last
	for line := range strings.Lines(string(data)) {
		if show || os.Getenv("STAND_IN_ALL") != "" {
			_, _ = os.Stdout.WriteString(line)
		}
		show = show || after != "" && strings.Contains(line, `"`+after+`"`)
	}
	if code := os.Getenv("STAND_IN_EXIT"); code != "" {
		fmt.Fprintln(os.Stderr, "Failed to do something")
		n, _ := strconv.Atoi(code)
		os.Exit(n)
	}
	<-ended
	os.Exit(0)
}

func entry(n int, message string) string {
	return fmt.Sprintf(`{"__CURSOR":"s=1;i=%d","__REALTIME_TIMESTAMP":"%d","MESSAGE":%s,"SYSLOG_IDENTIFIER":"sshd","_PID":"42","_HOSTNAME":"h"}`+"\n",
		n, time.Date(2026, 2, 3, 4, 5, 6, 0, time.Local).UnixMicro(), message)
}

func mustNew(t *testing.T, state, entries string) *Source {
	t.Helper()
	path := filepath.Join(t.TempDir(), "entries")
	if err := os.WriteFile(path, []byte(entries), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("STAND_IN", path)
	s, err := New(Config{
		Filter: []string{"-u", "ssh"}, Labels: map[string]string{"type": "syslog"}, StateDir: state,
		Command: []string{os.Args[0]}, MaxLine: 100, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// collect runs a source until it has delivered n lines.
func collect(t *testing.T, s *Source, n int) []string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got []string
	err := s.Run(ctx, func(b source.Batch) error {
		for _, e := range b.Events {
			got = append(got, e.Line.Raw)
		}
		b.Done()
		if len(got) >= n {
			cancel()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestEntriesBecomeSyslogLinesAndTheCursorIsKept(t *testing.T) {
	state := t.TempDir()
	t.Setenv("STAND_IN_ALL", "1")
	got := collect(t, mustNew(t, state, entry(1, `"one"`)+"no json\n"+entry(2, `"two"`)), 2)
	want := []string{"Feb  3 04:05:06 h sshd[42]: one", "Feb  3 04:05:06 h sshd[42]: two"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines differ (-want +got):\n%s", diff)
	}
	t.Setenv("STAND_IN_ALL", "")
	got = collect(t, mustNew(t, state, entry(1, `"one"`)+entry(2, `"two"`)+entry(3, `"three"`)), 1)
	if diff := cmp.Diff([]string{"Feb  3 04:05:06 h sshd[42]: three"}, got); diff != "" {
		t.Errorf("lines after a restart differ (-want +got):\n%s", diff)
	}
}

func TestACursorIsKeptAsSoonAsTheEntryIsDoneWith(t *testing.T) {
	t.Setenv("STAND_IN_ALL", "1")
	state := t.TempDir()
	s := mustNew(t, state, entry(1, `"one"`))
	for n := range 5000 { // more than one file takes
		cursor := fmt.Sprintf("s=1;i=%d;%0100d", n, 0)
		s.done(cursor)
		if n%500 > 0 {
			continue
		}
		next := mustNew(t, state, "")
		if next.restore(); next.position != cursor {
			t.Fatalf("after SIGKILL position = %q, want %q", next.position, cursor)
		}
	}
}

func TestMessagesOfEveryKindAreHandled(t *testing.T) {
	const head = "Feb  3 04:05:06 h sshd[42]: "
	for _, tt := range []struct{ name, message, want string }{
		{"text", `"login"`, head + "login"},
		{"bytes", `[104,105,255]`, head + "hi\xff"},
		{"several", `["first","second"]`, head + "first"},
		{"several of bytes", `[[104,105],"second"]`, head + "hi"},
		{"newlines", `"a\nFeb  3 04:05:06 h sshd[1]: forged\r\n"`, head + "a Feb  3 04:05:06 h sshd[1]: forged"},
		{"too long", `"` + strings.Repeat("x", 200) + `"`, head + strings.Repeat("x", 100)},
		{"null", `null`, ""},
		{"an empty list", `[]`, ""},
		{"no bytes", `[1,2,300]`, ""},
		{"an object", `{"a":1}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, cursor, _, err := format([]byte(entry(7, tt.message)), 100)
			if err != nil || cursor != "s=1;i=7" {
				t.Errorf("cursor %q, error %v", cursor, err)
			}
			if got != tt.want {
				t.Errorf("line %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAnEntryTooLongToReadIsPassedOver(t *testing.T) {
	t.Setenv("STAND_IN_ALL", "1")
	s := mustNew(t, "", entry(1, `"`+strings.Repeat("x", maxEntry)+`"`)+entry(2, `"two"`))
	if got := collect(t, s, 1); len(got) != 1 || !strings.HasSuffix(got[0], "two") {
		t.Errorf("lines %q, want the second alone", got)
	}
	if n := s.Stats().Skipped; n != 1 {
		t.Errorf("skipped = %d, want 1", n)
	}
}

func TestAnEndOfJournalctlIsAnErrorThatQuotesIt(t *testing.T) {
	s := mustNew(t, "", "")
	t.Setenv("STAND_IN_EXIT", "3")
	err := s.Run(t.Context(), func(source.Batch) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), `"Failed to do something"`) {
		t.Errorf("error %v", err)
	}
}

func TestACursorThatNoRunAcceptsIsGivenUp(t *testing.T) {
	state := t.TempDir()
	t.Setenv("STAND_IN_ALL", "1")
	collect(t, mustNew(t, state, entry(1, `"one"`)), 1)
	t.Setenv("STAND_IN_ALL", "")
	s := mustNew(t, state, "")
	t.Setenv("STAND_IN_EXIT", "1")
	for range maxFailures {
		if err := s.Run(t.Context(), func(source.Batch) error { return nil }); err == nil {
			t.Fatal("no error")
		}
	}
	if left, err := filepath.Glob(filepath.Join(state, "*")); err != nil || len(left) > 0 {
		t.Errorf("left of the cursor: %q, want nothing", left)
	}
}

func TestAMissingJournalctlSaysWhatToDo(t *testing.T) {
	s, err := New(Config{Filter: []string{"_PID=1"}, Command: []string{"journalctl-of-another-system"}, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Run(t.Context(), func(source.Batch) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "not installed: install systemd") {
		t.Errorf("error %v", err)
	}
}

func TestRunEndsWhenTheEngineCloses(t *testing.T) {
	t.Setenv("STAND_IN_ALL", "1")
	s := mustNew(t, "", entry(1, `"one"`))
	if err := s.Run(t.Context(), func(source.Batch) error { return errors.New("closing") }); err != nil {
		t.Errorf("error %v, want none", err)
	}
}

func TestADamagedCursorIsNotUsed(t *testing.T) {
	state := t.TempDir()
	s := mustNew(t, state, "")
	if err := s.state.Rebuild([][]byte{[]byte("a b")}); err != nil {
		t.Fatal(err)
	}
	s.restore()
	if args := strings.Join(s.arguments(), " "); !strings.Contains(args, "--lines=0") {
		t.Errorf("arguments %q, want a start at the end", args)
	}
}

func TestOnlyWhatSelectsEntriesIsAllowed(t *testing.T) {
	for _, tt := range []struct {
		filter string
		good   bool
	}{
		{"_SYSTEMD_UNIT=ssh.service", true},
		{"_SYSTEMD_UNIT=ssh.service + SYSLOG_IDENTIFIER=sshd", true},
		{"-u ssh", true},
		{"-ussh", true},
		{"--unit=ssh -k", true},
		{"--directory=/var/log/journal /usr/sbin/sshd", true},
		{"-u", false},
		{"--vacuum-size=1", false},
		{"-o cat", false},
		{"-n 5", false},
		{"--after-cursor=x", false},
		{"ssh", false},
		{"; rm", false},
	} {
		t.Run(tt.filter, func(t *testing.T) {
			if _, err := CheckFilter(strings.Fields(tt.filter)); (err == nil) != tt.good {
				t.Errorf("error %v, want good %v", err, tt.good)
			}
		})
	}
}
