package explain

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"gabion/userspace/event"
)

// setting is a value of an event with its name as rules write it.
type setting struct{ in, key, value string }

func (s setting) name() string { return s.in + s.key }

// snapshot is what an event holds, in an order in which what is set later stands behind what was
// set before.
type snapshot [][]setting

func take(evt *event.Event) snapshot {
	return snapshot{
		fields("evt.Parsed.", &evt.Parsed), fields("evt.Meta.", &evt.Meta), fields("evt.Enriched.", &evt.Enriched),
		unmarshaled(evt.Unmarshaled), labels(evt.Line.Labels), single(evt),
	}
}

func fields(in string, f *event.Fields) []setting {
	out := make([]setting, 0, f.Len())
	for name, value := range f.All() {
		out = append(out, setting{in, name, value})
	}
	return out
}

func unmarshaled(m map[string]any) (out []setting) {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		out = append(out, setting{"evt.Unmarshaled.", key, jsonText(m[key])})
	}
	return out
}

func jsonText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(data)
}

func labels(m map[string]string) (out []setting) {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		out = append(out, setting{"evt.Line.Labels.", key, m[key]})
	}
	return out
}

// single returns the values that are no sets of others.
func single(evt *event.Event) []setting {
	out := []setting{
		{"evt.", "StrTime", evt.StrTime}, {"evt.", "StrTimeFormat", evt.StrTimeFormat}, {"evt.", "MarshaledTime", evt.MarshaledTime},
	}
	if a := evt.Overflow.Alert; a != nil && a.Source != nil {
		out = append(out, setting{"evt.Overflow.Alert.Source.", "Scope", a.Source.Scope},
			setting{"evt.Overflow.Alert.Source.", "Value", a.Source.Value})
	}
	return out
}

// since returns what differs from an earlier snapshot.
func (s snapshot) since(before snapshot) (out []Change) {
	for i, now := range s {
		var old []setting
		if i < len(before) {
			old = before[i]
		}
		if slices.Equal(now, old) {
			continue
		}
		values := map[string]string{}
		for _, o := range old {
			values[o.key] = o.value
		}
		for _, n := range now {
			was, had := values[n.key]
			if was != n.value || !had && n.value != "" {
				out = append(out, Change{Field: n.name(), Before: was, After: n.value})
			}
		}
	}
	return out
}

// detached returns a copy of the event that expressions may write.
func detached(evt *event.Event) *event.Event {
	c := *evt
	c.Parsed, c.Meta, c.Enriched = evt.Parsed.Clone(), evt.Meta.Clone(), evt.Enriched.Clone()
	c.Unmarshaled = maps.Clone(evt.Unmarshaled)
	return &c
}
