package enforce

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gabion/userspace/decision"
)

func contextWithCancel(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithCancel(t.Context())
}

func rule(prefix string, id uint64, minutes int) decision.Rule {
	return decision.Rule{Prefix: netip.MustParsePrefix(prefix), DecisionID: id, Until: t0().Add(time.Duration(minutes) * time.Minute)}
}

func class(c decision.Class, r decision.Rule) decision.Rule {
	r.Class = c
	return r
}

func foreign(r decision.Rule) decision.Rule {
	r.Foreign = true
	return r
}

func forever(prefix string) decision.Rule {
	return decision.Rule{Prefix: netip.MustParsePrefix(prefix), Foreign: true}
}

// adoptedAs is what the test compares of an adopted decision.
type adoptedAs struct {
	ID            uint64
	Origin, Value string
	Minutes       float64
	Simulated     bool
}

func TestReconcileAfterACrash(t *testing.T) {
	for _, tt := range []struct {
		name     string
		recorded []*decision.Decision // active in the store
		ended    map[uint64]bool      // ended in the store
		revoked  map[string]time.Time // likewise, by prefix and end
		kernel   []decision.Rule
		want     []string
		missing  int
		wrong    int
		extra    int
		adopted  []adoptedAs
	}{
		{name: "nothing anywhere"},
		{
			name:     "both agree",
			recorded: []*decision.Decision{withID(1, ban("192.0.2.1", 60))},
			kernel:   []decision.Rule{rule("192.0.2.1/32", 1, 60)},
			want:     []string{"192.0.2.1/32 #1 +60m"},
		},
		{
			name:     "recorded and not in the kernel: after a reboot",
			recorded: []*decision.Decision{withID(1, ban("192.0.2.1", 60)), withID(2, ban("2001:db8::1", 5))},
			want:     []string{"192.0.2.1/32 #1 +60m", "2001:db8::1/128 #2 +5m"},
			missing:  2,
		},
		{
			name:    "in the kernel and not recorded: killed in between",
			kernel:  []decision.Rule{rule("192.0.2.1/32", 7, 60), class(decision.ClassShadow, rule("192.0.2.0/24", 8, 30))},
			want:    []string{"192.0.2.0/24 #8 +30m shadow", "192.0.2.1/32 #7 +60m"},
			adopted: []adoptedAs{{8, "adopted", "192.0.2.0/24", 30, true}, {7, "adopted", "192.0.2.1", 60, false}},
		},
		{
			name:     "a longer ban of a recorded prefix was not recorded",
			recorded: []*decision.Decision{withID(1, ban("192.0.2.1", 60))},
			kernel:   []decision.Rule{rule("192.0.2.1/32", 2, 90)},
			want:     []string{"192.0.2.1/32 #2 +90m"},
			adopted:  []adoptedAs{{2, "adopted", "192.0.2.1", 90, false}},
		},
		{
			name:     "a weaker one than what is recorded is replaced",
			recorded: []*decision.Decision{withID(1, ban("192.0.2.1", 60))},
			kernel:   []decision.Rule{class(decision.ClassShadow, rule("192.0.2.1/32", 2, 90))},
			want:     []string{"192.0.2.1/32 #1 +60m"},
			wrong:    1,
		},
		{
			name:   "revoked on record and still in the kernel",
			ended:  map[uint64]bool{7: true},
			kernel: []decision.Rule{rule("192.0.2.1/32", 7, 60)},
			extra:  1,
		},
		{
			name:     "a decision that moved leaves no copy behind",
			recorded: []*decision.Decision{withID(1, ban("192.0.2.1", 60))},
			kernel:   []decision.Rule{rule("192.0.2.1/32", 1, 60), rule("192.0.2.2/32", 1, 60)},
			want:     []string{"192.0.2.1/32 #1 +60m"},
			extra:    1,
		},
		{
			name:     "wrong end and class are put right",
			recorded: []*decision.Decision{withID(1, ban("192.0.2.1", 60)), withID(2, ban("192.0.2.2", 60))},
			kernel:   []decision.Rule{rule("192.0.2.1/32", 1, 5), class(decision.ClassShadow, rule("192.0.2.2/32", 2, 60))},
			want:     []string{"192.0.2.1/32 #1 +60m", "192.0.2.2/32 #2 +60m"},
			wrong:    2,
		},
		{
			name:     "expired entries go, unless a decision is there",
			recorded: []*decision.Decision{withID(1, ban("192.0.2.1", 60))},
			kernel:   []decision.Rule{rule("192.0.2.1/32", 9, -5), rule("192.0.2.2/32", 8, 0)},
			want:     []string{"192.0.2.1/32 #1 +60m"},
			wrong:    1,
		},
		{
			name:     "put in by hand, with and without an end",
			recorded: []*decision.Decision{withID(5, ban("192.0.2.9", 60))},
			kernel:   []decision.Rule{foreign(rule("192.0.2.1/32", 0, 60)), forever("192.0.2.2/32"), rule("192.0.2.9/32", 5, 60)},
			want:     []string{"192.0.2.1/32 #6 +60m", "192.0.2.2/32 #7 +240m", "192.0.2.9/32 #5 +60m"},
			adopted:  []adoptedAs{{6, "bpftool", "192.0.2.1", 60, false}, {7, "bpftool", "192.0.2.2", 240, false}},
		},
		{
			name:     "by hand over a decision: the decision stays",
			recorded: []*decision.Decision{withID(1, ban("192.0.2.1", 60))},
			kernel:   []decision.Rule{forever("192.0.2.1/32")},
			want:     []string{"192.0.2.1/32 #1 +60m"},
			wrong:    1,
		},
		{
			name:    "garbage by hand gets an id of ours and a known class",
			kernel:  []decision.Rule{class(9, rule("192.0.2.1/32", 1<<63, 60))},
			want:    []string{"192.0.2.1/32 #1 +60m"},
			adopted: []adoptedAs{{1, "adopted", "192.0.2.1", 60, false}},
		},
		{
			name:   "by hand on a protected address, or on everything",
			kernel: []decision.Rule{foreign(rule("198.51.100.7/32", 0, 60)), forever("0.0.0.0/0")},
			extra:  2,
		},
		{
			name:     "ids lost at a restart are given back",
			recorded: []*decision.Decision{withID(3, ban("192.0.2.1", 60)), withID(4, ban("192.0.2.0/24", 30))},
			kernel:   []decision.Rule{rule("192.0.2.1/32", 0, 60), rule("192.0.2.0/24", 4, 30)},
			want:     []string{"192.0.2.0/24 #4 +30m", "192.0.2.1/32 #3 +60m"},
		},
		{
			name:    "an id lost and not recorded: killed in between",
			kernel:  []decision.Rule{rule("192.0.2.1/32", 0, 60), rule("2001:db8::/48", 9, 30)},
			want:    []string{"192.0.2.1/32 #10 +60m", "2001:db8::/48 #9 +30m"},
			adopted: []adoptedAs{{10, "adopted", "192.0.2.1", 60, false}, {9, "adopted", "2001:db8::/48", 30, false}},
		},
		{
			name:    "an id lost, and the ban is over on record",
			revoked: map[string]time.Time{"192.0.2.1/32": t0().Add(time.Hour), "192.0.2.2/32": t0().Add(time.Hour)},
			kernel:  []decision.Rule{rule("192.0.2.1/32", 0, 60), rule("192.0.2.2/32", 0, 90)},
			want:    []string{"192.0.2.2/32 #1 +90m"},
			extra:   1,
			adopted: []adoptedAs{{1, "adopted", "192.0.2.2", 90, false}},
		},
		{
			name:     "an id lost on a prefix with a decision: the end of that one counts",
			recorded: []*decision.Decision{withID(3, ban("192.0.2.1", 60))},
			kernel:   []decision.Rule{rule("192.0.2.1/32", 0, 61)},
			want:     []string{"192.0.2.1/32 #3 +60m"},
			wrong:    1,
		},
		{
			name:   "entries of a list that is no more",
			kernel: []decision.Rule{class(5, rule("192.0.2.1/32", 0, 60)), class(5, rule("192.0.2.0/24", 0, 60))},
			extra:  2,
		},
		{
			name:    "by hand in the class of a list",
			kernel:  []decision.Rule{foreign(class(5, rule("192.0.2.1/32", 0, 60)))},
			want:    []string{"192.0.2.1/32 #1 +60m"},
			adopted: []adoptedAs{{1, "bpftool", "192.0.2.1", 60, false}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, func(_ *Config, g *GuardConfig) { g.Peers = prefixesOf("198.51.100.7/32") })
			r.ended, r.revoked = tt.ended, tt.revoked
			if err := r.table.Memory.Ban(tt.kernel); err != nil {
				t.Fatal(err)
			}
			if err := r.Restore(tt.recorded); err != nil {
				t.Fatal(err)
			}
			drift := r.mustReconcile(t)
			r.wantKernel(t, tt.want...)
			var adopted []adoptedAs
			for _, d := range drift.Adopted {
				adopted = append(adopted, adoptedAs{d.ID, d.Origin, d.Value, d.Duration.Minutes(), d.Simulated})
			}
			if diff := cmp.Diff(tt.adopted, adopted); diff != "" {
				t.Errorf("adopted (-want +got):\n%s", diff)
			}
			got := [3]int{drift.Missing, drift.Wrong, drift.Extra}
			if want := [3]int{tt.missing, tt.wrong, tt.extra}; got != want {
				t.Errorf("missing, wrong, extra = %v, want %v", got, want)
			}
			if again := r.mustReconcile(t); again.Total() != 0 {
				t.Errorf("a second reconcile finds %+v", again)
			}
			if st := r.Stats(); !st.Reconciled.Equal(t0()) {
				t.Errorf("stats = %+v", st)
			}
		})
	}
}

