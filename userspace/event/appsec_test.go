package event_test

import (
	"fmt"
	"testing"

	"gabion/userspace/event"
)

func TestWhatRulesAskOfMatchedRules(t *testing.T) {
	a := event.AppsecEvent{
		Vars: map[string]string{"anomaly": "5"},
		MatchedRules: event.MatchedRules{
			{
				"id": 1, "name": "first", "uri": "/a", "method": "GET", "hash": "h", "version": "1.0", "rule_type": "inband",
				"severity": "critical", "severity_int": 2, "accuracy": 7, "disruptive": true,
				"tags": []string{"sqli", "xss"}, "matched_zones": []string{"BODY", "ARGS"},
			},
			{"id": 2, "name": "second", "rule_type": "inband", "severity": "notice", "severity_int": 5, "tags": []string{"xss"}, "matched_zones": []string{"ARGS"}},
			{"id": "three", "rule_type": "outofband", "disruptive": false, "msg": "m"},
		},
	}
	none := event.AppsecEvent{}
	for _, tt := range []struct {
		name      string
		got, want any
	}{
		{"a variable", a.GetVar("anomaly"), "5"},
		{"a variable that is not there", none.GetVar("anomaly"), ""},
		{"the first name", a.GetName(), "first"},
		{"the first URI, method, hash and version", []string{a.GetURI(), a.GetMethod(), a.GetHash(), a.GetVersion()}, "[/a GET h 1.0]"},
		{"no rule", none.GetName() + none.GetURI(), ""},
		{"all names", a.GetNames(), "[first second]"},
		{"IDs that are numbers", a.GetRuleIDs(), "[1 2]"},
		{"a field of any type", a.GetField("id"), "[1 2 three]"},
		{"kinds, each once", a.Kinds(), "[inband outofband]"},
		{"zones, each once", a.GetMatchedZones(), "[ARGS BODY]"},
		{"the gravest severity", a.GetHighestSeverity(), 2},
		{"no severity", none.GetHighestSeverity(), 255},
		{"by ID", a.ByID(2).GetNames(), "[second]"},
		{"by kind", len(a.ByKind("inband")), 2},
		{"by severity", a.BySeverity("notice").GetRuleIDs(), "[2]"},
		{"by accuracy", a.ByAccuracy("7").GetName(), "first"},
		{"by an accuracy that is no number", len(a.ByAccuracy("high")), 0},
		{"disruptive", a.ByDisruptiveness(true).GetNames(), "[first]"},
		{"by tag", a.ByTag("xss").GetNames(), "[first second]"},
		{"by several tags, each rule once", a.ByTags([]string{"sqli", "xss"}).GetNames(), "[first second]"},
		{"by an expression over tags", a.ByTagRx("^sq").GetNames(), "[first]"},
		{"by text that is no expression", len(a.ByTagRx("(")), 0},
		{"one after the other", a.ByKind("inband").ByTag("sqli").GetName(), "first"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, want := fmt.Sprint(tt.got), fmt.Sprint(tt.want); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}
