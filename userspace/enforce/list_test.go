package enforce

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gabion/userspace/decision"
	"gabion/userspace/lists"
)

const (
	first  = decision.ClassFirstList
	second = first + 1
)

// listOf returns a list of a class that ends in so many minutes.
func listOf(class decision.Class, minutes int, prefixes ...string) List {
	return List{
		Class: class, Name: fmt.Sprintf("list%d", class), Entries: lists.New(slices.Values(prefixesOf(prefixes...))),
		Imported: t0(), Until: t0().Add(time.Duration(minutes) * time.Minute),
	}
}

// hostsOf returns n addresses from 198.18.0.0 on.
func hostsOf(from, n int) []string {
	var out []string
	for i := from; i < from+n; i++ {
		out = append(out, fmt.Sprintf("198.18.%d.%d/32", i>>8, i&255))
	}
	return out
}

// mustReplace puts a list in force and in mode drop.
func (r *rig) mustReplace(t *testing.T, l List) ListReport {
	t.Helper()
	if r.modes[l.Class] == decision.ModeOff {
		r.mustMode(t, l.Class, decision.ModeDrop)
	}
	report, err := r.ReplaceList(l)
	if err != nil {
		t.Fatalf("replace list: %v", err)
	}
	return report
}

// wantNoDrift reconciles; allow entries do not count, for the first time writes those of the guard.
func (r *rig) wantNoDrift(t *testing.T) {
	t.Helper()
	if drift := r.mustReconcile(t); drift.Total() != drift.Allows {
		t.Errorf("drift = %+v", drift)
	}
}

func (r *rig) mustMode(t *testing.T, class decision.Class, mode decision.Mode) {
	t.Helper()
	if err := r.SetClassMode(class, mode); err != nil {
		t.Fatalf("set mode: %v", err)
	}
}

func TestAListIsReplacedInOneStepAndOthersAreNotTouched(t *testing.T) {
	r := newRig(t, nil)
	r.mustBan(t, ban("203.0.113.1", 5))
	r.mustReplace(t, listOf(second, 90, "192.0.2.9/32"))
	got := r.mustReplace(t, listOf(first, 60, "192.0.2.1/32", "192.0.2.2/32", "198.51.100.0/24", "2001:db8::1/128"))
	if diff := cmp.Diff(ListReport{Entries: 4, Enforced: 4}, got); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	r.wantKernel(t, "192.0.2.1/32 #0 +60m list2", "192.0.2.2/32 #0 +60m list2", "192.0.2.9/32 #0 +90m list3",
		"198.51.100.0/24 #0 +60m list2", "203.0.113.1/32 #1 +5m", "2001:db8::1/128 #0 +60m list2")
	r.mustReplace(t, listOf(first, 60, "192.0.2.2/32", "192.0.2.3/32"))
	r.wantKernel(t, "192.0.2.2/32 #0 +60m list2", "192.0.2.3/32 #0 +60m list2", "192.0.2.9/32 #0 +90m list3", "203.0.113.1/32 #1 +5m")
	r.wantNoDrift(t)
	if err := r.RemoveList(first); err != nil {
		t.Error(err)
	}
	r.wantKernel(t, "192.0.2.9/32 #0 +90m list3", "203.0.113.1/32 #1 +5m")
	if r.table.swaps != 3 {
		t.Errorf("%d swaps, want one for each list that came in", r.table.swaps)
	}
}

