package closure

import (
	"errors"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
	builtins "github.com/expr-lang/expr/builtin"

	"gabion/userspace/event"
)

// builtin is the call of a function of the language.
func (c *compiler) builtin(n *ast.BuiltinNode) value {
	switch n.Name {
	case "all", "none", "any", "one", "count", "filter", "map", "find":
		return c.loop(n)
	}
	i, ok := builtins.Index[n.Name]
	if !ok || builtins.Builtins[i].Predicate {
		c.leave(n, "function "+n.Name)
	}
	args := make([]value, len(n.Arguments))
	for i, a := range n.Arguments {
		args[i] = c.node(a)
	}
	if x, ok := c.textBuiltin(n, args); ok {
		return x
	}
	return c.libraryCall(n, builtins.Builtins[i], args)
}

// textBuiltin is a function of texts, without boxing.
func (c *compiler) textBuiltin(n *ast.BuiltinNode, args []value) (value, bool) {
	if len(args) == 1 && n.Name == "len" {
		return length(args[0])
	}
	for _, a := range args {
		if a.kind != text {
			return value{}, false
		}
	}
	switch {
	case len(args) == 1:
		f := map[string]func(string) string{"lower": strings.ToLower, "upper": strings.ToUpper, "trim": strings.TrimSpace}[n.Name]
		if f == nil {
			return value{}, false
		}
		return textValue(call1(f, args, 0)), true
	case len(args) == 2:
		return textBuiltin2(n.Name, args)
	}
	return value{}, false
}

func textBuiltin2(name string, args []value) (value, bool) {
	switch name {
	case "trim":
		return textValue(call2(strings.Trim, args, 0)), true
	case "trimPrefix":
		return textValue(call2(strings.TrimPrefix, args, 0)), true
	case "trimSuffix":
		return textValue(call2(strings.TrimSuffix, args, 0)), true
	case "hasPrefix":
		return truthValue(call2(strings.HasPrefix, args, 0)), true
	case "hasSuffix":
		return truthValue(call2(strings.HasSuffix, args, 0)), true
	case "split":
		return textsValue(call2(strings.Split, args, 0)), true
	case "indexOf":
		return wholeValue(call2(strings.Index, args, 0)), true
	case "lastIndexOf":
		return wholeValue(call2(strings.LastIndex, args, 0)), true
	}
	return value{}, false
}

// length is len of what has a length beforehand.
func length(x value) (value, bool) {
	switch x.kind {
	case text:
		return wholeValue(func(v *Vars) int { return utf8.RuneCountInString(x.text(v)) }), true
	case texts:
		return wholeValue(func(v *Vars) int { return len(x.texts(v)) }), true
	case object:
		return wholeValue(func(v *Vars) int { return len(x.object(v)) }), true
	case events:
		return wholeValue(func(v *Vars) int { return len(x.events(v)) }), true
	case fields:
		return wholeValue(func(v *Vars) int { return x.fields(v).Len() }), true
	}
	return value{}, false
}

// libraryCall calls the library's own function. It gives a value of the type that the checker
// expects, when that is a plain one.
func (c *compiler) libraryCall(n *ast.BuiltinNode, f *builtins.Function, args []value) value {
	list := make([]func(*Vars) any, len(args))
	for i, a := range args {
		list[i] = c.boxed(n.Arguments[i], a)
		t := n.Arguments[i].Type()
		if a.kind == dynamic && (t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface) && (f.Deref == nil || f.Deref(i, t)) {
			list[i] = dereferenced(list[i])
		}
	}
	at := c.at(n)
	if f.Fast != nil {
		arg := list[0]
		call := func(v *Vars) any {
			x := arg(v)
			v.at = at
			return f.Fast(x)
		}
		switch n.Name {
		case "len", "int":
			return c.unboxed(whole, call)
		case "float":
			return c.unboxed(real, call)
		case "string", "upper", "lower":
			return textValue(func(v *Vars) string { return call(v).(string) })
		}
		return dynamicValue(call)
	}
	return dynamicValue(func(v *Vars) any {
		in := make([]any, len(list))
		for i, arg := range list {
			in[i] = arg(v)
		}
		v.at = at
		return v.library(f, in)
	})
}

func (v *Vars) library(f *builtins.Function, in []any) any {
	if f.Safe != nil {
		out, memory, err := f.Safe(in...)
		if err != nil {
			panic(err)
		}
		v.grow(int(memory))
		return out
	}
	out, err := f.Func(in...)
	if err != nil {
		panic(err)
	}
	return out
}

var errNoElement = errors.New("reflect: slice index out of range") // in the machine's words

