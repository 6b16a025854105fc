package closure

import (
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/vm/runtime"
)

// sum is an addition. Texts that are joined one after the other are joined once.
func (c *compiler) sum(n *ast.BinaryNode) value {
	l, r := c.operand(n.Left), c.operand(n.Right)
	switch {
	case l.kind == text && r.kind == text:
		parts := append(partsOf(l), partsOf(r)...)
		x := textValue(concatenation(parts))
		x.parts = parts
		return x
	case l.kind == whole && r.kind == whole:
		return wholeValue(func(v *Vars) int { a := l.whole(v); return a + r.whole(v) })
	case l.kind == real && r.kind == real:
		return realValue(func(v *Vars) float64 { a := l.real(v); return a + r.real(v) })
	}
	return c.operation(n, l, r, runtime.Add)
}

func partsOf(x value) []func(*Vars) string {
	if x.parts != nil {
		return x.parts[:len(x.parts):len(x.parts)]
	}
	return []func(*Vars) string{x.text}
}

func concatenation(parts []func(*Vars) string) func(*Vars) string {
	if len(parts) == 2 {
		a, b := parts[0], parts[1]
		return func(v *Vars) string { s := a(v); return s + b(v) }
	}
	return func(v *Vars) string {
		var room [8]string
		list := room[:0]
		for _, f := range parts {
			list = append(list, f(v))
		}
		return strings.Join(list, "")
	}
}

// ordered is a comparison by order.
func (c *compiler) ordered(n *ast.BinaryNode) value {
	l, r := c.operand(n.Left), c.operand(n.Right)
	switch {
	case l.kind == text && r.kind == text:
		return orderedBy(n.Operator, l.text, r.text)
	case l.kind == whole && r.kind == whole:
		return orderedBy(n.Operator, l.whole, r.whole)
	case l.kind == real && r.kind == real:
		return orderedBy(n.Operator, l.real, r.real)
	case l.kind == whole && r.kind == real:
		return orderedBy(n.Operator, float(l), r.real)
	case l.kind == real && r.kind == whole:
		return orderedBy(n.Operator, l.real, float(r))
	}
	less := map[string]func(a, b any) bool{
		"<": runtime.Less, ">": runtime.More, "<=": runtime.LessOrEqual, ">=": runtime.MoreOrEqual,
	}[n.Operator]
	a, b, at := c.boxed(n.Left, l), c.boxed(n.Right, r), c.at(n)
	return truthValue(func(v *Vars) bool {
		x, y := a(v), b(v)
		v.at = at
		return less(x, y)
	})
}

func float(x value) func(*Vars) float64 {
	return func(v *Vars) float64 { return float64(x.whole(v)) }
}

func orderedBy[T string | int | float64](operator string, l, r func(*Vars) T) value {
	switch operator {
	case "<":
		return truthValue(func(v *Vars) bool { a := l(v); return a < r(v) })
	case ">":
		return truthValue(func(v *Vars) bool { a := l(v); return a > r(v) })
	case "<=":
		return truthValue(func(v *Vars) bool { a := l(v); return a <= r(v) })
	}
	return truthValue(func(v *Vars) bool { a := l(v); return a >= r(v) })
}

// arithmetic is an operation on numbers, times and lists that is not worth a form of its own.
func (c *compiler) arithmetic(n *ast.BinaryNode) value {
	l, r := c.operand(n.Left), c.operand(n.Right)
	switch n.Operator {
	case "-":
		if l.kind == whole && r.kind == whole {
			return wholeValue(func(v *Vars) int { a := l.whole(v); return a - r.whole(v) })
		}
		return c.operation(n, l, r, runtime.Subtract)
	case "*":
		if l.kind == whole && r.kind == whole {
			return wholeValue(func(v *Vars) int { a := l.whole(v); return a * r.whole(v) })
		}
		return c.operation(n, l, r, runtime.Multiply)
	case "/":
		return c.operation(n, l, r, func(a, b any) any { return runtime.Divide(a, b) })
	case "%":
		return c.operation(n, l, r, func(a, b any) any { return runtime.Modulo(a, b) })
	case "**", "^":
		return c.operation(n, l, r, func(a, b any) any { return runtime.Exponent(a, b) })
	case "..":
		return c.numbers(n, l, r)
	}
	c.leave(n, "operator "+n.Operator)
	return value{}
}

func (c *compiler) operation(n *ast.BinaryNode, l, r value, do func(a, b any) any) value {
	a, b, at := c.boxed(n.Left, l), c.boxed(n.Right, r), c.at(n)
	return dynamicValue(func(v *Vars) any {
		x, y := a(v), b(v)
		v.at = at
		return do(x, y)
	})
}

// numbers is the list of the numbers from one to another.
func (c *compiler) numbers(n *ast.BinaryNode, l, r value) value {
	a, b, at := c.boxed(n.Left, l), c.boxed(n.Right, r), c.at(n)
	return dynamicValue(func(v *Vars) any {
		x, y := a(v), b(v)
		v.at = at
		first, last := runtime.ToInt(x), runtime.ToInt(y)
		v.grow(max(last-first+1, 0))
		return runtime.MakeRange(first, last)
	})
}
