package enforce

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gabion/loader"
	"gabion/userspace/decision"
	"gabion/userspace/lists"
)

var _ Table = (*loader.Plane)(nil)

// TestReconcileOnTheRealTables plays a crash on the kernel's own tables: one ban was recorded and
// is missing, one is there and was not recorded, one was revoked.
func TestReconcileOnTheRealTables(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root to load BPF programs")
	}
	dir := filepath.Join("/sys/fs/bpf", fmt.Sprintf("gabion-test-%d-enforce", os.Getpid()))
	plane, err := loader.Open(loader.Options{Dir: dir, MaxBans: 1000, MaxAllows: 100})
	if err != nil {
		t.Fatalf("open data plane: %v", err)
	}
	defer func() {
		if err := plane.Close(); err != nil {
			t.Error(err)
		}
		if err := loader.Remove(dir); err != nil {
			t.Error(err)
		}
	}()
	now := time.Now()
	until := now.Add(time.Hour)
	err = plane.Ban([]decision.Rule{
		{Prefix: prefixesOf("192.0.2.1/32")[0], DecisionID: 7, Until: until},
		{Prefix: prefixesOf("192.0.2.2/32")[0], DecisionID: 8, Until: until},
		{Prefix: prefixesOf("2001:db8::/64")[0], DecisionID: 9, Class: decision.ClassShadow, Until: until},
		{Prefix: prefixesOf("192.0.2.4/32")[0], DecisionID: 10, Until: now.Add(-time.Hour)},
	})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	e := New(Config{
		Table: plane, Guard: NewGuard(GuardConfig{System: nothing(t), Log: log}), IDs: &decision.IDs{}, Log: log,
		Now: func() time.Time { return now },
		Ended: func(rules []decision.Rule) ([]bool, error) {
			out := make([]bool, len(rules))
			for i, r := range rules {
				out[i] = r.DecisionID == 8
			}
			return out, nil
		},
	})
	missing := withID(3, ban("192.0.2.3", 0))
	missing.Until = until
	if err := e.Restore([]*decision.Decision{missing}); err != nil {
		t.Fatal(err)
	}
	drift, err := e.Reconcile(now)
	if err != nil || drift.Missing != 1 || drift.Extra != 1 || drift.Wrong != 0 || len(drift.Adopted) != 2 {
		t.Errorf("drift = %+v, %v; want 1 missing, 1 extra, 2 adopted", drift, err)
	}
	if drift, err := e.Reconcile(now); err != nil || drift.Total() != 0 {
		t.Errorf("a second reconcile finds %+v, %v", drift, err)
	}
	got := map[string]uint64{}
	for rule, err := range plane.Bans() {
		if err != nil {
			t.Fatal(err)
		}
		got[rule.Prefix.String()] = rule.DecisionID
	}
	want := map[string]uint64{"192.0.2.1/32": 7, "2001:db8::/64": 9, "192.0.2.3/32": 3}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("kernel = %v, want %v", got, want)
	}
	if hits, err := e.Hits(missing); hits != 0 || err != nil {
		t.Errorf("hits = %d, %v", hits, err)
	}
	if err := e.Unban([]uint64{3, 7, 9}); err != nil {
		t.Error(err)
	}
	for rule := range plane.Bans() {
		t.Errorf("%v is left", rule)
	}
}

// TestAListChangesOverWhilePacketsFlow has packets judged without pause by the loaded program while a
// list of 100,000 is replaced: a source that is on every version is dropped each time, one that is on
// none never.
func TestAListChangesOverWhilePacketsFlow(t *testing.T) {
	const size = 100_000
	now := time.Now()
	e, plane := mustPlane(t, 2*size, now)
	versions := []List{bigList(now, 0, size), bigList(now, size/2, size)}
	always := []string{versions[0].Entries.At(size - 1).Addr().String(), "198.51.100.7", "2001:db8::1", "2001:db8:1::7"}
	never := []string{"203.0.113.1", "2001:db8:2::1"}
	if err := e.SetClassMode(decision.ClassFirstList, decision.ModeDrop); err != nil {
		t.Fatal(err)
	}
	if r, err := e.ReplaceList(versions[0]); err != nil || r.Enforced != r.Entries {
		t.Fatalf("report = %+v, %v", r, err)
	}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	readers.Go(func() { watchVerdicts(t, plane, stop, always, loader.ActionDrop) })
	readers.Go(func() { watchVerdicts(t, plane, stop, never, loader.ActionPass) })
	for i := range 6 {
		if r, err := e.ReplaceList(versions[(i+1)%2]); err != nil || r.Enforced != r.Entries {
			t.Errorf("report = %+v, %v", r, err)
		}
	}
	close(stop)
	readers.Wait()
	if drift, err := e.Reconcile(now); err != nil || drift.Total() != drift.Allows {
		t.Errorf("drift = %+v, %v", drift, err)
	}
	if err := e.RemoveList(decision.ClassFirstList); err != nil {
		t.Error(err)
	}
	for rule := range plane.Bans() {
		t.Fatalf("%v is left", rule)
	}
}

// bigList returns n addresses of 10.0.0.0/8 from a number on, and a few that are on every one.
func bigList(now time.Time, from, n int) List {
	prefixes := prefixesOf("198.51.100.0/24", "2001:db8::1/128", "2001:db8:1::/48")
	for i := from; i < from+n; i++ {
		prefixes = append(prefixes, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32))
	}
	return List{Class: decision.ClassFirstList, Name: "big", Entries: lists.New(slices.Values(prefixes)), Imported: now, Until: now.Add(time.Hour)}
}

