package bucket

import (
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"gabion/userspace/decision"
	"gabion/userspace/event"
)

// overflow concludes a bucket that was poured over: unless the filter refuses, it returns the event
// with one alert per source and mutes the scenario for the key. The match is the one that was poured
// last; nil when no event but the end of its time made the bucket overflow.
func (t *Table) overflow(s *Scenario, b tally, events []retained, mapkey string, m *Match) (*event.Event, error) {
	run, failed, err := s.alerts(b, events, mapkey)
	if err != nil {
		t.stats.lost.Add(1)
		t.tell(s, m, Lost, b)
		return nil, fmt.Errorf("raise alert: %w", err)
	}
	wanted, err := s.wanted(b, events, run)
	if !wanted {
		t.stats.filtered.Add(1)
		t.tell(s, m, Filtered, b)
		return nil, errors.Join(err, failed)
	}
	if s.blackhole > 0 {
		t.mute(b.id, addTime(b.end, s.blackhole), b.replay)
	}
	t.stats.overflows.Add(1)
	t.tell(s, m, Overflowed, b)
	at := stamp(b.end)
	mode := event.Live
	if b.replay {
		mode = event.Replay
	}
	return &event.Event{
		Type: event.Overflow, ExpectMode: mode, Process: true,
		Time: at, MarshaledTime: at.Format(time.RFC3339Nano), Overflow: run,
	}, errors.Join(err, failed)
}

// mapkey is the name of a bucket that rules can see.
func mapkey(s *Scenario, key string) string {
	h := sha1.New() // the hub's engine uses it as a name; nothing relies on its strength
	h.Write([]byte(s.filterText + "\x00" + key + "\x00" + s.Name))
	return hex.EncodeToString(h.Sum(nil))
}

func stamp(t int64) time.Time { return time.Unix(0, t).UTC() }

// alerts builds what rules see as evt.Overflow: one alert per source, in order of source value.
// What failed of their context is in failed; err means that there is no alert.
func (s *Scenario) alerts(b tally, retained []retained, mapkey string) (run event.RuntimeAlert, failed, err error) {
	context := s.context.Collect()
	sources := map[string]*decision.Source{}
	var events []decision.Event
	for i := range retained {
		e := &retained[i]
		if err := s.addSources(sources, e); err != nil {
			return run, nil, err
		}
		context.Add(e.meta, e.context)
		if len(e.meta) > 0 || e.whole == nil || e.whole.Type != event.Overflow {
			events = append(events, decision.Event{Timestamp: e.timestamp, Meta: e.meta, Line: e.line})
		}
	}
	if len(sources) == 0 {
		return run, nil, errors.New("none of the events names a source")
	}
	meta, failed := context.Meta()
	values := slices.Sorted(maps.Keys(sources))
	run = event.RuntimeAlert{Mapkey: mapkey, Reprocess: s.Reprocess, Sources: sources}
	message := s.message(b, sources[values[0]], len(values))
	for _, value := range values {
		run.APIAlerts = append(run.APIAlerts, &decision.Alert{
			Scenario: s.Name, ScenarioHash: s.Hash, ScenarioVersion: s.Version, Message: message, Kind: decision.OriginScenario,
			Capacity: int32(s.capacity), EventsCount: b.total, Leakspeed: s.leak.String(),
			Simulated: s.Simulated, Remediation: s.Remediation,
			StartAt: stamp(b.first), StopAt: stamp(b.end), Events: events, Meta: meta, Source: sources[value],
		})
	}
	run.Alert = run.APIAlerts[0]
	return run, failed, nil
}

// message says what happened, in the words of the hub's engine.
func (s *Scenario) message(b tally, first *decision.Source, sources int) string {
	who := first.Value
	if sources > 1 {
		who = fmt.Sprintf("%d sources", sources)
	}
	return fmt.Sprintf("%s %s performed '%s' (%d events over %s) at %s",
		first.Scope, who, s.Name, b.total, time.Duration(b.end-b.first), stamp(b.last))
}
