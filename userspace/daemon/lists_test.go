package daemon

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gabion/userspace/client"
)

func (r *rig) verdict(ip string) string {
	r.t.Helper()
	why, err := r.client.Why(r.t.Context(), netip.MustParseAddr(ip))
	if err != nil {
		r.t.Fatal(err)
	}
	return why.Verdict
}

func (r *rig) mustImport(name, text string) *client.List {
	r.t.Helper()
	l, err := r.client.ImportList(r.t.Context(), name, client.ListImport{Duration: "1h", File: name + ".txt"}, strings.NewReader(text))
	if err != nil {
		r.t.Fatal(err)
	}
	return l
}

func TestAListOutlivesTheDaemonInItsMode(t *testing.T) {
	r := newRig(t)
	r.start("")
	l := r.mustImport("bad", "198.51.100.0/24\n203.0.113.7\n127.0.0.1\n")
	if l.Entries != 3 || l.Enforced != 2 || l.Protected != 1 || l.Because != "127.0.0.1/32 is protected: loopback" || l.Mode != "drop" {
		t.Errorf("imported %+v", l)
	}
	if v := r.verdict("198.51.100.9"); v != client.VerdictBanned {
		t.Errorf("verdict = %s", v)
	}
	if err := r.client.SetListMode(t.Context(), "bad", "shadow"); err != nil {
		t.Error(err)
	}
	r.stop()

	r.start("")
	if v := r.verdict("203.0.113.7"); v != client.VerdictShadow {
		t.Errorf("verdict after a restart = %s", v)
	}
	r.mustImport("bad", "203.0.113.7\n") // keeps the mode
	if v := r.verdict("198.51.100.9"); v != client.VerdictClean {
		t.Errorf("verdict of what is not on the list any more = %s", v)
	}
	st, err := r.client.Status(t.Context())
	if err != nil || len(st.Lists) != 1 || st.Lists[0].Mode != "shadow" || len(st.Problems) != 0 {
		t.Errorf("status = %+v, %v", st, err)
	}
	if n, err := r.client.RemoveList(t.Context(), "bad"); n != 1 || err != nil {
		t.Errorf("remove = %d, %v", n, err)
	}
	if n, err := r.client.RemoveList(t.Context(), "bad"); n != 0 || err != nil {
		t.Errorf("remove again = %d, %v", n, err)
	}
	r.stop()
	r.start("")
	if all, err := r.client.Lists(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("a list that was removed came back: %v, %v", all, err)
	}
	r.stop()
}

func TestAListThatCannotBeReadIsAProblem(t *testing.T) {
	r := newRig(t)
	r.start("")
	r.mustImport("bad", "198.51.100.1\n")
	r.stop()
	for _, f := range mustGlob(t, r.path("state/lists/*.list")) {
		if err := os.WriteFile(f, []byte("garbage"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.start("")
	st, err := r.client.Status(t.Context())
	if err != nil || len(st.Problems) != 1 || !strings.Contains(st.Problems[0], "the snapshot is damaged: import the list again") {
		t.Errorf("problems = %v, %v", st.Problems, err)
	}
	all, err := r.client.Lists(t.Context())
	if err != nil || len(all) != 1 || !all[0].Ended || all[0].NotEnforced != 1 {
		t.Errorf("lists = %+v, %v", all, err)
	}
	r.mustImport("bad", "198.51.100.1\n")
	if st, err := r.client.Status(t.Context()); err != nil || len(st.Problems) != 0 {
		t.Errorf("problems after the next import = %v, %v", st.Problems, err)
	}
	r.stop()
}

func TestALimitedTableHoldsBackListsAndSaysSo(t *testing.T) {
	r := newRig(t)
	r.kernel = ", max_bans: 16"
	r.start("")
	var text strings.Builder
	for i := range 20 {
		fmt.Fprintf(&text, "198.51.100.%d\n", i)
	}
	if l := r.mustImport("bad", text.String()); l.Enforced != 16 || l.NotEnforced != 4 {
		t.Errorf("imported %+v", l)
	}
	st, err := r.client.Status(t.Context())
	if err != nil || len(st.Problems) != 1 || !strings.Contains(st.Problems[0], "4 of the 20 entries of bad are not enforced") {
		t.Errorf("problems = %v, %v", st.Problems, err)
	}
	r.stop()
}

func TestThereAreAsManyListsAsClasses(t *testing.T) {
	r := newRig(t)
	r.start("")
	for i := range 14 {
		r.mustImport(fmt.Sprintf("list%d", i), fmt.Sprintf("198.51.100.%d\n", i))
	}
	_, err := r.client.ImportList(t.Context(), "more", client.ListImport{Duration: "1h"}, strings.NewReader("203.0.113.1\n"))
	if err == nil || !strings.Contains(err.Error(), "no kernel class is left for more: remove one") {
		t.Errorf("a list too many: %v", err)
	}
	r.stop()
}

func mustGlob(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		t.Fatalf("no file %s: %v", pattern, err)
	}
	return found
}
