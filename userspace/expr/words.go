package expr

import (
	"regexp/syntax"
	"slices"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"

	"gabion/userspace/expr/closure"
	"gabion/userspace/yamlpos"
)

// Bounds of the words that an index looks for.
const (
	minWord   = 3  // bytes: shorter ones are nearly everywhere
	maxWords  = 64 // of one expression
	maxRegexp = 16 // literals of one regular expression
)

// wordIn says that a text contains a word.
type wordIn struct {
	subject ast.Node
	word    string
}

// clause is words of which one must occur for an expression to be true.
type clause []wordIn

// shortest returns the length of the shortest word.
func (c clause) shortest() int {
	n := 1 << 30
	for _, w := range c {
		n = min(n, len(w.word))
	}
	return n
}

// best returns the clause that the fewest events fulfil, as far as the length of its words tells.
func best(list []clause) clause {
	var out clause
	for _, c := range list {
		if n := c.shortest(); n >= minWord && len(c) <= maxWords && (out == nil || n > out.shortest()) {
			out = c
		}
	}
	return out
}

// clauses returns clauses that must hold, each of them.
func (q *implied) clauses(n ast.Node) []clause {
	if _, ok := condition(n); ok {
		return nil // which an index finds by the field's value
	}
	switch n := n.(type) {
	case *ast.BinaryNode:
		switch {
		case isAnd(n.Operator):
			return q.bothClauses(n.Left, n.Right)
		case isOr(n.Operator):
			left, right := best(q.alternative(n.Left)), best(q.alternative(n.Right))
			if left == nil || right == nil {
				return nil
			}
			return []clause{slices.Concat(left, right)}
		}
		if c := q.test(n); c != nil {
			return []clause{c}
		}
	case *ast.ConditionalNode:
		if isFalse(n.Exp2) {
			return q.bothClauses(n.Cond, n.Exp1)
		}
	case *ast.VariableDeclaratorNode:
		if q.declare(n) {
			return q.clauses(n.Expr)
		}
	}
	return nil
}

// alternative returns the clauses of one side of ||, where comparisons with a field count too.
func (q *implied) alternative(n ast.Node) []clause {
	if b, ok := n.(*ast.BinaryNode); ok {
		if c := q.test(b); c != nil {
			return []clause{c}
		}
	}
	return q.clauses(n)
}

func (q *implied) bothClauses(first, second ast.Node) []clause {
	out := q.clauses(first)
	if q.typeOf(first) == boolean {
		out = append(out, q.clauses(second)...)
	}
	return out
}

// test reads a comparison of a text with constants.
func (q *implied) test(n *ast.BinaryNode) (out clause) {
	subject := n.Left
	var words []string
	switch n.Operator {
	case "contains", "startsWith", "endsWith", "==":
		word, ok := q.constant(n.Right)
		if !ok && n.Operator == "==" {
			subject = n.Right
			word, ok = q.constant(n.Left)
		}
		if !ok {
			return nil
		}
		words = []string{word}
	case "in":
		list, ok := n.Right.(*ast.ArrayNode)
		if !ok || len(list.Nodes) == 0 {
			return nil
		}
		for _, e := range list.Nodes {
			word, ok := q.constant(e)
			if !ok {
				return nil
			}
			words = append(words, word)
		}
	case "matches":
		pattern, ok := q.constant(n.Right)
		if !ok {
			return nil
		}
		words = literalsOf(pattern)
	}
	if id, ok := subject.(*ast.IdentifierNode); ok && q.bound[id.Value] != nil {
		subject = q.bound[id.Value]
	}
	if q.typeOf(subject) != text || q.usesVariable(subject) {
		return nil
	}
	for _, w := range words {
		out = append(out, wordIn{subject, w})
	}
	return out
}

// usesVariable reports whether a node uses a variable that let declares: it has no meaning alone.
func (q *implied) usesVariable(n ast.Node) bool {
	v := variableUse{bound: q.bound}
	ast.Walk(&n, &v)
	return v.found
}

type variableUse struct {
	bound map[string]ast.Node
	found bool
}

// Visit implements ast.Visitor.
func (v *variableUse) Visit(node *ast.Node) {
	if id, ok := (*node).(*ast.IdentifierNode); ok && v.bound[id.Value] != nil {
		v.found = true
	}
}

// constant returns the text of a node that is constant: of a string, or a pure helper of one.
func (q *implied) constant(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.CallNode:
		callee, ok := n.Callee.(*ast.IdentifierNode)
		if !ok || len(n.Arguments) != 1 {
			return "", false
		}
		h := q.helpers[callee.Value]
		f, ok := h.Typed.(func(string) string)
		if !ok || !h.Pure {
			return "", false
		}
		arg, ok := q.constant(n.Arguments[0])
		if !ok {
			return "", false
		}
		return f(arg), true
	}
	return "", false
}

// literalsOf returns texts of which one occurs in whatever a regular expression matches; nil when it
// has none.
func literalsOf(pattern string) []string {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil
	}
	return literals(re.Simplify())
}

func literals(re *syntax.Regexp) []string {
	switch re.Op {
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase == 0 && !slices.Contains(re.Rune, utf8.RuneError) { // which stands for any bad byte
			return []string{string(re.Rune)}
		}
	case syntax.OpCapture, syntax.OpPlus:
		return literals(re.Sub[0])
	case syntax.OpConcat:
		var out []string
		for _, sub := range re.Sub {
			if l := literals(sub); l != nil && (out == nil || shortest(l) > shortest(out)) {
				out = l
			}
		}
		return out
	case syntax.OpAlternate:
		var out []string
		for _, sub := range re.Sub {
			l := literals(sub)
			if l == nil || len(out)+len(l) > maxRegexp {
				return nil
			}
			out = append(out, l...)
		}
		return out
	}
	return nil
}

func shortest(words []string) int {
	return len(slices.MinFunc(words, func(a, b string) int { return len(a) - len(b) }))
}

// word is a word that must occur in what a subject gives, or another of the same list.
type word struct {
	subject *Program
	text    string
}

// words returns the words of which one must occur in an event for the expression to be true, nil when
// nothing can be said of it.
func (c *Compiler) words(tree ast.Node, helpers map[string]closure.Helper) (out []word) {
	if tree == nil {
		return nil
	}
	for _, w := range best(newImplied(helpers).clauses(tree)) {
		subject := c.subject(w.subject.String())
		if subject == nil {
			return nil
		}
		out = append(out, word{subject, w.word})
	}
	return out
}

// subject compiles a text that is searched for words, once for all expressions.
func (c *Compiler) subject(src string) *Program {
	if known, ok := c.subjects.Load(src); ok {
		return known.(*Program)
	}
	p, err := c.Compile(yamlpos.Text{Text: src}, EnvEvent, String)
	if err != nil || p.Kind() != String {
		return nil
	}
	known, _ := c.subjects.LoadOrStore(src, p)
	return known.(*Program)
}
