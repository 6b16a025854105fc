package yamlpos

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Decode stores the document in what v points to. Values that v already has stay where the
// document says nothing, so defaults are set before. All faults are returned at once, as Errors.
//
// Struct fields are named by their tag `yaml:"name"`, else by their name in lower case; embedded
// structs are read inline. Null leaves a value as it is.
func (d *Document) Decode(v any) error {
	target := reflect.ValueOf(v)
	if target.Kind() != reflect.Pointer || target.IsNil() {
		panic(fmt.Sprintf("yamlpos: Decode into %T, want a pointer", v))
	}
	dec := decoder{doc: d, fields: map[reflect.Type]*structFields{}}
	dec.value(d.node, target.Elem())
	if dec.dropped > 0 {
		dec.errs = append(dec.errs, d.src.position(0, 0).Errorf("%d more errors", dec.dropped))
	}
	return dec.errs.Err()
}

type decoder struct {
	doc     *Document
	errs    Errors
	dropped int
	fields  map[reflect.Type]*structFields
}

func (d *decoder) errorf(n *yaml.Node, format string, args ...any) {
	d.add(d.doc.pos(n).Errorf(format, args...))
}

func (d *decoder) add(errs ...*Error) {
	for _, err := range errs {
		if len(d.errs) >= maxErrors {
			d.dropped++
			continue
		}
		d.errs = append(d.errs, err)
	}
}

// value decodes a node of any kind.
func (d *decoder) value(n *yaml.Node, v reflect.Value) {
	n = resolveAlias(n)
	if d.special(n, v) {
		return
	}
	if isNull(n) {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		d.value(n, v.Elem())
	case reflect.Struct:
		d.structure(n, v)
	case reflect.Map:
		d.mapping(n, v)
	case reflect.Slice:
		d.list(n, v)
	case reflect.Interface:
		if v.NumMethod() > 0 {
			panic(fmt.Sprintf("yamlpos: cannot decode into %s", v.Type()))
		}
		if x := d.any(n); x != nil {
			v.Set(reflect.ValueOf(x))
		}
	default:
		d.scalar(n, v)
	}
}

// special decodes the types that have a meaning of their own.
func (d *decoder) special(n *yaml.Node, v reflect.Value) bool {
	if !v.CanAddr() {
		return false
	}
	switch p := v.Addr().Interface().(type) {
	case **Document:
		*p = &Document{src: d.doc.src, node: n}
	case *Text:
		if d.wantScalar(n, "text") {
			*p = newText(d.doc.src, n)
		}
	case *OrderedMap:
		d.orderedMap(n, p)
	case TextDecoder:
		if !isNull(n) && d.wantScalar(n, "text") {
			t := newText(d.doc.src, n)
			d.collect(t.Pos, p.DecodeText(t))
		}
	case encoding.TextUnmarshaler:
		if !isNull(n) && d.wantScalar(n, "text") {
			d.collect(newText(d.doc.src, n).Pos, p.UnmarshalText([]byte(n.Value)))
		}
	default:
		return false
	}
	return true
}

func (d *decoder) collect(pos Position, err error) {
	var errs Errors
	errs.Add(pos, err)
	d.add(errs...)
}

func (d *decoder) wantScalar(n *yaml.Node, what string) bool {
	if n.Kind != yaml.ScalarNode {
		d.errorf(n, "want %s, found %s", what, kindName(n))
		return false
	}
	if n.Style&yaml.TaggedStyle != 0 && n.Tag != "!!str" {
		d.errorf(n, "tag %s is not supported", n.Tag)
		return false
	}
	return true
}

func (d *decoder) orderedMap(n *yaml.Node, p *OrderedMap) {
	if isNull(n) {
		return
	}
	for _, e := range d.entries(n) {
		if value := resolveAlias(e.value); d.wantScalar(value, "text") {
			*p = append(*p, Pair{Key: newText(d.doc.src, e.key), Value: newText(d.doc.src, value)})
		}
	}
}

func (d *decoder) list(n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		d.errorf(n, "want a list, found %s", kindName(n))
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, c := range n.Content {
		d.value(c, out.Index(i))
	}
	v.Set(out)
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value) {
	t := v.Type()
	if t.Key().Kind() != reflect.String {
		panic(fmt.Sprintf("yamlpos: cannot decode into %s: keys are text", t))
	}
	entries := d.entries(n)
	if v.IsNil() {
		v.Set(reflect.MakeMapWithSize(t, len(entries)))
	}
	for _, e := range entries {
		elem := reflect.New(t.Elem()).Elem()
		d.value(e.value, elem)
		v.SetMapIndex(reflect.ValueOf(e.key.Value).Convert(t.Key()), elem)
	}
}

func (d *decoder) structure(n *yaml.Node, v reflect.Value) {
	fields := d.fieldsOf(v.Type())
	if n.Kind != yaml.MappingNode {
		d.errorf(n, "want a mapping, found %s", kindName(n))
		return
	}
	m := Mapping{pos: d.doc.pos(n), keys: map[string]Position{}, faulty: map[string]bool{}}
	for _, e := range d.entries(n) {
		m.keys[e.key.Value] = d.doc.pos(e.key)
		index, ok := fields.byName[e.key.Value]
		if !ok {
			hint := ""
			if s := Nearest(e.key.Value, slices.Values(fields.names)); s != "" {
				hint = fmt.Sprintf(": did you mean %q?", s)
				m.faulty[s] = true
			}
			d.errorf(e.key, "unknown key %q%s", shorten(e.key.Value), hint)
			continue
		}
		before := len(d.errs) + d.dropped
		d.value(e.value, v.FieldByIndex(index))
		if len(d.errs)+d.dropped > before {
			m.faulty[e.key.Value] = true
		}
	}
	for _, index := range fields.mappings {
		v.FieldByIndex(index).Set(reflect.ValueOf(m))
	}
}

// structFields are the keys that a struct accepts.
type structFields struct {
	byName   map[string][]int
	names    []string
	mappings [][]int
}

func (d *decoder) fieldsOf(t reflect.Type) *structFields {
	f, ok := d.fields[t]
	if !ok {
		f = &structFields{byName: map[string][]int{}}
		f.add(t, nil)
		d.fields[t] = f
	}
	return f
}

func (f *structFields) add(t reflect.Type, parent []int) {
	for i := range t.NumField() {
		field := t.Field(i)
		name, option, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		index := append(append([]int(nil), parent...), i)
		switch {
		case option == "mapping":
			f.mappings = append(f.mappings, index)
		case option == "inline", field.Anonymous && name == "" && field.Type.Kind() == reflect.Struct:
			f.add(field.Type, index)
		case name == "-" || !field.IsExported():
		default:
			if name == "" {
				name = strings.ToLower(field.Name)
			}
			f.byName[name] = index
			f.names = append(f.names, name)
		}
	}
}
