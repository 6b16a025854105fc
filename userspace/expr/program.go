package expr

import (
	"errors"
	"fmt"
	"sync"

	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"

	"gabion/userspace/event"
	"gabion/userspace/expr/closure"
	"gabion/userspace/yamlpos"
)

// maxStack is the largest evaluation stack, in values, that is kept for the next run.
const maxStack = 1024

type code = vm.Program

// Program is a compiled expression. It is immutable and safe for concurrent use.
type Program struct {
	src      yamlpos.Text
	env      Env
	want     Kind
	native   *closure.Code // nil: the virtual machine runs it
	left     *closure.Unsupported
	code     *code
	stores   bool // may hand evt.Unmarshaled to a helper that stores into it
	requires []Condition
	complete bool // there is nothing else in it
	field    eventField
	words    []word
	reads    reads
	frames   *sync.Pool
}

// Keyed is an expression of a rule and the key that it stands under.
type Keyed struct {
	Key     string
	Program *Program
}

// Source returns the text of the expression.
func (p *Program) Source() string { return p.src.Text }

// Pos returns where the expression is in its file.
func (p *Program) Pos() yamlpos.Position { return p.src.Pos }

// Requires returns what must hold of an event for the expression to be true. Whoever skips an
// event for which one of the conditions does not hold changes nothing: evaluating it would have
// been false, without an error and without a side effect.
func (p *Program) Requires() []Condition { return p.requires }

// Field returns the field of the event that the expression is, as in evt.Parsed.program; ok is false
// when there is more to it.
func (p *Program) Field() (set event.FieldSet, key event.Key, ok bool) {
	return p.field.set, p.field.key, p.field.ok
}

// Complete reports whether the expression is true of every event that fulfils its Requires, so that
// it need not be run for one.
func (p *Program) Complete() bool { return p.complete }

// Words returns, each with the text that it is looked for in, the words of which one must occur in an
// event for the expression to be true; none when nothing can be said of it. Whoever skips an event
// without any of them changes nothing.
func (p *Program) Words() (out []string) {
	for _, w := range p.words {
		out = append(out, fmt.Sprintf("%q in %s", w.text, w.subject.Source()))
	}
	return out
}

// Kind returns what the expression gives, as far as it is certain.
func (p *Program) Kind() Kind {
	if p.native == nil {
		return Any
	}
	return Kind(p.native.Kind())
}

// Interpreted reports whether the virtual machine runs the expression, and which construct of it
// is the reason.
func (p *Program) Interpreted() (construct string, ok bool) {
	if p.left == nil {
		return "", false
	}
	return p.left.Construct, true
}

// Bool runs an expression that decides.
func (p *Program) Bool(v *Vars) (bool, error) {
	if p.native != nil && p.native.Kind() == closure.Bool && p.native.Ready(v) {
		b, err := p.native.Bool(v)
		if err != nil {
			return false, &RunError{p: p, err: err}
		}
		return b, nil
	}
	x, err := p.Value(v)
	if err != nil {
		return false, err
	}
	b, ok := x.(bool)
	if !ok {
		return false, &RunError{p: p, err: fmt.Errorf("expression gives %T, want %s", x, Bool)}
	}
	return b, nil
}

// String runs an expression that gives text.
func (p *Program) String(v *Vars) (string, error) {
	if p.native != nil && p.native.Kind() == closure.String && p.native.Ready(v) {
		s, err := p.native.String(v)
		if err != nil {
			return "", &RunError{p: p, err: err}
		}
		return s, nil
	}
	x, err := p.Value(v)
	if err != nil {
		return "", err
	}
	s, ok := x.(string)
	if !ok {
		return "", &RunError{p: p, err: fmt.Errorf("expression gives %T, want %s", x, String)}
	}
	return s, nil
}

// Value runs an expression and returns what it gives. The error is a *RunError.
func (p *Program) Value(v *Vars) (any, error) {
	if p.native == nil || !p.native.Ready(v) {
		return p.interpret(v)
	}
	x, err := p.native.Value(v)
	if err != nil {
		return nil, &RunError{p: p, err: err}
	}
	return x, nil
}

// interpret runs the expression in the virtual machine.
func (p *Program) interpret(v *Vars) (any, error) {
	if p.stores && v.Event != nil && v.Event.Unmarshaled == nil {
		v.Event.Unmarshaled = map[string]any{}
	}
	f := p.frames.Get().(*frame)
	x, err := f.vm.Run(p.code, f.envs.fill(p, v))
	f.release()
	p.frames.Put(f)
	if err != nil {
		return nil, &RunError{p: p, err: err}
	}
	return x, nil
}

// RunError is the failure of an expression on one event. Its text is made only when asked for,
// because hostile input can make an expression fail on every line.
type RunError struct {
	p   *Program
	err error
}

// Error returns the message with the place in the rule file.
func (e *RunError) Error() string {
	return positioned(e.p.src, e.err, e.p.want).Error()
}

// Unwrap returns the error of the helper that failed, if one did.
func (e *RunError) Unwrap() error {
	var at *file.Error
	if errors.As(e.err, &at) {
		return at.Prev
	}
	return e.err
}

// frame is what one run needs; frames are pooled.
type frame struct {
	vm   vm.VM
	envs environments
}

func newFrame() *frame {
	return &frame{vm: vm.VM{MemoryBudget: closure.MemoryBudget}}
}

// release drops the references to events, which would otherwise live as long as the pool.
func (f *frame) release() {
	f.envs.release()
	clear(f.vm.Variables)
	if cap(f.vm.Stack) > maxStack {
		f.vm.Stack = nil
		return
	}
	clear(f.vm.Stack[:cap(f.vm.Stack)])
}
