package daemon

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"go.uber.org/goleak"

	"gabion/userspace/client"
	"gabion/userspace/config"
	"gabion/userspace/decision"
	"gabion/userspace/enforce"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a daemon; without a kernel side, unless mode says otherwise, so that it runs without root.
type rig struct {
	t      *testing.T
	dir    string
	client *client.Client
	hangup chan os.Signal
	log    *syncBuffer
	cancel context.CancelFunc
	ended  chan error
	listen string // of the API on TCP; empty for none
	mode   string // of the kernel side; empty for off
	kernel string // more settings of the kernel, each after a comma
}

// syncBuffer is a log that may be read while it is written.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (r *rig) path(name string) string { return filepath.Join(r.dir, name) }

func (r *rig) write(name, text string) {
	r.t.Helper()
	if err := os.WriteFile(r.path(name), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) config(extra string) *config.Config {
	r.t.Helper()
	text := fmt.Sprintf("state_dir: %s\nsources:\n  - {source: file, filenames: [%s], labels: {type: syslog}, from: start}\n"+
		"api: {socket: %s, listen: %q}\nkernel: {mode: %s%s}\n%s",
		r.path("state"), r.path("auth.log"), r.path("g.sock"), r.listen, cmp.Or(r.mode, "off"), r.kernel, extra)
	r.write("gabion.yaml", text)
	cfg, err := config.Load(r.path("gabion.yaml"))
	if err != nil {
		r.t.Fatal(err)
	}
	return cfg
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, dir: t.TempDir(), hangup: make(chan os.Signal, 1), log: &syncBuffer{}}
	r.write("auth.log", "")
	return r
}

// start runs the daemon until the test ends or stop is called.
func (r *rig) start(extra string) {
	r.t.Helper()
	cfg := r.config(extra)
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel, r.ended = cancel, make(chan error, 1)
	go func() {
		r.ended <- Run(ctx, Options{
			Config: cfg, Load: func() (*config.Config, error) { return config.Load(cfg.File) }, Version: "test", Hangup: r.hangup, Now: time.Now, Log: slog.New(slog.NewTextHandler(r.log, nil)),
		})
	}()
	r.until("ready", func() bool { return strings.Contains(r.log.String(), "msg=ready") })
	key, err := os.ReadFile(cfg.KeyFile())
	if err != nil {
		key, err = os.ReadFile(r.path("api.key"))
	}
	if err != nil {
		r.t.Fatal(err)
	}
	r.client, err = client.New(client.Options{Address: r.path("g.sock"), Key: strings.TrimSpace(string(key))})
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) stop() {
	r.t.Helper()
	r.client.Close()
	r.cancel()
	if err := <-r.ended; err != nil {
		r.t.Errorf("run = %v\n%s", err, r.log)
	}
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	r.log.buf.Reset()
}

