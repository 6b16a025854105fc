package parse

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gabion/userspace/enrich"
	"gabion/userspace/event"
	"gabion/userspace/expr"
	"gabion/userspace/exprlib"
	"gabion/userspace/grok"
	"gabion/userspace/yamlpos"
)

func clock() time.Time { return time.Date(2024, 6, 1, 12, 0, 0, 0, time.UTC) }

// rule is a file of the test: its documents run at a stage.
type rule struct{ stage, file, text string }

// doc is a rule of a file of its own at a stage.
func doc(stage, text string) rule { return rule{stage: stage, text: text} }

func testDeps(t testing.TB) Deps {
	t.Helper()
	lib := exprlib.New(exprlib.Deps{Now: clock})
	fail := []expr.Function{{
		Name:  "Fail",
		Call:  func(...any) (any, error) { return nil, errors.New("it failed") },
		Types: []any{new(func() string)},
	}, {
		Name:  "FailBool",
		Call:  func(...any) (any, error) { return nil, errors.New("it failed") },
		Types: []any{new(func() bool)},
	}}
	return Deps{
		Expr:     expr.NewCompiler(append(fail, lib.Functions()...)...),
		Patterns: grok.NewSet(),
		Methods:  enrich.Methods(enrich.Deps{Now: clock}),
		Lib:      lib,
		Log:      slog.New(slog.DiscardHandler),
		Now:      clock,
	}
}

func compile(t *testing.T, deps Deps, rules ...rule) (*Pipeline, error) {
	t.Helper()
	var docs []Doc
	for i, r := range rules {
		if r.file == "" {
			r.file = fmt.Sprintf("rules/%02d.yaml", i)
		}
		parsed, err := yamlpos.Parse(r.file, []byte(strings.TrimPrefix(r.text, "\n")))
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed {
			docs = append(docs, Doc{Document: d, Stage: r.stage})
		}
	}
	return Compile(docs, deps)
}

func mustCompile(t *testing.T, rules ...rule) *Pipeline {
	t.Helper()
	p, err := compile(t, testDeps(t), rules...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func line(raw string) *event.Event {
	return &event.Event{Line: event.Line{Raw: raw, Src: "/var/log/x", Module: "file", Time: clock(), Labels: map[string]string{"type": "syslog"}}, Time: clock()}
}

// want is what a row expects of the event; what is empty is expected to be empty.
type want struct {
	Dropped  bool // not understood
	Stage    string
	Parsed   map[string]string
	Meta     map[string]string
	Enriched map[string]string
	StrTime  string
	White    bool
	Reason   string
}

func outcome(evt *event.Event) want {
	return want{Dropped: !evt.Process, Stage: evt.Stage, Parsed: evt.Parsed.Map(), Meta: evt.Meta.Map(), Enriched: evt.Enriched.Map(),
		StrTime: evt.StrTime, White: evt.Whitelisted, Reason: evt.WhitelistReason}
}

// row is one case: rules, a line, and what becomes of it.
type row struct {
	name  string
	rules []rule
	raw   string
	evt   *event.Event // instead of raw
	want  want
}

func runRows(t *testing.T, rows []row) {
	t.Helper()
	for _, tt := range rows {
		t.Run(tt.name, func(t *testing.T) {
			p := mustCompile(t, tt.rules...)
			evt := tt.evt
			if evt == nil {
				evt = line(tt.raw)
			}
			if err := p.Run(evt); err != nil {
				t.Logf("run: %v", err)
			}
			if tt.want.Stage == "" {
				tt.want.Stage = evt.Stage // not what the row is about
			}
			if diff := cmp.Diff(tt.want, outcome(evt), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("event (-want +got):\n%s", diff)
			}
		})
	}
}

// strs makes the maps of rows short to write.
func strs(pairs ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return m
}
