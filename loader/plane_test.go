package loader

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"gabion/userspace/decision"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root to load BPF programs")
	}
	if err := CheckSupport(); err != nil {
		t.Fatal(err)
	}
}

// pinDir returns a directory of the test's own below bpffs that does not exist yet, and removes it at
// the end with everything attached through it.
func pinDir(t testing.TB) string {
	t.Helper()
	needRoot(t)
	if err := ensureBPFFS(DefaultDir); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(bpffs, fmt.Sprintf("gabion-test-%d-", os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Remove(dir); err != nil {
			t.Errorf("clean up %s: %v", dir, err)
		}
	})
	return dir
}

func small(dir string) Options {
	return Options{Dir: dir, MaxBans: 1024, MaxAllows: 64}
}

// leastLines is the size of the first IPv4 table here: tests want to see it grow.
const leastLines = 64

func mustOpen(t testing.TB, o Options) *Plane {
	t.Helper()
	o.firstLines = leastLines
	p, err := Open(o)
	if err != nil {
		t.Fatalf("open: %+v", err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func mustClose(t testing.TB, p *Plane) {
	t.Helper()
	if err := p.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

func mustBan(t testing.TB, p *Plane, rules ...decision.Rule) {
	t.Helper()
	if err := p.Ban(rules); err != nil {
		t.Fatalf("ban: %v", err)
	}
}

func mustAllow(t testing.TB, p *Plane, prefixes ...string) {
	t.Helper()
	for _, s := range prefixes {
		if err := p.Allow([]decision.Allow{{Prefix: netip.MustParsePrefix(s), Reason: decision.AllowUser}}); err != nil {
			t.Fatalf("allow %s: %v", s, err)
		}
	}
}

func ban(prefix string, class decision.Class, until time.Time) decision.Rule {
	return decision.Rule{Prefix: netip.MustParsePrefix(prefix), Class: class, DecisionID: 7, Until: until}
}

func inAnHour() time.Time { return time.Now().Add(time.Hour) }

func mustVerdict(t testing.TB, p *Plane, frame []byte) Verdict {
	t.Helper()
	v, err := p.Verdict(frame)
	if err != nil {
		t.Fatalf("verdict: %v", err)
	}
	return v
}

func probe(t testing.TB, src string) []byte {
	t.Helper()
	frame, err := ProbePacket(netip.MustParseAddr(src), netip.Addr{}, 22)
	if err != nil {
		t.Fatal(err)
	}
	return frame
}

func rules(t testing.TB, p *Plane) []decision.Rule {
	t.Helper()
	var out []decision.Rule
	for r, err := range p.Bans() {
		if err != nil {
			t.Fatalf("bans: %v", err)
		}
		out = append(out, r)
	}
	return out
}

// sameRules ignores what a round trip through the kernel's clock may change.
func sameRules() cmp.Options {
	return cmp.Options{
		cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
		cmpopts.EquateApproxTime(3 * time.Second),
		cmpopts.SortSlices(func(a, b decision.Rule) bool { return a.Prefix.String() < b.Prefix.String() }),
	}
}

func TestAReopenedPlaneHasTheSameBansAllowsAndClasses(t *testing.T) {
	dir := pinDir(t)
	p := mustOpen(t, small(dir))
	want := []decision.Rule{
		ban("192.0.2.1/32", decision.ClassBan, inAnHour()),
		ban("198.51.100.0/24", decision.ClassShadow, inAnHour()),
		ban("2001:db8::/48", decision.ClassFirstList, inAnHour()),
	}
	mustBan(t, p, want...)
	mustAllow(t, p, "203.0.113.7/32", "2001:db8:1::/64")
	if err := p.SetClass(decision.ClassFirstList, decision.ModeShadow); err != nil {
		t.Fatal(err)
	}
	mustClose(t, p)

	p = mustOpen(t, small(dir))
	want[0].DecisionID = 0 // the ids of hosts are the process's own
	if diff := cmp.Diff(want, rules(t, p), sameRules()); diff != "" {
		t.Errorf("bans after reopening (-want +got):\n%s", diff)
	}
	var allows []string
	for a, err := range p.Allows() {
		if err != nil {
			t.Fatal(err)
		}
		allows = append(allows, a.Prefix.String()+" "+a.Reason.String())
	}
	if diff := cmp.Diff([]string{"203.0.113.7/32 user", "2001:db8:1::/64 user"}, allows); diff != "" {
		t.Errorf("allow entries after reopening (-want +got):\n%s", diff)
	}
	modes, err := p.ClassModes()
	if err != nil {
		t.Fatal(err)
	}
	if got := modes[decision.ClassFirstList]; got != decision.ModeShadow {
		t.Errorf("mode of the first list = %v, want shadow", got)
	}
}

func TestASecondWriterIsRefusedAndAReaderIsNot(t *testing.T) {
	dir := pinDir(t)
	p := mustOpen(t, small(dir))
	if _, err := Open(small(dir)); !errors.Is(err, ErrBusy) {
		t.Errorf("second open: error = %v, want ErrBusy", err)
	}
	if err := Remove(dir); !errors.Is(err, ErrBusy) {
		t.Errorf("remove while open: error = %v, want ErrBusy", err)
	}
	mustBan(t, p, ban("192.0.2.1/32", decision.ClassBan, inAnHour()))
	r, err := OpenReadOnly(dir)
	if err != nil {
		t.Fatalf("open for reading: %v", err)
	}
	defer r.Close()
	if got := len(rules(t, r)); got != 1 {
		t.Errorf("a reader sees %d bans, want 1", got)
	}
	if got := mustVerdict(t, r, probe(t, "192.0.2.1")); got.Action != ActionDrop {
		t.Errorf("a reader's verdict = %+v, want drop", got)
	}
	for name, err := range map[string]error{
		"ban":    r.Ban([]decision.Rule{ban("192.0.2.2/32", 0, inAnHour())}),
		"unban":  r.Unban(nil),
		"class":  r.SetClass(0, decision.ModeOff),
		"meters": r.SetMeters(nil),
		"detach": r.Detach("lo"),
	} {
		if !errors.Is(err, ErrReadOnly) {
			t.Errorf("%s by a reader: error = %v, want ErrReadOnly", name, err)
		}
	}
}

func TestNothingPinnedIsNotLoaded(t *testing.T) {
	if _, err := OpenReadOnly(pinDir(t)); !errors.Is(err, ErrNotLoaded) {
		t.Errorf("error = %v, want ErrNotLoaded", err)
	}
}

func TestAnotherVersionIsRefusedWithAdvice(t *testing.T) {
	dir := pinDir(t)
	p := mustOpen(t, small(dir))
	if err := p.maps.Abi.Put(uint32(0), &bpfAbi{Version: 99, Classes: decision.Classes}); err != nil {
		t.Fatal(err)
	}
	mustClose(t, p)
	for name, open := range map[string]func() error{
		"writing": func() error { _, err := Open(small(dir)); return err },
		"reading": func() error { _, err := OpenReadOnly(dir); return err },
	} {
		err := open()
		if !errors.Is(err, ErrVersion) {
			t.Fatalf("open for %s: error = %v, want ErrVersion", name, err)
		}
		want := fmt.Sprintf("pinned maps have version 99, this binary needs %d", ABI)
		if !contains(err, want) {
			t.Errorf("open for %s: error %q does not say %q", name, err, want)
		}
	}
}

func TestAForeignDirectoryIsLeftAlone(t *testing.T) {
	dir := pinDir(t)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	pin := filepath.Join(dir, "somebody")
	mustForeignPin(t, pin)
	if _, err := Open(small(dir)); !errors.Is(err, ErrVersion) {
		t.Errorf("error = %v, want ErrVersion", err)
	}
	if _, err := os.Stat(pin); err != nil {
		t.Errorf("somebody else's pin: %v", err)
	}
}

func TestAnEmptyDirectoryAndDeadLeftoversAreNoObstacle(t *testing.T) {
	dir := pinDir(t)
	leftover := dir + newMark + "dead"
	for _, d := range []string{dir, leftover} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	mustOpen(t, small(dir))
	if _, err := os.Stat(leftover); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("leftover of a creator that died: stat error = %v, want not found", err)
	}
}

func TestADirectoryOutsideBPFFSIsRefused(t *testing.T) {
	needRoot(t)
	_, err := Open(Options{Dir: filepath.Join(t.TempDir(), "gabion")})
	if err == nil || !contains(err, "is not on a bpffs") {
		t.Errorf("error = %v, want one that says it is not on a bpffs", err)
	}
}

func TestConfiguredSizesAreUsed(t *testing.T) {
	dir := pinDir(t)
	o := small(dir)
	p := mustOpen(t, o)
	if got := p.maps.Allow6.MaxEntries(); got != o.MaxAllows {
		t.Errorf("allow6 has room for %d, want %d", got, o.MaxAllows)
	}
	mustClose(t, p)
	o.MaxAllows *= 2
	var log strings.Builder
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	p = mustOpen(t, o)
	if got := p.maps.Allow6.MaxEntries(); got != o.MaxAllows/2 {
		t.Errorf("allow6 of the pinned plane has room for %d, want what it was made with", got)
	}
	if !strings.Contains(log.String(), "size of pinned tables kept") {
		t.Errorf("nothing says that the size was kept:\n%s", &log)
	}
}

func TestTheLimitOfBansIsThatOfTheProcess(t *testing.T) {
	dir := pinDir(t)
	o := small(dir)
	o.MaxBans = 1
	p := mustOpen(t, o)
	mustBan(t, p, ban("192.0.2.1/32", 0, inAnHour()))
	if err := p.Ban([]decision.Rule{ban("192.0.2.2/32", 0, inAnHour())}); !errors.As(err, new(*FullError)) {
		t.Errorf("ban beyond the limit: %v, want a FullError", err)
	}
	mustClose(t, p)
	o.MaxBans = 2
	p = mustOpen(t, o)
	mustBan(t, p, ban("192.0.2.2/32", 0, inAnHour()))
}
