package yamlpos

import (
	"math"
	"reflect"

	"go.yaml.in/yaml/v3"
)

// entry is one key of a mapping with its value.
type entry struct{ key, value *yaml.Node }

// entries returns the keys of a mapping, with those of merge keys (<<) behind its own. A key of the
// mapping itself wins over a merged one, an earlier merged one over a later.
func (d *decoder) entries(n *yaml.Node) []entry {
	if n.Kind != yaml.MappingNode {
		d.errorf(n, "want a mapping, found %s", kindName(n))
		return nil
	}
	var out []entry
	seen := map[string]*yaml.Node{}
	var merges []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := resolveAlias(n.Content[i])
		switch {
		case key.Kind != yaml.ScalarNode || isNull(key):
			d.errorf(n.Content[i], "want a key, found %s", kindName(key))
		case key.Value == "<<" && key.Tag == "!!merge":
			merges = append(merges, n.Content[i+1])
		case seen[key.Value] != nil:
			d.errorf(key, "key %q is already set on line %d", shorten(key.Value), seen[key.Value].Line)
		default:
			seen[key.Value] = key
			out = append(out, entry{key, n.Content[i+1]})
		}
	}
	for _, m := range merges {
		out = d.merge(m, out, seen)
	}
	return out
}

func (d *decoder) merge(n *yaml.Node, out []entry, seen map[string]*yaml.Node) []entry {
	target := resolveAlias(n)
	switch target.Kind {
	case yaml.MappingNode:
		for _, e := range d.entries(target) {
			if seen[e.key.Value] == nil {
				seen[e.key.Value] = e.key
				out = append(out, e)
			}
		}
	case yaml.SequenceNode:
		for _, c := range target.Content {
			if resolveAlias(c).Kind != yaml.MappingNode {
				d.errorf(c, "want a mapping to merge, found %s", kindName(resolveAlias(c)))
				continue
			}
			out = d.merge(c, out, seen)
		}
	default:
		d.errorf(n, "want a mapping to merge, found %s", kindName(target))
	}
	return out
}

// any decodes a node where no type is asked for.
func (d *decoder) any(n *yaml.Node) any {
	n = resolveAlias(n)
	switch n.Kind {
	case yaml.MappingNode:
		out := map[string]any{}
		for _, e := range d.entries(n) {
			out[e.key.Value] = d.any(e.value)
		}
		return out
	case yaml.SequenceNode:
		out := make([]any, len(n.Content))
		for i, c := range n.Content {
			out[i] = d.any(c)
		}
		return out
	}
	if !d.wantScalar(n, "a value") {
		return nil
	}
	return scalarValue(n)
}

// scalar decodes a node into a value of a basic type.
func (d *decoder) scalar(n *yaml.Node, v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		if d.wantScalar(n, "text") {
			v.SetString(n.Value)
		}
	case reflect.Bool:
		if d.wantScalar(n, "true or false") {
			b, ok := parseBool(n.Value)
			if !ok || !isPlain(n) {
				d.errorf(n, "want true or false, found %s", kindName(n))
				return
			}
			v.SetBool(b)
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if d.wantScalar(n, "a whole number") {
			i, ok := parseInt(n.Value)
			d.number(n, ok && isPlain(n), !v.OverflowInt(i), func() { v.SetInt(i) })
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if d.wantScalar(n, "a whole number") {
			u, ok := parseUint(n.Value)
			i, signed := parseInt(n.Value)
			negative := signed && i < 0
			d.number(n, (ok || negative) && isPlain(n), !negative && !v.OverflowUint(u), func() { v.SetUint(u) })
		}
	case reflect.Float32, reflect.Float64:
		if d.wantScalar(n, "a number") {
			f, ok := parseFloat(n.Value)
			if i, isInt := parseInt(n.Value); isInt {
				f, ok = float64(i), true
			}
			if !ok || !isPlain(n) {
				d.errorf(n, "want a number, found %s", kindName(n))
				return
			}
			d.number(n, true, math.IsInf(f, 0) || !v.OverflowFloat(f), func() { v.SetFloat(f) })
		}
	default:
		panic("yamlpos: cannot decode into " + v.Type().String())
	}
}

// number stores a whole number when it is one and fits.
func (d *decoder) number(n *yaml.Node, ok, fits bool, set func()) {
	switch {
	case !ok:
		d.errorf(n, "want a whole number, found %s", kindName(n))
	case !fits:
		d.errorf(n, "number %s is out of range", shorten(n.Value))
	default:
		set()
	}
}
