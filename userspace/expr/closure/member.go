package closure

import (
	"fmt"
	"reflect"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/vm/runtime"

	"gabion/userspace/event"
)

// stopped is the value of an optional access to nil: the rest of its chain is left out.
type stopped struct{}

// chain is an expression with ?. in it: nil when one of them met nil.
func (c *compiler) chain(n *ast.ChainNode) value {
	x := c.node(n.Node)
	if x.kind != dynamic || x.fixed {
		return x
	}
	f := x.any
	return dynamicValue(func(v *Vars) any {
		x := f(v)
		if _, stop := x.(stopped); stop || runtime.IsNil(x) {
			return nil
		}
		return x
	})
}

// member is an access by name or index.
func (c *compiler) member(n *ast.MemberNode) value {
	if name, ok := n.Property.(*ast.StringNode); ok {
		if base := n.Node.Type(); base.Kind() != reflect.Interface {
			if _, ok := base.MethodByName(name.Value); ok {
				c.leave(n, "method that is not called")
			}
		}
	}
	if p, ok := pathOf(n); ok {
		return c.path(p)
	}
	return c.element(n, c.node(n.Node))
}

// element is an access to a value that is no struct.
func (c *compiler) element(n *ast.MemberNode, base value) value {
	key := c.node(n.Property)
	name, _ := key.constant.(string)
	named := key.fixed && key.kind == text
	switch {
	case n.Optional || base.mayStop:
	case base.kind == fields && named:
		return fieldValue(base, event.NewKey(name))
	case base.kind == fields && key.kind == text:
		return textValue(func(v *Vars) string { return base.fields(v).Get(key.text(v)) })
	case base.kind == object && named:
		return dynamicValue(func(v *Vars) any { return base.object(v)[name] })
	case base.kind == object && key.kind == text:
		return dynamicValue(func(v *Vars) any { m := base.object(v); return m[key.text(v)] })
	case base.kind == events && key.kind == whole:
		at := c.at(n)
		return value{kind: one, one: func(v *Vars) *event.Event {
			list := base.events(v)
			return list[v.index(key.whole(v), len(list), at)]
		}}
	case base.kind == texts && key.kind == whole:
		at := c.at(n)
		return textValue(func(v *Vars) string {
			list := base.texts(v)
			return list[v.index(key.whole(v), len(list), at)]
		})
	case base.kind == dynamic && named && n.Node.Type() == reflect.TypeFor[map[string]string]():
		return textValue(func(v *Vars) string { m, _ := base.any(v).(map[string]string); return m[name] })
	}
	return c.fetch(n, base, key)
}

// index returns the place that an index means in a list; a negative one counts from its end.
func (v *Vars) index(i, length int, at int32) int {
	if i < 0 {
		i += length
	}
	if i < 0 || i >= length {
		v.at = at
		panic(fmt.Sprintf("index out of range: %v (array length is %v)", i, length))
	}
	return i
}

// fieldValue is a field with a constant name.
func fieldValue(base value, key event.Key) value {
	if base.set == nil {
		return textValue(func(v *Vars) string { return base.fields(v).GetKey(key) })
	}
	f := &field{*base.set, key}
	x := textValue(f.get)
	x.field, x.lasting = f, true
	return x
}

// fetch is an access to a value whose type is known when it runs.
func (c *compiler) fetch(n *ast.MemberNode, base, key value) value {
	f, i, at := c.boxed(n.Node, base), c.boxed(n.Property, key), c.at(n)
	if n.Node.Type().Kind() != reflect.Map || !n.Property.Type().AssignableTo(n.Node.Type().Key()) {
		if k := n.Property.Type().Kind(); !key.fixed && (k == reflect.Pointer || k == reflect.Interface) {
			i = dereferenced(i)
		}
	}
	name, _ := key.constant.(string)
	named := key.fixed && key.kind == text
	get := func(v *Vars, x any) any {
		if named {
			switch m := x.(type) {
			case map[string]any:
				return m[name]
			case map[string]string:
				return m[name]
			}
		}
		k := i(v)
		v.at = at
		return runtime.Fetch(x, k)
	}
	if !n.Optional && !base.mayStop {
		return dynamicValue(func(v *Vars) any { return get(v, f(v)) })
	}
	optional := n.Optional
	return value{kind: dynamic, mayStop: true, any: func(v *Vars) any {
		x := f(v)
		if _, stop := x.(stopped); stop || optional && runtime.IsNil(x) {
			return stopped{}
		}
		return get(v, x)
	}}
}

// path is an access to fields of structs in structs, which the machine does in one step.
type path struct {
	variable *ast.IdentifierNode // where it begins, or else
	base     *ast.MemberNode     // the access whose Node is where it begins
	names    []string
	index    []int
	node     *ast.MemberNode // the whole
}

// pathOf returns the path that ends with n.
func pathOf(n *ast.MemberNode) (path, bool) {
	index, name, ok := structField(n)
	if !ok {
		return path{}, false
	}
	p := path{base: n, node: n, names: []string{name}, index: index}
	for !p.base.Optional {
		if variable, ok := p.base.Node.(*ast.IdentifierNode); ok {
			p.variable = variable
			break
		}
		inner, ok := p.base.Node.(*ast.MemberNode)
		if !ok {
			break
		}
		index, name, ok := structField(inner)
		if !ok {
			break
		}
		p.base, p.names, p.index = inner, append([]string{name}, p.names...), append(index, p.index...)
	}
	return p, true
}

// structField returns the field of a struct that n is an access to.
func structField(n *ast.MemberNode) (index []int, name string, ok bool) {
	prop, ok := n.Property.(*ast.StringNode)
	if !ok {
		return nil, "", false
	}
	t := n.Node.Type()
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil, "", false
	}
	f, ok := t.FieldByName(prop.Value)
	return append([]int{}, f.Index...), prop.Value, ok && f.IsExported()
}

// path compiles a path. Events, queues and the states of buckets are read in place; anything else by
// reflection, as the machine does.
func (c *compiler) path(p path) value {
	if p.variable != nil {
		if x, ok := c.ofVariable(p); ok {
			return x
		}
	}
	if p.base.Optional {
		return c.optionalPath(p)
	}
	base := c.node(p.base.Node)
	switch {
	case base.mayStop:
		return c.optionalPath(p)
	case base.kind == one:
		return c.ofEvent(p, base.one, false)
	case base.kind == queued:
		return c.ofQueue(p, base.queue)
	}
	f, at := c.boxed(p.base.Node, base), c.at(p.base)
	step := &runtime.Field{Index: p.index, Path: p.names}
	return basic(func(v *Vars) any {
		x := f(v)
		v.at = at
		return runtime.FetchField(x, step)
	}, p.node.Type())
}

// optionalPath is a path behind ?. or in a chain that may have stopped.
func (c *compiler) optionalPath(p path) value {
	base := c.node(p.base.Node)
	f, at := c.boxed(p.base.Node, base), c.at(p.base)
	step := &runtime.Field{Index: p.index, Path: p.names}
	optional := p.base.Optional
	return value{kind: dynamic, mayStop: true, any: func(v *Vars) any {
		x := f(v)
		if _, stop := x.(stopped); stop || optional && runtime.IsNil(x) {
			return stopped{}
		}
		v.at = at
		return runtime.FetchField(x, step)
	}}
}
