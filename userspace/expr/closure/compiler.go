package closure

import (
	"fmt"
	"reflect"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/vm/runtime"

	"gabion/userspace/event"
)

// compiler compiles one expression.
type compiler struct {
	opts   Options
	needs  variable
	risky  bool
	slots  int
	depth  int
	locals []local
	loops  []value // items of the predicates around the node, the innermost last
}

// local is a variable that let declares.
type local struct {
	name  string
	value value
}

// leave ends the compilation at a construct that is not covered. It returns for the type's sake.
func (c *compiler) leave(n ast.Node, construct string) func(*Vars) any {
	panic(&Unsupported{Construct: construct, At: n.Location()})
}

// at returns the place of a node and notes that the expression may fail there.
func (c *compiler) at(n ast.Node) int32 {
	c.risky = true
	return place(n)
}

func place(n ast.Node) int32 { return int32(n.Location().From) }

func (c *compiler) node(n ast.Node) value {
	switch n := n.(type) {
	case *ast.NilNode:
		return fixedValue(nil)
	case *ast.BoolNode:
		return fixedValue(n.Value)
	case *ast.StringNode:
		return fixedValue(n.Value)
	case *ast.IntegerNode:
		return c.integer(n)
	case *ast.FloatNode:
		return c.float(n)
	case *ast.ConstantNode:
		return fixedValue(n.Value)
	case *ast.IdentifierNode:
		return c.identifier(n)
	case *ast.MemberNode:
		return c.member(n)
	case *ast.ChainNode:
		return c.chain(n)
	case *ast.SliceNode:
		return c.slice(n)
	case *ast.UnaryNode:
		return c.unary(n)
	case *ast.BinaryNode:
		return c.binary(n)
	case *ast.ConditionalNode:
		return c.conditional(n)
	case *ast.CallNode:
		return c.call(n)
	case *ast.BuiltinNode:
		return c.builtin(n)
	case *ast.PointerNode:
		return c.pointer(n)
	case *ast.VariableDeclaratorNode:
		return c.declaration(n)
	case *ast.ArrayNode:
		return c.array(n)
	case *ast.MapNode:
		return c.mapping(n)
	}
	c.leave(n, fmt.Sprintf("%T", n))
	return value{}
}

// integer is a constant of the type that the checker chose.
func (c *compiler) integer(n *ast.IntegerNode) value {
	switch n.Type().Kind() {
	case reflect.Float64:
		return fixedValue(float64(n.Value))
	case reflect.Int, reflect.Interface:
		return fixedValue(n.Value)
	}
	c.leave(n, "number of type "+n.Type().String())
	return value{}
}

func (c *compiler) float(n *ast.FloatNode) value {
	if n.Type().Kind() == reflect.Float32 {
		c.leave(n, "number of type float32")
	}
	return fixedValue(n.Value)
}

// identifier is a variable that stands alone.
func (c *compiler) identifier(n *ast.IdentifierNode) value {
	for i := len(c.locals) - 1; i >= 0; i-- {
		if c.locals[i].name == n.Value {
			return c.locals[i].value
		}
	}
	return c.variable(n)
}

// declaration is let name = value; the value is kept in a slot.
func (c *compiler) declaration(n *ast.VariableDeclaratorNode) value {
	init := c.node(n.Value)
	i := c.slots
	c.slots++
	c.risky = true // the slots are made when a run begins
	var store func(*Vars)
	var load value
	switch {
	case init.fixed:
		load = init
	case init.kind == text:
		store = func(v *Vars) { v.slots[i].text = init.text(v) }
		load = textValue(func(v *Vars) string { return v.slots[i].text })
	case init.kind == texts:
		store = func(v *Vars) { v.slots[i].any = init.texts(v) }
		load = textsValue(func(v *Vars) []string { return v.slots[i].any.([]string) })
	case init.kind == events:
		store = func(v *Vars) { v.slots[i].any = init.events(v) }
		load = value{kind: events, events: func(v *Vars) []*event.Event { return v.slots[i].any.([]*event.Event) }}
	default:
		f := c.boxed(n.Value, init)
		store = func(v *Vars) { v.slots[i].any = f(v) }
		load = c.unboxed(init.kind, func(v *Vars) any { return v.slots[i].any })
	}
	c.locals = append(c.locals, local{n.Name, load})
	body := c.node(n.Expr)
	c.locals = c.locals[:len(c.locals)-1]
	if store == nil {
		return body
	}
	return c.after(n.Expr, store, body)
}

// unboxed gives a value that was boxed its kind back.
func (c *compiler) unboxed(k kind, f func(*Vars) any) value {
	switch k {
	case truth:
		return truthValue(func(v *Vars) bool { return f(v).(bool) })
	case whole:
		return wholeValue(func(v *Vars) int { return f(v).(int) })
	case real:
		return realValue(func(v *Vars) float64 { return f(v).(float64) })
	}
	return dynamicValue(f)
}

// after is body, with something done before.
func (c *compiler) after(n ast.Node, first func(*Vars), body value) value {
	switch body.kind {
	case truth:
		return truthValue(func(v *Vars) bool { first(v); return body.truth(v) })
	case text:
		return textValue(func(v *Vars) string { first(v); return body.text(v) })
	}
	f := c.boxed(n, body)
	return dynamicValue(func(v *Vars) any { first(v); return f(v) })
}

