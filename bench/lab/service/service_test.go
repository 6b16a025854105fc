package service

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noon is the time that all lines of a test carry.
func noon() time.Time { return time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC) }

func mustLog(t *testing.T) (l *Log, path string, notes chan Line) {
	t.Helper()
	path, notes = filepath.Join(t.TempDir(), "test.log"), make(chan Line, 16)
	l, err := OpenLog(path, noon, func(n Line) { notes <- n })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l, path, notes
}

func mustListen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func mustDial(t *testing.T, ln net.Listener) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func mustRead(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestTheWebServerLogsRequestsAsTheyWereSent(t *testing.T) {
	for _, tt := range []struct {
		name, request, want string
		bad                 bool
	}{
		{"a page that exists", "GET /about HTTP/1.1", `"GET /about HTTP/1.1" 200 14 "-" "curl \x22x\x22"`, false},
		{"a missing page", "GET /wp-login.php?a=b HTTP/1.1", `"GET /wp-login.php?a=b HTTP/1.1" 404 18 "-" "curl \x22x\x22"`, true},
		{"a path that climbs", "GET /../../etc/passwd HTTP/1.1", `"GET /../../etc/passwd HTTP/1.1" 404 18 "-" "curl \x22x\x22"`, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, path, notes := mustLog(t)
			ln := mustListen(t)
			w := ServeWeb(l, ln)
			defer w.Close()
			c := mustDial(t, ln)
			fmt.Fprintf(c, "%s\r\nHost: lab\r\nUser-Agent: curl \"x\"\r\n\r\n", tt.request)
			if _, err := io.ReadAll(c); err != nil {
				t.Fatal(err)
			}
			want := `127.0.0.1 - - [04/Mar/2026:12:00:00 +0000] ` + tt.want + "\n"
			if diff := cmp.Diff(want, mustRead(t, path)); diff != "" {
				t.Errorf("log (-want +got):\n%s", diff)
			}
			if n := <-notes; n.Bad != tt.bad || n.From.String() != "127.0.0.1" || !n.At.Equal(noon()) {
				t.Errorf("note = %+v", n)
			}
		})
	}
}

func TestTheSSHStandInWritesWhatSSHDWrites(t *testing.T) {
	l, path, notes := mustLog(t)
	ln := mustListen(t)
	s := ServeSSH(l, ln)
	defer s.Close()
	c := mustDial(t, ln)
	in := bufio.NewScanner(c)
	fmt.Fprintf(c, "SSH-2.0-test\r\nroot secret\r\noracle secret\r\na\x1bb x\r\n")
	var got []string
	for range 4 {
		in.Scan()
		got = append(got, in.Text())
	}
	if diff := cmp.Diff([]string{Banner, Denied, Denied, Denied}, got); diff != "" {
		t.Errorf("conversation (-want +got):\n%s", diff)
	}
	port := c.LocalAddr().(*net.TCPAddr).Port
	want := strings.ReplaceAll(`Mar  4 12:00:00 lab sshd[4201]: Failed password for root from 127.0.0.1 port PORT ssh2
Mar  4 12:00:00 lab sshd[4201]: Invalid user oracle from 127.0.0.1 port PORT
Mar  4 12:00:00 lab sshd[4201]: Failed password for invalid user oracle from 127.0.0.1 port PORT ssh2
Mar  4 12:00:00 lab sshd[4201]: Invalid user a\x1Bb from 127.0.0.1 port PORT
Mar  4 12:00:00 lab sshd[4201]: Failed password for invalid user a\x1Bb from 127.0.0.1 port PORT ssh2
`, "PORT", fmt.Sprint(port))
	if diff := cmp.Diff(want, mustRead(t, path)); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	if len(notes) != 3 {
		t.Errorf("%d notes, want 3", len(notes))
	}
}

func TestClosingTheSSHStandInEndsOpenConnections(t *testing.T) {
	l, _, _ := mustLog(t)
	ln := mustListen(t)
	s := ServeSSH(l, ln)
	c := mustDial(t, ln)
	if _, err := bufio.NewReader(c).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(c); err != nil {
		t.Logf("connection ended with %v", err)
	}
}
