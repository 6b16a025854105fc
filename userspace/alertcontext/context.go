// Package alertcontext computes the context of alerts: values of the events behind an alert that
// rules of the kind context name, such as the paths that were asked for.
//
// An alert is made of what buckets keep of their events, which is the metadata. What an expression
// reads besides is gone by then, so such expressions are evaluated when an event is kept.
package alertcontext

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gabion/userspace/decision"
	"gabion/userspace/event"
	"gabion/userspace/expr"
	"gabion/userspace/yamlpos"
)

// Bounds of a context.
const (
	maxJSON   = 4000 // bytes of the values of one key of an alert, as JSON
	maxValues = 256  // values of one key that are collected
)

// Context is the compiled contexts of all rules. It is immutable and safe for concurrent use; a nil
// Context is empty.
type Context struct {
	keys []key // by name
}

type key struct {
	name   string
	late   []*expr.Program // read metadata only
	early  []*expr.Program // read more of the event
	source []string        // of all, so that none is taken twice
}

// document is a context as a file writes it: the complete list of keys.
type document struct {
	At      yamlpos.Mapping           `yaml:",mapping"`
	Name    string                    `yaml:"name"`
	Context map[string][]yamlpos.Text `yaml:"context"`
}

// Compile compiles the documents of all contexts into one: where two have the same key, it has the
// values of both. The error is yamlpos.Errors with everything that is wrong; what has no fault is
// in the result all the same.
func Compile(docs []*yamlpos.Document, c *expr.Compiler) (*Context, error) {
	out := &Context{}
	var errs yamlpos.Errors
	for _, doc := range docs {
		var d document
		err := doc.Decode(&d)
		errs.Add(doc.Pos(), err)
		if err == nil && !d.At.Has("context") {
			errs.Add(d.At.Key("context"), errors.New("a context needs expressions below the key context"))
		}
		for name, sources := range d.Context {
			for _, src := range sources {
				p, err := c.Compile(src, expr.EnvContext, expr.Any)
				errs.Add(src.Pos, err)
				if err == nil {
					out.key(name).add(p)
				}
			}
		}
	}
	errs.Sort()
	return out, errs.Err()
}

// key returns the key of a name, a new one in its place if need be.
func (c *Context) key(name string) *key {
	i, ok := slices.BinarySearchFunc(c.keys, name, func(k key, name string) int { return strings.Compare(k.name, name) })
	if !ok {
		c.keys = slices.Insert(c.keys, i, key{name: name})
	}
	return &c.keys[i]
}

func (k *key) add(p *expr.Program) {
	switch {
	case slices.Contains(k.source, p.Source()):
		return
	case p.ReadsMetaOnly():
		k.late = append(k.late, p)
	default:
		k.early = append(k.early, p)
	}
	k.source = append(k.source, p.Source())
}

// Early returns the values of the event of vars that can be computed only now, as pairs of key and
// value, for Collector.Add. The error says which expressions failed; the values of the others are there.
func (c *Context) Early(vars *expr.Vars) (out []decision.Meta, err error) {
	if c == nil {
		return nil, nil
	}
	var errs []error
	for i := range c.keys {
		for _, p := range c.keys[i].early {
			err := values(p, vars, func(value string) {
				out = append(out, decision.Meta{Key: c.keys[i].name, Value: value})
			})
			if err != nil {
				errs = append(errs, err)
			}
		}
	}
	return out, errors.Join(errs...)
}

// values calls yield with each value that an expression gives: nothing for nil, false and what is
// empty, the elements of a list of texts or numbers, and of anything else its text.
func values(p *expr.Program, vars *expr.Vars, yield func(string)) error {
	if p.Kind() == expr.String { // without boxing it
		s, err := p.String(vars)
		if err != nil {
			return fmt.Errorf("context: %w", err)
		}
		if s != "" {
			yield(s)
		}
		return nil
	}
	v, err := p.Value(vars)
	if err != nil {
		return fmt.Errorf("context: %w", err)
	}
	switch v := v.(type) {
	case nil:
	case string:
		if v != "" {
			yield(v)
		}
	case bool:
		if v {
			yield("true")
		}
	case int:
		if v != 0 {
			yield(strconv.Itoa(v))
		}
	case []string:
		for _, s := range v[:min(len(v), maxValues)] {
			yield(s)
		}
	case []int:
		for _, n := range v[:min(len(v), maxValues)] {
			yield(strconv.Itoa(n))
		}
	default:
		yield(fmt.Sprint(v))
	}
	return nil
}

// Collector gathers the context of one alert.
type Collector struct {
	context *Context
	values  [][]string // by key
	errs    []error
}

// Collect returns a collector without values.
func (c *Context) Collect() *Collector {
	if c == nil {
		return &Collector{}
	}
	return &Collector{context: c, values: make([][]string, len(c.keys))}
}

// Add adds the values of an event that was kept: of its metadata, and those that Early gave.
func (c *Collector) Add(meta, early []decision.Meta) {
	if c.context == nil || len(c.context.keys) == 0 {
		return
	}
	var evt event.Event
	for _, m := range meta {
		evt.Meta.Set(m.Key, m.Value)
	}
	vars := &expr.Vars{Event: &evt}
	for i := range c.context.keys {
		k := &c.context.keys[i]
		for _, p := range k.late {
			if err := values(p, vars, func(value string) { c.add(i, value) }); err != nil {
				c.errs = append(c.errs, err)
			}
		}
		for _, m := range early {
			if m.Key == k.name {
				c.add(i, m.Value)
			}
		}
	}
}

func (c *Collector) add(i int, value string) {
	if len(c.values[i]) < maxValues && !slices.Contains(c.values[i], value) {
		c.values[i] = append(c.values[i], value)
	}
}

// Meta returns the alert's metadata: of every key that has values, in order, a JSON list of them. The
// error says which expressions failed.
func (c *Collector) Meta() (out []decision.Meta, err error) {
	for i, list := range c.values {
		if len(list) > 0 {
			out = append(out, decision.Meta{Key: c.context.keys[i].name, Value: encode(list)})
		}
	}
	return out, errors.Join(c.errs...)
}

// encode writes a list as JSON of at most maxJSON bytes. Values at the end are left out for it; of one
// that is too long by itself the beginning stays.
func encode(list []string) string {
	for {
		text, _ := json.Marshal(list) // of texts, which always have a form
		switch last := len(list) - 1; {
		case len(text) <= maxJSON:
			return string(text)
		case last > 0:
			list = list[:last]
		default:
			half := strings.TrimSuffix(list[0], "...")
			list = []string{strings.ToValidUTF8(half[:len(half)/2], "") + "..."}
		}
	}
}
