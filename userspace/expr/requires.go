package expr

import (
	"slices"

	"github.com/expr-lang/expr/ast"

	"gabion/userspace/event"
	"gabion/userspace/expr/closure"
)

// Condition says that a field of the event must have one of some values: evt.Meta.log_type in
// [...]. A missing field has the value "".
type Condition struct {
	Map    string // "Meta" or "Parsed"
	Key    string
	Values []string // never empty, sorted, each once
}

// Allows reports whether a field with the given value fulfils the condition.
func (c Condition) Allows(value string) bool {
	const few = 4 // that are faster compared one by one
	if len(c.Values) <= few {
		return slices.Contains(c.Values, value)
	}
	_, ok := slices.BinarySearch(c.Values, value)
	return ok
}

// Checks are conditions prepared for asking many events.
type Checks []check

type check struct {
	Condition
	field event.Key
}

// NewChecks prepares conditions.
func NewChecks(conditions []Condition) Checks {
	var out Checks
	for _, c := range conditions {
		out = append(out, check{c, event.NewKey(c.Key)})
	}
	return out
}

// Hold reports whether the event fulfils all conditions.
func (c Checks) Hold(evt *event.Event) bool {
	for i := range c {
		if !c[i].Allows(fieldsOf(evt, c[i].Map).GetKey(c[i].field)) {
			return false
		}
	}
	return true
}

func fieldsOf(evt *event.Event, in string) *event.Fields {
	if in == "Meta" {
		return &evt.Meta
	}
	return &evt.Parsed
}

// requires finds the conditions that must hold for an expression to be true, and whether there is
// nothing else in it.
func requires(tree ast.Node, helpers map[string]closure.Helper) (out []Condition, all bool) {
	if tree == nil {
		return nil, false
	}
	return newImplied(helpers).conditions(tree)
}

// conjuncts returns the operands of &&, also where it is written as "a ? b : false".
func conjuncts(n ast.Node, out []ast.Node) []ast.Node {
	switch n := n.(type) {
	case *ast.BinaryNode:
		if isAnd(n.Operator) {
			return conjuncts(n.Right, conjuncts(n.Left, out))
		}
	case *ast.ConditionalNode:
		if otherwise, ok := n.Exp2.(*ast.BoolNode); ok && !otherwise.Value {
			return conjuncts(n.Exp1, conjuncts(n.Cond, out))
		}
	}
	return append(out, n)
}

func isAnd(op string) bool { return op == "&&" || op == "and" }
func isOr(op string) bool  { return op == "||" || op == "or" }

// condition reads one operand as a condition: an equality, an "in" with a list of constants, or
// alternatives (||) over the same field.
func condition(n ast.Node) (Condition, bool) {
	b, ok := n.(*ast.BinaryNode)
	if !ok {
		return Condition{}, false
	}
	switch {
	case isOr(b.Operator):
		left, okLeft := condition(b.Left)
		right, okRight := condition(b.Right)
		if !okLeft || !okRight || left.Map != right.Map || left.Key != right.Key {
			return Condition{}, false
		}
		return newCondition(left.Map, left.Key, append(left.Values, right.Values...))
	case b.Operator == "==":
		field, value := b.Left, b.Right
		if _, ok := field.(*ast.StringNode); ok {
			field, value = value, field
		}
		return conditionOf(field, value)
	case b.Operator == "in":
		list, ok := b.Right.(*ast.ArrayNode)
		if !ok {
			return Condition{}, false
		}
		return conditionOf(b.Left, list.Nodes...)
	}
	return Condition{}, false
}

func conditionOf(field ast.Node, values ...ast.Node) (Condition, bool) {
	path, ok := eventPath(field)
	if !ok || len(path) != 2 || path[0] != "Meta" && path[0] != "Parsed" {
		return Condition{}, false
	}
	var texts []string
	for _, v := range values {
		s, ok := v.(*ast.StringNode)
		if !ok {
			return Condition{}, false
		}
		texts = append(texts, s.Value)
	}
	return newCondition(path[0], path[1], texts)
}

func newCondition(m, key string, values []string) (Condition, bool) {
	slices.Sort(values)
	return Condition{Map: m, Key: key, Values: slices.Compact(values)}, len(values) > 0
}

// eventField is an expression that only reads a field of the event.
type eventField struct {
	set event.FieldSet
	key event.Key
	ok  bool
}

func wholeField(n ast.Node) (f eventField) {
	path, ok := eventPath(n)
	if !ok || len(path) != 2 {
		return f
	}
	if f.set, f.ok = event.FieldSetOf(path[0]); f.ok {
		f.key = event.NewKey(path[1])
	}
	return f
}

// eventPath returns the constant names behind evt: evt.Meta["log_type"] gives Meta, log_type.
func eventPath(n ast.Node) ([]string, bool) {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		return nil, n.Value == "evt"
	case *ast.MemberNode:
		name, ok := n.Property.(*ast.StringNode)
		if !ok || n.Method || n.Optional {
			return nil, false
		}
		path, ok := eventPath(n.Node)
		return append(path, name.Value), ok
	}
	return nil, false
}