func TestTheStrongestClaimOnAPrefixGetsTheEntry(t *testing.T) {
	const p = "192.0.2.1/32"
	drop, shadowed, off := decision.ModeDrop, decision.ModeShadow, decision.ModeOff
	for _, tt := range []struct {
		name          string
		own           *decision.Decision
		first, second decision.Mode
		want          string
	}{
		{"an own ban beats lists, and lasts as long as they do", ban("192.0.2.1", 30), drop, drop, "#1 +70m"},
		{"an own ban over lists that only count", ban("192.0.2.1", 30), shadowed, off, "#1 +30m"},
		{"a list in force beats an own ban in shadow", shadow("192.0.2.1", 90), shadowed, drop, "#0 +70m list3"},
		{"an own ban in shadow beats lists that only count", shadow("192.0.2.1", 90), shadowed, off, "#1 +90m shadow"},
		{"the lower class wins", nil, drop, drop, "#0 +70m list2"},
		{"unless it only counts", nil, shadowed, drop, "#0 +70m list3"},
		{"unless it is off", nil, off, shadowed, "#0 +70m list3"},
		{"both off", nil, off, off, "#0 +70m list2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, order := range []string{"modes last", "modes first"} {
				r := newRig(t, nil)
				modes := func() {
					r.mustMode(t, first, tt.first)
					r.mustMode(t, second, tt.second)
				}
				put := func() {
					for class, minutes := range map[decision.Class]int{first: 60, second: 70} {
						if _, err := r.ReplaceList(listOf(class, minutes, p)); err != nil {
							t.Fatal(err)
						}
					}
				}
				if tt.own != nil {
					r.mustBan(t, withID(1, tt.own))
				}
				if order == "modes first" {
					modes()
					put()
				} else {
					put()
					modes()
				}
				r.wantKernel(t, p+" "+tt.want)
				r.wantNoDrift(t)
			}
		})
	}
}

func TestWhatADecisionOrAListLeavesFallsBackToTheNext(t *testing.T) {
	r := newRig(t, nil)
	r.mustReplace(t, listOf(first, 60, "192.0.2.1/32", "192.0.2.2/32"))
	r.mustReplace(t, listOf(second, 50, "192.0.2.1/32"))
	r.mustBan(t, ban("192.0.2.1", 30))
	if err := r.Unban([]uint64{1}); err != nil {
		t.Error(err)
	}
	r.wantKernel(t, "192.0.2.1/32 #0 +60m list2", "192.0.2.2/32 #0 +60m list2")
	r.mustBan(t, ban("192.0.2.1", 30))
	r.clock = t0().Add(31 * time.Minute)
	r.Expire(r.clock)
	r.wantKernel(t, "192.0.2.1/32 #0 +60m list2", "192.0.2.2/32 #0 +60m list2")
	if err := r.RemoveList(first); err != nil {
		t.Error(err)
	}
	r.wantKernel(t, "192.0.2.1/32 #0 +50m list3")
	if modes, _ := r.table.ClassModes(); modes[first] != decision.ModeOff {
		t.Errorf("the class of a list that is gone is %s", modes[first])
	}
	r.clock = t0().Add(50 * time.Minute)
	r.Expire(r.clock)
	r.wantKernel(t)
	if n := strings.Count(r.log.String(), "list has ended"); n != 1 || len(r.Stats().Lists) != 0 {
		t.Errorf("said %d times that the list has ended; left: %+v", n, r.Stats().Lists)
	}
}

