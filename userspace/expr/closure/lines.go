package closure

import "github.com/expr-lang/expr/ast"

// Relation is how a text and a line relate.
type Relation uint8

// Relations of a text to a line.
const (
	Equals Relation = iota
	Contains
	HasPrefix
	HasSuffix
	Within // an address, in the range that a line writes
)

// LineSearch looks for a line that a text relates to without walking the lines.
type LineSearch interface {
	// Empty reports whether there are no lines.
	Empty() bool
	// Find reports whether the text relates to a line, unless only a walk can tell.
	Find(text string) (found, known bool)
}

// anyLine is any() over the lines of a helper, with a predicate that asks how something that is the
// same for every line relates to what is made of the line alone:
//
//	any(File("x"), {Upper(evt.Parsed.args) contains Upper(#)})
//	any(File("x"), {evt.Meta.path contains # or evt.Parsed.agent contains #})
//	any(File("x"), {len(#) > 0 && IpInRange(evt.Meta.source_ip, #)})
//	any(File("x"), {evt.Meta.path contains JsonExtract(#, "uri") ? ... : false})
//
// All but the last are answered by searches, the last begins to walk when the search has found
// something. It is nil for others.
func (c *compiler) anyLine(n *ast.BuiltinNode, s int, walk func(*Vars) bool) func(*Vars) bool {
	name, h := c.lines(n.Arguments[0])
	if h.Lines == nil || len(n.Arguments) != 2 {
		return nil
	}
	predicate, ok := n.Arguments[1].(*ast.PredicateNode)
	if !ok {
		return nil
	}
	asks, all := []asked{{node: predicate.Node}}, true
	if cond, ok := predicate.Node.(*ast.ConditionalNode); ok && isFalse(cond.Exp2) {
		asks[0].node, all = cond.Cond, false
	} else {
		asks = flatten(predicate.Node, isOr, 0, nil)
	}
	searches := make([]lineSearch, len(asks))
	for i, a := range asks {
		if searches[i], ok = c.lineSearch(a.node, name, h, s, len(asks) > 1); !ok {
			return nil
		}
	}
	return func(v *Vars) bool {
		if searches[0].Empty() {
			return false
		}
		for i := range searches {
			found, known := searches[i].Find(searches[i].asked(v))
			if !known || found && !all {
				return walk(v)
			}
			if found {
				return true
			}
		}
		return false
	}
}

// lineSearch is the search that answers one relation.
type lineSearch struct {
	LineSearch
	asked func(*Vars) string
}

// lineSearch prepares the search for a relation, when it has the form of one. Where it is one of
// several, what it asks about must not fail: the machine may ask before the line that another wants.
func (c *compiler) lineSearch(n ast.Node, name string, h Helper, s int, several bool) (lineSearch, bool) {
	how, with, of, ok := c.relation(n)
	if how == Equals && ok && c.reads(with, true) {
		with, of = of, with
	}
	if !ok || !c.reads(with, false) || !c.reads(of, true) || several && !c.sure(with) {
		return lineSearch{}, false
	}
	asked, made := c.node(with), c.node(of)
	if asked.kind != text || made.kind != text {
		return lineSearch{}, false
	}
	return lineSearch{h.Lines(name, how, func(line string) (string, bool) { return ofLine(made.text, s, line) }), asked.text}, true
}

// relation takes a relation apart: what is asked about, and what is made of the line. A line is never
// empty, so that being asked whether it is says nothing.
func (c *compiler) relation(n ast.Node) (how Relation, with, of ast.Node, ok bool) {
	switch n := n.(type) {
	case *ast.BinaryNode:
		if isAnd(n.Operator) && isNotEmpty(n.Left) {
			return c.relation(n.Right)
		}
		how, ok = map[string]Relation{"==": Equals, "contains": Contains, "startsWith": HasPrefix, "endsWith": HasSuffix}[n.Operator]
		return how, n.Left, n.Right, ok
	case *ast.CallNode:
		if callee, ok := n.Callee.(*ast.IdentifierNode); ok && len(n.Arguments) == 2 && c.opts.Helpers[callee.Value].Within {
			return Within, n.Arguments[0], n.Arguments[1], true
		}
	}
	return 0, nil, nil, false
}

