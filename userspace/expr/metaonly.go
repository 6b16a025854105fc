package expr

import "github.com/expr-lang/expr/ast"

// ReadsMetaOnly reports whether all that the expression reads of evt are metadata that it names, such
// as evt.Meta.source_ip: it can be evaluated when nothing else of the event is left.
func (p *Program) ReadsMetaOnly() bool {
	var r metaReader
	root := p.code.Node()
	ast.Walk(&root, &r)
	return r.event == r.meta
}

// metaReader counts the uses of evt, and those that read named metadata.
type metaReader struct{ event, meta int }

// Visit implements ast.Visitor.
func (r *metaReader) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		if n.Value == "evt" || n.Value == "$env" {
			r.event++
		}
	case *ast.MemberNode:
		if path, ok := eventPath(n); ok && len(path) == 2 && path[0] == "Meta" {
			r.meta++
		}
	case *ast.BuiltinNode:
		if n.Map != nil { // an optimisation put it there, ast.Walk passes it over
			ast.Walk(&n.Map, r)
		}
	}
}
