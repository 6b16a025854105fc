package expr

import (
	"github.com/expr-lang/expr/ast"

	"gabion/userspace/expr/closure"
)

// safeType is the type of an expression that can neither fail nor have an effect.
type safeType int

const (
	notSafe safeType = iota
	boolean
	text
)

// typeOf is safety.typeOf without helpers and variables.
func typeOf(n ast.Node) safeType { return new(safety).typeOf(n) }

// safety knows what of an expression can neither fail nor have an effect.
type safety struct {
	helpers map[string]closure.Helper
	bound   map[string]ast.Node // variables that let declares, by what they stand for
	known   map[*ast.BinaryNode]safeType
}

// typeOf recognises comparisons of the event's text fields with constants, helpers of texts that
// cannot fail, and their combinations. Everything else counts as not safe.
func (s *safety) typeOf(n ast.Node) safeType {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		if of, ok := s.bound[n.Value]; ok {
			return s.typeOf(of)
		}
	case *ast.CallNode:
		return s.typeOfCall(n)
	case *ast.BuiltinNode:
		if (n.Name == "lower" || n.Name == "upper" || n.Name == "trim") && len(n.Arguments) == 1 && s.typeOf(n.Arguments[0]) == text {
			return text
		}
	case *ast.StringNode:
		return text
	case *ast.BoolNode:
		return boolean
	case *ast.MemberNode:
		return typeOfField(n)
	case *ast.UnaryNode:
		if (n.Operator == "!" || n.Operator == "not") && s.typeOf(n.Node) == boolean {
			return boolean
		}
	case *ast.BinaryNode:
		return s.typeOfBinary(n)
	}
	return notSafe
}

// typeOfCall recognises pure helpers that take texts and cannot fail.
func (s *safety) typeOfCall(n *ast.CallNode) safeType {
	callee, ok := n.Callee.(*ast.IdentifierNode)
	if !ok {
		return notSafe
	}
	h := s.helpers[callee.Value]
	params := 0
	result := notSafe
	switch h.Typed.(type) {
	case func(string) string:
		params, result = 1, text
	case func(string) bool:
		params, result = 1, boolean
	case func(string, string) string:
		params, result = 2, text
	case func(string, string) bool:
		params, result = 2, boolean
	}
	if !h.Pure || len(n.Arguments) != params {
		return notSafe
	}
	for _, a := range n.Arguments {
		if s.typeOf(a) != text {
			return notSafe
		}
	}
	return result
}

func typeOfField(n ast.Node) safeType {
	path, ok := eventPath(n)
	if !ok {
		return notSafe
	}
	switch len(path) {
	case 1:
		switch path[0] {
		case "Stage", "StrTime", "StrTimeFormat", "MarshaledTime", "WhitelistReason":
			return text
		case "Whitelisted", "Process":
			return boolean
		}
	case 2:
		switch path[0] {
		case "Meta", "Parsed", "Enriched":
			return text
		case "Line":
			if path[1] == "Raw" || path[1] == "Src" || path[1] == "Module" {
				return text
			}
		}
	case 3:
		if path[0] == "Line" && path[1] == "Labels" {
			return text
		}
	}
	return notSafe
}

// typeOfBinary remembers what it found: each && asks about all that is before it.
func (s *safety) typeOfBinary(n *ast.BinaryNode) safeType {
	t, ok := s.known[n]
	if !ok {
		t = s.typeOfOperator(n)
		if s.known == nil {
			s.known = map[*ast.BinaryNode]safeType{}
		}
		s.known[n] = t
	}
	return t
}

func (s *safety) typeOfOperator(n *ast.BinaryNode) safeType {
	left := s.typeOf(n.Left)
	if n.Operator == "in" {
		if list, ok := n.Right.(*ast.ArrayNode); ok && left == text && allText(list.Nodes) {
			return boolean
		}
		return notSafe
	}
	right := s.typeOf(n.Right)
	if left == notSafe || left != right {
		return notSafe
	}
	switch n.Operator {
	case "==", "!=":
		return boolean
	case "&&", "and", "||", "or":
		if left == boolean {
			return boolean
		}
	case "contains", "startsWith", "endsWith", "<", "<=", ">", ">=":
		if left == text {
			return boolean
		}
	case "matches":
		if _, constant := n.Right.(*ast.StringNode); constant && left == text {
			return boolean
		}
	}
	return notSafe
}

func allText(nodes []ast.Node) bool {
	for _, n := range nodes {
		if typeOf(n) != text {
			return false
		}
	}
	return true
}
