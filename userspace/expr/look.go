package expr

import (
	"fmt"
	"slices"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"
)

// Look is what can be seen of an expression without running it. Offsets are bytes of its text.
type Look struct {
	Reads  []FieldUse // fields of the event, also of the events in a bucket's queue
	Writes []FieldUse // fields that SetMeta and SetParsed set, and what helpers decode into Unmarshaled
	Calls  []CallUse  // of helpers and built-in functions
}

// FieldUse is a place that names a field of the event.
type FieldUse struct {
	Set string // Meta, Parsed, Enriched, Unmarshaled or Labels
	Key string
	At  int
}

// CallUse is a call. Args holds the text of arguments that are constant, nil for the others.
type CallUse struct {
	Name string
	Args []*string
	At   int
}

// LookInto looks through an expression, which must be one that compiles.
func LookInto(src string) (*Look, error) {
	root, err := tree(src)
	if err != nil {
		return nil, fmt.Errorf("look into expression: %w", err)
	}
	l := &looking{src: src}
	ast.Walk(&root, l)
	slices.SortStableFunc(l.look.Reads, func(a, b FieldUse) int { return a.At - b.At })
	return &l.look, nil
}

// tree parses an expression, which may be one that does not compile.
func tree(src string) (root ast.Node, err error) {
	if len(src) > maxSource {
		return nil, fmt.Errorf("expression is longer than %d KiB", maxSource>>10)
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("expression cannot be read: %v", r)
		}
	}()
	parsed, err := parser.Parse(src)
	if err != nil {
		return nil, err
	}
	return parsed.Node, nil
}

// looking collects what a Look holds.
type looking struct {
	src  string
	look Look
}

// Visit implements ast.Visitor.
func (l *looking) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.MemberNode:
		if set, key, ok := fieldOf(n); ok {
			l.look.Reads = append(l.look.Reads, FieldUse{set, key, l.at(n)})
		}
	case *ast.CallNode:
		l.call(n)
	case *ast.BuiltinNode:
		l.look.Calls = append(l.look.Calls, CallUse{n.Name, constants(n.Arguments), l.at(n)})
	}
}

func (l *looking) at(n ast.Node) int { return byteOffset(l.src, start(n)) }

func (l *looking) call(n *ast.CallNode) {
	args := constants(n.Arguments)
	switch callee := n.Callee.(type) {
	case *ast.IdentifierNode:
		l.look.Calls = append(l.look.Calls, CallUse{callee.Value, args, l.at(n)})
		if len(args) == 3 && args[2] != nil { // UnmarshalJSON(text, evt.Unmarshaled, "name")
			if path, ok := eventPath(n.Arguments[1]); ok && len(path) == 1 && path[0] == "Unmarshaled" {
				l.look.Writes = append(l.look.Writes, FieldUse{"Unmarshaled", *args[2], l.at(n)})
			}
		}
	case *ast.MemberNode:
		name, ok := callee.Property.(*ast.StringNode)
		if !ok || len(args) == 0 || args[0] == nil {
			return
		}
		switch use := (FieldUse{Key: *args[0], At: l.at(n)}); name.Value {
		case "SetMeta":
			use.Set = "Meta"
			l.look.Writes = append(l.look.Writes, use)
		case "SetParsed":
			use.Set = "Parsed"
			l.look.Writes = append(l.look.Writes, use)
		case "GetMeta":
			use.Set = "Meta"
			l.look.Reads = append(l.look.Reads, use)
		}
	}
}

func constants(nodes []ast.Node) []*string {
	out := make([]*string, len(nodes))
	for i, n := range nodes {
		if s, ok := n.(*ast.StringNode); ok {
			out[i] = &s.Value
		}
	}
	return out
}

// fieldOf reads evt.Meta.key, queue.Queue[0].Meta.key and, in a predicate, .Meta.key.
func fieldOf(n *ast.MemberNode) (set, key string, ok bool) {
	name, ok := n.Property.(*ast.StringNode)
	if !ok || n.Method {
		return "", "", false
	}
	of, ok := unchain(n.Node).(*ast.MemberNode)
	if !ok {
		return "", "", false
	}
	in, ok := of.Property.(*ast.StringNode)
	if !ok {
		return "", "", false
	}
	switch in.Value {
	case "Meta", "Parsed", "Enriched", "Unmarshaled":
		if !ofEvent(of.Node) {
			return "", "", false
		}
	case "Labels":
		if path, ok := eventPath(of); !ok || len(path) != 2 {
			return "", "", false
		}
	default:
		return "", "", false
	}
	return in.Value, name.Value, true
}

// ofEvent reports whether a node stands for an event: evt, the element of a predicate, or an element
// of the queue. What else has such members has them by other names.
func ofEvent(n ast.Node) bool {
	switch n := unchain(n).(type) {
	case *ast.IdentifierNode:
		return n.Value == "evt"
	case *ast.PointerNode:
		return true
	case *ast.MemberNode:
		_, named := n.Property.(*ast.StringNode)
		return !named
	}
	return false
}

func unchain(n ast.Node) ast.Node {
	if c, ok := n.(*ast.ChainNode); ok {
		return c.Node
	}
	return n
}

// start returns where a node begins in the source, in characters: operators and members are located
// at their operator.
func start(n ast.Node) int {
	at := n.Location().From
	switch n := n.(type) {
	case *ast.BinaryNode:
		return min(at, start(n.Left))
	case *ast.UnaryNode:
		return min(at, start(n.Node)) // not in
	case *ast.MemberNode:
		return min(at, start(n.Node))
	case *ast.ChainNode:
		return min(at, start(n.Node))
	case *ast.SliceNode:
		return min(at, start(n.Node))
	case *ast.CallNode:
		return min(at, start(n.Callee))
	case *ast.ConditionalNode:
		return min(at, start(n.Cond))
	}
	return at
}

// Demand is a condition among the operands of the outermost && of an expression.
type Demand struct {
	Condition
	At int
}

// Demands returns the conditions that must hold for an expression to be true, also those behind an
// operand that may fail.
func Demands(src string) (out []Demand) {
	root, err := tree(src)
	if err != nil {
		return nil
	}
	for _, operand := range conjuncts(root, nil) {
		if c, ok := condition(operand); ok {
			out = append(out, Demand{c, byteOffset(src, start(operand))})
		}
	}
	return out
}

// Outcomes returns the texts that an expression can give: constants, and what others begin with. It
// is not known when one of them is neither.
func Outcomes(src string) (constants, beginnings []string, known bool) {
	root, err := tree(src)
	if err != nil {
		return nil, nil, false
	}
	return outcomes(root)
}

func outcomes(n ast.Node) (constants, beginnings []string, known bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return []string{n.Value}, nil, true
	case *ast.BinaryNode:
		if n.Operator != "+" {
			return nil, nil, false
		}
		texts, begin, known := outcomes(n.Left)
		right, _, constant := outcomes(n.Right)
		if known && len(texts) == 1 && len(begin) == 0 && constant && len(right) == 1 {
			return []string{texts[0] + right[0]}, nil, true
		}
		return nil, append(texts, begin...), known
	case *ast.ConditionalNode:
		c1, b1, ok1 := outcomes(n.Exp1)
		c2, b2, ok2 := outcomes(n.Exp2)
		return append(c1, c2...), append(b1, b2...), ok1 && ok2
	}
	return nil, nil, false
}
