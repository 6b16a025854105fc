package exprlib

import (
	"fmt"

	"gabion/userspace/expr"
)

// maxText bounds the text that one helper call may make.
const maxText = 16 << 20

// arg returns an argument with the type the helper wants. Arguments of dynamic type come unchecked.
func arg[T any](args []any, i int) (T, error) {
	v, ok := args[i].(T)
	if !ok {
		var want T
		if args[i] == nil {
			return v, fmt.Errorf("argument %d is nil, want %T", i+1, want)
		}
		return v, fmt.Errorf("argument %d is %T, want %T", i+1, args[i], want)
	}
	return v, nil
}

// bind1 makes a helper of a function of one argument.
func bind1[A, R any](name string, f func(A) (R, error)) expr.Function {
	return expr.Function{Name: name, Typed: f, Types: []any{new(func(A) R)}, Call: func(args ...any) (any, error) {
		a, err := arg[A](args, 0)
		if err != nil {
			return nil, err
		}
		return result(f(a))
	}}
}

// bind2 makes a helper of a function of two arguments.
func bind2[A, B, R any](name string, f func(A, B) (R, error)) expr.Function {
	return expr.Function{Name: name, Typed: f, Types: []any{new(func(A, B) R)}, Call: func(args ...any) (any, error) {
		a, err := arg[A](args, 0)
		if err != nil {
			return nil, err
		}
		b, err := arg[B](args, 1)
		if err != nil {
			return nil, err
		}
		return result(f(a, b))
	}}
}

// bind3 makes a helper of a function of three arguments.
func bind3[A, B, C, R any](name string, f func(A, B, C) (R, error)) expr.Function {
	return expr.Function{Name: name, Typed: f, Types: []any{new(func(A, B, C) R)}, Call: func(args ...any) (any, error) {
		a, err := arg[A](args, 0)
		if err != nil {
			return nil, err
		}
		b, err := arg[B](args, 1)
		if err != nil {
			return nil, err
		}
		c, err := arg[C](args, 2)
		if err != nil {
			return nil, err
		}
		return result(f(a, b, c))
	}}
}

// sure1, sure2 and sure3 make helpers of functions that cannot fail.
func sure1[A, R any](name string, f func(A) R) expr.Function {
	h := bind1(name, func(a A) (R, error) { return f(a), nil })
	h.Typed = f
	return h
}

func sure2[A, B, R any](name string, f func(A, B) R) expr.Function {
	h := bind2(name, func(a A, b B) (R, error) { return f(a, b), nil })
	h.Typed = f
	return h
}

func sure3[A, B, C, R any](name string, f func(A, B, C) R) expr.Function {
	h := bind3(name, func(a A, b B, c C) (R, error) { return f(a, b, c), nil })
	h.Typed = f
	return h
}

// withLast gives a helper of two arguments its form for a second one that is known beforehand.
func withLast[A, B, R any](h expr.Function, fix func(B) func(A) R) expr.Function {
	h.WithLast = fix
	return h
}

// pure marks helpers whose result depends on their arguments alone.
func pure(helpers []expr.Function) []expr.Function {
	for i := range helpers {
		helpers[i].Pure = true
	}
	return helpers
}

func result[R any](r R, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return r, nil
}

// texts returns arguments from the given one on, which must all be text.
func texts(args []any, from int) ([]string, error) {
	out := make([]string, 0, len(args))
	for i := from; i < len(args); i++ {
		s, err := arg[string](args, i)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}
