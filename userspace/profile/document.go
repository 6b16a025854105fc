package profile

import (
	"slices"
	"strings"
	"time"

	"gabion/userspace/yamlpos"
)

// document is one document of a profiles file: the complete list of keys.
type document struct {
	At            yamlpos.Mapping `yaml:",mapping"`
	Name          yamlpos.Text    `yaml:"name"`
	Description   string          `yaml:"description"`
	Debug         bool            `yaml:"debug"`
	Filters       []yamlpos.Text  `yaml:"filters"`
	Decisions     []entry         `yaml:"decisions"`
	DurationExpr  yamlpos.Text    `yaml:"duration_expr"`
	Notifications []string        `yaml:"notifications"`
	OnSuccess     yamlpos.Text    `yaml:"on_success"`
	OnFailure     yamlpos.Text    `yaml:"on_failure"`
	OnError       yamlpos.Text    `yaml:"on_error"`
}

// entry is one decision that a profile takes.
type entry struct {
	At        yamlpos.Mapping  `yaml:",mapping"`
	Type      string           `yaml:"type"`
	Duration  yamlpos.Duration `yaml:"duration"`
	Scope     string           `yaml:"scope"`
	Origin    string           `yaml:"origin"`
	Simulated bool             `yaml:"simulated"`

	// The rest of what the format allows; a decision takes these from its alert.
	Scenario string `yaml:"scenario"`
	Value    string `yaml:"value"`
	Until    string `yaml:"until"`
	UUID     string `yaml:"uuid"`
	ID       string `yaml:"id"`
}

// Values of on_success, on_failure and on_error.
const (
	actionContinue = "continue"
	actionBreak    = "break"
	actionApply    = "apply"
	actionIgnore   = "ignore"
)

// defaultDuration is how long a decision lasts whose profile does not say.
const defaultDuration = 4 * time.Hour

// maxDuration bounds a decision: a far end would not fit the kernel's clock.
const maxDuration = 10 * 365 * 24 * time.Hour

// check returns what is wrong with the document besides its expressions and what decoding said.
func (d *document) check() (errs yamlpos.Errors) {
	bad := func(at yamlpos.Mapping, key, format string, args ...any) {
		if !at.Faulty(key) {
			errs = append(errs, at.Key(key).Errorf(format, args...))
		}
	}
	if d.Name.Text == "" {
		bad(d.At, "name", "a profile needs a name")
	}
	if len(d.Filters) == 0 {
		bad(d.At, "filters", "a profile needs at least one filter; \"true\" takes every alert")
	}
	for _, c := range []struct {
		key   string
		text  yamlpos.Text
		valid []string
	}{
		{"on_success", d.OnSuccess, []string{"", actionContinue, actionBreak}},
		{"on_failure", d.OnFailure, []string{"", actionContinue, actionBreak, actionApply}},
		{"on_error", d.OnError, []string{"", actionContinue, actionBreak, actionApply, actionIgnore}},
	} {
		if !slices.Contains(c.valid, c.text.Text) {
			bad(d.At, c.key, "%s %q: want one of %s", c.key, c.text.Text, strings.Join(c.valid[1:], ", "))
		}
	}
	for _, e := range d.Decisions {
		if e.Type == "" {
			bad(e.At, "type", "a decision needs a type, such as ban")
		}
		if e.Duration < 0 || e.Duration.Std() > maxDuration {
			bad(e.At, "duration", "duration %s is outside 0 to %s", e.Duration, maxDuration)
		}
	}
	return errs
}