func TestIDsFoundInTheKernelAreNotGivenOutAgain(t *testing.T) {
	r := newRig(t, nil)
	if err := r.table.Memory.Ban([]decision.Rule{rule("192.0.2.1/32", 41, 60)}); err != nil {
		t.Fatal(err)
	}
	if err := r.Restore([]*decision.Decision{withID(17, ban("192.0.2.2", 60))}); err != nil {
		t.Fatal(err)
	}
	d := ban("192.0.2.3", 60)
	r.mustBan(t, d)
	if d.ID != 42 {
		t.Errorf("id = %d, want 42", d.ID)
	}
}

func TestRestoreLeavesOutWhatCannotBeEnforced(t *testing.T) {
	r := newRig(t, func(c *Config, _ *GuardConfig) { c.MaxBans = 2 })
	captcha := withID(2, ban("192.0.2.2", 60))
	captcha.Type = "captcha"
	err := r.Restore([]*decision.Decision{withID(1, ban("nonsense", 60)), captcha, withID(3, ban("192.0.2.3", 0)),
		withID(4, ban("192.0.2.4", 60)), withID(5, ban("192.0.2.5", 60)), withID(6, ban("192.0.2.6", 60))})
	if err != nil || r.Stats().Active != 2 {
		t.Errorf("active = %d, %v; want the two that fit", r.Stats().Active, err)
	}
}

