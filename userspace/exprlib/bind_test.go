package exprlib

import (
	"reflect"
	"testing"
)

// TestTypedHelpersHaveTheirSignature checks what a compiler relies on when it calls a helper
// without boxing.
func TestTypedHelpersHaveTheirSignature(t *testing.T) {
	typed, prepared := 0, 0
	for _, f := range New(Deps{}).Functions() {
		if f.Call == nil {
			continue
		}
		want := reflect.TypeOf(f.Types[0]).Elem()
		if f.Typed != nil {
			typed++
			got := reflect.TypeOf(f.Typed)
			if !sameSignature(got, want, want.NumIn()) {
				t.Errorf("%s is %s, its signature %s", f.Name, got, want)
			}
		}
		if f.WithLast != nil {
			prepared++
			fix := reflect.TypeOf(f.WithLast)
			last := want.NumIn() - 1
			if fix.NumIn() != 1 || fix.In(0) != want.In(last) || fix.NumOut() != 1 || !sameSignature(fix.Out(0), want, last) {
				t.Errorf("%s with its last argument fixed is %s, its signature %s", f.Name, fix, want)
			}
		}
	}
	if typed < 40 || prepared < 2 {
		t.Errorf("%d helpers are typed, %d take a fixed argument", typed, prepared)
	}
}

// sameSignature compares the first arguments and the result; got may return an error as well.
func sameSignature(got, want reflect.Type, arguments int) bool {
	if got.Kind() != reflect.Func || got.IsVariadic() || got.NumIn() != arguments || got.NumOut() < 1 || got.NumOut() > 2 {
		return false
	}
	for i := range arguments {
		if got.In(i) != want.In(i) {
			return false
		}
	}
	return got.Out(0) == want.Out(0) && (got.NumOut() == 1 || got.Out(1) == reflect.TypeFor[error]())
}
