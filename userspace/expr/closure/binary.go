package closure

import (
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/vm/runtime"
)

func (c *compiler) binary(n *ast.BinaryNode) value {
	switch n.Operator {
	case "&&", "and":
		return c.and(n)
	case "||", "or":
		return c.or(n)
	case "==":
		return c.equal(n)
	case "!=":
		same := c.equal(n).truth
		return truthValue(func(v *Vars) bool { return !same(v) })
	case "in":
		return c.in(n)
	case "matches":
		return c.matches(n)
	case "contains":
		return c.searched(n, strings.Contains)
	case "startsWith":
		return c.searched(n, strings.HasPrefix)
	case "endsWith":
		return c.searched(n, strings.HasSuffix)
	case "??":
		return c.coalesced(n)
	case "+":
		return c.sum(n)
	case "<", ">", "<=", ">=":
		return c.ordered(n)
	}
	return c.arithmetic(n)
}

// and is a conjunction, however many operands it joins.
func (c *compiler) and(n *ast.BinaryNode) value {
	first, last, node := c.operands(n, isAnd)
	if last.kind == truth {
		return truthValue(allOf(append(first, last.truth)))
	}
	holds, rest := allOf(first), c.boxed(node, last)
	return dynamicValue(func(v *Vars) any {
		if !holds(v) {
			return false
		}
		return rest(v)
	})
}

func (c *compiler) or(n *ast.BinaryNode) value {
	first, last, node := c.operands(n, isOr)
	if last.kind == truth {
		return truthValue(anyOf(append(first, last.truth)))
	}
	holds, rest := anyOf(first), c.boxed(node, last)
	return dynamicValue(func(v *Vars) any {
		if holds(v) {
			return true
		}
		return rest(v)
	})
}

func isAnd(op string) bool { return op == "&&" || op == "and" }
func isOr(op string) bool  { return op == "||" || op == "or" }

// asked is an operand of a conjunction or an alternative, and where the machine asks for its truth;
// it does not ask for that of the last.
type asked struct {
	node ast.Node
	at   int32
}

// operands compiles what an operator joins, also where an operand is joined by the same operator.
func (c *compiler) operands(n *ast.BinaryNode, is func(string) bool) (first []func(*Vars) bool, last value, node ast.Node) {
	list := flatten(n, is, 0, nil)
	for _, o := range list[:len(list)-1] {
		first = append(first, c.asTruth(o.node, c.operand(o.node), o.at))
	}
	node = list[len(list)-1].node
	return first, c.operand(node), node
}

func flatten(n ast.Node, is func(string) bool, at int32, list []asked) []asked {
	if b, ok := n.(*ast.BinaryNode); ok && is(b.Operator) {
		return flatten(b.Right, is, at, flatten(b.Left, is, place(b), list))
	}
	return append(list, asked{n, at})
}

func allOf(list []func(*Vars) bool) func(*Vars) bool {
	switch len(list) {
	case 1:
		return list[0]
	case 2:
		a, b := list[0], list[1]
		return func(v *Vars) bool { return a(v) && b(v) }
	case 3:
		a, b, c := list[0], list[1], list[2]
		return func(v *Vars) bool { return a(v) && b(v) && c(v) }
	}
	return func(v *Vars) bool {
		for _, f := range list {
			if !f(v) {
				return false
			}
		}
		return true
	}
}

func anyOf(list []func(*Vars) bool) func(*Vars) bool {
	switch len(list) {
	case 1:
		return list[0]
	case 2:
		a, b := list[0], list[1]
		return func(v *Vars) bool { return a(v) || b(v) }
	case 3:
		a, b, c := list[0], list[1], list[2]
		return func(v *Vars) bool { return a(v) || b(v) || c(v) }
	}
	return func(v *Vars) bool {
		for _, f := range list {
			if f(v) {
				return true
			}
		}
		return false
	}
}