// conditional is cond ? a : b.
func (c *compiler) conditional(n *ast.ConditionalNode) value {
	cond := c.asTruth(n.Cond, c.operand(n.Cond), place(n))
	a, b := c.node(n.Exp1), c.node(n.Exp2)
	switch {
	case a.kind == truth && b.kind == truth:
		return truthValue(func(v *Vars) bool {
			if cond(v) {
				return a.truth(v)
			}
			return b.truth(v)
		})
	case a.kind == text && b.kind == text:
		return textValue(func(v *Vars) string {
			if cond(v) {
				return a.text(v)
			}
			return b.text(v)
		})
	}
	x, y := c.boxed(n.Exp1, a), c.boxed(n.Exp2, b)
	return dynamicValue(func(v *Vars) any {
		if cond(v) {
			return x(v)
		}
		return y(v)
	})
}

// decision is the value as the result of an expression that decides.
func (c *compiler) decision(x value) value {
	if x.kind == truth {
		return x
	}
	c.risky = true
	f := c.boxed(&ast.NilNode{}, x)
	return truthValue(func(v *Vars) bool {
		x := f(v)
		b, ok := x.(bool)
		if !ok && x != nil {
			v.at = 0
			panic(fmt.Sprintf("invalid operation: bool(%T)", x))
		}
		return b
	})
}

// array is a list of values that are not all constant.
func (c *compiler) array(n *ast.ArrayNode) value {
	at := c.at(n)
	items := make([]func(*Vars) any, len(n.Nodes))
	for i, item := range n.Nodes {
		items[i] = c.boxed(item, c.node(item))
	}
	return dynamicValue(func(v *Vars) any {
		list := make([]any, len(items))
		for i, item := range items {
			list[i] = item(v)
		}
		v.at = at
		v.grow(len(list))
		return list
	})
}

// mapping is a map. It is made anew for each run, because a helper may store into it.
func (c *compiler) mapping(n *ast.MapNode) value {
	at := c.at(n)
	keys, values := make([]func(*Vars) any, len(n.Pairs)), make([]func(*Vars) any, len(n.Pairs))
	for i, p := range n.Pairs {
		pair := p.(*ast.PairNode)
		keys[i], values[i] = c.boxed(pair.Key, c.node(pair.Key)), c.boxed(pair.Value, c.node(pair.Value))
	}
	return value{kind: object, object: func(v *Vars) map[string]any {
		names := make([]any, len(keys))
		list := make([]any, len(keys))
		for i := range keys {
			names[i], list[i] = keys[i](v), values[i](v)
		}
		v.at = at
		v.grow(len(keys))
		m := make(map[string]any, len(keys))
		for i := len(keys) - 1; i >= 0; i-- {
			m[names[i].(string)] = list[i]
		}
		return m
	}}
}

// unary is a sign or a negation.
func (c *compiler) unary(n *ast.UnaryNode) value {
	x := c.operand(n.Node)
	switch n.Operator {
	case "!", "not":
		f := c.asTruth(n.Node, x, place(n))
		return truthValue(func(v *Vars) bool { return !f(v) })
	case "+":
		return x
	}
	switch x.kind {
	case whole:
		return wholeValue(func(v *Vars) int { return -x.whole(v) })
	case real:
		return realValue(func(v *Vars) float64 { return -x.real(v) })
	}
	f, at := c.boxed(n.Node, x), c.at(n)
	return dynamicValue(func(v *Vars) any {
		x := f(v)
		v.at = at
		return runtime.Negate(x)
	})
}

// slice is a part of a text or a list.
func (c *compiler) slice(n *ast.SliceNode) value {
	x := c.node(n.Node)
	to, from := c.bound(n.To), c.bound(n.From)
	switch {
	case x.mayStop:
		c.leave(n, "slice of an optional value")
	case from.kind != whole || to.kind != whole:
	case x.kind == text:
		return textValue(func(v *Vars) string {
			s := x.text(v)
			a, b := bounds(v, len(s), n.To != nil, to, from)
			return s[a:b]
		})
	case x.kind == events:
		return value{kind: events, events: func(v *Vars) []*event.Event {
			list := x.events(v)
			a, b := bounds(v, len(list), n.To != nil, to, from)
			return list[a:b]
		}}
	}
	f, at := c.boxed(n.Node, x), c.at(n)
	upper, lower := c.boxed(n, to), c.boxed(n, from)
	return dynamicValue(func(v *Vars) any {
		x := f(v)
		var b any
		if n.To != nil {
			b = upper(v)
		} else {
			v.at = at
			b = runtime.Len(x)
		}
		a := lower(v)
		v.at = at
		return runtime.Slice(x, a, b)
	})
}

// bound compiles one end of a slice; zero stands for one that is left out.
func (c *compiler) bound(n ast.Node) value {
	if n == nil {
		return fixedValue(0)
	}
	return c.operand(n)
}

// bounds returns the ends of a slice of something of the given length: negative ones count from
// its end, and those outside are moved to it.
func bounds(v *Vars, length int, bounded bool, to, from value) (a, b int) {
	b = length
	if bounded {
		b = to.whole(v)
	}
	a = from.whole(v)
	if a < 0 {
		a = max(length+a, 0)
	}
	if b < 0 {
		b = max(length+b, 0)
	}
	b = min(b, length)
	return min(a, b), b
}