// isNotEmpty recognises len(#) > 0.
func isNotEmpty(n ast.Node) bool {
	b, ok := n.(*ast.BinaryNode)
	if !ok || b.Operator != ">" {
		return false
	}
	length, okLeft := b.Left.(*ast.BuiltinNode)
	zero, okRight := b.Right.(*ast.IntegerNode)
	if !okLeft || !okRight || length.Name != "len" || len(length.Arguments) != 1 || zero.Value != 0 {
		return false
	}
	item, ok := length.Arguments[0].(*ast.PointerNode)
	return ok && item.Name == ""
}

// sure reports whether a text that is read cannot fail to be.
func (c *compiler) sure(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.CallNode:
		callee, ok := n.Callee.(*ast.IdentifierNode)
		if !ok || len(n.Arguments) != 1 {
			return false
		}
		h := c.opts.Helpers[callee.Value]
		_, simple := h.Typed.(func(string) string)
		return h.Pure && simple && c.sure(n.Arguments[0])
	case *ast.BuiltinNode:
		return (n.Name == "lower" || n.Name == "upper") && c.sure(n.Arguments[0])
	}
	before := c.risky
	c.risky = false
	x := c.node(n)
	ok := x.kind == text && !c.risky
	c.risky = before || c.risky
	return ok
}

// inLines is the test whether a text is one of the lines of a helper, or nil.
func (c *compiler) inLines(n *ast.BinaryNode, asked value) func(*Vars) bool {
	name, h := c.lines(n.Right)
	if h.Lines == nil || asked.kind != text {
		return nil
	}
	search := h.Lines(name, Equals, func(line string) (string, bool) { return line, true })
	return func(v *Vars) bool {
		found, _ := search.Find(asked.text(v))
		return found
	}
}

// lines returns the list that is named where a helper gives the lines of one.
func (c *compiler) lines(n ast.Node) (name string, h Helper) {
	call, ok := n.(*ast.CallNode)
	if !ok || len(call.Arguments) != 1 {
		return "", Helper{}
	}
	callee, ok := call.Callee.(*ast.IdentifierNode)
	constant, named := call.Arguments[0].(*ast.StringNode)
	if !ok || !named {
		return "", Helper{}
	}
	return constant.Value, c.opts.Helpers[callee.Value]
}

// ofLine runs what is made of a line alone. It fails where the expression would.
func ofLine(made func(*Vars) string, s int, line string) (out string, ok bool) {
	defer func() {
		if recover() != nil {
			out, ok = "", false
		}
	}()
	v := &Vars{scopes: make([]scope, s+1)}
	v.scopes[s].texts = []string{line}
	return made(v), true
}

func isFalse(n ast.Node) bool {
	b, ok := n.(*ast.BoolNode)
	return ok && !b.Value
}

// reads reports whether a node only reads: of the line, which must occur in it, when item is true, or
// else of anything but the line.
func (c *compiler) reads(n ast.Node, item bool) bool {
	r := reader{helpers: c.opts.Helpers, only: true}
	ast.Walk(&n, &r)
	if item {
		return r.only && r.item && !r.event
	}
	return r.only && !r.item
}

// reader finds out what a node does.
type reader struct {
	helpers map[string]Helper
	only    bool // it only reads
	item    bool // the line
	event   bool // variables
}

// Visit implements ast.Visitor.
func (r *reader) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.PointerNode:
		r.item = true
		r.only = r.only && n.Name == ""
	case *ast.IdentifierNode:
		if h, ok := r.helpers[n.Value]; !ok {
			r.event = true
		} else if !h.Pure {
			r.only = false
		}
	case *ast.MemberNode:
		r.only = r.only && !n.Method
	case *ast.CallNode:
		if _, ok := n.Callee.(*ast.IdentifierNode); !ok {
			r.only = false
		}
	case *ast.BuiltinNode:
		r.only = r.only && (n.Name == "lower" || n.Name == "upper" || n.Name == "trim")
	case *ast.StringNode, *ast.ConstantNode:
	default:
		r.only = false
	}
}