// equal is a comparison; its value is always a bool.
func (c *compiler) equal(n *ast.BinaryNode) value {
	l, r := c.operand(n.Left), c.operand(n.Right)
	switch {
	case l.kind == text && r.kind == text:
		return truthValue(equalTexts(l, r))
	case l.kind == whole && r.kind == whole:
		return truthValue(func(v *Vars) bool { return l.whole(v) == r.whole(v) })
	case l.kind == real && r.kind == real:
		return truthValue(func(v *Vars) bool { return l.real(v) == r.real(v) })
	case l.kind == truth && r.kind == truth:
		return truthValue(func(v *Vars) bool { return l.truth(v) == r.truth(v) })
	}
	at := c.at(n)
	if t := plainType(n.Left); t != nil && t == plainType(n.Right) { // the machine relies on the types
		switch t.Kind() {
		case reflect.String:
			a, b := c.boxed(n.Left, l), c.boxed(n.Right, r)
			return truthValue(func(v *Vars) bool { x, y := a(v), b(v); v.at = at; return x.(string) == y.(string) })
		case reflect.Int:
			a, b := c.boxed(n.Left, l), c.boxed(n.Right, r)
			return truthValue(func(v *Vars) bool { x, y := a(v), b(v); v.at = at; return x.(int) == y.(int) })
		}
	}
	a, b := c.boxed(n.Left, l), c.boxed(n.Right, r)
	switch {
	case r.fixed && r.constant == nil:
		return truthValue(func(v *Vars) bool { return runtime.IsNil(a(v)) })
	case r.fixed && r.kind == text:
		return truthValue(equalConstant(a, r.constant.(string), r.constant, at))
	}
	return truthValue(func(v *Vars) bool {
		x, y := a(v), b(v)
		v.at = at
		return runtime.Equal(x, y)
	})
}

// plainType returns the type of a node when it is none that a package declares.
func plainType(n ast.Node) reflect.Type {
	if t := n.Type(); t.PkgPath() == "" {
		return t
	}
	return nil
}

func equalTexts(l, r value) func(*Vars) bool {
	if l.fixed {
		l, r = r, l
	}
	want, _ := r.constant.(string)
	switch {
	case r.fixed && l.field != nil:
		f := *l.field
		return func(v *Vars) bool { return v.Event.In(f.set).GetKey(f.key) == want }
	case r.fixed:
		return func(v *Vars) bool { return l.text(v) == want }
	}
	return func(v *Vars) bool { return l.text(v) == r.text(v) }
}

// equalConstant compares a value of any type with a text.
func equalConstant(a func(*Vars) any, want string, boxed any, at int32) func(*Vars) bool {
	return func(v *Vars) bool {
		x := a(v)
		if s, ok := x.(string); ok {
			return s == want
		}
		v.at = at
		return runtime.Equal(x, boxed)
	}
}

// in is the search for a value in a list, or for a name in a map.
func (c *compiler) in(n *ast.BinaryNode) value {
	l, r := c.operand(n.Left), c.operand(n.Right)
	if r.kind == fields && l.kind == text {
		return truthValue(func(v *Vars) bool {
			name := l.text(v)
			_, ok := r.fields(v).Lookup(name)
			return ok
		})
	}
	if search := c.inLines(n, l); search != nil {
		return truthValue(search)
	}
	if l.kind == text && r.kind == texts {
		return truthValue(func(v *Vars) bool { s := l.text(v); return slices.Contains(r.texts(v), s) })
	}
	find := textsIn(r)
	if l.kind == text && find != nil {
		if l.field != nil {
			f := *l.field
			return truthValue(func(v *Vars) bool { return find(v.Event.In(f.set).GetKey(f.key)) })
		}
		return truthValue(func(v *Vars) bool { return find(l.text(v)) })
	}
	b, at := c.boxed(n.Right, r), c.at(n)
	if l.kind == text {
		return truthValue(func(v *Vars) bool {
			s, list := l.text(v), b(v)
			v.at = at
			if texts, ok := list.([]string); ok {
				return slices.Contains(texts, s)
			}
			return runtime.In(s, list)
		})
	}
	a := c.boxed(n.Left, l)
	return truthValue(func(v *Vars) bool {
		x := a(v)
		if s, ok := x.(string); ok && find != nil {
			return find(s)
		}
		list := b(v)
		v.at = at
		return runtime.In(x, list)
	})
}

