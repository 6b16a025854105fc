package parse

import (
	"fmt"
	"strconv"
	"strings"

	"gabion/userspace/enrich"
	"gabion/userspace/event"
	"gabion/userspace/expr"
)

// static sets one value of the event.
type static struct {
	name       string // where the value goes, as a trace shows it
	set        func(r *run, n *node, value string)
	value      string
	expression *expr.Program
	text       bool // the expression gives text, or fails
	always     bool // also set when the value is empty

	copies bool // the expression is a field of the event and nothing else: this one
	from   event.FieldSet
	key    event.Key
}

func (c *compiler) statics(docs []StaticDocument) []*static {
	var out []*static
	for i := range docs {
		out = append(out, c.static(&docs[i]))
	}
	return out
}

func (c *compiler) static(d *StaticDocument) *static {
	s := &static{name: d.place(), value: d.Value, set: c.destination(d), always: d.Method == "ParseDate"}
	switch {
	case d.Value != "":
	case d.Expression.Text != "":
		s.expression = c.expression(d.Expression, expr.Any)
		if s.expression != nil {
			s.text = s.expression.Kind() == expr.String
			s.from, s.key, s.copies = s.expression.Field()
		}
	case !d.At.Has("value"):
		c.missing(d.At, "static needs a value or an expression", "value", "expression")
	}
	return s
}

// destination returns what stores the static's value. The first key of this order counts.
func (c *compiler) destination(d *StaticDocument) func(*run, *node, string) {
	switch {
	case d.Method != "":
		return c.method(d)
	case d.Parsed != "":
		key := event.NewKey(d.Parsed)
		return func(r *run, _ *node, value string) { r.evt.Parsed.SetKey(key, value) }
	case d.Meta != "":
		key := event.NewKey(d.Meta)
		return func(r *run, _ *node, value string) { r.evt.Meta.SetKey(key, value) }
	case d.Enriched != "":
		key := event.NewKey(d.Enriched)
		return func(r *run, _ *node, value string) { r.evt.Enriched.SetKey(key, value) }
	case d.Target != "":
		return c.target(d)
	}
	c.missing(d.At, "static needs meta, parsed, enriched, target or method", "meta", "parsed", "enriched", "target", "method")
	return ignore
}

// place names where the static's value goes.
func (d *StaticDocument) place() string {
	switch {
	case d.Method != "":
		return "method " + d.Method
	case d.Parsed != "":
		return "evt.Parsed." + d.Parsed
	case d.Meta != "":
		return "evt.Meta." + d.Meta
	case d.Enriched != "":
		return "evt.Enriched." + d.Enriched
	}
	return "evt." + strings.TrimPrefix(d.Target, "evt.")
}

// ignore is the destination of statics that cannot be stored; the reason is logged when the rule
// is loaded.
func ignore(*run, *node, string) {}

func (c *compiler) method(d *StaticDocument) func(*run, *node, string) {
	call, ok := c.deps.Methods[d.Method]
	if !ok {
		c.deps.Log.Warn("unknown enrich method ignored", "method", d.Method, "file", d.At.Key("method").String())
		return ignore
	}
	return func(r *run, n *node, value string) { r.enrich(n, call, value) }
}

func (r *run) enrich(n *node, call enrich.Method, value string) {
	if err := call(value, r.evt); err != nil {
		r.fault(n, "enrich method failed", err)
	}
}

func (c *compiler) target(d *StaticDocument) func(*run, *node, string) {
	t, err := newTarget(d.Target)
	if err != nil {
		c.deps.Log.Warn("static with an invalid target ignored", "file", d.At.Key("target").String(), "err", err)
		return ignore
	}
	return func(r *run, n *node, value string) {
		if err := t.set(r, value); err != nil {
			r.fault(n, "target not set", err)
		}
	}
}

// apply runs a static. The error is one that ends the event.
func (r *run) apply(n *node, s *static) error {
	value, skip := s.value, false
	if s.expression != nil {
		var err error
		if value, skip, err = r.staticValue(n, s); err != nil {
			return err
		}
	}
	stored := !skip && (value != "" || s.always)
	if stored {
		s.set(r, n, value)
	}
	r.tell(n, StepStatic, stored, s.name, value, nil)
	return nil
}

// staticValue computes the text of a static's expression. Failures, nil and nested values skip the
// static; any other value without a text ends the event, as rules expect.
func (r *run) staticValue(n *node, s *static) (value string, skip bool, err error) {
	if s.copies {
		return r.evt.In(s.from).GetKey(s.key), false, nil
	}
	if s.text { // without boxing it
		if value, err = s.expression.String(&r.vars); err != nil {
			r.fault(n, "static failed", err)
		}
		return value, err != nil, nil
	}
	v, err := s.expression.Value(&r.vars)
	if err != nil {
		r.fault(n, "static failed", err)
		return "", true, nil
	}
	switch v := v.(type) {
	case string:
		return v, false, nil
	case int:
		return strconv.Itoa(v), false, nil
	case float64:
		return formatFloat(v), false, nil
	case float32:
		return formatFloat(float64(v)), false, nil
	case nil:
		return "", true, nil
	case map[string]any, []any:
		r.fault(n, "static gives a nested value", fmt.Errorf("%s: it gives %T", s.expression.Pos(), v))
		return "", true, nil
	}
	err = fmt.Errorf("%s: static gives %T, want text or a number: convert it with string()", s.expression.Pos(), v)
	r.fault(n, "static ends the event", err)
	return "", false, err
}
