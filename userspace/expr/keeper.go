package expr

import (
	"slices"

	"github.com/expr-lang/expr/ast"
)

// keeper rewrites a condition so that it reads what a bucket keeps of its queue. It knows
//
//	len(L), any(L, P), all(L, P), none(L, P), one(L, P), count(L, P)
//	L[-2].Meta.x, L[0].Time, L[-4:] and L[:4] in a function that looks at each element
//
// where L is queue.Queue, filter(L, P) or a variable for it, and P says something about the text of
// its element alone, which can neither fail nor have an effect. Whatever else touches the queue
// fails.
type keeper struct {
	enriched []string
	lists    map[string]*events // by the name of the variable
	slots    []draft
	failed   bool
}

// rewrite replaces what the node says about lists.
func (k *keeper) rewrite(at *ast.Node) {
	switch n := (*at).(type) {
	case *ast.IdentifierNode:
		_, isList := k.lists[n.Value]
		k.failed = k.failed || isList || n.Value == "queue" || n.Value == "leaky" || n.Value == "$env"
	case *ast.PointerNode:
		k.failed = k.failed || n.Name != "index"
	case *ast.VariableDeclaratorNode:
		if l := k.list(n.Value); l != nil {
			k.lists[n.Name] = l
			k.rewrite(&n.Expr)
			*at = n.Expr
			return
		}
		k.all(&n.Value, &n.Expr)
	case *ast.BuiltinNode:
		k.builtin(at, n)
	case *ast.MemberNode:
		k.member(n)
	case *ast.SliceNode:
		k.failed = k.failed || k.list(n.Node) != nil
		k.all(&n.Node, &n.From, &n.To)
	case *ast.CallNode:
		k.rewrite(&n.Callee)
		k.each(n.Arguments)
	case *ast.PredicateNode:
		k.rewrite(&n.Node)
	case *ast.UnaryNode:
		k.rewrite(&n.Node)
	case *ast.BinaryNode:
		k.all(&n.Left, &n.Right)
	case *ast.ConditionalNode:
		k.all(&n.Cond, &n.Exp1, &n.Exp2)
	case *ast.ArrayNode:
		k.each(n.Nodes)
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NilNode, nil:
	default:
		k.failed = true
	}
}

func (k *keeper) all(nodes ...*ast.Node) {
	for _, n := range nodes {
		k.rewrite(n)
	}
}

func (k *keeper) each(nodes []ast.Node) {
	for i := range nodes {
		k.rewrite(&nodes[i])
	}
}

// builtin rewrites a function of the language that looks at a list.
func (k *keeper) builtin(at *ast.Node, n *ast.BuiltinNode) {
	if len(n.Arguments) == 0 {
		return
	}
	if l := k.list(n.Arguments[0]); l != nil {
		if counted := k.count(n, l); counted != nil {
			*at = counted
			return
		}
		k.failed = true
		return
	}
	if s, ok := n.Arguments[0].(*ast.SliceNode); ok {
		if l := k.list(s.Node); l != nil {
			k.slice(at, n, s, l)
			return
		}
	}
	k.each(n.Arguments)
}

// count rewrites a function that only counts, and returns nil for another.
func (k *keeper) count(n *ast.BuiltinNode, l *events) ast.Node {
	if n.Name == "len" {
		return k.call(keptCount, k.slot(l))
	}
	if len(n.Arguments) != 2 {
		return nil
	}
	p := element(n.Arguments[1])
	if p == nil {
		return nil
	}
	if n.Name == "all" {
		p = &ast.UnaryNode{Operator: "not", Node: p}
	}
	compare := func(op string, with int) ast.Node {
		return &ast.BinaryNode{Operator: op, Left: k.call(keptCount, k.slot(l.filtered(p))), Right: &ast.IntegerNode{Value: with}}
	}
	switch n.Name {
	case "count":
		return k.call(keptCount, k.slot(l.filtered(p)))
	case "any":
		return compare(">", 0)
	case "one":
		return compare("==", 1)
	case "all", "none":
		return compare("==", 0)
	}
	return nil
}

// slice rewrites a function of one end of a list.
func (k *keeper) slice(at *ast.Node, n *ast.BuiltinNode, s *ast.SliceNode, l *events) {
	switch n.Name {
	case "len", "map", "any", "all", "none", "one", "count":
	default: // it may hand on the elements themselves
		k.failed = true
		return
	}
	from, hasFrom := number(s.From)
	to, hasTo := number(s.To)
	switch {
	case hasFrom && from < 0 && from >= -maxKept && s.To == nil:
		if n.Name == "map" && isTime(n.Arguments[1]) {
			*at = k.call(keptTimes, k.keep(l, 0, -from), -from)
			return
		}
		s.Node = k.call(keptTail, k.keep(l, 0, -from))
	case (s.From == nil || hasFrom && from >= 0) && hasTo && to >= 0 && to <= maxKept:
		s.Node = k.call(keptHead, k.keep(l, to, 0))
	default:
		k.failed = true
		return
	}
	k.each(n.Arguments[1:])
}

// isTime recognises {#.Time}.
func isTime(n ast.Node) bool {
	p, ok := n.(*ast.PredicateNode)
	if !ok {
		return false
	}
	m, ok := p.Node.(*ast.MemberNode)
	if !ok || m.Optional || m.Method {
		return false
	}
	of, ok := m.Node.(*ast.PointerNode)
	name, named := m.Property.(*ast.StringNode)
	return ok && of.Name == "" && named && name.Value == "Time"
}

