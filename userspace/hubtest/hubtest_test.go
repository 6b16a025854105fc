package hubtest

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"gabion/userspace/hub"
)

// mustHub writes the small hub to a directory and returns options to run its tests.
func mustHub(t *testing.T) Options {
	t.Helper()
	archive, err := txtar.ParseFile("testdata/hub.txtar")
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	if err := txtar.Write(archive, root); err != nil {
		t.Fatal(err)
	}
	h, err := hub.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	return Options{
		Hub: h, Root: root, Workers: 2, Now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		Data: []string{filepath.Join(root, "data")}, OwnData: []string{filepath.Join(root, "own")},
	}
}

func mustRun(t *testing.T, o Options) *Report {
	t.Helper()
	report, err := Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// one runs one test and returns how it went.
func one(t *testing.T, o Options, name string) Result {
	t.Helper()
	o.Tests = []string{name}
	result := Result{Test: name}
	o.Progress = func(r Result) { result = r }
	mustRun(t, o)
	for i := range result.Failures {
		result.Failures[i].File = filepath.Base(result.Failures[i].File)
	}
	result.Reason = strings.ReplaceAll(result.Reason, o.Root, "HUB")
	return result
}

func TestATestPassesWhenAllItsAssertionsHold(t *testing.T) {
	o := mustHub(t)
	for name, assertions := range map[string]int{"passes": 23, "data": 1, "own": 1, "year": 1} {
		if got := one(t, o, name); got.Outcome != Passed || got.Reason != "" || got.Assertions != assertions {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestATestSaysWhichAssertionsDoNotHold(t *testing.T) {
	got := one(t, mustHub(t), "fails")
	const at = `results["s01-parse"]["ann/shop-logs"]`
	want := []Failure{
		{File: "parser.assert", Line: 2, Assertion: at + `[0].Evt.Parsed["user"] == "rob"`, Expected: `"rob"`, Actual: `"bob"`},
		{File: "parser.assert", Line: 3, Assertion: at + `[3].Success == true`, Error: "index out of range: 3 (there are 3)"},
		{File: "parser.assert", Line: 4, Assertion: at + `[0].Evt.Parsed["user"]`, Error: `the assertion gives "bob", want true or false`},
		{File: "parser.assert", Line: 5, Assertion: at + `[0].Evt.Parsd["user"] == "bob"`, Error: "there is no field Parsd"},
		{File: "parser.assert", Line: 6, Assertion: at + `[0].Evt.Parsed["a b"] == "x"`, Expected: `"x"`, Actual: `""`},
		{File: "parser.assert", Line: 7, Assertion: "len(results) ==", Error: "unexpected token EOF (1:15)"},
		{File: "scenario.assert", Line: 1, Assertion: `"192.0.2.2" in results[0].Overflow.GetSources()`, Expected: `"192.0.2.2"`, Actual: `["192.0.2.1"]`},
	}
	if diff := cmp.Diff(want, got.Failures); diff != "" {
		t.Errorf("failures differ (-want +got):\n%s", diff)
	}
	if want := `parser.assert:2: expected "rob", found "bob" (and 6 more)`; got.Outcome != Failed || got.Reason != want {
		t.Errorf("%s for the reason %s, want %s", got.Outcome, got.Reason, want)
	}
}

func TestWhatTheHubsToolOverlooksFailsOnlyStrictly(t *testing.T) {
	o := mustHub(t)
	if got := one(t, o, "overlooked"); got.Outcome != Failed || len(got.Failures) != 2 {
		t.Errorf("strictly: %+v", got)
	}
	o.Compatible = true
	if got := one(t, o, "overlooked"); got.Outcome != Passed || got.Assertions != 3 {
		t.Errorf("compatibly: %+v", got)
	}
	if got := one(t, o, "fails"); len(got.Failures) != 5 {
		t.Errorf("what it does not overlook: %+v", got)
	}
}

func TestALongLineEndsAFileForTheHubsTool(t *testing.T) {
	o := mustHub(t)
	file := filepath.Join(o.Root, Dir, "passes", scenarioFile)
	text := "len(results) == 2\n" + strings.Repeat(" ", 80<<10) + "len(results) == 2\nlen(results) == 3\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := one(t, o, "passes"); len(got.Failures) != 1 || got.Failures[0].Line != 3 {
		t.Errorf("strictly: %+v", got)
	}
	o.Compatible = true
	if got := one(t, o, "passes"); got.Outcome != Passed || got.Assertions != 14 {
		t.Errorf("compatibly: %+v", got)
	}
}

func TestATestThatCannotBeRunSaysWhy(t *testing.T) {
	o := mustHub(t)
	for _, tt := range []struct {
		test    string
		outcome Outcome
		reason  string
	}{
		{"unasserted", Failed, "parser.assert has no assertions: --update writes them from what comes out"},
		{"nothing", Failed, `HUB/.tests/nothing/config.yaml:1:11: there is no item "ann/shop-log" in parsers: did you mean "ann/shop-logs"?` + "\n" +
			`HUB/.tests/nothing/config.yaml:1:25: there is no item "nowhere/x.yaml" in parsers`},
		{"no-log", Failed, "HUB/.tests/no-log/config.yaml:1:1: a test needs a log_file: tests of a WAF, with nuclei_template, are not run here"},
	} {
		if got := one(t, o, tt.test); got.Outcome != tt.outcome || got.Reason != tt.reason {
			t.Errorf("%s: %s for the reason\n%s\nwant\n%s", tt.test, got.Outcome, got.Reason, tt.reason)
		}
	}
}

func TestATestWithoutItsDataFilesIsNotRun(t *testing.T) {
	o := mustHub(t)
	o.Data = nil
	if got := one(t, o, "data"); got.Outcome != MissingData || got.Reason != "missing data files: users.txt" || got.Assertions != 0 {
		t.Errorf("%+v", got)
	}
	if got := one(t, o, "own"); got.Outcome != Passed {
		t.Errorf("a test with data of its own: %+v", got)
	}
}

func TestAReportCountsEveryTest(t *testing.T) {
	o := mustHub(t)
	o.Data = nil
	r := mustRun(t, o)
	var names []string
	for _, n := range r.NotPassed {
		names = append(names, n.Test)
	}
	if want := []string{"data", "fails", "no-log", "nothing", "overlooked", "unasserted"}; cmp.Diff(want, names) != "" {
		t.Errorf("not passed: %v, want %v", names, want)
	}
	if r.Tests != 9 || r.Passed != 3 || r.Failed != 5 || r.MissingData != 1 {
		t.Errorf("report %+v", r)
	}
	o.Tests = []string{"none"}
	if _, err := Run(context.Background(), o); err == nil || !strings.Contains(err.Error(), `there is no test "none"`) {
		t.Errorf("error of a test that is not there: %v", err)
	}
}

func TestUpdatedAssertionsHold(t *testing.T) {
	o := mustHub(t)
	for _, name := range []string{"passes", "fails", "unasserted"} {
		o.Update = true
		if got := one(t, o, name); got.Outcome != Passed {
			t.Errorf("updating %s: %+v", name, got)
		}
		o.Update, o.Now = false, o.Now.Add(time.Hour)
		if got := one(t, o, name); got.Outcome != Passed {
			t.Errorf("%s after the update: %+v", name, got)
		}
	}
	text := mustRead(t, filepath.Join(o.Root, Dir, "passes", parserFile))
	for _, line := range []string{
		"len(results) == 5",
		`len(results["s01-parse"]["ann/shop-logs"]) == 8`,
		`results["s01-parse"]["ann/shop-logs"][0].Evt.Parsed["user"] == "bob"`,
		`basename(results["s01-parse"]["ann/shop-logs"][0].Evt.Meta["datasource_path"]) == "shop.log"`,
		`results["s01-parse"]["ann/shop-carts"][0].Evt.Unmarshaled["shop"]["items"] == 3`,
		`FloatApproxEqual(results["s01-parse"]["ann/shop-carts"][0].Evt.Unmarshaled["shop"]["sum"], 9.500000)`,
		`results["s01-parse"]["ann/shop-carts"][0].Evt.Unmarshaled["shop"]["of"][0] == "a"`,
		`results["s01-parse"]["ann/shop-carts"][0].Evt.Unmarshaled["shop"]["gift"] == true`,
		`results["s01-parse"]["ann/shop-carts"][0].Evt.Whitelisted == false`,
		`len(results["success"][""]) == 0`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("assertions lack %s", line)
		}
	}
}

func TestACreatedTestPasses(t *testing.T) {
	o := mustHub(t)
	n := NewTest{
		Name: "made", Type: "shop", Labels: map[string]string{"a": "b"}, Parsers: []string{"ann/lines", "ann/shop-logs", "ann/dates"},
		Scenarios: []string{"ann/shop-bf"}, Log: strings.NewReader(mustRead(t, filepath.Join(o.Root, Dir, "passes", "shop.log"))),
	}
	got, err := Create(context.Background(), o, n)
	if err != nil || got.Outcome != Passed || got.Assertions == 0 {
		t.Fatalf("created %+v, %v", got, err)
	}
	if got := one(t, o, "made"); got.Outcome != Passed {
		t.Errorf("run %+v", got)
	}
	if _, err := Create(context.Background(), o, n); err == nil || !strings.Contains(err.Error(), "exists") {
		t.Errorf("creating it twice: %v", err)
	}
	n.Name, n.Parsers, n.Log = "bad", []string{"ann/none"}, strings.NewReader("x")
	if _, err := Create(context.Background(), o, n); err == nil || !strings.Contains(err.Error(), `there is no item "ann/none"`) {
		t.Errorf("creating one with an unknown parser: %v", err)
	}
	if _, err := os.Stat(filepath.Join(o.Root, Dir, "bad")); !os.IsNotExist(err) {
		t.Errorf("it is left behind: %v", err)
	}
}

func TestCoverageListsRulesThatNoTestReaches(t *testing.T) {
	o := mustHub(t)
	items, err := Rules(o.Hub)
	if err != nil {
		t.Fatal(err)
	}
	var missed []string
	for _, c := range mustRun(t, o).Coverage(items) {
		for _, i := range c.Missed {
			missed = append(missed, string(i.Kind)+" "+i.Name)
		}
	}
	if diff := cmp.Diff([]string{"scenario ann/shop-never"}, missed); diff != "" {
		t.Errorf("missed rules differ (-want +got):\n%s", diff)
	}
}

func TestADumpHoldsWhatATestRecorded(t *testing.T) {
	o := mustHub(t)
	o.Tests = []string{"passes"}
	var b bytes.Buffer
	o.Dump = func(_ string, s *State) {
		if err := s.Write(&b); err != nil {
			t.Error(err)
		}
	}
	mustRun(t, o)
	for _, part := range []string{
		`"ann/shop-logs":[{"success":true,"evt":{"parsed":{"address":"192.0.2.1"`,
		`"sources":{"192.0.2.1":{"ip":"192.0.2.1","range":"","scope":"Ip","value":"192.0.2.1"}}`,
	} {
		if !strings.Contains(b.String(), part) {
			t.Errorf("the dump lacks %s", part)
		}
	}
}

func mustRead(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
