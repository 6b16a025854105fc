package closure

import (
	"reflect"
	"time"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/vm/runtime"

	"gabion/userspace/event"
)

// call is the call of a helper or a method.
func (c *compiler) call(n *ast.CallNode) value {
	switch callee := n.Callee.(type) {
	case *ast.IdentifierNode:
		if h, ok := c.opts.Helpers[callee.Value]; ok {
			return c.helper(n, h)
		}
	case *ast.MemberNode:
		return c.method(n, callee)
	}
	c.leave(n, "call of a value")
	return value{}
}

// helper is the call of a helper: of its typed form when the arguments have these types, or else
// with boxed arguments.
func (c *compiler) helper(n *ast.CallNode, h Helper) value {
	if h.OnQueue != nil {
		return c.onQueue(n, h.OnQueue)
	}
	args := make([]value, len(n.Arguments))
	fixed := true
	for i, a := range n.Arguments {
		args[i] = c.node(a)
		if needsDeref(n.Callee.Type(), i, a) {
			c.leave(a, "pointer as an argument")
		}
		fixed = fixed && args[i].fixed
	}
	boxed := c.boxedCall(n, h, args)
	if fixed && h.Pure {
		if x, ok := c.folded(boxed, n); ok {
			return x
		}
	}
	at := c.at(n)
	if f, ok := h.Typed.(func(string) string); ok && h.Pure && args[0].lasting {
		if place, ok := c.opts.Memos.place(n.String()); ok {
			return remembered(f, args[0].text, place, at)
		}
	}
	if len(args) == 2 && args[0].kind == text && args[1].fixed && args[1].kind == text {
		if x, ok := prepared(h.WithLast, args[0].text, args[1].constant.(string), at); ok {
			return x
		}
	}
	if x, ok := typedCall(h.Typed, args, boxed, at); ok {
		return x
	}
	return dynamicValue(boxed)
}

// onQueue is the call of a helper that reads the queue.
func (c *compiler) onQueue(n *ast.CallNode, fn any) value {
	queue := c.node(n.Arguments[0]).queue
	numbers := make([]int, 2)
	for i, a := range n.Arguments[1:] {
		numbers[i], _ = c.node(a).constant.(int)
	}
	at, i, j := c.at(n), numbers[0], numbers[1]
	switch fn := fn.(type) {
	case func(*Queue, int) int:
		return wholeValue(func(v *Vars) int { v.at = at; return fn(queue(v), i) })
	case func(*Queue, int) []*event.Event:
		return value{kind: events, events: func(v *Vars) []*event.Event { v.at = at; return fn(queue(v), i) }}
	case func(*Queue, int, int) []time.Time:
		return dynamicValue(func(v *Vars) any { v.at = at; return fn(queue(v), i, j) })
	}
	c.leave(n, "helper on a queue")
	return value{}
}

// needsDeref reports whether the machine would take an argument from behind its pointer.
func needsDeref(fn reflect.Type, i int, arg ast.Node) bool {
	if fn.Kind() != reflect.Func || arg.Nature().Nil || arg.Type().Kind() != reflect.Pointer {
		return false
	}
	in := fn.In(min(i, fn.NumIn()-1))
	if fn.IsVariadic() && i >= fn.NumIn()-1 {
		in = in.Elem()
	}
	return !arg.Type().AssignableTo(in) && in.Kind() != reflect.Pointer
}

// boxedCall calls the helper as the machine does.
func (c *compiler) boxedCall(n *ast.CallNode, h Helper, args []value) func(*Vars) any {
	at := place(n)
	list := make([]func(*Vars) any, len(args))
	for i, a := range args {
		list[i] = c.boxed(n.Arguments[i], a)
	}
	return func(v *Vars) any {
		in := make([]any, len(list))
		for i, f := range list {
			in[i] = f(v)
		}
		v.at = at
		out, err := h.Call(in...)
		if err != nil {
			panic(err)
		}
		return out
	}
}

// folded is the result of a call with constants, made now. One that fails is left to each run.
func (c *compiler) folded(call func(*Vars) any, n *ast.CallNode) (x value, ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	result := call(new(Vars))
	switch result.(type) {
	case string, bool, int, float64:
		return fixedValue(result), true
	}
	return value{}, false // a list could be changed by who gets it
}

// method is the call of a method.
func (c *compiler) method(n *ast.CallNode, callee *ast.MemberNode) value {
	name, ok := callee.Property.(*ast.StringNode)
	base := callee.Node.Type()
	if !ok || callee.Optional || base.Kind() == reflect.Interface {
		c.leave(n, "call of a value")
	}
	m, ok := base.MethodByName(name.Value)
	if !ok {
		c.leave(n, "call of a value")
	}
	on := c.node(callee.Node)
	switch {
	case on.mayStop:
		c.leave(n, "method of an optional value")
	case on.kind == one:
		return c.eventMethod(n, name.Value, on.one)
	case on.kind == queued && name.Value == "GetQueue":
		return value{kind: events, events: func(v *Vars) []*event.Event { return on.queue(v).Queue }}
	}
	receiver := c.boxed(callee.Node, on)
	if x, ok := timeMethod(base, name.Value, receiver); ok && len(n.Arguments) == 0 {
		return x
	}
	return c.reflected(n, callee, m, receiver)
}

// eventMethod is the call of a method of an event.
func (c *compiler) eventMethod(n *ast.CallNode, name string, on func(*Vars) *event.Event) value {
	args := make([]func(*Vars) string, len(n.Arguments))
	for i, a := range n.Arguments {
		x := c.node(a)
		if x.kind != text {
			c.leave(a, "argument of "+name+" whose type is not known")
		}
		args[i] = x.text
	}
	switch name {
	case "SetMeta", "SetParsed":
		set := event.InMeta
		if name == "SetParsed" {
			set = event.InParsed
		}
		key, val := args[0], args[1]
		return truthValue(func(v *Vars) bool {
			k := key(v)
			s := val(v)
			on(v).In(set).Set(k, s)
			return true
		})
	case "GetMeta":
		return textValue(func(v *Vars) string { e := on(v); return e.GetMeta(args[0](v)) })
	case "GetType":
		return textValue(func(v *Vars) string { return on(v).GetType() })
	case "ParseIPSources":
		return dynamicValue(func(v *Vars) any { return on(v).ParseIPSources() })
	}
	c.leave(n, "method "+name)
	return value{}
}

// reflected is the call of a method by reflection, as the machine does it.
func (c *compiler) reflected(n *ast.CallNode, callee *ast.MemberNode, m reflect.Method, on func(*Vars) any) value {
	fn := m.Type
	if fn.IsVariadic() {
		c.leave(n, "method with a variable number of arguments")
	}
	list := make([]func(*Vars) any, len(n.Arguments))
	for i, a := range n.Arguments {
		if a.Type() != fn.In(i+1) {
			c.leave(a, "argument of "+m.Name+" whose type is not known")
		}
		list[i] = c.boxed(a, c.node(a))
	}
	at, fetched := c.at(n), c.at(callee)
	step := &runtime.Method{Index: m.Index, Name: m.Name}
	return basic(func(v *Vars) any {
		in := make([]reflect.Value, len(list))
		for i, f := range list {
			in[i] = reflect.ValueOf(f(v))
		}
		receiver := on(v)
		v.at = fetched
		bound := reflect.ValueOf(runtime.FetchMethod(receiver, step))
		v.at = at
		out := bound.Call(in)
		if len(out) == 2 && !out[1].IsNil() {
			if err, ok := out[1].Interface().(error); ok {
				panic(err)
			}
		}
		return out[0].Interface()
	}, fn.Out(0))
}
