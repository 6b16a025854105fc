package profile

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gabion/userspace/decision"
	"gabion/userspace/expr"
	"gabion/userspace/yamlpos"
)

var now = time.Date(2024, 1, 1, 12, 0, 0, 0, time.UTC)

// compiler returns a compiler whose GetDecisionsCount gives a fixed number.
func compiler(earlier int) *expr.Compiler {
	return expr.NewCompiler(expr.Function{
		Name: "GetDecisionsCount", Types: []any{new(func(string) int)},
		Call: func(...any) (any, error) { return earlier, nil },
	})
}

func compileText(yaml string, earlier int) (*Profiles, error) {
	docs, err := yamlpos.Parse("profiles.yaml", []byte(yaml))
	if err != nil {
		return nil, err
	}
	return Compile(docs, compiler(earlier))
}

func alert(scope, value string, remediation bool) *decision.Alert {
	return &decision.Alert{
		Scenario: "s", Remediation: remediation, Source: &decision.Source{Scope: scope, Value: value},
	}
}

// taken describes the decisions of an alert.
func taken(a *decision.Alert) string {
	var out []string
	for _, d := range a.Decisions {
		s := fmt.Sprintf("%s %s %s %s %s %s", d.Type, d.Scope, d.Value, d.Duration, d.Origin, d.Scenario)
		if d.Simulated {
			s += " simulated"
		}
		out = append(out, s)
	}
	return strings.Join(out, "; ")
}

func TestWhatCannotBeDecodedHidesNoOtherFault(t *testing.T) {
	_, err := compileText(`nam: p
filters: [Alert.Nope, 'Alert.Remediation', 'Alert.GetScope(']
on_success: stop
on_failure: [x]
colour: red
duration_expr: Nope
decisions:
- {typ: ban, duration: 4 hours}
- {type: ban, duration: 999999h}
- {}
`, 0)
	want := strings.TrimSpace(`
profiles.yaml:1:1: unknown key "nam": did you mean "name"?
profiles.yaml:2:17: type decision.Alert has no field Nope
profiles.yaml:2:59: unexpected token EOF
profiles.yaml:3:1: on_success "stop": want one of continue, break
profiles.yaml:4:13: want text, found a list
profiles.yaml:5:1: unknown key "colour"
profiles.yaml:6:16: unknown name Nope
profiles.yaml:8:4: unknown key "typ": did you mean "type"?
profiles.yaml:8:24: invalid duration "4 hours": write a number and a unit, such as 30s, 5m, 4h or 7d
profiles.yaml:9:15: duration 999999h0m0s is outside 0 to 87600h0m0s
profiles.yaml:10:3: a decision needs a type, such as ban`)
	if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
}

func TestDefaultProfilesBanLongerEachTime(t *testing.T) {
	for _, tt := range []struct {
		name    string
		alert   *decision.Alert
		earlier int
		want    string
	}{
		{"an address for the first time", alert("Ip", "192.0.2.1", true), 0, "ban Ip 192.0.2.1 4h0m0s crowdsec s"},
		{"IPv4 in the form of IPv6", alert("Ip", "::ffff:192.0.2.1", true), 0, "ban Ip 192.0.2.1 4h0m0s crowdsec s"},
		{"an address of one link", alert("Ip", "FE80::1%eth0", true), 0, "ban Ip fe80::1 4h0m0s crowdsec s"},
		{"for the second time", alert("Ip", "192.0.2.1", true), 1, "ban Ip 192.0.2.1 8h0m0s crowdsec s"},
		{"for the sixth time", alert("Ip", "192.0.2.1", true), 5, "ban Ip 192.0.2.1 128h0m0s crowdsec s"},
		{"seven days at most", alert("Ip", "192.0.2.1", true), 1_000_000, "ban Ip 192.0.2.1 168h0m0s crowdsec s"},
		{"a range", alert("Range", "192.0.2.0/24", true), 0, "ban Range 192.0.2.0/24 4h0m0s crowdsec s"},
		{"without remediation", alert("Ip", "192.0.2.1", false), 0, ""},
		{"another scope", alert("username", "root", true), 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := compileText(string(Default()), tt.earlier)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Apply(tt.alert, now); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, taken(tt.alert)); diff != "" {
				t.Errorf("decisions (-want +got):\n%s", diff)
			}
			for _, d := range tt.alert.Decisions {
				if !d.CreatedAt.Equal(now) || !d.Until.Equal(now.Add(d.Duration)) {
					t.Errorf("decision runs from %s to %s", d.CreatedAt, d.Until)
				}
			}
		})
	}
}

