package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gabion/bench/lab/report"
	"gabion/bench/lab/topology"
	"gabion/userspace/config"
	"gabion/userspace/meter"
	"gabion/userspace/yamlpos"
)

func TestTheGeneratedConfigurationIsOneTheDaemonTakes(t *testing.T) {
	f := filesIn("/tmp/gabion-lab-1-x")
	c, err := config.Decode(f.config, []byte(configText(f, "/sys/fs/bpf/gabion-lab-1", []string{attackerLink, clientLink})))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{attackerLink, clientLink}, c.Interfaces); diff != "" {
		t.Errorf("interfaces (-want +got):\n%s", diff)
	}
	if len(c.Sources) != 3 || c.KeyFile() != f.key || c.API.Socket != f.socket || c.Kernel.PinDir != "/sys/fs/bpf/gabion-lab-1" {
		t.Errorf("decoded %d sources, key %s, socket %s, pins %s", len(c.Sources), c.KeyFile(), c.API.Socket, c.Kernel.PinDir)
	}
	docs, err := yamlpos.Parse(f.meter, []byte(meterText()))
	if err != nil {
		t.Fatal(err)
	}
	if m, err := meter.Compile(docs[0]); err != nil || m.Limit != spoofedLimit || m.Window != spoofedWindow || filepath.Dir(f.meter) != c.Rules.Dirs[0] {
		t.Errorf("meter %+v in %s, %v", m, f.meter, err)
	}
	if l := c.Kernel.ConnectionLimit; l.Count != floodLimit || l.Window.Std() != floodWindow {
		t.Errorf("connection limit %d in %s", l.Count, l.Window)
	}
}

func TestEverySourceHasAnAddressOfItsOwn(t *testing.T) {
	for _, n := range []int{0, 1, 24, MaxSources, 1000} {
		seen := map[string]bool{}
		spoke := newPlan(n).topology().Spokes[0]
		for _, a := range spoke.Hosts {
			if seen[a.String()] {
				t.Errorf("%d sources: %s twice", n, a)
			}
			seen[a.String()] = true
			if !spoke.Gateways[0].Contains(a) && !spoke.Gateways[1].Contains(a) {
				t.Errorf("%d sources: %s is in none of the networks", n, a)
			}
		}
		if !seen["198.51.100.7"] {
			t.Errorf("%d sources: nobody attacks from 198.51.100.7", n)
		}
	}
}

func TestTheDaemonDoesNotInheritWhatIsMeantForTheLab(t *testing.T) {
	got := daemonEnv([]string{"PATH=/bin", "NOTIFY_SOCKET=/x", "WATCHDOG_USEC=1", "GABION_SOCKET=/y", "SSH_CONNECTION=z", "HOME=/root"})
	if diff := cmp.Diff([]string{"PATH=/bin", "HOME=/root"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheClientsRequestsCountWhereTheyBegan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &browser{begun: map[string]time.Time{}}
		begin := time.Now()
		for n := range 4 {
			b.note(begin.Add(time.Duration(n)*time.Second), time.Duration(n+1)*time.Millisecond, ipv4, nil)
		}
		b.note(begin.Add(2*time.Second), time.Second, ipv6, errors.New("cut off"))
		got := b.between(begin.Add(time.Second), begin.Add(3*time.Second))
		want := report.Client{Requests: 3, Failed: 1, LatencyMS: &report.Distribution{P50: 2, P99: 3, Max: 3, Samples: 2}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if all := b.result(); all.Requests != 5 || all.Failed != 1 || all.LatencyMS.Max != 4 || len(all.Failures) != 1 {
			t.Errorf("all = %+v", all)
		}
		after := make(chan error)
		go func() { after <- b.passed(t.Context(), begin.Add(2*time.Second)) }()
		synctest.Wait()
		select {
		case <-after:
			t.Error("a family is still at a request from before")
		default:
		}
		b.note(begin.Add(4*time.Second), time.Millisecond, ipv6, nil)
		if err := <-after; err != nil {
			t.Error(err)
		}
	})
}

// binaries is the directory that TestMain makes for the program and removes.
var binaries string

// gabion builds the program once for all tests that run it.
var gabion = sync.OnceValues(func() (string, error) {
	path := filepath.Join(binaries, "gabion")
	out, err := exec.Command("go", "build", "-o", path, "gabion/cmd/gabion").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build gabion: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "gabion-labtest-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binaries = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func mustOptions(t *testing.T) Options {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root to create network namespaces and load BPF programs")
	}
	path, err := gabion()
	if err != nil {
		t.Fatal(err)
	}
	return Options{Binary: path, Sources: 3, Now: time.Now}
}