// member rewrites the access to an element's field, and refuses what may reach the queue another way.
func (k *keeper) member(n *ast.MemberNode) {
	path, base := fieldPath(n)
	switch base := base.(type) {
	case *ast.IdentifierNode:
		if base.Value == "queue" && slices.Equal(path, []string{"L"}) || base.Value == "leaky" && len(path) > 0 && path[0] != "Queue" {
			return
		}
	case *ast.PointerNode:
		k.failed = k.failed || base.Name != "" || !k.readable(path)
		return
	case *ast.MemberNode: // with a property that is no name
		if l := k.list(base.Node); l != nil {
			i, ok := number(base.Property)
			_, direct := base.Node.(*ast.BuiltinNode) // the library fails on filter(...)[-1], whatever there is
			if !ok || direct || base.Optional || i < -maxKept || i >= maxKept || !k.readable(path) {
				k.failed = true
				return
			}
			if i < 0 {
				base.Node = k.call(keptTail, k.keep(l, 0, -i))
			} else {
				base.Node = k.call(keptHead, k.keep(l, i+1, 0))
			}
			return
		}
	}
	k.failed = k.failed || k.list(n) != nil || k.list(n.Node) != nil
	k.all(&n.Node, &n.Property)
}

// fieldPath returns the names behind a node, outermost last, and the node.
func fieldPath(n ast.Node) ([]string, ast.Node) {
	m, ok := n.(*ast.MemberNode)
	if !ok {
		return nil, n
	}
	name, ok := m.Property.(*ast.StringNode)
	if !ok || m.Optional {
		return nil, n
	}
	path, base := fieldPath(m.Node)
	return append(path, name.Value), base
}

// readable reports whether kept events have what the names behind an element stand for.
func (k *keeper) readable(path []string) bool {
	switch {
	case len(path) == 1:
		return path[0] == "Time"
	case len(path) == 2 && path[0] == "Meta":
		return true
	case len(path) == 2 && path[0] == "Enriched":
		return slices.Contains(k.enriched, path[1])
	}
	return false
}

// list reads a node as a list, nil for anything else.
func (k *keeper) list(n ast.Node) *events {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		return k.lists[n.Value]
	case *ast.MemberNode:
		if path, base := fieldPath(n); slices.Equal(path, []string{"Queue"}) && isQueue(base) {
			return &events{}
		}
	case *ast.CallNode:
		if path, base := fieldPath(n.Callee); slices.Equal(path, []string{"GetQueue"}) && isQueue(base) && len(n.Arguments) == 0 {
			return &events{}
		}
	case *ast.BuiltinNode:
		if n.Name != "filter" || len(n.Arguments) != 2 {
			return nil
		}
		l, p := k.list(n.Arguments[0]), element(n.Arguments[1])
		if l == nil || p == nil {
			return nil
		}
		return l.filtered(p)
	}
	return nil
}

func isQueue(n ast.Node) bool {
	id, ok := n.(*ast.IdentifierNode)
	return ok && id.Value == "queue"
}

// keep returns the slot of a list that keeps so many events at its ends.
func (k *keeper) keep(l *events, head, tail int) int {
	i := k.slot(l)
	d := &k.slots[i]
	d.head, d.tail = max(d.head, head), max(d.tail, tail)
	return i
}

// call returns a call of one of the helpers that read what is kept.
func (k *keeper) call(name string, numbers ...int) ast.Node {
	c := &ast.CallNode{Callee: &ast.IdentifierNode{Value: name}, Arguments: []ast.Node{&ast.IdentifierNode{Value: "queue"}}}
	for _, n := range numbers {
		c.Arguments = append(c.Arguments, &ast.IntegerNode{Value: n})
	}
	return c
}

// number reads a constant.
func number(n ast.Node) (int, bool) {
	switch n := n.(type) {
	case *ast.IntegerNode:
		return n.Value, true
	case *ast.UnaryNode:
		if i, ok := n.Node.(*ast.IntegerNode); ok && n.Operator == "-" {
			return -i.Value, true
		}
	}
	return 0, false
}

// element returns a predicate as an expression over evt, nil when it says something about more than
// the element's text, could fail or has an effect.
func element(n ast.Node) ast.Node {
	p, ok := n.(*ast.PredicateNode)
	if !ok {
		return nil
	}
	over := overEvent(p.Node)
	if over == nil || typeOf(over) != boolean {
		return nil
	}
	return over
}

// overEvent copies an expression with evt in the place of #.
func overEvent(n ast.Node) ast.Node {
	switch n := n.(type) {
	case *ast.PointerNode:
		if n.Name == "" {
			return &ast.IdentifierNode{Value: "evt"}
		}
	case *ast.StringNode, *ast.BoolNode:
		return n
	case *ast.MemberNode:
		if of := overEvent(n.Node); of != nil && !n.Optional && !n.Method {
			return &ast.MemberNode{Node: of, Property: n.Property}
		}
	case *ast.UnaryNode:
		if of := overEvent(n.Node); of != nil {
			return &ast.UnaryNode{Operator: n.Operator, Node: of}
		}
	case *ast.BinaryNode:
		if left, right := overEvent(n.Left), overEvent(n.Right); left != nil && right != nil {
			return &ast.BinaryNode{Operator: n.Operator, Left: left, Right: right}
		}
	case *ast.ArrayNode:
		out := &ast.ArrayNode{}
		for _, e := range n.Nodes {
			c := overEvent(e)
			if c == nil {
				return nil
			}
			out.Nodes = append(out.Nodes, c)
		}
		return out
	}
	return nil
}
