package closure

import (
	"reflect"

	"github.com/expr-lang/expr/ast"

	"gabion/userspace/event"
)

// kind is what a compiled node gives.
type kind uint8

const (
	dynamic kind = iota // any Go value, also one of the types below
	truth
	text
	whole  // int
	real   // float64
	object // map[string]any
	texts  // []string
	fields // a set of fields of an event
	one    // an event
	events
	queued // the variable queue
)

// value is a compiled node: the function for its kind is set.
type value struct {
	kind   kind
	any    func(*Vars) any
	truth  func(*Vars) bool
	text   func(*Vars) string
	whole  func(*Vars) int
	real   func(*Vars) float64
	object func(*Vars) map[string]any
	texts  func(*Vars) []string
	fields func(*Vars) *event.Fields
	one    func(*Vars) *event.Event
	events func(*Vars) []*event.Event
	queue  func(*Vars) *Queue

	fixed    bool // constant holds what it gives, always
	constant any
	field    *field // it is a field of evt
	set      *event.FieldSet
	lasting  bool                     // the text is the same each time, as long as nothing changes the event
	parts    []func(*Vars) string     // of a text that is joined
	mayStop  bool                     // the value may be stopped: see chain
	stored   func(*Vars) *event.Event // the object is what rules decode into this event
}

// field is a field of the variable evt.
type field struct {
	set event.FieldSet
	key event.Key
}

func (f *field) get(v *Vars) string { return v.Event.In(f.set).GetKey(f.key) }

func dynamicValue(f func(*Vars) any) value    { return value{kind: dynamic, any: f} }
func truthValue(f func(*Vars) bool) value     { return value{kind: truth, truth: f} }
func textValue(f func(*Vars) string) value    { return value{kind: text, text: f} }
func wholeValue(f func(*Vars) int) value      { return value{kind: whole, whole: f} }
func realValue(f func(*Vars) float64) value   { return value{kind: real, real: f} }
func textsValue(f func(*Vars) []string) value { return value{kind: texts, texts: f} }

// fixedValue is a constant.
func fixedValue(x any) value {
	v := value{fixed: true, constant: x}
	switch x := x.(type) {
	case bool:
		v.kind, v.truth = truth, func(*Vars) bool { return x }
	case string:
		v.kind, v.text = text, func(*Vars) string { return x }
	case int:
		v.kind, v.whole = whole, func(*Vars) int { return x }
	case float64:
		v.kind, v.real = real, func(*Vars) float64 { return x }
	default:
		v.any = func(*Vars) any { return x }
	}
	return v
}

// boxed returns the function for any Go value. The events themselves have no such form: what the
// machine works on are views of them.
func (c *compiler) boxed(n ast.Node, x value) func(*Vars) any {
	if x.fixed {
		k := x.constant
		return func(*Vars) any { return k }
	}
	switch x.kind {
	case dynamic:
		return x.any
	case truth:
		return func(v *Vars) any { return x.truth(v) }
	case text:
		return func(v *Vars) any { return x.text(v) }
	case whole:
		return func(v *Vars) any { return x.whole(v) }
	case real:
		return func(v *Vars) any { return x.real(v) }
	case object:
		f := x.target()
		return func(v *Vars) any { return f(v) }
	case texts:
		return func(v *Vars) any { return x.texts(v) }
	case fields:
		return c.leave(n, "use of all fields at once")
	}
	return c.leave(n, "use of an event as a value")
}

// target returns the function of a map that a helper may store into: an event's is made when it is
// handed on.
func (x *value) target() func(*Vars) map[string]any {
	if x.stored == nil {
		return x.object
	}
	return func(v *Vars) map[string]any {
		e := x.stored(v)
		if e.Unmarshaled == nil {
			e.Unmarshaled = map[string]any{}
		}
		return e.Unmarshaled
	}
}

// asTruth returns the function of a node that must give a bool: another value is an error at the
// place at.
func (c *compiler) asTruth(n ast.Node, x value, at int32) func(*Vars) bool {
	if x.kind == truth {
		return x.truth
	}
	f := c.boxed(n, x)
	c.risky = true
	return func(v *Vars) bool {
		x := f(v)
		b, ok := x.(bool)
		if !ok {
			v.at = at
			return x.(bool) // panics
		}
		return b
	}
}

// operand compiles a node whose value the machine takes from behind pointers.
func (c *compiler) operand(n ast.Node) value {
	x := c.node(n)
	if x.kind != dynamic || x.fixed || n.Nature().Nil {
		return x
	}
	switch n.Type().Kind() {
	case reflect.Pointer, reflect.Interface:
		x.any = dereferenced(x.any)
	}
	return x
}

func dereferenced(f func(*Vars) any) func(*Vars) any {
	return func(v *Vars) any { return dereference(f(v)) }
}

// dereference returns what a pointer points to, nil for a nil pointer, and anything else as it is.
func dereference(x any) any {
	switch x.(type) {
	case nil, string, bool, int, float64, map[string]any, []any, []string, map[string]string:
		return x
	}
	v := reflect.ValueOf(x)
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	return v.Interface()
}

// basic gives a value that is known to be of a plain type its kind.
func basic(f func(*Vars) any, t reflect.Type) value {
	switch t {
	case reflect.TypeFor[string]():
		return textValue(func(v *Vars) string { return f(v).(string) })
	case reflect.TypeFor[bool]():
		return truthValue(func(v *Vars) bool { return f(v).(bool) })
	case reflect.TypeFor[int]():
		return wholeValue(func(v *Vars) int { return f(v).(int) })
	case reflect.TypeFor[float64]():
		return realValue(func(v *Vars) float64 { return f(v).(float64) })
	case reflect.TypeFor[[]string]():
		return textsValue(func(v *Vars) []string { return f(v).([]string) })
	}
	return dynamicValue(f)
}
