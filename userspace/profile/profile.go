// Package profile decides what is done about an alert: which decisions are taken and for how long.
package profile

import (
	_ "embed"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"gabion/userspace/decision"
	"gabion/userspace/expr"
	"gabion/userspace/yamlpos"
)

//go:embed default.yaml
var defaults string

// Default returns the profiles that gabion ships, as YAML.
func Default() []byte { return []byte(defaults) }

// Profiles are compiled profiles in the order of their file. They are immutable and safe for
// concurrent use.
type Profiles struct {
	list []*compiled
}

type compiled struct {
	document
	filters  []*expr.Program
	duration *expr.Program // nil without duration_expr
}

// Compile compiles the documents of a profiles file. The error holds everything that is wrong, as
// yamlpos.Errors; the profiles that have no fault are in the result all the same.
func Compile(docs []*yamlpos.Document, c *expr.Compiler) (*Profiles, error) {
	p := &Profiles{}
	var errs yamlpos.Errors
	for _, doc := range docs {
		one, err := compile(doc, c)
		if err != nil {
			errs.Add(doc.Pos(), err)
			continue
		}
		p.list = append(p.list, one)
	}
	return p, errs.Err()
}

func compile(doc *yamlpos.Document, c *expr.Compiler) (*compiled, error) {
	var out compiled
	var errs yamlpos.Errors
	errs.Add(doc.Pos(), doc.Decode(&out.document))
	errs = append(errs, out.check()...)
	for _, text := range out.Filters {
		f, err := c.Compile(text, expr.EnvProfile, expr.Bool)
		errs.Add(text.Pos, err)
		out.filters = append(out.filters, f)
	}
	if text := out.DurationExpr; text.Text != "" {
		f, err := c.Compile(text, expr.EnvProfile, expr.Any)
		errs.Add(text.Pos, err)
		out.duration = f
	}
	return &out, errs.Err()
}

// Len returns the number of profiles.
func (p *Profiles) Len() int { return len(p.list) }

// Apply takes the decisions of the first profile that matches and has some, and appends them to
// the alert, without IDs. They begin at the given time: now for a live alert, the alert's StopAt
// in a replay. Every profile that matches adds the notifications that it names. The error says which
// filters and expressions failed; what could be decided is.
func (p *Profiles) Apply(a *decision.Alert, at time.Time) error {
	if a.Source == nil {
		return errors.New("apply profiles: the alert has no source")
	}
	var failed []error
	decided := len(a.Decisions) > 0
	for _, c := range p.list {
		matched, err := c.matches(a)
		if err == nil && matched && !decided {
			err = c.decide(a, at)
			decided = len(a.Decisions) > 0
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("profile %s: %w", c.Name.Text, err))
		}
		if matched || err != nil && c.OnError.Text == actionApply {
			for _, name := range c.Notifications {
				if !slices.Contains(a.Notifications, name) {
					a.Notifications = append(a.Notifications, name)
				}
			}
		}
		if c.last(matched, err != nil) {
			break
		}
	}
	return errors.Join(failed...)
}

// last reports whether the profiles after this one are not asked any more.
func (c *compiled) last(matched, failed bool) bool {
	switch {
	case matched:
		return c.OnSuccess.Text == actionBreak
	case failed && c.OnError.Text == actionApply: // counts as a match, without decisions
		return c.OnSuccess.Text == actionBreak
	case failed:
		return c.OnError.Text == actionBreak
	}
	return c.OnFailure.Text == actionBreak
}

// matches reports whether one of the filters takes the alert. The first that does or fails decides.
func (c *compiled) matches(a *decision.Alert) (bool, error) {
	for _, f := range c.filters {
		ok, err := f.Bool(&expr.Vars{Alert: a})
		if ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// decide appends the profile's decisions to the alert. A duration_expr that fails leaves the
// duration that is written in the profile.
func (c *compiled) decide(a *decision.Alert, at time.Time) error {
	if a.Source.Value == "" {
		return nil // there is nobody to decide about
	}
	computed, err := c.computed(a)
	for _, e := range c.Decisions {
		d := &decision.Decision{
			Origin: decision.OriginScenario, Type: e.Type, Scope: e.Scope, Value: value(a.Source), Scenario: a.Scenario,
			Duration: e.Duration.Std(), CreatedAt: at, Simulated: e.Simulated || a.Simulated, AlertID: a.ID,
		}
		if e.Origin != "" {
			d.Origin += "/" + e.Origin
		}
		if d.Scope == "" {
			d.Scope = a.Source.Scope
		}
		if computed > 0 {
			d.Duration = computed
		}
		if d.Duration == 0 {
			d.Duration = defaultDuration
		}
		d.Until = at.Add(d.Duration)
		a.Decisions = append(a.Decisions, d)
	}
	return err
}

// value is what a decision is about: of an address the one form that packets have, which is IPv4
// where a log shows it mapped into IPv6, and without a zone. It is a string of its own, for a
// decision outlives its alert.
func value(s *decision.Source) string {
	if s.Scope == decision.ScopeIP {
		if addr, err := netip.ParseAddr(s.Value); err == nil {
			return addr.Unmap().WithZone("").String()
		}
	}
	return strings.Clone(s.Value)
}

// computed is the result of duration_expr, 0 without one.
func (c *compiled) computed(a *decision.Alert) (time.Duration, error) {
	if c.duration == nil {
		return 0, nil
	}
	v, err := c.duration.Value(&expr.Vars{Alert: a})
	if err != nil {
		return 0, fmt.Errorf("compute duration: %w", err)
	}
	d, err := yamlpos.ParseDuration(fmt.Sprint(v))
	if err != nil {
		return 0, fmt.Errorf("compute duration: %w", err)
	}
	if d <= 0 || d > maxDuration {
		return 0, fmt.Errorf("compute duration: %s is outside 0 to %s", d, maxDuration)
	}
	return d, nil
}
