package hubtest

import (
	"cmp"
	"maps"
	"sort"
	"strings"
	"time"

	"gabion/userspace/bucket"
	"gabion/userspace/decision"
	"gabion/userspace/event"
	"gabion/userspace/parse"
)

// ParserResults is what the assertions of parser.assert know as results: by stage and name of the
// document, one entry for each event that came to it, in order. Field names are those that
// assertions use.
type ParserResults map[string]map[string][]ParserResult

// ParserResult is an event as a document's node left it.
type ParserResult struct {
	Evt     Event
	Success bool
}

// Event is a copy of an event.
type Event struct {
	Type            int
	ExpectMode      int
	Whitelisted     bool
	WhitelistReason string
	Stage           string
	Line            event.Line
	Parsed          map[string]string
	Enriched        map[string]string
	Unmarshaled     map[string]any
	Overflow        event.RuntimeAlert
	Time            time.Time
	StrTime         string
	StrTimeFormat   string
	MarshaledTime   string
	Process         bool
	Meta            map[string]string
}

// GetType returns "log" or "overflow".
func (e Event) GetType() string { return (&event.Event{Type: e.Type}).GetType() }

// GetMeta returns a metadata value, "" when there is none.
func (e Event) GetMeta(key string) string { return e.Meta[key] }

// ScenarioResults is what the assertions of scenario.assert know as results: one entry for each
// overflow that made an alert.
type ScenarioResults []ScenarioResult

// ScenarioResult is an overflow as the post-overflow rules left it.
type ScenarioResult struct {
	Overflow event.RuntimeAlert
}

// order sorts by scenario and sources, the last first. The algorithm is the one that the hub's own
// tool uses, which settles the order of equal entries that tests rely on.
func (r ScenarioResults) order() {
	keys := make([]string, len(r))
	for i := range r {
		keys[i] = r[i].key()
	}
	sort.Sort(byKey{r, keys})
}

// key is the scenario's name and the sources, each behind the other.
func (r *ScenarioResult) key() string {
	sources := r.Overflow.GetSources()
	sort.Strings(sources)
	return r.Overflow.Alert.Scenario + strings.Join(sources, "@")
}

type byKey struct {
	results ScenarioResults
	keys    []string
}

func (b byKey) Len() int           { return len(b.keys) }
func (b byKey) Less(i, j int) bool { return b.keys[i] > b.keys[j] }
func (b byKey) Swap(i, j int) {
	b.results[i], b.results[j] = b.results[j], b.results[i]
	b.keys[i], b.keys[j] = b.keys[j], b.keys[i]
}

// recorder writes down what assertions can ask for. It implements engine.Tracer.
type recorder struct {
	parsers   ParserResults
	scenarios ScenarioResults
	events    bool // copy events: nobody looks at them otherwise
}

func newRecorder(events bool) *recorder {
	return &recorder{events: events, parsers: ParserResults{"success": {"": nil}}}
}

// Step implements engine.Tracer.
func (r *recorder) Step(s parse.Step) {
	if s.Kind != parse.StepDone || s.Node.Depth() > 0 {
		return
	}
	stage := r.parsers[s.Node.Stage()]
	if stage == nil {
		stage = map[string][]ParserResult{}
		r.parsers[s.Node.Stage()] = stage
	}
	result := ParserResult{Success: s.OK}
	if r.events {
		result.Evt = copyOf(s.Event)
	}
	stage[s.Node.Name()] = append(stage[s.Node.Name()], result)
}

// Offered implements engine.Tracer.
func (r *recorder) Offered(*bucket.Scenario, *event.Event, *bucket.Match, error) {}

// Poured implements engine.Tracer.
func (r *recorder) Poured(bucket.Poured) {}

// Concluded implements engine.Tracer.
func (r *recorder) Concluded(overflow *event.Event, _ []*decision.Alert, _ error) {
	r.scenarios = append(r.scenarios, ScenarioResult{overflow.Overflow})
}

func copyOf(e *event.Event) Event {
	out := Event{
		Type: e.Type, ExpectMode: e.ExpectMode, Whitelisted: e.Whitelisted, WhitelistReason: e.WhitelistReason, Stage: e.Stage,
		Line: e.Line, Parsed: e.Parsed.Map(), Enriched: e.Enriched.Map(), Meta: e.Meta.Map(),
		Overflow: e.Overflow, Time: e.Time, StrTime: e.StrTime, StrTimeFormat: e.StrTimeFormat,
		MarshaledTime: e.MarshaledTime, Process: e.Process,
	}
	out.Unmarshaled, _ = copyValue(e.Unmarshaled).(map[string]any)
	return out
}

// copyValue copies what rules decoded.
func copyValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[k] = copyValue(x)
		}
		return out
	case map[string]string:
		return maps.Clone(v)
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = copyValue(x)
		}
		return out
	}
	return v
}

// sortedKeys returns the keys of a map in order.
func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool { return keys[i] < keys[j] })
	return keys
}