func TestProtectedEntriesOfAListAreLeftOutAndReturn(t *testing.T) {
	r := newRig(t, func(_ *Config, g *GuardConfig) { g.Peers = prefixesOf("198.51.100.7/32") })
	if err := r.Allow(prefixesOf("192.0.2.0/24"), time.Time{}); err != nil {
		t.Fatal(err)
	}
	got := r.mustReplace(t, listOf(first, 60, "192.0.2.1/32", "198.51.100.7/32", "203.0.113.1/32", "0.0.0.0/0", "198.51.100.0/24"))
	want := ListReport{Entries: 5, Enforced: 2, Protected: 3, Reason: "it would ban every address"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	r.wantKernel(t, "198.51.100.0/24 #0 +60m list2", "203.0.113.1/32 #0 +60m list2")
	if err := r.Disallow(prefixesOf("192.0.2.0/24")); err != nil {
		t.Fatal(err)
	}
	r.mustReconcile(t)
	r.wantKernel(t, "192.0.2.1/32 #0 +60m list2", "198.51.100.0/24 #0 +60m list2", "203.0.113.1/32 #0 +60m list2")
	if st := r.Stats().Lists[0]; st.Enforced != 3 || st.Protected != 2 || st.Held != 0 {
		t.Errorf("stats = %+v", st)
	}
}

func TestReconcileKnowsLists(t *testing.T) {
	r := newRig(t, nil)
	const n = 3*step + 5
	r.mustReplace(t, listOf(first, 60, hostsOf(0, n)...))
	r.mustReconcile(t)
	broken := prefixesOf(hostsOf(step, 2)...)
	if err := r.table.Unban(broken); err != nil {
		t.Fatal(err)
	}
	must := []decision.Rule{class(first, rule("198.18.0.1/32", 0, 5)), class(first, rule("192.0.2.1/32", 0, 60)), class(second, rule("198.18.0.3/32", 0, 60))}
	if err := r.table.Ban(must); err != nil {
		t.Fatal(err)
	}
	if err := r.table.SetClass(first, decision.ModeOff); err != nil {
		t.Fatal(err)
	}
	drift := r.mustReconcile(t)
	if drift.Missing != 2 || drift.Wrong != 3 || drift.Extra != 1 || len(drift.Adopted) != 0 {
		t.Errorf("drift = %+v; want 2 missing, 2 entries and the mode wrong, 1 extra", drift)
	}
	if again := r.mustReconcile(t); again.Total() != 0 || len(r.kernel()) != n {
		t.Errorf("drift after repair = %+v, %d entries", again, len(r.kernel()))
	}
	p := netip.MustParsePrefix("198.18.0.9/32")
	hit, _ := r.table.bans.Get(p)
	hit.Hits = 42
	r.table.bans.Put(p, hit)
	r.mustReconcile(t)
	if st := r.Stats().Lists[0]; st.Hits != 42 {
		t.Errorf("hits = %d, want 42", st.Hits)
	}
}

func TestAListIsRestoredWithoutWritingTwice(t *testing.T) {
	r := newRig(t, func(c *Config, _ *GuardConfig) { c.MaxBans = 4 })
	kernel := []decision.Rule{class(first, rule("192.0.2.1/32", 0, 60)), class(first, rule("192.0.2.9/32", 0, 60))}
	if err := r.table.Ban(kernel); err != nil {
		t.Fatal(err)
	}
	if err := r.table.SetClass(first, decision.ModeDrop); err != nil {
		t.Fatal(err)
	}
	if err := r.Restore([]*decision.Decision{withID(1, ban("203.0.113.1", 5)), withID(2, ban("203.0.113.2", 5))}); err != nil {
		t.Fatal(err)
	}
	report, err := r.RestoreList(listOf(first, 60, "192.0.2.1/32", "192.0.2.2/32", "192.0.2.3/32"))
	if err != nil || report.Held != 1 || len(r.kernel()) != 2 {
		t.Errorf("report = %+v, %v; kernel %v", report, err, r.kernel())
	}
	drift := r.mustReconcile(t)
	if drift.Missing != 3 || drift.Extra != 1 || drift.Wrong != 0 {
		t.Errorf("drift = %+v", drift)
	}
	r.wantKernel(t, "192.0.2.1/32 #0 +60m list2", "192.0.2.2/32 #0 +60m list2", "203.0.113.1/32 #1 +5m", "203.0.113.2/32 #2 +5m")
}

func TestFindNamesTheListsOfAnAddress(t *testing.T) {
	r := newRig(t, nil)
	r.mustReplace(t, listOf(first, 60, "192.0.2.0/24", "192.0.2.1/32"))
	r.mustReplace(t, listOf(second, 60, "192.0.2.1/32"))
	r.mustMode(t, second, decision.ModeShadow)
	r.mustBan(t, ban("192.0.2.0/25", 5))
	got := []string{}
	for _, d := range r.Find(netip.MustParseAddr("::ffff:192.0.2.1")) {
		got = append(got, fmt.Sprintf("%s %s #%d %s simulated=%t", d.Value, d.Scenario, d.ID, d.Origin, d.Simulated))
	}
	want := []string{"192.0.2.1 list2 #0 lists simulated=false", "192.0.2.1 list3 #0 lists simulated=true",
		"192.0.2.0/25  #1  simulated=false", "192.0.2.0/24 list2 #0 lists simulated=false"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
	r.mustMode(t, first, decision.ModeOff)
	if got := r.Find(netip.MustParseAddr("192.0.2.200")); len(got) != 0 {
		t.Errorf("a list that is off still has %v", got)
	}
}

func TestListsThatCannotBeAreRefused(t *testing.T) {
	r := newRig(t, nil)
	for name, err := range map[string]error{
		"class of own bans":  second2(r.ReplaceList(listOf(decision.ClassBan, 60, "192.0.2.1/32"))),
		"class out of range": second2(r.ReplaceList(listOf(decision.Classes, 60, "192.0.2.1/32"))),
		"ended":              second2(r.ReplaceList(listOf(first, 0, "192.0.2.1/32"))),
		"restore, ended":     second2(r.RestoreList(listOf(first, 0, "192.0.2.1/32"))),
		"remove class 0":     r.RemoveList(decision.ClassBan),
		"mode of class 0":    r.SetClassMode(decision.ClassBan, decision.ModeOff),
		"mode unknown":       r.SetClassMode(first, 7),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	r.table.fail(errors.New("gone"))
	if _, err := r.ReplaceList(listOf(first, 60, "192.0.2.1/32")); err == nil {
		t.Error("a table that fails is not told")
	}
	r.table.fail(nil)
	if drift := r.mustReconcile(t); drift.Missing != 1 {
		t.Errorf("drift = %+v; want the entry written by reconcile", drift)
	}
}

func second2(_ ListReport, err error) error { return err }

func TestBansDuringAnExchangeHaveTheLastWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.mustReplace(t, listOf(first, 60, "192.0.2.1/32", "192.0.2.2/32", "192.0.2.3/32"))
		r.mustMode(t, first, decision.ModeShadow) // so that the list's entry would let pass
		done := make(chan struct{})
		r.table.inSwap = func() {
			go func() { // its prefix is in the table's hands: it waits
				defer close(done)
				r.Ban([]*decision.Decision{ban("192.0.2.1", 5), ban("192.0.2.2", 5)})
			}()
			synctest.Wait()
			r.mustBan(t, ban("203.0.113.1", 5)) // nobody else does
			select {
			case <-done:
				t.Error("a ban on an entry that is being exchanged did not wait")
			default:
			}
		}
		r.mustReplace(t, listOf(first, 90, "192.0.2.2/32", "192.0.2.3/32", "192.0.2.4/32"))
		<-done
		r.wantKernel(t, "192.0.2.1/32 #1 +5m", "192.0.2.2/32 #2 +5m", "192.0.2.3/32 #0 +90m list2",
			"192.0.2.4/32 #0 +90m list2", "203.0.113.1/32 #3 +5m")
		r.wantNoDrift(t)
	})
}