// loop is a function with a predicate.
func (c *compiler) loop(n *ast.BuiltinNode) value {
	list := listOfTexts(c.operand(n.Arguments[0]))
	at := c.at(n)
	s := len(c.loops)
	c.depth = max(c.depth, s+1)
	begin, item := c.over(n.Arguments[0], list, s, at)
	c.loops = append(c.loops, item)
	defer func() { c.loops = c.loops[:s] }()
	switch n.Name {
	case "filter":
		return c.filter(n, list.kind, s, begin, at)
	case "map":
		each := c.boxed(n.Arguments[1], c.body(n, 1))
		return dynamicValue(func(v *Vars) any {
			count := begin(v)
			out := make([]any, 0, min(count, MemoryBudget))
			for i := range count {
				v.scopes[s].index = i
				out = append(out, each(v))
			}
			v.at = at
			v.grow(count)
			return out
		})
	case "find":
		return c.find(n, list.kind, s, begin, at)
	}
	holds := c.predicate(n, at)
	count := func(v *Vars, enough int) (found int) {
		n := begin(v)
		for i := range n {
			v.scopes[s].index = i
			if holds(v) {
				if found++; found == enough {
					break
				}
			}
		}
		return found
	}
	switch n.Name {
	case "any":
		walk := func(v *Vars) bool { return count(v, 1) > 0 }
		if search := c.anyLine(n, s, walk); search != nil {
			return truthValue(search)
		}
		return truthValue(walk)
	case "none":
		return truthValue(func(v *Vars) bool { return count(v, 1) == 0 })
	case "one":
		return truthValue(func(v *Vars) bool { return count(v, -1) == 1 })
	case "count":
		enough := -1
		if n.Threshold != nil {
			enough = *n.Threshold
		}
		return wholeValue(func(v *Vars) int { return count(v, enough) })
	}
	return truthValue(func(v *Vars) bool { // all
		n := begin(v)
		for i := range n {
			v.scopes[s].index = i
			if !holds(v) {
				return false
			}
		}
		return true
	})
}

// listOfTexts gives a constant list of texts its kind.
func listOfTexts(x value) value {
	list, ok := x.constant.([]any)
	if !ok {
		return x
	}
	all := make([]string, len(list))
	for i, e := range list {
		if all[i], ok = e.(string); !ok {
			return x
		}
	}
	return textsValue(func(*Vars) []string { return all })
}

// over returns what starts a loop over a list in a scope, which gives the list's length, and the
// element that the loop is at.
func (c *compiler) over(n ast.Node, list value, s int, at int32) (begin func(*Vars) int, item value) {
	switch list.kind {
	case events:
		return func(v *Vars) int {
				l := list.events(v)
				v.scopes[s].events = l
				return len(l)
			}, value{kind: one, one: func(v *Vars) *event.Event {
				s := &v.scopes[s]
				return s.events[s.index]
			}}
	case texts:
		return func(v *Vars) int {
				l := list.texts(v)
				v.scopes[s].texts = l
				return len(l)
			}, textValue(func(v *Vars) string {
				s := &v.scopes[s]
				return s.texts[s.index]
			})
	}
	f := c.boxed(n, list)
	return func(v *Vars) int {
		l := f(v)
		v.at = at
		return v.scopes[s].begin(l)
	}, dynamicValue(func(v *Vars) any { return v.scopes[s].item() })
}

// body compiles an argument that is evaluated for each element.
func (c *compiler) body(n *ast.BuiltinNode, i int) value {
	if p, ok := n.Arguments[i].(*ast.PredicateNode); ok {
		return c.node(p.Node)
	}
	c.leave(n, "function "+n.Name+" with a predicate that is a value")
	return value{}
}

// predicate is the body of a loop that decides.
func (c *compiler) predicate(n *ast.BuiltinNode, at int32) func(*Vars) bool {
	if len(n.Arguments) == 1 {
		return c.asTruth(n, c.loops[len(c.loops)-1], at)
	}
	return c.asTruth(n.Arguments[1], c.body(n, 1), at)
}

// filter gives the elements that a predicate holds for, or what is made of them.
func (c *compiler) filter(n *ast.BuiltinNode, list kind, s int, begin func(*Vars) int, at int32) value {
	holds := c.predicate(n, at)
	if list == events && n.Map == nil {
		return value{kind: events, events: func(v *Vars) (out []*event.Event) {
			count := begin(v)
			for i := range count {
				if v.scopes[s].index = i; holds(v) {
					out = append(out, v.scopes[s].events[i])
				}
			}
			v.at = at
			v.grow(len(out))
			return out
		}}
	}
	each := c.kept(n, s)
	return dynamicValue(func(v *Vars) any {
		count := begin(v)
		out := []any{}
		for i := range count {
			if v.scopes[s].index = i; holds(v) {
				out = append(out, each(v))
			}
		}
		v.at = at
		v.grow(len(out))
		return out
	})
}

// kept returns what is made of an element that a predicate holds for.
func (c *compiler) kept(n *ast.BuiltinNode, s int) func(*Vars) any {
	if n.Map != nil {
		return c.boxed(n.Map, c.node(n.Map))
	}
	return c.boxed(n, c.loops[s])
}

// find gives the first element that a predicate holds for; nil, or an error for the first element
// of a filter, when there is none.
func (c *compiler) find(n *ast.BuiltinNode, list kind, s int, begin func(*Vars) int, at int32) value {
	holds := c.predicate(n, at)
	first := func(v *Vars) bool {
		count := begin(v)
		for i := range count {
			if v.scopes[s].index = i; holds(v) {
				return true
			}
		}
		if n.Throws {
			v.at = at
			panic(errNoElement)
		}
		return false
	}
	if list == events && n.Throws && n.Map == nil {
		return value{kind: one, one: func(v *Vars) *event.Event { first(v); return v.scopes[s].events[v.scopes[s].index] }}
	}
	each := c.kept(n, s)
	return dynamicValue(func(v *Vars) any {
		if !first(v) {
			return nil
		}
		return each(v)
	})
}

// pointer is #, the element that a predicate looks at, or #index.
func (c *compiler) pointer(n *ast.PointerNode) value {
	s := len(c.loops) - 1
	if s < 0 {
		c.leave(n, "# outside a predicate")
	}
	switch n.Name {
	case "":
		return c.loops[s]
	case "index":
		return wholeValue(func(v *Vars) int { return v.scopes[s].index })
	}
	c.leave(n, "#"+n.Name)
	return value{}
}
