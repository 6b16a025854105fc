package scenarios_test

import (
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"testing"
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

func mustLoad(t *testing.T) (*rules.Set, *profile.Profiles) {
	t.Helper()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	lib := exprlib.New(exprlib.Deps{Log: log, Now: now})
	compiler := expr.NewCompiler(lib.Functions()...)
	set, err := rules.Load([]rules.Source{{Name: "scenarios", FS: scenarios.FS()}}, rules.Deps{
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
