package expr

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// Contradiction is why an expression can never be true.
type Contradiction struct {
	At   int // byte offset of the operand that cannot hold
	Text string
}

// Never reports whether an expression is false, or fails, for every event. It sees contradictions
// between comparisons with constants, and sees nothing in what else may never hold.
func Never(src string) (Contradiction, bool) {
	root, err := tree(src)
	if err != nil {
		return Contradiction{}, false
	}
	f := newFacts()
	at, text := f.all(root)
	if text == "" {
		return Contradiction{}, false
	}
	return Contradiction{byteOffset(src, start(at)), text}, true
}

// AtLeast returns the least value that an integer, such as len(queue.Queue), must have for an
// expression to be true; ok is false when nothing is said of it.
func AtLeast(src, integer string) (n int, ok bool) {
	root, err := tree(src)
	if err != nil {
		return 0, false
	}
	f := newFacts()
	f.all(root)
	r, ok := f.numbers[integer]
	if !ok || r.low == math.MinInt {
		return 0, false
	}
	return r.low, true
}

// facts is what the operands of && have said so far of the values that they compare.
type facts struct {
	texts   map[string]textFacts
	numbers map[string]interval
}

// textFacts is what is known of a text.
type textFacts struct {
	values []string // it is one of these, when known
	known  bool
	tests  []test
}

// test is a comparison that a text has to pass.
type test struct {
	text string // as messages show it
	pass func(string) bool
}

type interval struct{ low, high int }

func newFacts() *facts {
	return &facts{texts: map[string]textFacts{}, numbers: map[string]interval{}}
}

func (f *facts) clone() *facts {
	c := newFacts()
	for k, v := range f.texts {
		v.values, v.tests = slices.Clone(v.values), slices.Clone(v.tests)
		c.texts[k] = v
	}
	for k, v := range f.numbers {
		c.numbers[k] = v
	}
	return c
}

// all adds every operand of &&. When one cannot hold with the others it returns it and why.
func (f *facts) all(n ast.Node) (at ast.Node, why string) {
	for _, operand := range conjuncts(n, nil) {
		if why := f.add(operand); why != "" {
			return operand, why
		}
	}
	return nil, ""
}

// add takes note of one operand, or says why it cannot hold.
func (f *facts) add(n ast.Node) (why string) {
	if c, ok := condition(n); ok {
		return f.oneOf("evt."+c.Map+"."+c.Key, c.Values)
	}
	switch n := n.(type) {
	case *ast.BoolNode:
		if !n.Value {
			return "false is never true"
		}
	case *ast.UnaryNode:
		if b, ok := n.Node.(*ast.BinaryNode); ok && (n.Operator == "!" || n.Operator == "not") {
			return f.compare(b, true)
		}
	case *ast.BinaryNode:
		if isOr(n.Operator) {
			return f.either(n)
		}
		return f.compare(n, false)
	}
	return ""
}

// either looks at alternatives: they cannot hold when none of them can.
func (f *facts) either(n *ast.BinaryNode) string {
	_, left := f.clone().all(n.Left)
	_, right := f.clone().all(n.Right)
	if left == "" || right == "" {
		return ""
	}
	return left + "; " + right
}

// compare takes note of a comparison with a constant.
func (f *facts) compare(n *ast.BinaryNode, negated bool) string {
	if why := caseOf(n); why != "" && !negated {
		return why
	}
	if i, ok := n.Right.(*ast.IntegerNode); ok && !negated {
		return f.number(n.Left.String(), n.Operator, i.Value)
	}
	if _, isField := typeOfPath(n.Left); !isField {
		return ""
	}
	pass := passes(n)
	if pass == nil {
		return ""
	}
	t := test{text: n.String(), pass: pass}
	if negated {
		t = test{text: "not (" + n.String() + ")", pass: func(s string) bool { return !pass(s) }}
	}
	return f.tested(n.Left.String(), t)
}

// typeOfPath reports whether a node is a text field of the event.
func typeOfPath(n ast.Node) (safeType, bool) {
	t := typeOf(n)
	_, constant := n.(*ast.StringNode)
	return t, t == text && !constant
}

