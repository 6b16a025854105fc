package bucket

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"gabion/userspace/decision"
	"gabion/userspace/event"
)

// overflowOf pours the events and returns what the last one led to.
func overflowOf(t *testing.T, s *Scenario, events ...*event.Event) *event.Event {
	t.Helper()
	h := newHarness(t, TableConfig{})
	var out *event.Event
	for _, e := range events {
		out = h.pour(s, e)
	}
	return out
}

func TestAlertSaysWhatHappened(t *testing.T) {
	s := mustCompile(t, leaky("labels: {remediation: true}"))
	var events []*event.Event
	for i := range 4 {
		events = append(events, at(time.Duration(i)*time.Second, "192.0.2.1", "b", "2", "a", "1"))
	}
	out := overflowOf(t, s, events...)
	if out == nil {
		t.Fatal("no overflow")
	}
	var kept []decision.Event
	for i := range 4 {
		kept = append(kept, decision.Event{
			Timestamp: fmt.Sprintf("2024-01-01T00:00:0%dZ", i), Line: fmt.Sprintf("line at %s from 192.0.2.1", time.Duration(i)*time.Second),
			Meta: []decision.Meta{{Key: "a", Value: "1"}, {Key: "b", Value: "2"}, {Key: "source_ip", Value: "192.0.2.1"}},
		})
	}
	want := &decision.Alert{
		Scenario: "l", Kind: "crowdsec", Capacity: 3, EventsCount: 4, Leakspeed: "10s", Remediation: true,
		Message: "Ip 192.0.2.1 performed 'l' (4 events over 3s) at 2024-01-01 00:00:03 +0000 UTC",
		StartAt: start, StopAt: start.Add(3 * time.Second), Events: kept,
		Source: &decision.Source{Scope: "Ip", Value: "192.0.2.1", IP: "192.0.2.1"},
	}
	if diff := cmp.Diff(want, out.Overflow.Alert); diff != "" {
		t.Errorf("alert (-want +got):\n%s", diff)
	}
	if out.Type != event.Overflow || out.MarshaledTime != "2024-01-01T00:00:03Z" || !out.Time.Equal(want.StopAt) {
		t.Errorf("overflow event = type %d at %s, %q", out.Type, out.Time, out.MarshaledTime)
	}
	if out.Overflow.Alert.Source != out.Overflow.Sources["192.0.2.1"] {
		t.Error("the alert's source is not the entry of Sources")
	}
}

func TestTriggerAlertHasOneEvent(t *testing.T) {
	a := overflowOf(t, mustCompile(t, trigger("")), at(0, "2001:db8::1")).Overflow.Alert
	got := fmt.Sprintln(a.Capacity, a.Leakspeed, a.EventsCount, len(a.Events), a.Message)
	want := "0 0s 1 1 Ip 2001:db8::1 performed 't' (1 events over 0s) at 2024-01-01 00:00:00 +0000 UTC\n"
	if got != want {
		t.Errorf("alert = %s\nwant    %s", got, want)
	}
}

