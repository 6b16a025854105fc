package expr

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/parser/lexer"

	"gabion/userspace/yamlpos"
)

// Reason says why an expression is not true.
type Reason struct {
	Part   string           // of the operands joined with &&, the first that is not true
	Pos    yamlpos.Position // of the part
	Values []Value          // what the part looks at, as far as it could be read
	Err    error            // the part failed
	Before int              // operands before it, which are true
}

// Value is the value of a piece of an expression.
type Value struct {
	Name  string
	Value any
}

// Explainer says why expressions are not true. It compiles the pieces of an expression when it
// first meets it and keeps them; it belongs to one goroutine.
type Explainer struct {
	compiler *Compiler
	known    map[*Program][]part
}

// NewExplainer returns an Explainer for the expressions of a compiler.
func NewExplainer(c *Compiler) *Explainer {
	return &Explainer{compiler: c, known: map[*Program][]part{}}
}

// part is one of the operands that && joins.
type part struct {
	text  yamlpos.Text
	code  *Program
	reads []*Program
}

// Why returns why an expression that wants a Bool is not true; ok is false when no part can be
// named. The parts are evaluated up to the first that is not true, once more than the expression
// was: their effects on the event happen again.
func (x *Explainer) Why(p *Program, v *Vars) (why Reason, ok bool) {
	parts, known := x.known[p]
	if !known {
		parts = x.split(p)
		x.known[p] = parts
	}
	for i, part := range parts {
		holds, err := part.code.Bool(v)
		if holds && err == nil {
			continue
		}
		why := Reason{Part: part.text.Text, Pos: part.text.Pos, Err: err, Before: i}
		for _, r := range part.reads {
			if value, err := r.Value(v); err == nil {
				why.Values = append(why.Values, Value{r.Source(), value})
			}
		}
		return why, true
	}
	return Reason{}, false
}

// split compiles the operands of an expression. What cannot be compiled on its own, such as one
// that uses a variable of the whole, makes the expression one part.
func (x *Explainer) split(p *Program) []part {
	var out []part
	for _, o := range operands(p.src.Text) {
		text := yamlpos.Text{Text: o.text, Pos: p.src.At(o.at), Set: true}
		code, err := x.compiler.Compile(text, p.env, Bool)
		if err != nil {
			return []part{{text: p.src, code: p, reads: x.reads(p.src.Text, p.env)}}
		}
		out = append(out, part{text: text, code: code, reads: x.reads(o.text, p.env)})
	}
	return out
}

// reads compiles what an expression looks at.
func (x *Explainer) reads(src string, env Env) (out []*Program) {
	tree, err := parser.Parse(src)
	if err != nil {
		return nil
	}
	var found looked
	found.walk(tree.Node)
	for _, text := range found.texts {
		if code, err := x.compiler.Compile(yamlpos.Text{Text: text}, env, Any); err == nil {
			out = append(out, code)
		}
	}
	return out
}

// looked collects the pieces of an expression that come from the event or a helper: fields, and
// calls of helpers that have no effect on the event.
type looked struct{ texts []string }

func (l *looked) add(n ast.Node) {
	text := n.String()
	for _, have := range l.texts {
		if have == text {
			return
		}
	}
	l.texts = append(l.texts, text)
}

func (l *looked) walk(n ast.Node) {
	switch n := n.(type) {
	case *ast.MemberNode:
		if rooted(n) {
			l.add(n)
		}
	case *ast.UnaryNode:
		l.walk(n.Node)
	case *ast.BinaryNode:
		l.walk(n.Left)
		l.walk(n.Right)
	case *ast.CallNode:
		l.call(n)
	case *ast.BuiltinNode:
		l.builtin(n)
	case *ast.ConditionalNode:
		l.walk(n.Cond)
		l.walk(n.Exp1)
		l.walk(n.Exp2)
	case *ast.ArrayNode:
		for _, e := range n.Nodes {
			l.walk(e)
		}
	case *ast.PredicateNode:
		l.walk(n.Node)
	case *ast.VariableDeclaratorNode:
		l.walk(n.Value)
		l.walk(n.Expr)
	}
}

func (l *looked) call(n *ast.CallNode) {
	if m, ok := n.Callee.(*ast.MemberNode); ok && rooted(m) {
		if name, ok := m.Property.(*ast.StringNode); ok && !strings.HasPrefix(name.Value, "Set") {
			l.add(n)
		}
		return
	}
	for _, a := range n.Arguments {
		l.walk(a)
	}
}