// passes returns the comparison of a text with a constant, nil for others.
func passes(n *ast.BinaryNode) func(string) bool {
	if list, ok := n.Right.(*ast.ArrayNode); ok && n.Operator == "in" && allText(list.Nodes) {
		return func(s string) bool {
			return slices.ContainsFunc(list.Nodes, func(e ast.Node) bool { return e.(*ast.StringNode).Value == s })
		}
	}
	c, ok := n.Right.(*ast.StringNode)
	if !ok {
		return nil
	}
	switch n.Operator {
	case "==":
		return func(s string) bool { return s == c.Value }
	case "!=":
		return func(s string) bool { return s != c.Value }
	case "contains":
		return func(s string) bool { return strings.Contains(s, c.Value) }
	case "startsWith":
		return func(s string) bool { return strings.HasPrefix(s, c.Value) }
	case "endsWith":
		return func(s string) bool { return strings.HasSuffix(s, c.Value) }
	case "matches":
		if re, err := regexp.Compile(c.Value); err == nil {
			return re.MatchString
		}
	}
	return nil
}

// oneOf notes that a text is one of some values.
func (f *facts) oneOf(name string, values []string) string {
	t := f.texts[name]
	was := t.values
	if !t.known {
		t.values, t.known = slices.Clone(values), true
	} else {
		t.values = slices.DeleteFunc(slices.Clone(was), func(v string) bool { return !slices.Contains(values, v) })
	}
	if len(t.values) == 0 {
		return fmt.Sprintf("%s is %s here, which is never %s", name, list(was), list(values))
	}
	f.texts[name] = t
	return f.tried(name)
}

// tested notes a test of a text.
func (f *facts) tested(name string, pass test) string {
	t := f.texts[name]
	t.tests = append(t.tests, pass)
	f.texts[name] = t
	return f.tried(name)
}

// tried runs the tests of a text on the values that it may have.
func (f *facts) tried(name string) string {
	t := f.texts[name]
	if !t.known {
		return ""
	}
	for _, test := range t.tests {
		was := t.values
		t.values = slices.DeleteFunc(slices.Clone(was), func(v string) bool { return !test.pass(v) })
		if len(t.values) == 0 {
			return fmt.Sprintf("%s is %s here, so that this never holds: %s", name, list(was), test.text)
		}
	}
	f.texts[name] = t
	return ""
}

// number notes a comparison of an integer with a constant.
func (f *facts) number(name, operator string, n int) string {
	r, ok := f.numbers[name]
	if !ok {
		r = interval{math.MinInt, math.MaxInt}
	}
	was := r
	switch operator {
	case "==":
		r.low, r.high = max(r.low, n), min(r.high, n)
	case ">":
		r.low = max(r.low, n+1)
	case ">=":
		r.low = max(r.low, n)
	case "<":
		r.high = min(r.high, n-1)
	case "<=":
		r.high = min(r.high, n)
	default:
		return ""
	}
	if strings.HasPrefix(name, "len(") && !ok {
		r.low = max(r.low, 0)
	}
	if r.low > r.high {
		return fmt.Sprintf("%s %s %d never holds: it is %s here", name, operator, n, was)
	}
	f.numbers[name] = r
	return ""
}

// String returns the interval in words.
func (r interval) String() string {
	switch {
	case r.low == math.MinInt && r.high == math.MaxInt:
		return "not negative" // a length
	case r.low == math.MinInt:
		return fmt.Sprintf("at most %d", r.high)
	case r.high == math.MaxInt:
		return fmt.Sprintf("at least %d", r.low)
	case r.low == r.high:
		return fmt.Sprint(r.low)
	}
	return fmt.Sprintf("from %d to %d", r.low, r.high)
}

// caseOf says when a comparison asks of Lower for capital letters, or of Upper for small ones.
func caseOf(n *ast.BinaryNode) string {
	call := n.Left
	value, ok := n.Right.(*ast.StringNode)
	if !ok || n.Operator != "==" && n.Operator != "contains" && n.Operator != "startsWith" && n.Operator != "endsWith" {
		return ""
	}
	name := ""
	switch c := call.(type) {
	case *ast.CallNode:
		if id, ok := c.Callee.(*ast.IdentifierNode); ok {
			name = id.Value
		}
	case *ast.BuiltinNode:
		name = c.Name
	}
	switch {
	case (name == "Lower" || name == "lower") && strings.ToLower(value.Value) != value.Value:
		return fmt.Sprintf("%s gives no capital letters, but %q holds some", name, value.Value)
	case (name == "Upper" || name == "upper") && strings.ToUpper(value.Value) != value.Value:
		return fmt.Sprintf("%s gives no small letters, but %q holds some", name, value.Value)
	}
	return ""
}

// list writes values as messages show them.
func list(values []string) string {
	const most = 3
	var out []string
	for i, v := range values {
		if i == most {
			out = append(out, fmt.Sprintf("%d more", len(values)-most))
			break
		}
		out = append(out, fmt.Sprintf("%q", v))
	}
	return strings.Join(out, " or ")
}
