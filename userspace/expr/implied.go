package expr

import (
	"slices"

	"github.com/expr-lang/expr/ast"

	"gabion/userspace/expr/closure"
)

// implied finds what must hold of an event for an expression to be true. It goes on only behind what
// can neither fail nor have an effect: what follows must still be reached.
type implied struct{ safety }

func newImplied(helpers map[string]closure.Helper) *implied {
	return &implied{safety{helpers: helpers, bound: map[string]ast.Node{}}}
}

// conditions returns the conditions on single fields, and whether there is nothing else in the
// expression.
func (q *implied) conditions(n ast.Node) (out []Condition, all bool) {
	if c, ok := condition(n); ok {
		return []Condition{c}, true
	}
	switch n := n.(type) {
	case *ast.BinaryNode:
		switch {
		case isAnd(n.Operator):
			return q.both(n.Left, n.Right)
		case isOr(n.Operator):
			left, _ := q.conditions(n.Left)
			right, _ := q.conditions(n.Right)
			return either(left, right), false
		}
	case *ast.ConditionalNode:
		if isFalse(n.Exp2) {
			return q.both(n.Cond, n.Exp1)
		}
	case *ast.VariableDeclaratorNode:
		if q.declare(n) {
			out, _ = q.conditions(n.Expr)
		}
		return out, false
	}
	return nil, false
}

// both returns the conditions of two expressions of which the second is evaluated when the first is
// true.
func (q *implied) both(first, second ast.Node) (out []Condition, all bool) {
	out, all = q.conditions(first)
	if !all && q.typeOf(first) != boolean {
		return out, false
	}
	more, rest := q.conditions(second)
	return append(out, more...), all && rest
}

// either returns the conditions of two expressions of which one is true: on fields that both ask for.
func either(left, right []Condition) (out []Condition) {
	for _, l := range left {
		for _, r := range right {
			if l.Map == r.Map && l.Key == r.Key {
				c, _ := newCondition(l.Map, l.Key, slices.Concat(l.Values, r.Values))
				out = append(out, c)
				break
			}
		}
	}
	return out
}

// declare takes note of a variable; it reports whether computing it is safe.
func (q *implied) declare(n *ast.VariableDeclaratorNode) bool {
	if q.typeOf(n.Value) == notSafe {
		return false
	}
	q.bound[n.Name] = n.Value
	return true
}

func isFalse(n ast.Node) bool {
	b, ok := n.(*ast.BoolNode)
	return ok && !b.Value
}
