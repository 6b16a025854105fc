// Package assert evaluates the assertions of rule tests: expressions over what a run recorded.
//
// Nearly all assertions are a path into the results compared with a constant. Those are evaluated
// as they are read, which takes some microseconds; anything else that the language can say is
// compiled and run by its virtual machine. Both give the same.
package assert

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/parser"

	ruleexpr "gabion/userspace/expr"
)

// Evaluator evaluates assertions about the results of one run. It belongs to one goroutine.
type Evaluator struct {
	results any
	config  *conf.Config
	vm      []expr.Option // made when an assertion needs them
	helpers []ruleexpr.Function
}

// New returns an evaluator for results, which assertions know by that name. They may call the
// helpers of rules too.
func New(results any, helpers []ruleexpr.Function) *Evaluator {
	return &Evaluator{results: results, helpers: helpers, config: &conf.Config{Disabled: map[string]bool{}}}
}

// Rewrite returns an assertion as it is evaluated: where the log was read from is no part of a
// test, so only the last element of a datasource_path is compared.
func Rewrite(text string) string {
	if !strings.Contains(text, "datasource_path") || strings.Contains(text, "basename(") {
		return text
	}
	left, right, ok := strings.Cut(text, "==")
	if !ok {
		return text
	}
	return "basename(" + strings.TrimSpace(left) + ") == " + strings.TrimSpace(right)
}

// Holds evaluates an assertion. The error says why it has no answer: it is no expression, asks for
// a result that is not there, or gives something else than true or false.
func (e *Evaluator) Holds(text string) (bool, error) {
	v, err := e.Value(text)
	if err != nil {
		return false, err
	}
	ok, isBool := v.(bool)
	if !isBool {
		return false, fmt.Errorf("the assertion gives %s, want true or false", Format(v))
	}
	return ok, nil
}

// Value evaluates any expression.
func (e *Evaluator) Value(text string) (any, error) {
	tree, err := parser.ParseWithConfig(text, e.config)
	if err != nil {
		return nil, errors.New(firstLine(err.Error()))
	}
	v, err := e.walk(tree.Node)
	if errors.Is(err, errNotCovered) {
		return e.run(text)
	}
	return v, err
}

// Sides returns what a comparison (==) or a membership (in) compared: the value found and the value
// wanted. ok is false for other assertions and when the value found cannot be computed.
func (e *Evaluator) Sides(text string) (found, wanted any, ok bool) {
	tree, err := parser.ParseWithConfig(text, e.config)
	if err != nil {
		return nil, nil, false
	}
	b, isBinary := tree.Node.(*ast.BinaryNode)
	if !isBinary || b.Operator != "==" && b.Operator != "in" {
		return nil, nil, false
	}
	left, errLeft := e.walk(b.Left)
	right, errRight := e.walk(b.Right)
	if errLeft != nil || errRight != nil {
		return nil, nil, false
	}
	if b.Operator == "in" {
		return right, left, true
	}
	return left, right, true
}

// compared finds what the hub's own tool takes for the left side of a comparison.
var compared = regexp.MustCompile(`([^ =]+) == .*`)

// Explained reports whether the hub's own tool finds a value to show for a false assertion. It does
// not count the others as failures; of lines without a comparison it does only in parser files.
func (e *Evaluator) Explained(text string) (comparison, explained bool) {
	m := compared.FindStringSubmatch(text)
	if m == nil {
		return false, false
	}
	_, err := e.Value(m[1])
	return true, err == nil
}

// run compiles an expression and runs it on the virtual machine.
func (e *Evaluator) run(text string) (v any, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the assertion cannot be evaluated: %v", r)
		}
	}()
	env := map[string]any{"results": e.results}
	if e.vm == nil {
		e.vm = append(e.vm, expr.Env(env), expr.Function("basename", func(args ...any) (any, error) {
			return filepath.Base(args[0].(string)), nil
		}, new(func(string) string)))
		for _, f := range e.helpers {
			if f.Call != nil {
				e.vm = append(e.vm, expr.Function(f.Name, f.Call, f.Types...))
			}
		}
	}
	code, err := expr.Compile(text, e.vm...)
	if err == nil {
		v, err = expr.Run(code, env)
	}
	if err != nil {
		return nil, errors.New(firstLine(err.Error()))
	}
	return v, nil
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

// Format returns a value as an assertion would write it.
func Format(v any) string {
	switch v := v.(type) {
	case nil:
		return "nil"
	case string:
		return Quote(v)
	case []string:
		quoted := make([]string, len(v))
		for i, s := range v {
			quoted[i] = Quote(s)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	}
	return fmt.Sprint(v)
}