func TestProfilesInOrder(t *testing.T) {
	ban := "\ndecisions: [{type: ban, duration: 1h}]\n"
	captcha := "\ndecisions: [{type: captcha, duration: 2h}]\n"
	yes, no, fails := "name: y\nfilters: ['true']", "name: n\nfilters: ['false']", "name: f\nfilters: ['Alert.Events[9].Line == \"\"']"
	next := "---\n"
	for _, tt := range []struct {
		name, yaml, want string
		fails            bool
	}{
		{"the first that matches decides", no + ban + next + yes + captcha, "captcha Ip 192.0.2.1 2h0m0s crowdsec s", false},
		{"a second match adds nothing", yes + ban + next + yes + captcha, "ban Ip 192.0.2.1 1h0m0s crowdsec s", false},
		{"a match without decisions leaves them to the next", yes + "\n" + next + yes + ban, "ban Ip 192.0.2.1 1h0m0s crowdsec s", false},
		{"unless it breaks", yes + "\non_success: break\n" + next + yes + ban, "", false},
		{"on_failure: break stops too", no + "\non_failure: break\n" + next + yes + ban, "", false},
		{"two matching filters decide once", "name: y\nfilters: ['true', 'true']" + ban, "ban Ip 192.0.2.1 1h0m0s crowdsec s", false},
		{"filters are alternatives", "name: y\nfilters: ['false', 'true']" + ban, "ban Ip 192.0.2.1 1h0m0s crowdsec s", false},
		{"a failing filter is no match", fails + captcha + next + yes + ban, "ban Ip 192.0.2.1 1h0m0s crowdsec s", true},
		{"on_error: break stops", fails + "\non_error: break\n" + next + yes + ban, "", true},
		{"on_error: apply counts as a match", fails + "\non_error: apply\non_success: break\n" + next + yes + ban, "", true},
		{"no duration means four hours", yes + "\ndecisions: [{type: ban}]", "ban Ip 192.0.2.1 4h0m0s crowdsec s", false},
		{"an expression replaces the duration", yes + "\nduration_expr: '\"1d12h\"'" + ban, "ban Ip 192.0.2.1 36h0m0s crowdsec s", false},
		{"a bad one does not", yes + "\nduration_expr: '\"soon\"'" + ban, "ban Ip 192.0.2.1 1h0m0s crowdsec s", true},
		{"scope, origin and simulation can be set", yes + "\ndecisions: [{type: ban, duration: 1h, scope: AS, origin: x, simulated: true}]",
			"ban AS 192.0.2.1 1h0m0s crowdsec/x s simulated", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := compileText(tt.yaml, 0)
			if err != nil {
				t.Fatal(err)
			}
			a := alert("Ip", "192.0.2.1", true)
			if err := p.Apply(a, now); (err != nil) != tt.fails {
				t.Errorf("Apply: %v, want an error: %v", err, tt.fails)
			}
			if diff := cmp.Diff(tt.want, taken(a)); diff != "" {
				t.Errorf("decisions (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNobodyIsDecidedAboutWithoutAValue(t *testing.T) {
	p, err := compileText("name: y\nfilters: ['true']\ndecisions: [{type: ban, duration: 1h}]\n", 0)
	if err != nil {
		t.Fatal(err)
	}
	a := alert("Range", "", true)
	if err := p.Apply(a, now); err != nil || len(a.Decisions) > 0 {
		t.Errorf("decisions are %s, %v", taken(a), err)
	}
}

func TestASimulatedAlertHasSimulatedDecisions(t *testing.T) {
	p, err := compileText(string(Default()), 0)
	if err != nil {
		t.Fatal(err)
	}
	a := alert("Ip", "192.0.2.1", true)
	a.Simulated = true
	if err := p.Apply(a, now); err != nil {
		t.Fatal(err)
	}
	if len(a.Decisions) != 1 || !a.Decisions[0].Simulated {
		t.Errorf("decisions = %s", taken(a))
	}
}

func TestEveryFaultOfTheProfilesIsReported(t *testing.T) {
	p, err := compileText(`filters: [Alert.Nope]
on_success: stop
decisions:
  - duration: 4h
---
name: good
filters: ['true']
---
name: bad
nonsense: 1
`, 0)
	var errs yamlpos.Errors
	if !errors.As(err, &errs) {
		t.Fatalf("error = %v, want yamlpos.Errors", err)
	}
	var got []string
	for _, e := range errs {
		got = append(got, fmt.Sprintf("%d:%d %s", e.Line, e.Column, e.Msg))
	}
	want := []string{
		"1:1 a profile needs a name", "1:17 type decision.Alert has no field Nope",
		`2:1 on_success "stop": want one of continue, break`, "4:5 a decision needs a type, such as ban",
		"9:1 a profile needs at least one filter; \"true\" takes every alert", `10:1 unknown key "nonsense"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
	if p.Len() != 1 {
		t.Errorf("%d profiles are left, want the good one", p.Len())
	}
}

func TestProfilesThatMatchAskForNotifications(t *testing.T) {
	p, err := compileText(`
name: first
filters: [Alert.GetScope() == 'Ip']
decisions: [{type: ban, duration: 1h}]
notifications: [mail, chat]
---
name: other
filters: [Alert.GetScope() == 'Range']
notifications: [never]
---
name: second
filters: ['true']
decisions: [{type: captcha, duration: 1h}]
notifications: [chat, pager]
---
name: failing
filters: ["Alert.Events[7].GetMeta('x') == ''"]
on_error: apply
notifications: [trouble]
on_success: break
---
name: last
filters: ['true']
notifications: [late]
`, 0)
	if err != nil {
		t.Fatal(err)
	}
	a := alert("Ip", "192.0.2.1", true)
	if err := p.Apply(a, now); err == nil {
		t.Error("no error of the failing filter")
	}
	if diff := cmp.Diff([]string{"mail", "chat", "pager", "trouble"}, a.Notifications); diff != "" {
		t.Errorf("notifications differ (-want +got):\n%s", diff)
	}
	if want := "ban Ip 192.0.2.1 1h0m0s crowdsec s"; taken(a) != want {
		t.Errorf("decisions are %s, want %s", taken(a), want)
	}
}
