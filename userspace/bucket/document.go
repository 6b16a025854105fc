package bucket

import (
	"strings"

	"gabion/userspace/ruledoc"
	"gabion/userspace/yamlpos"
)

// Document is a scenario file's document: the complete list of keys.
type Document struct {
	At          yamlpos.Mapping    `yaml:",mapping"`
	Type        yamlpos.Text       `yaml:"type"`
	Name        yamlpos.Text       `yaml:"name"`
	Description yamlpos.Text       `yaml:"description"`
	Filter      yamlpos.Text       `yaml:"filter"`
	GroupBy     yamlpos.Text       `yaml:"groupby"`
	Distinct    yamlpos.Text       `yaml:"distinct"`
	Capacity    int                `yaml:"capacity"`
	Leakspeed   yamlpos.Duration   `yaml:"leakspeed"`
	Duration    yamlpos.Duration   `yaml:"duration"`
	Blackhole   yamlpos.Duration   `yaml:"blackhole"`
	CacheSize   int                `yaml:"cache_size"`
	Overflow    yamlpos.Text       `yaml:"overflow_filter"`
	CancelOn    yamlpos.Text       `yaml:"cancel_on"`
	Condition   yamlpos.Text       `yaml:"condition"`
	Prior       float32            `yaml:"bayesian_prior"`
	Threshold   float32            `yaml:"bayesian_threshold"`
	Clues       []ClueDocument     `yaml:"bayesian_conditions"`
	Scope       ScopeDocument      `yaml:"scope"`
	Labels      map[string]any     `yaml:"labels"`
	Reprocess   bool               `yaml:"reprocess"`
	References  []string           `yaml:"references"`
	Data        []ruledoc.DataFile `yaml:"data"`
	Format      ruledoc.Format     `yaml:"format"`
	Version     yamlpos.Text       `yaml:"version"`
	Debug       bool               `yaml:"debug"`
}

// ScopeDocument is the key scope: who an alert is about.
type ScopeDocument struct {
	At         yamlpos.Mapping `yaml:",mapping"`
	Type       yamlpos.Text    `yaml:"type"`
	Expression yamlpos.Text    `yaml:"expression"`
}

// Bounds of what a scenario may ask for.
const (
	maxCapacity = 1_000_000
	maxLooked   = 1000 // events that a condition looks at after each event
	maxName     = 256
)

// check returns what is wrong with the document besides its expressions and what decoding said.
func (d *Document) check() (errs yamlpos.Errors) {
	bad := faultsOf(d.At, &errs)
	for _, required := range []struct {
		key  string
		text yamlpos.Text
	}{{"name", d.Name}, {"description", d.Description}, {"filter", d.Filter}} {
		if required.text.Text == "" {
			bad(required.key, "a scenario needs a %s", required.key)
		}
	}
	if len(d.Name.Text) > maxName {
		bad("name", "the name is longer than %d bytes", maxName)
	}
	if d.Blackhole < 0 {
		bad("blackhole", "blackhole must not be negative")
	}
	if d.Duration < 0 {
		bad("duration", "duration must not be negative")
	}
	if d.CacheSize < 0 {
		bad("cache_size", "cache_size must not be negative")
	}
	errs = append(errs, d.checkType()...)
	errs = append(errs, d.checkScope()...)
	return errs
}

// faultsOf returns a function that notes what is wrong with a key, unless decoding did already.
func faultsOf(at yamlpos.Mapping, errs *yamlpos.Errors) func(key, format string, args ...any) {
	return func(key, format string, args ...any) {
		if !at.Faulty(key) {
			*errs = append(*errs, at.Key(key).Errorf(format, args...))
		}
	}
}

// checkType returns what is wrong with the bucket type and the keys that depend on it.
func (d *Document) checkType() (errs yamlpos.Errors) {
	bad := faultsOf(d.At, &errs)
	switch d.Type.Text {
	case kindLeaky:
		if d.Capacity <= 0 || d.Capacity > maxCapacity {
			bad("capacity", "a leaky scenario needs a capacity from 1 to %d", maxCapacity)
		}
	case kindConditional:
		if d.Capacity < -1 || d.Capacity > maxCapacity {
			bad("capacity", "a conditional scenario needs a capacity of -1, or of up to %d events to keep", maxCapacity)
		}
		if d.Condition.Text == "" {
			bad("condition", "a conditional scenario needs a condition")
		}
	case kindTrigger:
		if d.Capacity != 0 {
			bad("capacity", "a trigger overflows with every event: leave capacity out")
		}
	case kindCounter, kindBayesian:
		if d.Capacity != -1 {
			bad("capacity", "a %s scenario needs a capacity of -1: it takes any number of events", d.Type.Text)
		}
		if d.Type.Text == kindCounter && d.Duration == 0 {
			bad("duration", "a counter scenario needs a duration, such as 10m: it overflows when that is over")
		}
	case "":
		bad("type", "a scenario needs a type: leaky, trigger, conditional, counter or bayesian")
		return errs
	default:
		bad("type", "unknown bucket type %q: want leaky, trigger, conditional, counter or bayesian", d.Type.Text)
		return errs
	}
	leaks := d.Type.Text != kindTrigger && d.Type.Text != kindCounter
	if leaks && d.Leakspeed <= 0 {
		bad("leakspeed", "a %s scenario needs a leakspeed above 0, such as 10s", d.Type.Text)
	}
	return append(errs, d.checkBelief()...)
}

// checkScope sets the default scope and returns what is wrong with it.
func (d *Document) checkScope() (errs yamlpos.Errors) {
	s := &d.Scope
	if s.Type.Text == "" {
		s.Type.Text = "Ip"
	}
	if s.At.Faulty("type") { // or there is no scope
		return nil
	}
	bad := faultsOf(s.At, &errs)
	switch {
	case s.Type.Text == "Ip":
		if s.Expression.Text != "" {
			bad("expression", "scope Ip takes no expression: its value is evt.Meta.source_ip")
		}
	case s.Type.Text == "Range":
	case s.Expression.Text == "":
		hint := ""
		if strings.EqualFold(s.Type.Text, "ip") || strings.EqualFold(s.Type.Text, "range") {
			hint = ", or did you mean Ip or Range?"
		}
		bad("type", "scope %s needs an expression%s", s.Type.Text, hint)
	}
	return errs
}