// TestListsChangeOverWhileBansGoOn has a reader look without pause: who is banned, and who is on every
// version of a list, must be in the table at each look.
func TestListsChangeOverWhileBansGoOn(t *testing.T) {
	r := newRig(t, func(c *Config, _ *GuardConfig) { c.MaxBans = 4 * step })
	versions := [][]string{append(hostsOf(0, 2*step), "192.0.2.1/32"), append(hostsOf(step, 2*step), "192.0.2.1/32", "192.0.2.2/32")}
	r.mustBan(t, ban("192.0.2.2", 60))
	r.mustReplace(t, listOf(first, 60, versions[0]...))
	stop := make(chan struct{})
	var readers, writers sync.WaitGroup
	readers.Go(func() {
		always := prefixesOf("192.0.2.1/32", "192.0.2.2/32", hostsOf(step+3, 1)[0])
		for {
			select {
			case <-stop:
				return
			default:
			}
			for _, p := range always {
				if _, ok, _ := r.table.BanHit(p); !ok {
					t.Errorf("%s is not in the table", p)
				}
			}
		}
	})
	writers.Go(func() {
		for i := range 20 {
			if _, err := r.ReplaceList(listOf(first, 60, versions[i%2]...)); err != nil {
				t.Error(err)
			}
		}
	})
	writers.Go(func() {
		for i := range 400 {
			d := ban(strings.TrimSuffix(hostsOf(i%(3*step), 1)[0], "/32"), 60)
			r.Ban([]*decision.Decision{d})
			if err := r.Unban([]uint64{d.ID}); err != nil {
				t.Error(err)
			}
		}
	})
	writers.Go(func() {
		for range 10 {
			if drift, err := r.Reconcile(t0()); err != nil || drift.Total() != drift.Allows {
				t.Errorf("drift = %+v, %v", drift, err)
			}
		}
	})
	writers.Wait()
	close(stop)
	readers.Wait()
	r.wantNoDrift(t)
	if n := len(r.kernel()); n != r.Stats().Entries-1 { // one prefix is on the list and banned
		t.Errorf("%d entries in the table, %d are wanted", n, r.Stats().Entries)
	}
}
