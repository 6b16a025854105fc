// Package expr compiles the expressions of rules and runs them over events.
//
// The language is that of expr-lang/expr, which the rules of the hub are written in, type-checked
// against what the place of the expression can see (Env). A fault is reported where it is in the
// YAML file. Running is bounded in memory, and a panic of a helper is an error of the expression.
package expr

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"

	"gabion/userspace/expr/closure"
	"gabion/userspace/yamlpos"
)

// maxSource bounds the length of an expression: the parser recurses over it.
const maxSource = 64 << 10

// Kind is the type of value that the place of an expression wants.
type Kind int

// Kinds of value.
const (
	Any Kind = iota
	Bool
	String
)

// String returns the kind as messages name it.
func (k Kind) String() string {
	switch k {
	case Bool:
		return "true or false"
	case String:
		return "text"
	}
	return "any value"
}

// Function is a helper that expressions can call.
type Function struct {
	Name string

	// Call gets as many arguments as one of Types has. Arguments that are known when the rule is
	// loaded have the types asked for; those of dynamic type (any) must be checked by Call.
	Call func(args ...any) (any, error)

	// Types are the signatures, each as a nil function or new(func(string) string).
	Types []any
	// Typed does what Call does, without boxing its arguments: a function with the arguments of
	// Types[0], none of them variadic, and its result, alone or with an error, such as
	// func(string, string) bool or func(string) (string, error). It is nil for other helpers.
	Typed any
	// WithLast does once what depends on the last argument alone, when that is known as the rule is
	// loaded: it takes that argument and returns a function of the others, such as
	// func(string) func(string) bool. It is nil when there is nothing to gain.
	WithLast any
	// Pure says that the result depends on the arguments alone, so that a call with constants can
	// be made once.
	Pure bool
	// Lines, of a helper that gives the lines of a list by its name, looks for one that a text relates
	// to in a certain way: or rather, relates to what of makes of the line, which may fail. It is nil
	// for other helpers.
	Lines func(name string, how Relation, of func(line string) (string, bool)) LineSearch
	// Within says that the helper tells whether an address is in a range, both given as text.
	Within bool

	onQueue any // what Call does, given the queue itself instead of its view
}

// Compiler compiles expressions that may call a fixed set of helpers. It is immutable and safe for
// concurrent use.
type Compiler struct {
	functions []expr.Option
	helpers   map[string]closure.Helper
	frames    *sync.Pool
	memos     *closure.Memos
	subjects  *sync.Map // *Program by its text: what rules search for words
}

// NewCompiler returns a compiler for expressions that call the given helpers.
func NewCompiler(functions ...Function) *Compiler {
	c := &Compiler{
		helpers: map[string]closure.Helper{}, frames: &sync.Pool{New: func() any { return newFrame() }},
		memos: new(closure.Memos), subjects: new(sync.Map),
	}
	for _, f := range functions {
		c.functions = append(c.functions, expr.Function(f.Name, f.Call, f.Types...))
		c.helpers[f.Name] = closure.Helper{Call: f.Call, Typed: f.Typed, WithLast: f.WithLast, Pure: f.Pure, Lines: f.Lines, Within: f.Within, OnQueue: f.onQueue}
	}
	return c
}

// Compile checks and compiles an expression for a place that sees env and wants a kind of value.
// The error is a *yamlpos.Error at the place of the fault in the file.
func (c *Compiler) Compile(src yamlpos.Text, env Env, want Kind) (*Program, error) {
	if strings.TrimSpace(src.Text) == "" {
		return nil, src.Errorf(0, "expression is empty")
	}
	if len(src.Text) > maxSource {
		return nil, src.Errorf(0, "expression is longer than %d KiB", maxSource>>10)
	}
	tree := parse(src.Text)
	options := append([]expr.Option{expr.Env(env.example()), kindOption(want)}, c.functions...)
	code, err := compile(src.Text, options)
	if err != nil {
		return nil, positioned(src, err, want)
	}
	p := &Program{src: src, env: env, want: want, code: code, reads: readsOf(code.Node()), frames: c.frames}
	p.stores = env != EnvProfile && strings.Contains(src.Text, "Unmarshaled")
	c.native(p)
	p.field = wholeField(tree)
	if want == Bool {
		p.requires, p.complete = requires(tree, c.helpers)
	}
	if want == Bool && env == EnvEvent {
		p.words = c.words(tree, c.helpers)
	}
	return p, nil
}

// native compiles the checked expression to closures, if it can.
func (c *Compiler) native(p *Program) {
	var err error
	p.native, err = closure.Compile(p.code.Node(), closure.Options{Helpers: c.helpers, Memos: c.memos, Bool: p.want == Bool})
	errors.As(err, &p.left)
}

// compile turns a panic of the compiler, which rule text could cause, into an error.
func compile(src string, options []expr.Option) (code *code, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("expression cannot be compiled: %v", r)
		}
	}()
	return expr.Compile(src, options...)
}

func kindOption(want Kind) expr.Option {
	switch want {
	case Bool:
		return expr.AsBool()
	case String:
		return expr.AsKind(reflect.String)
	}
	return expr.AsAny()
}

// positioned places a compiler's error in the file. Messages are cut to their first line: the rest
// repeats the source.
func positioned(src yamlpos.Text, err error, want Kind) *yamlpos.Error {
	var at *file.Error
	if errors.As(err, &at) {
		msg := firstLine(at.Message)
		if got, ok := strings.CutPrefix(msg, "invalid operation: bool("); ok {
			msg = fmt.Sprintf("expression gives %s, want %s", strings.TrimSuffix(got, ")"), want)
		}
		return src.Errorf(byteOffset(src.Text, at.From), "%s", publicNames(msg))
	}
	if got, ok := strings.CutPrefix(err.Error(), fmt.Sprintf("expected %v, but got ", kindName(want))); ok {
		return src.Errorf(0, "expression gives %s, want %s", got, want)
	}
	return src.Errorf(0, "%s", publicNames(firstLine(err.Error())))
}

// publicNames replaces the names of the types that the virtual machine works on.
func publicNames(msg string) string {
	for _, r := range [...][2]string{{"expr.view", "event.Event"}, {"expr.queueView", "expr.Queue"}, {"expr.leakyView", "expr.Leaky"}} {
		msg = strings.ReplaceAll(msg, r[0], r[1])
	}
	return msg
}

func kindName(want Kind) string {
	if want == Bool {
		return "bool"
	}
	return "string"
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

// byteOffset converts an offset in characters, which the library counts in, to one in bytes.
func byteOffset(s string, runes int) int {
	for i := range s {
		if runes == 0 {
			return i
		}
		runes--
	}
	return len(s)
}

// parse returns the tree of an expression before it is checked, nil when there is none: compiling it
// says why.
func parse(src string) (node ast.Node) {
	defer func() {
		if recover() != nil {
			node = nil
		}
	}()
	tree, err := parser.Parse(src)
	if err != nil {
		return nil
	}
	return tree.Node
}
