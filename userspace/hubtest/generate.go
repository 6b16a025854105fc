package hubtest

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"gabion/userspace/hubtest/assert"
)

// update writes the assertion files that count anew, from what came out.
func (t *test) update() error {
	g := generator{now: t.options.Now.UTC().Format(time.RFC3339Nano)}
	for _, f := range []struct {
		name   string
		counts bool
		write  func()
	}{
		{parserFile, t.config.countsParsers(), func() { g.parsers(t.state.Parsers) }},
		{scenarioFile, t.config.countsScenarios(), func() { g.scenarios(t.state.Scenarios) }},
	} {
		if !f.counts {
			continue
		}
		g.out.Reset()
		f.write()
		if err := os.WriteFile(filepath.Join(t.dir, f.name), g.out.Bytes(), 0o644); err != nil {
			return fmt.Errorf("write assertions: %w", err)
		}
	}
	return nil
}

// generator writes assertions that hold for results, in the form in which hubs have them. Empty
// fields are left out, and so is the present, which a rule takes for a date that it cannot read.
type generator struct {
	out bytes.Buffer
	now string
}

func (g *generator) linef(format string, args ...any) { fmt.Fprintf(&g.out, format+"\n", args...) }

// parsers writes the assertions of parser.assert.
func (g *generator) parsers(results ParserResults) {
	g.linef("len(results) == %d", len(results))
	for _, stage := range sortedKeys(results) {
		for _, node := range sortedKeys(results[stage]) {
			list := results[stage][node]
			path := fmt.Sprintf("results[%s][%s]", assert.Quote(stage), assert.Quote(node))
			g.linef("len(%s) == %d", path, len(list))
			for i := range list {
				g.parser(fmt.Sprintf("%s[%d]", path, i), &list[i])
			}
		}
	}
}

func (g *generator) parser(path string, r *ParserResult) {
	g.linef("%s.Success == %t", path, r.Success)
	if !r.Success {
		return
	}
	e := &r.Evt
	g.fields(path+".Evt.Parsed[%s]", e.Parsed)
	g.fields(path+".Evt.Meta[%s]", e.Meta)
	g.fields(path+".Evt.Enriched[%s]", e.Enriched)
	g.decoded(path+".Evt.Unmarshaled", e.Unmarshaled)
	g.linef("%s.Evt.Whitelisted == %t", path, e.Whitelisted)
	if e.WhitelistReason != "" {
		g.linef("%s.Evt.WhitelistReason == %s", path, assert.Quote(e.WhitelistReason))
	}
}

// fields writes what text fields have; path takes the key.
func (g *generator) fields(path string, fields map[string]string) {
	for _, key := range sortedKeys(fields) {
		if value := fields[key]; value != "" && value != g.now {
			g.field(fmt.Sprintf(path, assert.Quote(key)), key, value)
		}
	}
}

func (g *generator) field(path, key, value string) {
	if key == "datasource_path" {
		path, value = "basename("+path+")", filepath.Base(value)
	}
	g.linef("%s == %s", path, assert.Quote(value))
}

// decoded writes the values that rules decoded from JSON, XML or pairs.
func (g *generator) decoded(path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range sortedKeys(v) {
			g.decoded(path+"["+assert.Quote(key)+"]", v[key])
		}
	case map[string]string:
		for _, key := range sortedKeys(v) {
			g.decoded(path+"["+assert.Quote(key)+"]", v[key])
		}
	case []any:
		for i := range v {
			g.decoded(fmt.Sprintf("%s[%d]", path, i), v[i])
		}
	case string:
		g.linef("%s == %s", path, assert.Quote(v))
	case bool, int:
		g.linef("%s == %v", path, v)
	case float64:
		const whole = 1e6 // below it, hubs write a number without a fraction as it is
		if v == math.Trunc(v) && math.Abs(v) < whole {
			g.linef("%s == %.0f", path, v)
		} else {
			g.linef("FloatApproxEqual(%s, %f)", path, v)
		}
	}
}

// scenarios writes the assertions of scenario.assert.
func (g *generator) scenarios(results ScenarioResults) {
	g.linef("len(results) == %d", len(results))
	for i := range results {
		run := &results[i].Overflow
		path := fmt.Sprintf("results[%d].Overflow", i)
		for _, key := range sortedKeys(run.Sources) {
			g.linef("%s in %s.GetSources()", assert.Quote(key), path)
			source, at := run.Sources[key], fmt.Sprintf("%s.Sources[%s]", path, assert.Quote(key))
			g.linef("%s.IP == %s", at, assert.Quote(source.IP))
			g.linef("%s.Range == %s", at, assert.Quote(source.Range))
			g.linef("%s.GetScope() == %s", at, assert.Quote(source.Scope))
			g.linef("%s.GetValue() == %s", at, assert.Quote(source.Value))
		}
		for j, e := range run.Alert.Events {
			for _, m := range e.Meta {
				if m.Value != g.now {
					g.field(fmt.Sprintf("%s.Alert.Events[%d].GetMeta(%s)", path, j, assert.Quote(m.Key)), m.Key, m.Value)
				}
			}
		}
		g.linef("%s.Alert.GetScenario() == %s", path, assert.Quote(run.Alert.Scenario))
		g.linef("%s.Alert.Remediation == %t", path, run.Alert.Remediation)
		g.linef("%s.Alert.GetEventsCount() == %d", path, run.Alert.EventsCount)
	}
}