func watchVerdicts(t *testing.T, plane *loader.Plane, stop <-chan struct{}, addrs []string, want string) {
	var frames [][]byte
	for _, a := range addrs {
		frame, err := loader.ProbePacket(netip.MustParseAddr(a), netip.Addr{}, 443)
		if err != nil {
			t.Error(err)
			return
		}
		frames = append(frames, frame)
	}
	for n := 0; ; n++ {
		select {
		case <-stop:
			t.Logf("%d packets were to %s", n, want)
			return
		default:
		}
		got, err := plane.Verdict(frames[n%len(frames)])
		if err != nil || got.Action != want {
			t.Errorf("%s: %+v, %v; want %s", addrs[n%len(addrs)], got, err, want)
			return
		}
	}
}

// TestIDsLostAtARestartAreGivenBackInTheRealTables opens the same tables again, as after a restart:
// hosts have lost their ids, prefixes have not, and nothing is drift.
func TestIDsLostAtARestartAreGivenBackInTheRealTables(t *testing.T) {
	now := time.Now()
	dir := pinDir(t)
	e, plane := mustOpenPlane(t, dir, 1000, now)
	until := now.Add(time.Hour)
	var recorded []*decision.Decision
	for i, value := range []string{"192.0.2.1", "198.51.100.0/24", "2001:db8::1", "2001:db8:1::/48", "203.0.113.9", "203.0.113.8"} {
		d := withID(uint64(i+1), ban(value, 0))
		d.Until = until
		recorded = append(recorded, d)
	}
	far := recorded[5]
	far.Until = now.AddDate(20, 0, 0)
	if refused := e.Ban(recorded); len(refused) > 0 {
		t.Fatalf("refused: %v", refused)
	}
	if err := plane.Close(); err != nil {
		t.Fatal(err)
	}
	e, plane = mustOpenPlane(t, dir, 1000, now)
	defer plane.Close()
	if err := e.Restore(recorded); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if drift, err := e.Reconcile(now); err != nil || drift.Total() != drift.Allows {
			t.Errorf("drift = %+v, %v", drift, err)
		}
	}
	for _, d := range recorded {
		p, err := d.Prefix()
		if err != nil {
			t.Fatal(err)
		}
		rule, ok, err := plane.BanHit(p)
		if err != nil || !ok || rule.DecisionID != d.ID {
			t.Errorf("%s: %+v, %v; want decision %d", d.Value, rule, err, d.ID)
		}
	}
}

func pinDir(t testing.TB) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root to load BPF programs")
	}
	dir := filepath.Join("/sys/fs/bpf", fmt.Sprintf("gabion-test-%d-%s", os.Getpid(), strings.ToLower(t.Name()[4:10])))
	t.Cleanup(func() {
		if err := loader.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func mustOpenPlane(t testing.TB, dir string, maxBans uint32, now time.Time) (*Enforcer, *loader.Plane) {
	t.Helper()
	plane, err := loader.Open(loader.Options{Dir: dir, MaxBans: maxBans, MaxAllows: 100})
	if err != nil {
		t.Fatalf("open data plane: %v", err)
	}
	log := slog.New(slog.DiscardHandler)
	return New(Config{
		Table: plane, Guard: NewGuard(GuardConfig{System: nothing(t), Log: log}), IDs: &decision.IDs{}, Log: log,
		MaxBans: int(maxBans), Now: func() time.Time { return now },
	}), plane
}

func mustPlane(t testing.TB, maxBans uint32, now time.Time) (*Enforcer, *loader.Plane) {
	t.Helper()
	dir := pinDir(t)
	e, plane := mustOpenPlane(t, dir, maxBans, now)
	t.Cleanup(func() {
		if err := plane.Close(); err != nil {
			t.Error(err)
		}
	})
	return e, plane
}

// TestRealTablesThatAreFullHoldDecisionsFirst gives the kernel less room than the enforcer believes.
func TestRealTablesThatAreFullHoldDecisionsFirst(t *testing.T) {
	now := time.Now()
	dir := pinDir(t)
	_, plane := mustOpenPlane(t, dir, 100, now)
	defer plane.Close()
	log := slog.New(slog.DiscardHandler)
	e := New(Config{
		Table: plane, Guard: NewGuard(GuardConfig{System: nothing(t), Log: log}), IDs: &decision.IDs{}, Log: log,
		MaxBans: 10_000, Now: func() time.Time { return now },
	})
	r, err := e.ReplaceList(List{
		Class: decision.ClassFirstList, Name: "big", Entries: lists.New(slices.Values(prefixesOf(hostsOf(0, 500)...))), Until: now.Add(time.Hour),
	})
	if err != nil || r.Enforced != 100 || r.Held != 400 {
		t.Errorf("report = %+v, %v; want what the table has room for", r, err)
	}
	var ds []*decision.Decision
	for i := range 60 {
		d := ban(fmt.Sprintf("192.0.2.%d", i), 0)
		d.Until = now.Add(time.Hour)
		ds = append(ds, d)
	}
	if refused := e.Ban(ds); len(refused) > 0 {
		t.Errorf("refused: %v", refused)
	}
	if st := e.Stats(); st.Lists[0].Enforced != 40 || st.KernelErrors != 0 {
		t.Errorf("stats = %+v", st)
	}
	if drift, err := e.Reconcile(now); err != nil || drift.Total() != drift.Allows {
		t.Errorf("drift = %+v, %v", drift, err)
	}
	own := 0
	for rule, err := range plane.Bans() {
		if err != nil {
			t.Fatal(err)
		}
		if rule.Class == decision.ClassBan {
			own++
		}
	}
	if own != len(ds) {
		t.Errorf("%d decisions are in the kernel, want %d", own, len(ds))
	}
}
