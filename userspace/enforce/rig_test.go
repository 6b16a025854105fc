package enforce

import (
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gabion/loader"
	"gabion/userspace/decision"
	"gabion/userspace/enforce/machine"
)

// nothing is a machine without addresses, routes, resolvers and sessions.
func nothing(t testing.TB) machine.System {
	none := func() ([]netip.Addr, error) { return nil, nil }
	return machine.System{
		Proc: t.TempDir(), ResolvConf: []string{}, Addresses: none, Gateways: none,
		Established: func([]machine.Session) ([]machine.Session, error) { return nil, nil },
	}
}

// flaky is a Memory whose writes fail while err is set.
type flaky struct {
	Memory
	mu     sync.Mutex
	err    error
	during func() // called once, in the middle of reading the bans
	swaps  int    // how often a whole list came in
	inSwap func() // called in the middle of each
	size   int    // entries that fit; 0: any number
}

func (f *flaky) failing() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

func (f *flaky) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *flaky) Ban(r []decision.Rule) error {
	if err := f.failing(); err != nil {
		return err
	}
	return f.fit(r)
}

// fit writes what there is room for, and refuses the rest as the kernel does.
func (f *flaky) fit(rules []decision.Rule) error {
	var full []netip.Prefix
	for _, r := range rules {
		_, has, _ := f.BanHit(r.Prefix)
		if !has && f.size > 0 && f.Memory.bans.Len() >= f.size {
			full = append(full, r.Prefix)
		} else if err := f.Memory.Ban([]decision.Rule{r}); err != nil {
			return err
		}
	}
	if len(full) > 0 {
		return fmt.Errorf("ban: %w", errors.Join(nil, &loader.FullError{Table: "hosts4", Capacity: uint32(f.size), Prefixes: full}))
	}
	return nil
}

func (f *flaky) Swap(n int, put iter.Seq[decision.Rule], remove []netip.Prefix) error {
	f.swaps++
	if err := f.failing(); err != nil {
		return err
	}
	if f.inSwap != nil {
		f.inSwap()
	}
	if f.size > 0 {
		return errors.Join(f.Memory.Unban(remove), f.fit(slices.Collect(put)))
	}
	return f.Memory.Swap(n, put, remove)
}

func (f *flaky) Unban(p []netip.Prefix) error {
	if err := f.failing(); err != nil {
		return err
	}
	return f.Memory.Unban(p)
}

func (f *flaky) Allow(a []decision.Allow) error {
	if err := f.failing(); err != nil {
		return err
	}
	return f.Memory.Allow(a)
}

func (f *flaky) Bans() iter.Seq2[decision.Rule, error] {
	all := f.Memory.Bans()
	return func(yield func(decision.Rule, error) bool) {
		if d := f.during; d != nil {
			f.during = nil
			d()
		}
		all(yield)
	}
}

// rig is an Enforcer over a table in memory, with a clock that stands still.
type rig struct {
	*Enforcer
	table   *flaky
	clock   time.Time
	ended   map[uint64]bool
	revoked map[string]time.Time // prefix to the end of a ban that is over on record
	log     strings.Builder
}

func newRig(t *testing.T, change func(*Config, *GuardConfig)) *rig {
	t.Helper()
	r := &rig{table: &flaky{}, clock: t0()}
	log := slog.New(slog.NewTextHandler(&r.log, nil))
	g := GuardConfig{System: nothing(t), Log: log}
	c := Config{
		Table: r.table, IDs: &decision.IDs{}, Log: log,
		Now: func() time.Time { return r.clock },
		Ended: func(rules []decision.Rule) ([]bool, error) {
			out := make([]bool, len(rules))
			for i, rule := range rules {
				out[i] = r.ended[rule.DecisionID] || rule.DecisionID == 0 && rule.Until.Equal(r.revoked[rule.Prefix.String()])
			}
			return out, nil
		},
	}
	if change != nil {
		change(&c, &g)
	}
	c.Guard = NewGuard(g)
	r.Enforcer = New(c)
	r.bulk = 0 // so that small lists take the way of large ones
	return r
}

func (r *rig) mustBan(t *testing.T, ds ...*decision.Decision) {
	t.Helper()
	if refused := r.Ban(ds); len(refused) > 0 {
		t.Fatalf("refused: %v", refused)
	}
}

func (r *rig) mustReconcile(t *testing.T) Drift {
	t.Helper()
	drift, err := r.Reconcile(r.clock)
	if err != nil {
		t.Fatalf("reconcile: %v", err)
	}
	return drift
}

// kernel describes the ban table: "192.0.2.1/32 #3 +60m", with "shadow" where it is one.
func (r *rig) kernel() []string {
	var out []string
	for rule := range r.table.Memory.Bans() {
		s := fmt.Sprintf("%s #%d %+gm", rule.Prefix, rule.DecisionID, rule.Until.Sub(t0()).Minutes())
		switch {
		case rule.Class == decision.ClassShadow:
			s += " shadow"
		case rule.Class >= decision.ClassFirstList:
			s += fmt.Sprintf(" list%d", rule.Class)
		}
		out = append(out, s)
	}
	return out
}

func (r *rig) wantKernel(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, r.kernel()); diff != "" {
		t.Errorf("kernel (-want +got):\n%s", diff)
	}
}

func ban(value string, minutes int) *decision.Decision {
	d := &decision.Decision{Type: decision.TypeBan, Scope: decision.ScopeIP, Value: value,
		CreatedAt: t0(), Until: t0().Add(time.Duration(minutes) * time.Minute)}
	if p, err := netip.ParsePrefix(value); err == nil && !p.IsSingleIP() {
		d.Scope = decision.ScopeRange
	}
	return d
}

func shadow(value string, minutes int) *decision.Decision {
	d := ban(value, minutes)
	d.Simulated = true
	return d
}

func withID(id uint64, d *decision.Decision) *decision.Decision {
	d.ID = id
	return d
}

func prefixesOf(text ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range text {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}
