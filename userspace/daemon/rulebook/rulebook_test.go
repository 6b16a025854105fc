package rulebook

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gabion/userspace/config"
	"gabion/userspace/meter"
)

func TestTheConfiguredConnectionLimitChangesTheShippedMeter(t *testing.T) {
	type numbers struct {
		Limit  uint64
		Window time.Duration
	}
	for _, tt := range []struct {
		name, config string
		want         *numbers // nil: the meter is not in force
	}{
		{"no key", "", &numbers{500, time.Second}},
		{"both numbers", "kernel: {connection_limit: {count: 20, window: 2s}}", &numbers{20, 2 * time.Second}},
		{"the count only", "kernel: {connection_limit: {count: 20}}", &numbers{20, time.Second}},
		{"the window only", "kernel: {connection_limit: {window: 2s}}", &numbers{500, 2 * time.Second}},
		{"a count of nothing", "kernel: {connection_limit: {count: 0, window: 2s}}", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			book, err := load(t, tt.config)
			if err != nil || len(book.Faults) > 0 {
				t.Fatal(err, book.Faults)
			}
			var got *numbers
			others := 0
			for _, m := range book.Meters {
				if m.Name == ConnectionRate {
					got = &numbers{m.Limit, m.Window}
				} else {
					others++
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("meter differs (-want +got):\n%s", diff)
			}
			if others == 0 {
				t.Error("the other meters are gone")
			}
			if tt.want != nil && meterOf(book.Rules.Meters).Limit != 500 {
				t.Error("the rule itself was changed")
			}
		})
	}
}

func TestAConnectionLimitWithoutItsMeterIsAFault(t *testing.T) {
	book, err := load(t, "rules: {embedded: false, dirs: [testdata/none]}\nkernel: {connection_limit: {count: 1}}\n")
	if err == nil {
		t.Error("no rules and no error")
	}
	want := "c.yaml:2:1: kernel.connection_limit changes the meter gabion/connection-rate, which is not among the rules: take the key out, or load the meter"
	found := false
	for _, f := range book.Faults {
		found = found || f.Error() == want
	}
	if !found {
		t.Errorf("faults %v lack %q", book.Faults, want)
	}
}

func TestOfAHubOnlyTheRulesAreRead(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"collections/ann/shop.yaml":    "parsers: [ann/none]\n",
		"docker/compose.yaml":          "services: {}\n",
		"contexts/ann/shop.yaml":       "context: {user: [evt.Meta.user]}\n",
		"scenarios/ann/shop-bf.yaml":   "type: trigger\nname: ann/shop-bf\ndescription: d\nfilter: 'true'\n",
		"appsec-rules/ann/a-rule.yaml": "rules: []\n",
	} {
		name = filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	book, err := load(t, "rules: {embedded: false, dirs: ["+dir+"]}\n")
	if err != nil || len(book.Faults) > 0 {
		t.Fatal(err, book.Faults)
	}
	var got []string
	for _, i := range book.Rules.Items {
		got = append(got, string(i.Kind)+" "+i.Name)
	}
	if diff := cmp.Diff([]string{"context ann/shop", "scenario ann/shop-bf"}, got); diff != "" {
		t.Errorf("rules differ (-want +got):\n%s", diff)
	}
}

func meterOf(all []*meter.Meter) *meter.Meter {
	for _, m := range all {
		if m.Name == ConnectionRate {
			return m
		}
	}
	return &meter.Meter{}
}

func load(t *testing.T, text string) (*Book, error) {
	t.Helper()
	cfg, err := config.Decode("c.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	cfg.StateDir = t.TempDir()
	return Load(cfg, Deps{Now: func() time.Time { return time.Unix(0, 0) }, Log: slog.New(slog.DiscardHandler)})
}
