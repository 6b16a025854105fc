package parse

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"

	"gabion/userspace/event"
)

// target is a place in the event that a static names by its path, such as evt.Meta.source_ip.
type target struct {
	path   string
	fields []int  // of structs, from the event on; pointers on the way are followed
	key    string // of the map or the fields at the end, when the path ends in them
	labels bool   // the map is shared by the lines of a source
}

// CheckTarget says what is wrong with the path of a static's key target.
func CheckTarget(path string) error {
	_, err := newTarget(path)
	return err
}

// newTarget resolves a path. A path that goes on behind the key of a map ends there: Meta.a.b is
// the key a of Meta.
func newTarget(path string) (*target, error) {
	t := &target{path: path}
	typ, fieldsType := reflect.TypeFor[event.Event](), reflect.TypeFor[event.Fields]()
	for part := range strings.SplitSeq(strings.TrimPrefix(path, "evt."), ".") {
		if typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		switch {
		case typ == fieldsType:
			t.key = part
			return t, nil
		case typ.Kind() == reflect.Struct:
			f, ok := typ.FieldByName(part)
			if !ok || !f.IsExported() {
				return nil, fmt.Errorf("%s has no field %q", typ.Name(), part)
			}
			t.fields = append(t.fields, f.Index[0])
			t.labels = typ == reflect.TypeFor[event.Line]() && part == "Labels"
			typ = f.Type
		case typ.Kind() == reflect.Map:
			if k := typ.Elem().Kind(); k != reflect.String && k != reflect.Interface {
				return nil, fmt.Errorf("%s holds no text", path)
			}
			t.key = part
			return t, nil
		default:
			return nil, fmt.Errorf("%s has no field %q: it is a %s", path, part, typ)
		}
	}
	if typ.Kind() != reflect.String {
		return nil, fmt.Errorf("%s holds no text: it is a %s", path, typ)
	}
	return t, nil
}

var errNoValue = errors.New("the event has no such value")

// set stores the value in the event of the run.
func (t *target) set(r *run, value string) error {
	v := reflect.ValueOf(r.evt)
	for _, i := range t.fields {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return fmt.Errorf("%s: %w", t.path, errNoValue)
			}
			v = v.Elem()
		}
		v = v.Field(i)
	}
	if v.Kind() == reflect.String {
		v.SetString(value)
		return nil
	}
	if f, ok := v.Addr().Interface().(*event.Fields); ok {
		f.Set(t.key, value)
		return nil
	}
	if t.labels {
		r.ownLabels()
	}
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	v.SetMapIndex(reflect.ValueOf(t.key), reflect.ValueOf(value))
	return nil
}

// ownLabels gives the event labels of its own: the other lines of its source keep theirs.
func (r *run) ownLabels() {
	if !r.labelsOwned {
		r.evt.Line.Labels = maps.Clone(r.evt.Line.Labels)
		r.labelsOwned = true
	}
}