func mustLeaveNothing(t *testing.T) {
	t.Helper()
	for _, pattern := range []string{"/run/netns/", bpffs + "/", os.TempDir() + "/"} {
		left, err := filepath.Glob(pattern + topology.Prefix + "*")
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range left {
			if pid, ok := topology.Owner(filepath.Base(path)); ok && pid == os.Getpid() {
				t.Errorf("%s is left", path)
			}
		}
	}
}

func TestAttackersAreBannedWhileTheClientBrowses(t *testing.T) {
	o := mustOptions(t)
	for _, chaos := range []bool{false, true} {
		o.Chaos = chaos
		o.Timeline = func(m Moment) { t.Logf("%7.3fs %-22s %s", m.At.Seconds(), m.Who, m.Text) }
		rep, err := Run(t.Context(), o)
		mustLeaveNothing(t)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range rep.Check() {
			if e = withoutTimes(e); e != nil {
				t.Error(e)
			}
		}
	}
}

// withoutTimes forgives slowness: other tests run beside this one. `gabion lab --check` does not.
func withoutTimes(err error) error {
	if strings.Contains(err.Error(), "line_to_drop_ms.p99") && !strings.Contains(err.Error(), "\n") {
		return nil
	}
	return err
}

func TestAnInterruptedLabLeavesNothing(t *testing.T) {
	o := mustOptions(t)
	ctx, cancel := context.WithCancel(t.Context())
	o.Timeline = func(m Moment) {
		if strings.Contains(m.Text, "is banned") {
			cancel()
		}
	}
	if _, err := Run(ctx, o); err == nil || err.Error() != "interrupted" {
		t.Errorf("err = %v", err)
	}
	mustLeaveNothing(t)
}

func TestOnlyWorkingDirectoriesOfALabAreDeleted(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	for name, deleted := range map[string]bool{
		topology.Prefix + "1-x": true, topology.Prefix + "x": false, "other": false, topology.Prefix + "1-x/deeper/" + topology.Prefix + "2": false,
	} {
		path := filepath.Join(tmp, name)
		if err := os.MkdirAll(path, 0o700); err != nil {
			t.Fatal(err)
		}
		err := removeDir(path)
		if _, statErr := os.Stat(path); (err == nil) != deleted || errors.Is(statErr, os.ErrNotExist) != deleted {
			t.Errorf("%s: error = %v, then %v; want it deleted: %v", name, err, statErr, deleted)
		}
	}
	for _, path := range []string{tmp, "/", "."} {
		if removeDir(path) == nil {
			t.Errorf("%s was deleted", path)
		}
	}
}

func TestADaemonThatDoesNotStartIsReportedWithItsLastWords(t *testing.T) {
	o := mustOptions(t)
	o.Binary = filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(o.Binary, []byte("#!/bin/sh\necho the stones are missing >&2\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := Run(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "start daemon") || !strings.Contains(err.Error(), "the stones are missing") {
		t.Errorf("err = %v", err)
	}
	mustLeaveNothing(t)
}

func TestACommandRunsInTheServersNamespace(t *testing.T) {
	o := mustOptions(t)
	var out, stderr strings.Builder
	o.Sources = 1
	o.Shell = &Shell{
		Command: []string{"sh", "-c", `test -S "$GABION_SOCKET" && test -f "$GABION_CONFIG" && test -e "$GABION_PIN_DIR/bans4" && cat /proc/net/dev; exit 7`},
		Stdout:  &out, Stderr: &stderr,
	}
	_, err := Run(t.Context(), o)
	var exit *ExitError
	if !errors.As(err, &exit) || exit.Code != 7 {
		t.Errorf("err = %v, want code 7", err)
	}
	if !strings.Contains(out.String(), attackerLink) {
		t.Errorf("output %q, stderr %q", out.String(), stderr.String())
	}
	mustLeaveNothing(t)
}