func TestWithoutTheRecordUnknownEntriesAreLeftAlone(t *testing.T) {
	r := newRig(t, func(c *Config, _ *GuardConfig) {
		c.Ended = func([]decision.Rule) ([]bool, error) { return nil, errors.New("disk is gone") }
	})
	if err := r.table.Memory.Ban([]decision.Rule{rule("192.0.2.1/32", 7, 60)}); err != nil {
		t.Fatal(err)
	}
	if drift := r.mustReconcile(t); len(drift.Adopted) != 0 || drift.Extra != 0 {
		t.Errorf("drift = %+v", drift)
	}
	r.wantKernel(t, "192.0.2.1/32 #7 +60m")
}

func TestChangesDuringReconcileAreNotTakenForDrift(t *testing.T) {
	r := newRig(t, nil)
	r.mustBan(t, ban("192.0.2.1", 60), ban("192.0.2.2", 60))
	r.mustReconcile(t)
	// The table is read as it was before these changes.
	r.table.during = func() {
		if err := r.Unban([]uint64{1}); err != nil {
			t.Error(err)
		}
		r.mustBan(t, ban("192.0.2.3", 60), ban("192.0.2.2", 90))
	}
	if drift := r.mustReconcile(t); drift.Total() != 0 {
		t.Errorf("drift = %+v", drift)
	}
	r.wantKernel(t, "192.0.2.2/32 #4 +90m", "192.0.2.3/32 #3 +60m")
}

func TestManyEntriesAreReconciledInSteps(t *testing.T) {
	r := newRig(t, nil)
	const n = 3*step + 7
	var recorded []*decision.Decision
	for i := range n {
		addr := netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)})
		if i%2 == 0 {
			recorded = append(recorded, withID(uint64(i+1), ban(addr.String(), 60)))
		} else if err := r.table.Memory.Ban([]decision.Rule{rule(addr.String()+"/32", uint64(i+1), 60)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Restore(recorded); err != nil {
		t.Fatal(err)
	}
	drift := r.mustReconcile(t)
	if drift.Missing != len(recorded) || len(drift.Adopted) != n-len(recorded) || len(r.kernel()) != n {
		t.Errorf("missing %d, adopted %d, in the kernel %d; want %d, %d, %d", drift.Missing, len(drift.Adopted),
			len(r.kernel()), len(recorded), n-len(recorded), n)
	}
}

func TestAllowEntriesAreReconciledToo(t *testing.T) {
	r := newRig(t, func(_ *Config, g *GuardConfig) { g.Peers = prefixesOf("198.51.100.7/32") })
	if err := r.Allow(prefixesOf("203.0.113.0/24"), time.Time{}); err != nil {
		t.Fatal(err)
	}
	r.mustReconcile(t)
	p := prefixesOf("203.0.113.0/24", "198.51.100.7/32", "192.0.2.0/24")
	if err := r.table.Disallow(p[:1]); err != nil { // missing
		t.Fatal(err)
	}
	err := r.table.Memory.Allow([]decision.Allow{{Prefix: p[1], Reason: decision.AllowUser}, {Prefix: p[2], Reason: decision.AllowUser}}) // wrong, extra
	if err != nil {
		t.Fatal(err)
	}
	if drift := r.mustReconcile(t); drift.Allows != 3 {
		t.Errorf("drift = %+v, want 3 allow entries", drift)
	}
	allows, err := r.Allows()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, a := range allows {
		got[a.Prefix.String()] = a.Reason.String()
	}
	want := map[string]string{"127.0.0.0/8": "guard", "::1/128": "guard", "0.0.0.0/32": "guard", "::/128": "guard",
		"198.51.100.7/32": "guard", "203.0.113.0/24": "user"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("allow entries (-want +got):\n%s", diff)
	}
	if err := r.Disallow(p[:1]); err != nil {
		t.Fatal(err)
	}
	if reason, ok := r.Allowed(netip.MustParsePrefix("203.0.113.1/32")); ok {
		t.Errorf("still allowed: %s", reason)
	}
}
