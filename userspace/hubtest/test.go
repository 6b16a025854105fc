package hubtest

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gabion/userspace/engine"
	"gabion/userspace/enrich"
	"gabion/userspace/event"
	"gabion/userspace/expr"
	"gabion/userspace/exprlib"
	"gabion/userspace/geo"
	"gabion/userspace/grok"
	"gabion/userspace/rules"
)

// State is everything that a test recorded.
type State struct {
	Parsers   ParserResults
	Scenarios ScenarioResults
}

// test is one test that is being run. It belongs to one goroutine.
type test struct {
	options  *Options
	name     string
	dir      string
	patterns *grok.Set
	config   *config
	log      []byte
	lib      *exprlib.Lib
	state    *State // nil until the log was run
}

// run runs the test and judges it.
func (t *test) run() Result {
	r := Result{Test: t.name, Outcome: Failed}
	missing, err := t.record()
	switch {
	case err != nil:
		r.Reason = err.Error()
		return r
	case len(missing) > 0:
		r.Outcome = MissingData
		r.Reason = "missing data files: " + strings.Join(missing, ", ")
		return r
	}
	r.reached = reachedBy(t.state)
	if t.options.Update {
		if err := t.update(); err != nil {
			r.Reason = err.Error()
			return r
		}
	}
	t.judge(&r)
	return r
}

// record runs the log through the rules. It does not when data files are missing, and returns
// their names.
func (t *test) record() (missing []string, err error) {
	if t.config, err = readConfig(t.dir); err != nil {
		return nil, err
	}
	in, err := install(t.options.Hub, t.options.Root, t.dir, t.config)
	if err != nil {
		return nil, err
	}
	data := dirs(t.options.Data)
	if t.config.ownData || in.ownData {
		data = slices.Concat(dirs(t.options.OwnData), data)
	}
	for _, f := range in.data {
		if data.find(f.DestFile) == "" && !slices.Contains(missing, f.DestFile) {
			missing = append(missing, f.DestFile)
		}
	}
	if len(missing) > 0 {
		return missing, nil
	}
	if t.log, err = os.ReadFile(filepath.Join(t.dir, t.config.logFile.Text)); err != nil {
		return nil, fmt.Errorf("read log: %w", err)
	}
	if len(t.log) == 0 {
		return nil, fmt.Errorf("%s: the log is empty", t.config.logFile.Text)
	}
	now := t.clock()
	set, err := t.load(in.sources, data, now)
	if err != nil {
		return nil, fmt.Errorf("compile rules: %w", err)
	}
	return nil, t.walk(set, now)
}

// load compiles the rules of the test.
func (t *test) load(sources []rules.Source, data dirs, now time.Time) (*rules.Set, error) {
	log := t.options.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	clock := func() time.Time { return now }
	t.lib = exprlib.New(exprlib.Deps{Data: data, Log: log, Now: clock})
	databases := &geo.Databases{}
	if dir := data.databases(); dir != "" {
		var err error
		if databases, err = geo.Open(dir); err != nil {
			return nil, fmt.Errorf("open address databases: %w", err)
		}
	}
	return rules.Load(sources, rules.Deps{
		Expr: expr.NewCompiler(t.lib.Functions()...), Lib: t.lib, Patterns: t.patterns, Log: log, Now: clock,
		Methods: enrich.Methods(enrich.Deps{Now: clock, Geo: databases, Log: log}),
	})
}

// walk runs the lines of the log, each to its end before the next.
func (t *test) walk(set *rules.Set, now time.Time) error {
	rec := newRecorder(t.config.countsParsers() || t.options.Update || t.options.Dump != nil)
	w := engine.NewWalk(engine.Config{Rules: set, Log: t.options.Log, Now: func() time.Time { return now }}, rec)
	defer w.Close()
	labels := map[string]string{}
	for k, v := range t.config.labels {
		labels[k] = v
	}
	labels["type"] = t.config.logType.Text
	file := filepath.Join(t.dir, t.config.logFile.Text)
	for line := range bytes.SplitSeq(t.log, []byte("\n")) {
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(line) == 0 {
			continue
		}
		_, err := w.Event(&event.Event{
			ExpectMode: event.Replay, Process: true, Time: now,
			Line: event.Line{Raw: string(line), Src: file, Time: now, Labels: labels, Process: true, Module: "file"},
		})
		if err != nil {
			return fmt.Errorf("run log: %w", err)
		}
	}
	if len(rec.parsers) == 1 {
		return errors.New("no line came to a parser: the test installs none that runs")
	}
	rec.scenarios.order()
	t.state = &State{rec.parsers, rec.scenarios}
	return nil
}
