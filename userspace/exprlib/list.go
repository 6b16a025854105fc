package exprlib

import (
	"fmt"
	"reflect"

	"gabion/userspace/expr"
)

func listFunctions() []expr.Function {
	return []expr.Function{
		{Name: "Distinct", Types: []any{new(func(any) []any)}, Call: func(args ...any) (any, error) { return result(distinct(args[0])) }},
		{Name: "Flatten", Types: []any{new(func(...any) []any)}, Call: func(args ...any) (any, error) { return flatten(nil, args), nil }},
		{Name: "FlattenDistinct", Types: []any{new(func(...any) []any)}, Call: func(args ...any) (any, error) { return result(distinct(flatten(nil, args))) }},
		sure2("KeyExists", keyExists),
	}
}

// distinct returns the elements of a list, each once, in order of first appearance.
func distinct(list any) ([]any, error) {
	v := reflect.ValueOf(list)
	if !isList(v) {
		return nil, nil
	}
	seen := make(map[any]bool, v.Len())
	out := make([]any, 0, v.Len())
	for i := range v.Len() {
		e := v.Index(i)
		if !e.Comparable() {
			return nil, fmt.Errorf("element %d is %T, which cannot be compared", i, e.Interface())
		}
		x := e.Interface()
		if !seen[x] {
			seen[x] = true
			out = append(out, x)
		}
	}
	return out, nil
}

// flatten appends the elements of a list and of the lists in it.
func flatten(out []any, list any) []any {
	v := reflect.ValueOf(list)
	if !isList(v) {
		return append(out, list)
	}
	for i := range v.Len() {
		out = flatten(out, v.Index(i).Interface())
	}
	return out
}

func isList(v reflect.Value) bool {
	return v.Kind() == reflect.Slice || v.Kind() == reflect.Array
}

func keyExists(key string, m map[string]any) bool {
	_, ok := m[key]
	return ok
}