// builtin adds len(x) as a whole; of the others, which may have predicates, the list.
func (l *looked) builtin(n *ast.BuiltinNode) {
	if n.Name == "len" && len(n.Arguments) == 1 {
		l.add(n)
		return
	}
	for _, a := range n.Arguments {
		l.walk(a)
	}
}

// rooted reports whether a chain of members begins with a variable of the environment.
func rooted(n ast.Node) bool {
	for {
		switch m := n.(type) {
		case *ast.MemberNode:
			n = m.Node
		case *ast.ChainNode:
			n = m.Node
		case *ast.IdentifierNode:
			return true
		default:
			return false
		}
	}
}

// operand is one of the operands of the outermost && of an expression, as it is written.
type operand struct {
	text string
	at   int // byte offset
}

// operands splits an expression at its outermost &&, also inside parentheses around all of a piece.
func operands(src string) []operand {
	whole := []operand{{src, 0}}
	tree, err := parser.Parse(src)
	if err != nil {
		return whole
	}
	if b, ok := tree.Node.(*ast.BinaryNode); !ok || !isAnd(b.Operator) {
		return whole
	}
	tokens, err := lexer.Lex(file.NewSource(src))
	if err != nil {
		return whole
	}
	var out []operand
	depth, from := 0, 0
	piece := func(to int) {
		o := trimmed(operand{src[from:to], from})
		for _, inner := range operands(o.text) {
			out = append(out, operand{inner.text, o.at + inner.at})
		}
	}
	for _, t := range tokens {
		switch {
		case t.Kind == lexer.Bracket && strings.Contains("([{", t.Value):
			depth++
		case t.Kind == lexer.Bracket:
			depth--
		case depth == 0 && t.Kind == lexer.Operator && isAnd(t.Value):
			piece(byteOffset(src, t.From))
			from = byteOffset(src, t.To)
		}
	}
	piece(len(src))
	return out
}

// trimmed takes white space and a pair of parentheses around all of an operand off.
func trimmed(o operand) operand {
	for {
		rest := strings.TrimLeft(o.text, " \t\r\n")
		o.at += len(o.text) - len(rest)
		o.text = strings.TrimRight(rest, " \t\r\n")
		if !enclosed(o.text) {
			return o
		}
		o.text, o.at = o.text[1:len(o.text)-1], o.at+1
	}
}

// enclosed reports whether the parenthesis that begins a text is closed by the one that ends it.
func enclosed(text string) bool {
	if !strings.HasPrefix(text, "(") || !strings.HasSuffix(text, ")") {
		return false
	}
	tokens, err := lexer.Lex(file.NewSource(text))
	if err != nil {
		return false
	}
	depth := 0
	for i, t := range tokens {
		switch {
		case t.Is(lexer.Bracket, "("):
			depth++
		case t.Is(lexer.Bracket, ")"):
			depth--
		}
		if depth == 0 {
			return i == len(tokens)-2 // before the end
		}
	}
	return false
}

// String returns the reason in one line, such as evt.Parsed.program == 'sshd': evt.Parsed.program
// is "nginx".
func (r Reason) String() string {
	part := cutText(strings.Join(strings.Fields(r.Part), " "))
	if r.Err != nil {
		var run *RunError
		if errors.As(r.Err, &run) {
			return fmt.Sprintf("%s failed: %s", part, positioned(run.p.src, run.err, run.p.want).Msg)
		}
		return fmt.Sprintf("%s failed: %v", part, r.Err)
	}
	var values []string
	for _, v := range r.Values {
		values = append(values, v.Name+" is "+v.Text())
	}
	if len(values) == 0 {
		return part
	}
	return part + ": " + strings.Join(values, ", ")
}

// maxShown bounds the text of a value, in bytes.
const maxShown = 200

// Text returns the value as a rule would write it, cut when it is long.
func (v Value) Text() string {
	switch x := v.Value.(type) {
	case string:
		return strconv.Quote(cutText(x))
	case nil:
		return "nil"
	}
	return cutText(fmt.Sprint(v.Value))
}

func cutText(s string) string {
	if len(s) <= maxShown {
		return s
	}
	return strings.ToValidUTF8(s[:maxShown], "") + "…"
}