// fewTexts is how many texts are compared one by one.
const fewTexts = 4

// textsIn returns the search for a text in a constant list; nil for what is no such list. Elements
// that are no text are equal to none.
func textsIn(list value) func(string) bool {
	var all []string
	switch l := list.constant.(type) {
	case map[string]struct{}:
		for s := range l {
			all = append(all, s)
		}
	case []any:
		for _, x := range l {
			if s, ok := x.(string); ok {
				all = append(all, s)
			}
		}
	default:
		return nil
	}
	if len(all) <= fewTexts {
		slices.Sort(all)
		return func(s string) bool { return slices.Contains(all, s) }
	}
	set := make(map[string]struct{}, len(all))
	for _, s := range all {
		set[s] = struct{}{}
	}
	return func(s string) bool { _, ok := set[s]; return ok }
}

// matches is the search for a regular expression.
func (c *compiler) matches(n *ast.BinaryNode) value {
	l, r := c.operand(n.Left), c.operand(n.Right)
	if r.fixed && r.kind == text {
		if re, err := regexp.Compile(r.constant.(string)); err == nil {
			return c.matchesConstant(n, l, re)
		}
	}
	a, b, at := c.boxed(n.Left, l), c.boxed(n.Right, r), c.at(n)
	return truthValue(func(v *Vars) bool {
		x, pattern := a(v), b(v)
		v.at = at
		if runtime.IsNil(x) || runtime.IsNil(pattern) {
			return false
		}
		if s, ok := x.(string); ok {
			return checked(regexp.MatchString(pattern.(string), s))
		}
		return checked(regexp.Match(pattern.(string), x.([]byte)))
	})
}

func (c *compiler) matchesConstant(n *ast.BinaryNode, l value, re *regexp.Regexp) value {
	if l.kind == text {
		return truthValue(func(v *Vars) bool { return re.MatchString(l.text(v)) })
	}
	a, at := c.boxed(n.Left, l), c.at(n)
	return truthValue(func(v *Vars) bool {
		x := a(v)
		if s, ok := x.(string); ok {
			return re.MatchString(s)
		}
		v.at = at
		if runtime.IsNil(x) {
			return false
		}
		return re.Match(x.([]byte))
	})
}

// searched is contains, startsWith or endsWith. Nil contains nothing and is contained nowhere.
func (c *compiler) searched(n *ast.BinaryNode, test func(s, part string) bool) value {
	l, r := c.operand(n.Left), c.operand(n.Right)
	if l.kind == text && r.kind == text {
		if r.fixed {
			part := r.constant.(string)
			return truthValue(func(v *Vars) bool { return test(l.text(v), part) })
		}
		return truthValue(func(v *Vars) bool { s := l.text(v); return test(s, r.text(v)) })
	}
	a, b, at := c.boxed(n.Left, l), c.boxed(n.Right, r), c.at(n)
	return truthValue(func(v *Vars) bool {
		x, y := a(v), b(v)
		v.at = at
		if runtime.IsNil(x) || runtime.IsNil(y) {
			return false
		}
		return test(x.(string), y.(string))
	})
}

// coalesced is a ?? b: the first that is not nil.
func (c *compiler) coalesced(n *ast.BinaryNode) value {
	l := c.operand(n.Left)
	if l.kind == text { // never nil
		return l
	}
	a, b := c.boxed(n.Left, l), c.boxed(n.Right, c.operand(n.Right))
	return dynamicValue(func(v *Vars) any {
		if x := a(v); !runtime.IsNil(x) {
			return x
		}
		return b(v)
	})
}
