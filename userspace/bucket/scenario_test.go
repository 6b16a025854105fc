package bucket

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gabion/userspace/expr"
	"gabion/userspace/yamlpos"
)

func TestEveryFaultOfAScenarioIsReportedWithItsPlace(t *testing.T) {
	_, err := compile(`type: leaky
name: x
filter: evt.Meta.a ==
groupby: evt.Nope
capacity: -1
blackhole: -5s
scope:
  type: ip
format: 9.0
bayesian_prior: 0.1
overflow_filter: evt.Meta.x
`)
	var errs yamlpos.Errors
	if !errors.As(err, &errs) {
		t.Fatalf("error = %v, want yamlpos.Errors", err)
	}
	var got []string
	for _, e := range errs {
		got = append(got, fmt.Sprintf("%d:%d", e.Line, e.Column))
	}
	// Line 1 has two: no description, no leakspeed.
	want := []string{"1:1", "1:1", "3:21", "4:14", "5:1", "6:1", "8:3", "9:9", "10:1", "11:18"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("places (-want +got):\n%s\n%v", diff, err)
	}
}

func TestWhatCannotBeDecodedHidesNoOtherFault(t *testing.T) {
	_, err := compile(`type: leaky
name: x
descripton: misspelt, so not also missing
filter: evt.Meta.a ==
groupby: evt.Nope
capacity: many
leakspeed: 10 parsecs
cancel_on: [a]
scope: {typ: user, expression: evt.Nope}
labels: {remediation: true}
colour: red
`)
	want := strings.TrimSpace(`
test.yaml:3:1: unknown key "descripton": did you mean "description"?
test.yaml:4:21: unexpected token EOF
test.yaml:5:14: type event.Event has no field Nope
test.yaml:6:11: want a whole number, found "many"
test.yaml:7:12: invalid duration "10 parsecs": write a number and a unit, such as 30s, 5m, 4h or 7d
test.yaml:8:12: want text, found a list
test.yaml:9:9: unknown key "typ": did you mean "type"?
test.yaml:9:36: type event.Event has no field Nope
test.yaml:11:1: unknown key "colour"`)
	if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}

func TestScenariosThatAreRefused(t *testing.T) {
	for _, tt := range []struct{ name, yaml, want string }{
		{"unknown key", leaky("capcity: 4"), "capacity"},
		{"key of another version", leaky("simulation: true"), `unknown key "simulation"`},
		{"no capacity", leaky("capacity: 0"), "needs a capacity from 1"},
		{"no leakspeed", leaky("leakspeed: 0s"), "needs a leakspeed"},
		{"capacity of a trigger", trigger("capacity: 3"), "leave capacity out"},
		{"bayesian with a capacity", strings.Replace(bayesian(clues), "-1", "5", 1), "a bayesian scenario needs a capacity of -1: it takes any number of events"},
		{"bayesian without conditions", bayesian("bayesian_prior: 0.1\nbayesian_threshold: 1"), "a bayesian scenario needs 1 to 64 bayesian_conditions"},
		{"bayesian without prior", bayesian(strings.Replace(clues, "0.1", "0", 1)), "bayesian_prior must be above 0 and at most 1: how likely an attack is before anything is known"},
		{"bayesian with an impossible threshold", bayesian(strings.Replace(clues, "0.5", "1.5", 1)), "bayesian_threshold must be above 0 and at most 1: how likely an attack must be"},
		{"bayesian with an impossible probability", bayesian(strings.Replace(clues, "0.8", "8", 1)), "a bayesian condition needs a prob_given_evil from 0 to 1"},
		{"bayesian condition without probability", bayesian(strings.Replace(clues, ", prob_given_benign: 0.2", "", 1)), "a bayesian condition needs a prob_given_benign from 0 to 1"},
		{"counter without duration", strings.Replace(counter(""), "duration: 1m", "", 1), "a counter scenario needs a duration, such as 10m: it overflows when that is over"},
		{"counter with a capacity", strings.Replace(counter(""), "-1", "1", 1), "a counter scenario needs a capacity of -1"},
		{"negative duration", leaky("duration: -1s"), "duration must not be negative"},
		{"prior without threshold", leaky("bayesian_prior: 0.5"), "bayesian_prior says nothing without a bayesian_threshold"},
		{"conditional without condition", strings.Replace(leaky(""), "leaky", "conditional", 1), "needs a condition"},
		{"unknown type", strings.Replace(leaky(""), "leaky", "sieve", 1), `unknown bucket type "sieve"`},
		{"expression for Ip", leaky("scope: {type: Ip, expression: evt.Meta.x}"), "takes no expression"},
		{"scope without expression", leaky("scope: {type: user}"), "scope user needs an expression"},
		{"filter that gives text", leaky("filter: evt.Meta.x"), "want true or false"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := compile(tt.yaml)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want one that says %q", err, tt.want)
			}
			if err != nil && strings.Count(err.Error(), "\n") > 0 {
				t.Errorf("one fault gave several errors:\n%v", err)
			}
		})
	}
}

func TestRemediationIsTheBooleanOfYAML11(t *testing.T) {
	for value, want := range map[string]bool{"true": true, "yes": true, "on": true, `"true"`: false, "1": false, "false": false} {
		if got := mustCompile(t, leaky("labels: {remediation: "+value+"}")).Remediation; got != want {
			t.Errorf("remediation: %s = %v, want %v", value, got, want)
		}
	}
}

func TestNumberChangesWithTheDefinitionAlone(t *testing.T) {
	base := mustCompile(t, leaky("")).Number()
	for extra, same := range map[string]bool{
		"blackhole: 1m": true, "labels: {a: b}": true,
		"capacity: 4": false, "filter: 'false'": false, "groupby: evt.Meta.a": false, "cache_size: 1": false,
		"duration: 1m": false, "bayesian_prior: 0.1\nbayesian_threshold: 0.5\nbayesian_conditions: [{condition: 'true', prob_given_evil: 1, prob_given_benign: 0}]": false,
	} {
		if got := mustCompile(t, leaky(extra)).Number() == base; got != same {
			t.Errorf("with %s the number is the same = %v, want %v", extra, got, same)
		}
	}
}

func TestASimulatedScenarioRaisesSimulatedAlerts(t *testing.T) {
	docs, err := yamlpos.Parse("test.yaml", []byte(trigger("")))
	if err != nil {
		t.Fatal(err)
	}
	s, err := Compile(docs[0], Deps{Expr: expr.NewCompiler(), Simulated: func(name string) bool { return name == "t" }})
	if err != nil {
		t.Fatal(err)
	}
	if a := overflowOf(t, s, at(0, "192.0.2.1")).Overflow.Alert; !a.Simulated {
		t.Error("the alert is not simulated")
	}
}
