package bucket

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"gabion/userspace/event"
	"gabion/userspace/expr"
	"gabion/userspace/yamlpos"
)

// start is event time zero of the tests.
var start = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

func compile(yaml string) (*Scenario, error) {
	docs, err := yamlpos.Parse("test.yaml", []byte(yaml))
	if err != nil {
		return nil, err
	}
	upper := expr.Function{
		Name: "Upper", Types: []any{new(func(string) string)},
		Call: func(args ...any) (any, error) { return strings.ToUpper(args[0].(string)), nil },
	}
	return Compile(docs[0], Deps{Expr: expr.NewCompiler(upper), Log: slog.New(slog.DiscardHandler)})
}

func mustCompile(t testing.TB, yaml string) *Scenario {
	t.Helper()
	s, err := compile(yaml)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// leaky returns the YAML of a leaky scenario with some keys added or replaced.
func leaky(extra string) string {
	return "type: leaky\nname: l\ndescription: d\n" + extra + "\n" + defaults(extra,
		"filter: 'true'", "capacity: 3", "leakspeed: 10s")
}

func trigger(extra string) string {
	return "type: trigger\nname: t\ndescription: d\n" + extra + "\n" + defaults(extra, "filter: 'true'")
}

func defaults(extra string, lines ...string) string {
	var out []string
	for _, l := range lines {
		if key, _, _ := strings.Cut(l, ":"); !strings.Contains("\n"+extra, "\n"+key+":") {
			out = append(out, l)
		}
	}
	return strings.Join(out, "\n")
}

// harness pours events into one table.
type harness struct {
	t      testing.TB
	table  *Table
	hasher Hasher
}

func newHarness(t testing.TB, config TableConfig) *harness {
	h := &harness{t: t, hasher: NewHasher()}
	config.Hasher = h.hasher
	h.table = NewTable(config)
	return h
}

// buckets returns the live buckets.
func (h *harness) buckets() (out []*row) {
	for _, p := range h.table.populations {
		for i := 0; p != nil && !p.mute && i < p.buckets.len(); i++ {
			out = append(out, h.table.row(*p.buckets.rows.At(i)))
		}
	}
	return out
}

// pour offers an event to a scenario and returns the overflow, if any.
func (h *harness) pour(s *Scenario, evt *event.Event) *event.Event {
	h.t.Helper()
	out, _ := h.pourErr(s, evt)
	return out
}

func (h *harness) pourErr(s *Scenario, evt *event.Event) (*event.Event, error) {
	h.t.Helper()
	at, ok := Time(evt)
	if !ok {
		h.t.Fatalf("event has no time: %+v", evt)
	}
	m, err := s.Match(evt, at)
	if m == nil {
		return nil, err
	}
	out, pourErr := h.table.Pour(s, h.hasher.ID(s, m.Key), m)
	if pourErr != nil {
		err = pourErr
	}
	return out, err
}

// at returns a replayed log event so long after start, from an address, with more metadata.
func at(after time.Duration, ip string, meta ...string) *event.Event {
	e := &event.Event{
		ExpectMode: event.Replay, Time: start.Add(after), MarshaledTime: start.Add(after).Format(time.RFC3339Nano),
		Line: event.Line{Raw: fmt.Sprintf("line at %s from %s", after, ip)},
	}
	if ip != "" {
		e.Meta.Set("source_ip", ip)
	}
	for i := 0; i+1 < len(meta); i += 2 {
		e.Meta.Set(meta[i], meta[i+1])
	}
	return e
}

func live(e *event.Event) *event.Event {
	e.ExpectMode, e.MarshaledTime = event.Live, ""
	return e
}
