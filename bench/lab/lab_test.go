package lab

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gabion/bench/lab/topology"
	"gabion/userspace/config"
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

// good is a report with nothing to complain about.
func good() *Report {
	fine := &Distribution{1, 2, 3, 20}
	return &Report{
		XDPMode: "native",
		Attacks: []AttackResult{
			{Name: "ssh-bruteforce", Family: ipv4, Banned: true, Sources: 2, BannedSources: 2, LineToDropMS: fine, DroppedPackets: 9, ArrivedBefore: 5},
			{Name: "connection-flood", Family: ipv6, Banned: true, Sources: 2, BannedSources: 2, EventsToDropMS: fine, DroppedPackets: 9, ArrivedBefore: 5},
		},
		Client: ClientResult{Requests: 10},
		Chaos:  &Chaos{Kind: "kill", BannedBefore: 3, BannedAfter: 3, Restored: 2, Adopted: 1, DroppedWhileDead: 4, ExpiredWhileDead: true, ShortBanHeld: 1},
	}
}

func TestACheckNamesEveryThingThatDoesNotHold(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(*Report)
		want  string // part of the only error; empty: none
	}{
		{"a good report", func(*Report) {}, ""},
		{"no chaos wanted", func(r *Report) { r.Chaos = nil }, ""},
		{"generic XDP", func(r *Report) { r.XDPMode = "generic" }, "xdp_mode"},
		{"a source not banned", func(r *Report) { r.Attacks[0].Banned, r.Attacks[0].BannedSources = false, 1 }, "1 of 2 sources are banned"},
		{"nothing dropped", func(r *Report) { r.Attacks[1].DroppedPackets = 0 }, "connection-flood ipv6: no packet was dropped"},
		{"a leak", func(r *Report) { r.Attacks[0].LeakedAfterBan = 1 }, "reached the server"},
		{"a blind observer", func(r *Report) { r.Attacks[0].ArrivedBefore = 0 }, "cannot be trusted"},
		{"an overrun observer", func(r *Report) { r.LostObservations = 1 }, "cannot be trusted"},
		{"too slow", func(r *Report) { r.Attacks[0].LineToDropMS = &Distribution{1, 50, 60, 20} }, "line_to_drop_ms.p99"},
		{"nothing measured", func(r *Report) { r.Attacks[0].LineToDropMS = nil }, "no time"},
		{"a failed request", func(r *Report) { r.Client.Failed = 1 }, "1 of 10 requests"},
		{"no request", func(r *Report) { r.Client.Requests = 0 }, "no request"},
		{"a pin left", func(r *Report) { r.Leftovers.Pins = 1 }, "left behind"},
		{"bans lost", func(r *Report) { r.Chaos.BannedAfter = 2 }, "banned_after"},
		{"bans unknown to the new daemon", func(r *Report) { r.Chaos.Restored = 0 }, "restored 0 and adopted 1"},
		{"nothing dropped while dead", func(r *Report) { r.Chaos.DroppedWhileDead = 0 }, "dropped_while_dead"},
		{"a ban that outlived its time", func(r *Report) { r.Chaos.ExpiredWhileDead = false }, "did not expire"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := good()
			tt.spoil(r)
			errs := r.Check()
			switch {
			case tt.want == "" && len(errs) > 0:
				t.Errorf("errors = %v", errs)
			case tt.want != "" && (len(errs) != 1 || !strings.Contains(errs[0].Error(), tt.want)):
				t.Errorf("errors = %v, want one with %q", errs, tt.want)
			}
		})
	}
}

func TestTheReportHasTheKeysThatScriptsRead(t *testing.T) {
	data, err := json.Marshal(good())
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{
		`"xdp_mode":"native"`, `"name":"ssh-bruteforce"`, `"family":"ipv4"`, `"banned":true`, `"line_to_drop_ms":{"p50":1,"p99":2,"max":3`,
		`"events_to_drop_ms":{"p50":1`, `"dropped_packets":9`, `"leaked_after_ban":0`, `"client":{"requests":10,"failed":0`,
		`"leftovers":{"namespaces":0,"links":0,"pins":0,"processes":0}`, `"dropped_while_dead":4`, `"adopted":1`, `"restored":2`, `"expired_while_dead":true`,
	} {
		if !strings.Contains(string(data), key) {
			t.Errorf("no %s in %s", key, data)
		}
	}
}

// gabion builds the program once for all tests that run it.
var gabion = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "gabion-labtest-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "gabion")
	out, err := exec.Command("go", "build", "-o", path, "gabion/cmd/gabion").CombinedOutput()
	if err != nil {
		return dir, errors.New(string(out))
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if os.Geteuid() == 0 {
		if path, _ := gabion(); path != "" {
			_ = os.RemoveAll(filepath.Dir(path))
		}
	}
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