func TestScopeSaysWhoTheSourceIs(t *testing.T) {
	ranged := func(network string) *event.Event {
		e := at(0, "192.0.2.7", "SourceRange", network, "user", "root")
		e.Unmarshaled = map[string]any{"number": 5}
		e.Enriched = event.MakeFields("ASNumber", "64496", "ASNOrg", "EXAMPLE", "IsoCode", "DE", "Latitude", "52.5", "Longitude", "x")
		return e
	}
	full := decision.Source{
		Scope: "Ip", Value: "192.0.2.7", IP: "192.0.2.7", Range: "192.0.2.0/24", AsNumber: "64496", AsName: "EXAMPLE",
		Cn: "DE", Latitude: 52.5,
	}
	inRange := full
	inRange.Scope, inRange.Value = "Range", "192.0.2.0/24"
	noRange := full
	noRange.Scope, noRange.Value, noRange.Range = "Range", "", ""
	computed := inRange
	computed.Value = "ROOT"
	for _, tt := range []struct {
		name, scope string
		evt         *event.Event
		want        *decision.Source // nil: the overflow is lost
	}{
		{"an address by default", "", ranged("192.0.2.9/24"), &full},
		{"its range", "scope: {type: Range}", ranged("192.0.2.9/24"), &inRange},
		{"a range that an expression gives", "scope: {type: Range, expression: Upper(evt.Meta.user)}", ranged("192.0.2.9/24"), &computed},
		{"anything else", "scope: {type: user, expression: evt.Meta.user}", ranged(""), &decision.Source{Scope: "user", Value: "root"}},
		{"no range known", "scope: {type: Range}", ranged(""), &noRange},
		{"nothing", "scope: {type: user, expression: evt.Meta.none}", ranged(""), &decision.Source{Scope: "user"}},
		{"a number, which is no name", "scope: {type: user, expression: evt.Unmarshaled.number}", ranged(""), &decision.Source{Scope: "user"}},
		{"a range that is none", "", ranged("192.0.2.9"), nil},
		{"no address", "", at(0, ""), nil},
		{"an address that is none", "", at(0, "300.0.2.1"), nil},
		{"an expression that fails", "scope: {type: user, expression: 'evt.Overflow.Alert.Scenario'}", at(0, "192.0.2.1"), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out := overflowOf(t, mustCompile(t, trigger(tt.scope)), tt.evt)
			if out == nil {
				if tt.want != nil {
					t.Fatal("the overflow was lost")
				}
				return
			}
			if diff := cmp.Diff(tt.want, out.Overflow.Alert.Source); diff != "" {
				t.Errorf("source (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSeveralSourcesGiveAnAlertEach(t *testing.T) {
	s := mustCompile(t, leaky("capacity: 1\nscope: {type: username, expression: evt.Meta.user}"))
	out := overflowOf(t, s, at(0, "", "user", "zoe"), at(0, "", "user", "ann"))
	var got []string
	for _, a := range out.Overflow.APIAlerts {
		got = append(got, a.Source.Value+": "+a.Message)
	}
	message := "username 2 sources performed 'l' (2 events over 0s) at 2024-01-01 00:00:00 +0000 UTC"
	if diff := cmp.Diff([]string{"ann: " + message, "zoe: " + message}, got); diff != "" {
		t.Errorf("alerts (-want +got):\n%s", diff)
	}
}

func TestAnEventWithoutASourceLosesNoOther(t *testing.T) {
	s := mustCompile(t, leaky("capacity: 1\nscope: {type: username, expression: evt.Meta.user}"))
	out := overflowOf(t, s, at(0, ""), at(0, "", "user", "ann"))
	if out == nil || len(out.Overflow.APIAlerts) != 2 || out.Overflow.APIAlerts[0].Source.Value != "" || out.Overflow.APIAlerts[1].Source.Value != "ann" {
		t.Errorf("overflow %+v", out)
	}
}

func TestValuesThatAreNoTextAreAllTheSame(t *testing.T) {
	s := mustCompile(t, leaky("capacity: 1\ndistinct: evt.Unmarshaled.number"))
	for i := range 3 {
		e := at(0, "192.0.2.1")
		e.Unmarshaled = map[string]any{"number": i}
		if overflowOf(t, s, e, e) != nil {
			t.Error("a repeated value was counted")
		}
	}
}

func TestRangesAreMadeOfOverflowsThatAreFedBack(t *testing.T) {
	s := mustCompile(t, leaky("capacity: 1\nfilter: evt.GetType() == 'overflow'\ndistinct: evt.Overflow.Alert.Source.IP\nscope: {type: Range}"))
	inner := func(ip string) *event.Event {
		src := &decision.Source{Scope: "Ip", Value: ip, IP: ip, Range: "192.0.2.0/24", Cn: "DE"}
		return &event.Event{Type: event.Overflow, Time: start, Overflow: event.RuntimeAlert{
			Sources: map[string]*decision.Source{ip: src}, Alert: &decision.Alert{Source: src},
		}}
	}
	out := overflowOf(t, s, inner("192.0.2.1"), inner("192.0.2.1"), inner("192.0.2.2"))
	if out == nil {
		t.Fatal("no overflow")
	}
	want := &decision.Source{Scope: "Range", Value: "192.0.2.0/24", Range: "192.0.2.0/24", Cn: "DE"}
	if diff := cmp.Diff(want, out.Overflow.Alert.Source); diff != "" {
		t.Errorf("source (-want +got):\n%s", diff)
	}
}

func TestRetainedTextIsCutBetweenCharacters(t *testing.T) {
	e := at(0, "192.0.2.1", "path", strings.Repeat("é", maxValue), "zeta", "last")
	e.Line.Raw = "x" + strings.Repeat("é", decision.MaxLine)
	for i := range 20 {
		e.Meta.Set(fmt.Sprint("key", i), strings.Repeat("v", maxValue))
	}
	a := overflowOf(t, mustCompile(t, trigger("")), e).Overflow.Alert
	line, path := a.Events[0].Line, a.Events[0].GetMeta("path")
	if len(line) != decision.MaxLine-1 || !utf8.ValidString(line) {
		t.Errorf("line has %d bytes, valid %v", len(line), utf8.ValidString(line))
	}
	if path != "" && !utf8.ValidString(path) {
		t.Error("a value was cut inside a character")
	}
	if got := a.Events[0].GetMeta("zeta"); got != "last" {
		t.Errorf("a short value behind long ones = %q, want %q", got, "last")
	}
	if a.Source.IP != "192.0.2.1" {
		t.Error("long values crowded out the source")
	}
}

func TestWhatAFilterSetsIsSeenByItsOwnScenarioAlone(t *testing.T) {
	s := mustCompile(t, trigger("filter: evt.SetMeta('cve', 'CVE-2024-1')"))
	e := at(0, "192.0.2.1")
	a := overflowOf(t, s, e).Overflow.Alert
	if got := a.Events[0].GetMeta("cve"); got != "CVE-2024-1" {
		t.Errorf("alert's cve = %q", got)
	}
	if _, leaked := e.Meta.Lookup("cve"); leaked {
		t.Error("the shared event was changed")
	}
}

func TestTimeOfAnEvent(t *testing.T) {
	for _, tt := range []struct {
		name string
		evt  event.Event
		want time.Time
		ok   bool
	}{
		{"live: arrival", event.Event{Time: start, MarshaledTime: "2020-01-01T00:00:00Z"}, start, true},
		{"replay: the log's own", event.Event{ExpectMode: event.Replay, MarshaledTime: "2024-01-01T00:00:00Z", Time: start.Add(1)}, start, true},
		{"replay without: what parsing left", event.Event{ExpectMode: event.Replay, Time: start}, start, true},
		{"replay with text that is no time", event.Event{ExpectMode: event.Replay, MarshaledTime: "yesterday", Time: start}, start, false},
		{"none", event.Event{}, start, false},
		{"too far away to count in", event.Event{Time: start.AddDate(50000, 0, 0)}, start, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := Time(&tt.evt)
			if ok != tt.ok || ok && !got.Equal(tt.want) {
				t.Errorf("time = %v, %v, want %v, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}
