package expr

import (
	"slices"

	"github.com/expr-lang/expr/ast"

	"gabion/userspace/event"
)

// reads is what an expression reads of the variables, so that a run of the virtual machine need
// not make the rest.
type reads struct {
	parsed, enriched, meta fieldReads
	event                  bool // it hands evt itself on
	queue, leaky           bool
}

// fieldReads is what an expression reads of a set of fields of evt.
type fieldReads struct {
	keys []event.Key // fields that it names
	all  bool        // it uses the set in another way
}

// readsOf looks through a checked expression.
func readsOf(root ast.Node) reads {
	var r reader
	ast.Walk(&root, &r)
	out := r.reads
	out.event = r.open["evt"] > 0
	out.queue = out.queue || r.open["leaky"] > 0
	out.parsed.all = out.event || r.open["Parsed"] > 0
	out.enriched.all = out.event || r.open["Enriched"] > 0
	out.meta.all = out.event || r.open["Meta"] > 0
	return out
}

// reader collects what an expression reads.
type reader struct {
	reads reads
	open  map[string]int // uses of a variable, or of a set of evt, that are no access to a named member
}

func (r *reader) use(name string, n int) {
	if r.open == nil {
		r.open = map[string]int{}
	}
	r.open[name] += n
}

// Visit implements ast.Visitor.
func (r *reader) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		r.identifier(n.Value)
	case *ast.MemberNode:
		r.member(n)
	case *ast.BuiltinNode:
		if n.Map != nil { // an optimisation put it there, ast.Walk passes it over
			ast.Walk(&n.Map, r)
		}
	}
}

func (r *reader) identifier(name string) {
	switch name {
	case "evt":
		r.use("evt", 1)
	case "queue":
		r.reads.queue = true
	case "leaky":
		r.reads.leaky = true
		r.use("leaky", 1)
	case "$env":
		r.use("evt", 1)
		r.reads.queue, r.reads.leaky = true, true
	}
}

// member takes note of evt.name, evt.name.key and leaky.name. The walk came to the inner nodes
// before.
func (r *reader) member(n *ast.MemberNode) {
	name, ok := n.Property.(*ast.StringNode)
	if !ok || n.Optional {
		return
	}
	switch of := n.Node.(type) {
	case *ast.IdentifierNode:
		r.variable(of.Value, name.Value)
	case *ast.MemberNode:
		path, ok := eventPath(of)
		if !ok || len(path) != 1 {
			return
		}
		if to := r.set(path[0]); to != nil {
			r.use(path[0], -1)
			if key := event.NewKey(name.Value); !slices.Contains(to.keys, key) {
				to.keys = append(to.keys, key)
			}
		}
	}
}

// variable takes note of a member of a variable.
func (r *reader) variable(variable, name string) {
	switch variable {
	case "evt":
		r.use("evt", -1)
		if r.set(name) != nil {
			r.use(name, 1)
		}
	case "leaky":
		r.use("leaky", -1)
		r.reads.queue = r.reads.queue || name == "Queue"
	}
}

func (r *reader) set(name string) *fieldReads {
	switch name {
	case "Parsed":
		return &r.reads.parsed
	case "Enriched":
		return &r.reads.enriched
	case "Meta":
		return &r.reads.meta
	}
	return nil
}
