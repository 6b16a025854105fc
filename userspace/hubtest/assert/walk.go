package assert

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"slices"

	"github.com/expr-lang/expr/ast"
)

// errNotCovered is what walk says of an expression that is left to the virtual machine.
var errNotCovered = errors.New("not covered")

// walk evaluates a tree of the forms that assertions have.
func (e *Evaluator) walk(n ast.Node) (any, error) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, nil
	case *ast.IntegerNode:
		return n.Value, nil
	case *ast.FloatNode:
		return n.Value, nil
	case *ast.BoolNode:
		return n.Value, nil
	case *ast.NilNode:
		return nil, nil
	case *ast.IdentifierNode:
		if n.Value == "results" {
			return e.results, nil
		}
	case *ast.UnaryNode:
		if i, ok := n.Node.(*ast.IntegerNode); ok && n.Operator == "-" {
			return -i.Value, nil
		}
	case *ast.MemberNode:
		return e.member(n)
	case *ast.SliceNode:
		return e.slice(n)
	case *ast.CallNode:
		return e.call(n)
	case *ast.BuiltinNode:
		if n.Name == "len" && len(n.Arguments) == 1 {
			return e.length(n.Arguments[0])
		}
	case *ast.BinaryNode:
		return e.binary(n)
	}
	return nil, errNotCovered
}

func (e *Evaluator) values(nodes ...ast.Node) ([]any, error) {
	out := make([]any, len(nodes))
	for i, n := range nodes {
		v, err := e.walk(n)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

func (e *Evaluator) binary(n *ast.BinaryNode) (any, error) {
	if n.Operator != "==" && n.Operator != "in" {
		return nil, errNotCovered
	}
	v, err := e.values(n.Left, n.Right)
	if err != nil {
		return nil, err
	}
	if n.Operator == "==" {
		return equal(v[0], v[1])
	}
	list, isList := v[1].([]string)
	s, isText := v[0].(string)
	if !isList || !isText {
		return nil, errNotCovered
	}
	return slices.Contains(list, s), nil
}

// equal compares constants with what results hold. Numbers of all types compare by value.
func equal(a, b any) (any, error) {
	if x, ok := number(a); ok {
		y, ok := number(b)
		return ok && x == y, nil
	}
	switch a := a.(type) {
	case nil, string, bool:
		switch b.(type) {
		case nil, string, bool:
			return a == b, nil
		}
		if _, ok := number(b); ok {
			return false, nil
		}
	}
	return nil, errNotCovered
}

func number(v any) (float64, bool) {
	switch r := reflect.ValueOf(v); {
	case r.CanInt():
		return float64(r.Int()), true
	case r.CanUint():
		return float64(r.Uint()), true
	case r.CanFloat():
		return r.Float(), true
	}
	return 0, false
}

// member evaluates base.name, base[key] and base[index].
func (e *Evaluator) member(n *ast.MemberNode) (any, error) {
	if n.Optional || n.Method {
		return nil, errNotCovered
	}
	v, err := e.values(n.Node, n.Property)
	if err != nil {
		return nil, err
	}
	base := reflect.ValueOf(v[0])
	if base.Kind() == reflect.Pointer {
		base = base.Elem()
	}
	if !base.IsValid() {
		return nil, fmt.Errorf("there is no %v: nothing is in front of it", v[1])
	}
	switch key := v[1].(type) {
	case string:
		return named(base, key)
	case int:
		return indexed(base, key)
	}
	return nil, errNotCovered
}

func named(base reflect.Value, key string) (any, error) {
	switch base.Kind() {
	case reflect.Map:
		if base.Type().Key().Kind() != reflect.String {
			return nil, errNotCovered
		}
		v := base.MapIndex(reflect.ValueOf(key))
		if !v.IsValid() {
			v = reflect.Zero(base.Type().Elem())
		}
		return v.Interface(), nil
	case reflect.Struct:
		if f := base.FieldByName(key); f.IsValid() && f.CanInterface() {
			return f.Interface(), nil
		}
		return nil, fmt.Errorf("there is no field %s", key)
	}
	return nil, errNotCovered
}

func indexed(base reflect.Value, i int) (any, error) {
	if base.Kind() != reflect.Slice {
		return nil, errNotCovered
	}
	at := i
	if i < 0 {
		at += base.Len()
	}
	if at < 0 || at >= base.Len() {
		return nil, fmt.Errorf("index out of range: %d (there are %d)", i, base.Len())
	}
	return base.Index(at).Interface(), nil
}

// slice evaluates text[from:].
func (e *Evaluator) slice(n *ast.SliceNode) (any, error) {
	if n.From == nil || n.To != nil {
		return nil, errNotCovered
	}
	v, err := e.values(n.Node, n.From)
	if err != nil {
		return nil, err
	}
	s, isText := v[0].(string)
	from, isInt := v[1].(int)
	if !isText || !isInt || from < 0 {
		return nil, errNotCovered
	}
	return s[min(from, len(s)):], nil
}

func (e *Evaluator) length(n ast.Node) (any, error) {
	v, err := e.walk(n)
	if err != nil {
		return nil, err
	}
	r := reflect.ValueOf(v)
	if k := r.Kind(); k != reflect.Map && k != reflect.Slice {
		return nil, errNotCovered
	}
	return r.Len(), nil
}

// call evaluates basename(x), FloatApproxEqual(a, b) and methods of results.
func (e *Evaluator) call(n *ast.CallNode) (any, error) {
	args, err := e.values(n.Arguments...)
	if err != nil {
		return nil, err
	}
	switch callee := n.Callee.(type) {
	case *ast.IdentifierNode:
		return function(callee.Value, args)
	case *ast.MemberNode:
		name, ok := callee.Property.(*ast.StringNode)
		if !ok {
			return nil, errNotCovered
		}
		base, err := e.walk(callee.Node)
		if err != nil {
			return nil, err
		}
		return method(base, name.Value, args)
	}
	return nil, errNotCovered
}

func function(name string, args []any) (any, error) {
	switch {
	case name == "basename" && len(args) == 1:
		if s, ok := args[0].(string); ok {
			return filepath.Base(s), nil
		}
	case name == "FloatApproxEqual" && len(args) == 2:
		a, okA := args[0].(float64)
		b, okB := args[1].(float64)
		if okA && okB {
			return math.Abs(a-b) < 1e-6, nil
		}
	}
	return nil, errNotCovered
}

// results has methods with at most one argument, a text.
func method(base any, name string, args []any) (any, error) {
	switch m := reflectMethod(base, name).(type) {
	case func() string:
		if len(args) == 0 {
			return m(), nil
		}
	case func() []string:
		if len(args) == 0 {
			return m(), nil
		}
	case func() int32:
		if len(args) == 0 {
			return m(), nil
		}
	case func(string) string:
		if len(args) == 1 {
			if s, ok := args[0].(string); ok {
				return m(s), nil
			}
		}
	}
	return nil, errNotCovered
}

// reflectMethod returns a method of a value, nil when it has none of the name.
func reflectMethod(base any, name string) any {
	v := reflect.ValueOf(base)
	if !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return nil
	}
	if m := v.MethodByName(name); m.IsValid() {
		return m.Interface()
	}
	return nil
}
