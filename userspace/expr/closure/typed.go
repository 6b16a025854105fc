package closure

import (
	"reflect"
	"time"
)

// typedCall is the call of a helper's typed form. One that gets arguments of types that are not
// known beforehand is made with boxed arguments, which the helper checks.
func typedCall(fn any, args []value, boxed func(*Vars) any, at int32) (value, bool) {
	if fn == nil {
		return value{}, false
	}
	t := reflect.TypeOf(fn)
	for i, a := range args {
		if t.In(i) != reflect.TypeFor[string]() || a.kind != text {
			if x, ok := storing(fn, args, at); ok {
				return x, true
			}
			return basic(boxed, t.Out(0)), true
		}
	}
	switch fn := fn.(type) {
	case func(string) string:
		return textValue(call1(fn, args, at)), true
	case func(string) bool:
		return truthValue(call1(fn, args, at)), true
	case func(string) []string:
		return textsValue(call1(fn, args, at)), true
	case func(string) (string, error):
		return textValue(call1(sure1(fn), args, at)), true
	case func(string) (bool, error):
		return truthValue(call1(sure1(fn), args, at)), true
	case func(string, string) string:
		return textValue(call2(fn, args, at)), true
	case func(string, string) bool:
		return truthValue(call2(fn, args, at)), true
	case func(string, string) []string:
		return textsValue(call2(fn, args, at)), true
	case func(string, string) (string, error):
		return textValue(call2(sure2(fn), args, at)), true
	case func(string, string) ([]string, error):
		return textsValue(call2(sure2(fn), args, at)), true
	case func(string, string) (bool, error):
		return truthValue(call2(sure2(fn), args, at)), true
	case func(string, string, string) string:
		return textValue(call3(fn, args, at)), true
	}
	return basic(boxed, t.Out(0)), true
}

// storing is the call of a helper that decodes a text into a map.
func storing(fn any, args []value, at int32) (value, bool) {
	f, ok := fn.(func(string, map[string]any, string) (any, error))
	if !ok || args[0].kind != text || args[1].kind != object || args[2].kind != text {
		return value{}, false
	}
	from, to, name := args[0].text, args[1].target(), args[2].text
	return dynamicValue(func(v *Vars) any {
		s := from(v)
		m := to(v)
		k := name(v)
		v.at = at
		out, err := f(s, m, k)
		if err != nil {
			panic(err)
		}
		return out
	}), true
}

func call1[R any](fn func(string) R, args []value, at int32) func(*Vars) R {
	a := args[0].text
	return func(v *Vars) R {
		s := a(v)
		v.at = at
		return fn(s)
	}
}

func call2[R any](fn func(string, string) R, args []value, at int32) func(*Vars) R {
	a, b := args[0].text, args[1].text
	return func(v *Vars) R {
		s, t := a(v), b(v)
		v.at = at
		return fn(s, t)
	}
}

func call3[R any](fn func(string, string, string) R, args []value, at int32) func(*Vars) R {
	a, b, c := args[0].text, args[1].text, args[2].text
	return func(v *Vars) R {
		s, t, u := a(v), b(v), c(v)
		v.at = at
		return fn(s, t, u)
	}
}

// remembered is the call of a helper whose result for the event is kept.
func remembered(f func(string) string, arg func(*Vars) string, place int, at int32) value {
	x := textValue(func(v *Vars) string {
		s := arg(v)
		v.at = at
		return v.remember(place, s, f)
	})
	x.lasting = true
	return x
}

// sure1 and sure2 make functions that cannot fail: an error is a panic, as any fault of a run is.
func sure1[R any](fn func(string) (R, error)) func(string) R {
	return func(a string) R { return checked(fn(a)) }
}

func sure2[R any](fn func(string, string) (R, error)) func(string, string) R {
	return func(a, b string) R { return checked(fn(a, b)) }
}

func checked[R any](r R, err error) R {
	if err != nil {
		panic(err)
	}
	return r
}

// prepared is the call of a helper with a constant as its last argument, which the helper has
// worked on beforehand.
func prepared(fix any, first func(*Vars) string, last string, at int32) (value, bool) {
	arg := []value{{kind: text, text: first}}
	switch fix := fix.(type) {
	case func(string) func(string) string:
		return textValue(call1(fix(last), arg, at)), true
	case func(string) func(string) bool:
		return truthValue(call1(fix(last), arg, at)), true
	}
	return value{}, false
}

// timeMethod is the call of a method of a time without reflection.
func timeMethod(t reflect.Type, name string, on func(*Vars) any) (value, bool) {
	switch t {
	case reflect.TypeFor[time.Time]():
		if f := clock(name); f != nil {
			return wholeValue(func(v *Vars) int { return f(on(v).(time.Time)) }), true
		}
		if name == "Weekday" {
			return dynamicValue(func(v *Vars) any { return on(v).(time.Time).Weekday() }), true
		}
	case reflect.TypeFor[time.Weekday]():
		if name == "String" {
			return textValue(func(v *Vars) string { return on(v).(time.Weekday).String() }), true
		}
	}
	return value{}, false
}

// clock returns the method of a time that gives a number.
func clock(name string) func(time.Time) int {
	switch name {
	case "Hour":
		return time.Time.Hour
	case "Minute":
		return time.Time.Minute
	case "Second":
		return time.Time.Second
	case "Day":
		return time.Time.Day
	case "YearDay":
		return time.Time.YearDay
	case "Year":
		return time.Time.Year
	}
	return nil
}
