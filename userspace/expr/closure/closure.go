// Package closure compiles checked expressions to closures over typed values.
//
// What expr-lang/expr has parsed, checked and optimised becomes a tree of Go functions that read
// the event's fields in place: most rules are comparisons of a field with constants, which cost a
// few nanoseconds and allocate nothing. Results, errors and the places of errors are those of the
// library's virtual machine; operations on values whose type is not known beforehand are the
// machine's own (its package runtime). A construct that is not covered is refused, and the whole
// expression is left to the machine.
package closure

import (
	"fmt"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
)

// Options says what the expression may use.
type Options struct {
	Helpers map[string]Helper
	Memos   *Memos // nil: results of calls are not remembered
	Bool    bool   // the result decides: nil counts as false, any other value that is no bool is an error
}

// Helper is a function that expressions can call.
type Helper struct {
	Call func(args ...any) (any, error)

	// Typed, WithLast, Pure, Lines and Within are those of the helper's expr.Function.
	Typed    any
	WithLast any
	Pure     bool
	Lines    func(name string, how Relation, of func(line string) (string, bool)) LineSearch
	Within   bool

	// OnQueue is the helper as a function of the variable queue and of constant numbers; nil for
	// most helpers.
	OnQueue any
}

// Unsupported is the construct that keeps an expression from being compiled.
type Unsupported struct {
	Construct string
	At        file.Location
}

// Error returns the construct.
func (u *Unsupported) Error() string { return u.Construct + " is not compiled" }

// Kind is the type of a result, as far as it is known when the expression is compiled.
type Kind uint8

// Kinds of result.
const (
	Any Kind = iota
	Bool
	String
)

// Code is a compiled expression. It is immutable and safe for concurrent use.
type Code struct {
	kind  Kind
	truth func(*Vars) bool
	text  func(*Vars) string
	any   func(*Vars) any // set for every kind
	needs variable
	risky bool // may fail
	slots int  // variables that let declares
	depth int  // of predicates in predicates
}

// Compile compiles the tree of an expression. The error is an *Unsupported.
func Compile(tree ast.Node, opts Options) (code *Code, err error) {
	defer func() {
		if r := recover(); r != nil {
			var ok bool
			if err, ok = r.(*Unsupported); !ok {
				panic(r)
			}
		}
	}()
	c := &compiler{opts: opts}
	result := c.node(tree)
	if opts.Bool {
		result = c.decision(result)
	}
	code = &Code{any: c.boxed(tree, result), needs: c.needs, risky: c.risky, slots: c.slots, depth: c.depth}
	switch result.kind {
	case truth:
		code.kind, code.truth = Bool, result.truth
	case text:
		code.kind, code.text = String, result.text
	}
	return code, nil
}

// Kind returns what the expression gives: Bool or String when that is certain.
func (c *Code) Kind() Kind { return c.kind }

// Ready reports whether all variables that the expression uses are set. It must not be run when
// one is not.
func (c *Code) Ready(v *Vars) bool {
	if c.needs == varEvent {
		return v.Event != nil
	}
	return c.needs&^v.set() == 0
}

// Bool runs an expression of kind Bool.
func (c *Code) Bool(v *Vars) (result bool, err error) {
	if !c.risky {
		return c.truth(v), nil
	}
	c.begin(v)
	defer v.catch(&err)
	return c.truth(v), nil
}

// String runs an expression of kind String.
func (c *Code) String(v *Vars) (result string, err error) {
	if !c.risky {
		return c.text(v), nil
	}
	c.begin(v)
	defer v.catch(&err)
	return c.text(v), nil
}

// Value runs an expression of any kind.
func (c *Code) Value(v *Vars) (result any, err error) {
	c.begin(v)
	defer v.catch(&err)
	return c.any(v), nil
}

// begin makes room for what a run keeps.
func (c *Code) begin(v *Vars) {
	v.at, v.memory = 0, 0
	if len(v.slots) < c.slots {
		v.slots = make([]slot, c.slots)
	}
	if len(v.scopes) < c.depth {
		v.scopes = make([]scope, c.depth)
	}
}

// catch turns the panic of an operation into the error that the machine makes of it.
func (v *Vars) catch(err *error) {
	r := recover()
	if r == nil {
		return
	}
	f := &file.Error{Location: file.Location{From: int(v.at), To: int(v.at)}, Message: fmt.Sprintf("%v", r)}
	if cause, ok := r.(error); ok {
		f.Wrap(cause)
	}
	*err = f
}
