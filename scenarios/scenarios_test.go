package scenarios_test

import (
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"gabion/scenarios"
	"gabion/userspace/engine"
	"gabion/userspace/enrich"
	"gabion/userspace/expr"
	"gabion/userspace/exprlib"
	"gabion/userspace/grok"
	"gabion/userspace/profile"
	"gabion/userspace/rules"
	"gabion/userspace/yamlpos"
)

func TestShippedRulesGiveWhatTheirLogsPromise(t *testing.T) {
	set, profiles := mustLoad(t)
	files, err := fs.Glob(scenarios.FS(), "*/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no rule tests: %v, %v", files, err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(name, ".txtar"), func(t *testing.T) {
			data, err := fs.ReadFile(scenarios.FS(), name)
			if err != nil {
				t.Fatal(err)
			}
			diff, err := engine.RunTxtar(t.Context(), set, profiles, data, now())
			if err != nil {
				t.Fatal(err)
			}
			if diff != "" {
				t.Errorf("decisions differ (- wanted, + came):\n%s", diff)
			}
		})
	}
}

func TestEveryShippedScenarioIsExpectedByATest(t *testing.T) {
	set, _ := mustLoad(t)
	var tests strings.Builder
	files, err := fs.Glob(scenarios.FS(), "*/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		data, err := fs.ReadFile(scenarios.FS(), name)
		if err != nil {
			t.Fatal(err)
		}
		_, want, _ := strings.Cut(string(data), "-- want --")
		tests.WriteString(want)
	}
	for _, s := range set.Scenarios {
		if !strings.Contains(tests.String(), s.Name+"\n") {
			t.Errorf("no test expects a decision of %s", s.Name)
		}
	}
}

// watch raises an alert for every event of a meter, named by what the parser made of it.
const watch = `
type: trigger
name: test/watch
description: Everything that the parser of kernel events lets through
filter: evt.Meta.service == 'kernel'
scope: {type: seen, expression: "evt.Meta.log_type + ' ' + evt.Meta.meter + ' ' + evt.Meta.source_ip + ' ' + evt.Meta.source_range + ' ' + evt.Meta.count + '/' + evt.Meta.limit + ' ' + evt.Meta.established"}
`

func TestEventsOfMetersHaveATypeEachAndASourceOnlyWhereThereIsOne(t *testing.T) {
	set, profiles := mustLoad(t, rules.Source{Name: "test", FS: fstest.MapFS{"watch.yaml": {Data: []byte(watch)}}})
	diff, err := engine.RunTxtar(t.Context(), set, profiles, []byte(`type: kernel
-- events.json --
{"event":"meter","meter":"gabion/closed-ports","source_ip":"192.0.2.3","source_range":"","count":31,"limit":30,"established":false}
{"event":"meter","meter":"gabion/syn-flood","source_ip":"","source_range":"","count":20001,"limit":20000,"established":false}
{"event":"meter","meter":"own","source_ip":"","source_range":"2001:db8::/64","count":9,"limit":8,"established":true}
-- want --
alert gabion/closed-ports gabion/kernel-sightings
alert kernel_closed-ports gabion/closed-ports 192.0.2.3  31/30 false test/watch
alert gabion/syn-flood gabion/kernel-sightings
alert kernel_syn-flood gabion/syn-flood   20001/20000 false test/watch
alert kernel_own own  2001:db8::/64 9/8 true test/watch
`), now())
	if err != nil || diff != "" {
		t.Errorf("%s%v", diff, err)
	}
}

func TestEveryShippedMeterIsInTheReadmeAndHasAnEventInATest(t *testing.T) {
	set, _ := mustLoad(t)
	readme, err := fs.ReadFile(scenarios.FS(), "kernel/README.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := fs.Glob(scenarios.FS(), "kernel/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var tests strings.Builder
	for _, name := range files {
		data, err := fs.ReadFile(scenarios.FS(), name)
		if err != nil {
			t.Fatal(err)
		}
		tests.Write(data)
	}
	if len(set.Meters) == 0 {
		t.Error("no meter is shipped")
	}
	for _, m := range set.Meters {
		if !strings.Contains(string(readme), "| "+m.Name+" | ") {
			t.Errorf("%s is not in the table of kernel/README.md", m.Name)
		}
		event := fmt.Sprintf(`"meter":%q`, m.Name)
		numbers := fmt.Sprintf(`"limit":%d,"window_ms":%d`, m.Limit, m.Window.Milliseconds())
		if !strings.Contains(tests.String(), event) || !strings.Contains(tests.String(), numbers) {
			t.Errorf("no test has an event with %s and %s", event, numbers)
		}
	}
}

func TestEveryServiceHasAReadme(t *testing.T) {
	entries, err := fs.ReadDir(scenarios.FS(), ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, err := fs.Stat(scenarios.FS(), e.Name()+"/README.md"); err != nil {
			t.Errorf("%s: %v", e.Name(), err)
		}
	}
}

func now() time.Time { return time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC) }

func mustLoad(t *testing.T, more ...rules.Source) (*rules.Set, *profile.Profiles) {
	t.Helper()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	lib := exprlib.New(exprlib.Deps{Log: log, Now: now})
	compiler := expr.NewCompiler(lib.Functions()...)
	set, err := rules.Load(append([]rules.Source{{Name: "scenarios", FS: scenarios.FS()}}, more...), rules.Deps{
		Expr: compiler, Lib: lib, Patterns: grok.NewSet(), Methods: enrich.Methods(enrich.Deps{Now: now}), Now: now, Log: log,
	})
	if err != nil {
		t.Fatalf("shipped rules do not load:\n%v", err)
	}
	docs, err := yamlpos.Parse("profiles.yaml", profile.Default())
	if err != nil {
		t.Fatal(err)
	}
	profiles, err := profile.Compile(docs, compiler)
	if err != nil {
		t.Fatal(err)
	}
	return set, profiles
}