// until waits for something that the daemon does on its own.
func (r *rig) until(what string, ok func() bool) {
	r.t.Helper()
	for !ok() {
		select {
		case err := <-r.ended:
			r.t.Fatalf("the daemon ended before %s: %v\n%s", what, err, r.log)
		case <-r.t.Context().Done():
			r.t.Fatalf("never %s\n%s", what, r.log)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (r *rig) attack(ip string) {
	r.t.Helper()
	f, err := os.OpenFile(r.path("auth.log"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	defer f.Close()
	for i := range 6 {
		fmt.Fprintf(f, "Feb 12 14:10:1%d h sshd[1]: Failed password for root from %s port 1 ssh2\n", i, ip)
	}
}

func (r *rig) banned(ip string) bool {
	ds, err := r.client.Decisions(r.t.Context(), url.Values{"ip": {ip}})
	return err == nil && len(ds) > 0
}

func TestALogLineLeadsToABanThatOutlivesTheDaemon(t *testing.T) {
	r := newRig(t)
	r.start("allow: [203.0.113.0/24]\n")
	r.attack("198.51.100.1")
	r.until("ban", func() bool { return r.banned("198.51.100.1") })
	why, err := r.client.Why(t.Context(), netip.MustParseAddr("198.51.100.1"))
	if err != nil || why.Verdict != client.VerdictBanned || len(why.Bans[0].Lines) != 6 || !why.Bans[0].InKernel {
		t.Errorf("why = %+v, %v", why, err)
	}
	if why, err := r.client.Why(t.Context(), netip.MustParseAddr("203.0.113.9")); err != nil || why.Verdict != client.VerdictAllowed || why.Allows[0].Origin != "config" {
		t.Errorf("why of an allowed address = %+v, %v", why, err)
	}
	r.stop()

	r.start("")
	if !r.banned("198.51.100.1") {
		t.Error("the ban was forgotten")
	}
	if n, err := r.client.DeleteDecisions(t.Context(), url.Values{"ip": {"198.51.100.1"}}); n != 1 || err != nil {
		t.Errorf("delete = %d, %v", n, err)
	}
	why, err = r.client.Why(t.Context(), netip.MustParseAddr("198.51.100.1"))
	if err != nil || why.Verdict != client.VerdictClean || len(why.Past) != 1 {
		t.Errorf("why after deleting = %+v, %v", why, err)
	}
	r.stop()
}

func TestAReloadTakesAllOrNothing(t *testing.T) {
	r := newRig(t)
	r.start("")
	r.config("rules: {dirs: [" + r.path("rules") + "]}\n")
	if err := os.Mkdir(r.path("rules"), 0o700); err != nil {
		t.Fatal(err)
	}
	r.write("rules/bad.yaml", "type: leaky\nname: test/bad\nfilter: evt.Meta.log_type ==\n")
	r.hangup <- os.Interrupt
	r.until("refused reload", func() bool { return strings.Contains(r.log.String(), "rules/bad.yaml:3:") })
	r.attack("198.51.100.2")
	r.until("ban by the old rules", func() bool { return r.banned("198.51.100.2") })

	r.config("rules: {embedded: true, dirs: []}\nallow: [198.51.100.3]\n")
	r.hangup <- os.Interrupt
	r.until("reload", func() bool {
		why, err := r.client.Why(t.Context(), netip.MustParseAddr("198.51.100.3"))
		return err == nil && why.Verdict == client.VerdictAllowed
	})
	if st, err := r.client.Status(t.Context()); err != nil || len(st.Problems) != 0 {
		t.Errorf("status = %+v, %v", st, err)
	}
	r.config("")
	r.hangup <- os.Interrupt
	r.until("reload without the allowlist", func() bool {
		why, err := r.client.Why(t.Context(), netip.MustParseAddr("198.51.100.3"))
		return err == nil && why.Verdict == client.VerdictClean
	})
	r.stop()
}

func TestWithoutARecordDetectionGoesOn(t *testing.T) {
	r := newRig(t)
	r.write("state", "a file where the state directory should be")
	r.start("")
	r.attack("198.51.100.4")
	r.until("ban", func() bool { return r.banned("198.51.100.4") })
	st, err := r.client.Status(t.Context())
	if err != nil || len(st.Problems) == 0 || !strings.Contains(st.Problems[0], "nothing is recorded") {
		t.Errorf("status = %+v, %v", st, err)
	}
	_, err = r.client.PushAlerts(t.Context(), []client.Alert{{
		Kind: "cscli", Source: &client.Source{Scope: "Ip", Value: "198.51.100.5"},
		Decisions: []client.Decision{{Duration: "1h", Type: "ban", Scope: "Ip", Value: "198.51.100.5"}},
	}})
	if err == nil || !strings.Contains(err.Error(), "not recorded") {
		t.Errorf("push was acknowledged without a record: %v", err)
	}
	if !r.banned("198.51.100.5") {
		t.Error("push was not enforced")
	}
	r.stop()
}

func TestASecondDaemonStopsBeforeItTouchesAnything(t *testing.T) {
	r := newRig(t)
	r.start("")
	err := Run(t.Context(), Options{Config: r.config(""), Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "another gabion is running") {
		t.Errorf("second run = %v", err)
	}
	if err := r.client.Health(t.Context()); err != nil {
		t.Errorf("the first does not answer any more: %v", err)
	}
	r.stop()
}

func TestRulesThatCannotBeUsedAtAllStopTheStart(t *testing.T) {
	r := newRig(t)
	if err := os.Mkdir(r.path("rules"), 0o700); err != nil {
		t.Fatal(err)
	}
	cfg := r.config("rules: {embedded: false, dirs: [" + r.path("rules") + "]}\n")
	err := Run(t.Context(), Options{Config: cfg, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "no scenario") {
		t.Errorf("run = %v", err)
	}
	if _, err := os.Stat(r.path("g.sock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("socket is left behind: %v", err)
	}
}

func TestDecisionsThatTheKernelCannotEnforceAreKeptForClients(t *testing.T) {
	r := newRig(t)
	r.start("")
	_, err := r.client.PushAlerts(t.Context(), []client.Alert{{
		Kind: "cscli", Source: &client.Source{Scope: "Ip", Value: "198.51.100.5"},
		Decisions: []client.Decision{
			{Duration: "1h", Type: "captcha", Scope: "Ip", Value: "198.51.100.5"},
			{Duration: "1h", Type: "ban", Scope: "username", Value: "root"},
			{Duration: "-1h", Type: "ban", Scope: "Ip", Value: "198.51.100.6"},
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	count := func() int {
		ds, err := r.client.Decisions(t.Context(), nil)
		if err != nil {
			t.Error(err)
		}
		return len(ds)
	}
	if n := count(); n != 2 {
		t.Errorf("%d decisions, want captcha and user name", n)
	}
	r.stop()
	r.start("")
	if n := count(); n != 2 {
		t.Errorf("%d decisions after a restart, want 2", n)
	}
	if n, err := r.client.DeleteDecisions(t.Context(), url.Values{"type": {"captcha"}}); n != 1 || err != nil || count() != 1 {
		t.Errorf("delete = %d, %v; %d are left", n, err, count())
	}
	r.stop()
}

func TestTroubleAtTheEdgesIsNamedAndTheRestWorks(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	r := newRig(t)
	if err := os.Mkdir(r.path("rules"), 0o700); err != nil {
		t.Fatal(err)
	}
	r.write("rules/key.yaml", "type: leaky\nname: test/key\ndescription: d\nfilter: 'true'\ncapacity: 5\nleakspeed: 10s\nblackhol: 1m\n")
	r.listen = taken.Addr().String()
	r.start("rules: {dirs: [" + r.path("rules") + "]}\n")
	if err := os.Remove(r.path("auth.log")); err != nil {
		t.Fatal(err)
	}
	want := []string{"address already in use", "choose another api.listen", `unknown key "blackhol": did you mean "blackhole"`}
	st, err := r.client.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range want {
		if !strings.Contains(strings.Join(st.Problems, "\n"), w) {
			t.Errorf("problems lack %q: %q", w, st.Problems)
		}
	}
	if st.Rules.Errors == 0 || st.Rules.Scenarios == 0 {
		t.Errorf("rules = %+v", st.Rules)
	}
	r.write("auth.log", "")
	r.attack("198.51.100.1")
	r.until("ban", func() bool { return r.banned("198.51.100.1") })
	r.stop()
}

func TestTwoDaemonsDoNotShareAStateDirectory(t *testing.T) {
	r := newRig(t)
	r.start("")
	cfg := r.config("")
	cfg.API.Socket = r.path("other.sock")
	err := Run(t.Context(), Options{Config: cfg, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "its state directory is "+r.path("state")) {
		t.Errorf("second run = %v", err)
	}
	if _, err := os.Stat(r.path("other.sock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it left a socket: %v", err)
	}
	r.stop()
}

func TestWhatIsNotTheUsersCannotBeDisallowed(t *testing.T) {
	r := newRig(t)
	r.start("allow: [203.0.113.9]\n")
	for prefix, want := range map[string]string{
		"203.0.113.9": "allowed by " + r.path("gabion.yaml"),
		"127.0.0.1":   "is always allowed, for it is protected: loopback",
	} {
		_, err := r.client.RemoveAllow(t.Context(), prefix)
		var answer *client.Error
		if !errors.As(err, &answer) || answer.Status != http.StatusConflict || !strings.Contains(answer.Message, want) {
			t.Errorf("remove %s = %v, want %q", prefix, err, want)
		}
	}
	if n, err := r.client.RemoveAllow(t.Context(), "203.0.113.10"); n != 0 || err != nil {
		t.Errorf("remove of nothing = %d, %v", n, err)
	}
	r.stop()
}

func TestALogThatCannotBeReadIsAProblemWhileItLasts(t *testing.T) {
	r := newRig(t)
	missing := r.path("missing.log")
	d := newDaemon(Options{Config: r.config(""), Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	for _, tt := range []struct {
		name   string
		change func() error
		want   string
	}{
		{"it is there", func() error { return nil }, ""},
		{"it vanished", func() error { return os.Rename(r.path("auth.log"), missing) }, "no such file: it is read as soon as it appears"},
		{"it cannot be opened", func() error { return os.Symlink("auth.log", r.path("auth.log")) }, "let the user that runs gabion read it"},
		{"it is back", func() error {
			return errors.Join(os.Remove(r.path("auth.log")), os.Rename(missing, r.path("auth.log")))
		}, ""},
	} {
		if err := tt.change(); err != nil {
			t.Fatal(err)
		}
		d.checkLogs(t.Context())
		got := strings.Join(d.health.List(), "\n")
		if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: problems = %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestABanThatOnlyTheKernelKnowsIsNotCalledClean(t *testing.T) {
	r := newRig(t)
	table := &enforce.Memory{}
	now := time.Unix(1_800_000_000, 0)
	d := newDaemon(Options{Config: r.config(""), Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)})
	d.table, d.guard = table, enforce.NewGuard(enforce.GuardConfig{Log: d.log})
	d.enforcer = enforce.New(enforce.Config{Table: table, Guard: d.guard, IDs: d.ids, MaxBans: 10, Log: d.log, Now: d.now})
	err := table.Ban([]decision.Rule{
		{Prefix: netip.MustParsePrefix("198.51.100.0/24"), DecisionID: 5, Until: now.Add(time.Hour)},
		{Prefix: netip.MustParsePrefix("198.51.100.7/32"), DecisionID: 6, Until: now.Add(time.Minute), Class: decision.ClassShadow},
		{Prefix: netip.MustParsePrefix("203.0.113.1/32"), DecisionID: 7, Until: now.Add(-time.Minute)},
	})
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]struct {
		verdict string
		id      uint64
	}{
		"198.51.100.9": {client.VerdictBanned, 5},
		"198.51.100.7": {client.VerdictShadow, 6},
		"203.0.113.1":  {client.VerdictClean, 0},
		"2001:db8::1":  {client.VerdictClean, 0},
	} {
		why, err := backend{d}.Why(t.Context(), netip.MustParseAddr(addr))
		if err != nil || why.Verdict != want.verdict || (len(why.Bans) > 0) != (want.id > 0) || want.id > 0 && why.Bans[0].ID != want.id {
			t.Errorf("why %s = %+v, %v", addr, why, err)
		}
	}
}

func TestMetricsHaveTheNamesThatPrometheusWants(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t)
	r.listen = free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	r.start("")
	r.attack("198.51.100.1")
	r.until("ban", func() bool { return r.banned("198.51.100.1") })
	key, err := os.ReadFile(r.path("state/api.key"))
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.listen+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(key)))
	web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := web.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	problems, err := promlint.New(resp.Body).Lint()
	if err != nil {
		t.Error(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	r.stop()
}
