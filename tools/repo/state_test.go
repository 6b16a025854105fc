package repo

import (
	"go/ast"
	"go/token"
	"strings"
	"testing"
)

func TestNoPackageHasAnInitFunction(t *testing.T) {
	for _, f := range mustParse(t) {
		if f.gen {
			continue
		}
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s: init()", f.position(fn))
			}
		}
	}
}

// A package variable may be a sentinel error, an embedded file, an interface check, or an
// unexported table that nothing writes.
func TestNoPackageHasAVariableThatChanges(t *testing.T) {
	files := mustParse(t)
	written := map[string]map[string]string{} // package -> variable -> where it is written
	for _, f := range files {
		if written[f.pkg] == nil {
			written[f.pkg] = map[string]string{}
		}
		for name, at := range writes(f) {
			written[f.pkg][name] = at
		}
	}
	for _, f := range files {
		if f.test || f.gen {
			continue
		}
		for _, d := range f.ast.Decls {
			gen, ok := d.(*ast.GenDecl)
			if !ok || gen.Tok != token.VAR {
				continue
			}
			for _, spec := range gen.Specs {
				checkVariable(t, f, gen, spec.(*ast.ValueSpec), written[f.pkg])
			}
		}
	}
}

func checkVariable(t *testing.T, f file, gen *ast.GenDecl, v *ast.ValueSpec, written map[string]string) {
	t.Helper()
	for i, name := range v.Names {
		if name.Name == "_" {
			continue
		}
		if at, ok := written[name.Name]; ok {
			t.Errorf("%s: package variable %s is written at %s", f.position(name), name.Name, at)
			continue
		}
		if embedded(gen) || embedded(&ast.GenDecl{Doc: v.Doc}) || name.Name == "version" {
			continue // version is set by the linker
		}
		var value ast.Expr
		if i < len(v.Values) {
			value = v.Values[i]
		}
		if strings.HasPrefix(name.Name, "Err") || strings.HasPrefix(name.Name, "err") {
			if _, ok := value.(*ast.CallExpr); ok {
				continue
			}
		}
		if name.IsExported() || !constant(value) {
			t.Errorf("%s: package variable %s: keep state in a value that someone owns", f.position(name), name.Name)
		}
	}
}

func embedded(gen *ast.GenDecl) bool {
	if gen.Doc == nil {
		return false
	}
	for _, c := range gen.Doc.List {
		if strings.HasPrefix(c.Text, "//go:embed") {
			return true
		}
	}
	return false
}

// constant says whether a value is a table or is computed once from constants.
func constant(value ast.Expr) bool {
	switch v := value.(type) {
	case *ast.CompositeLit, *ast.BasicLit:
		return true
	case *ast.CallExpr:
		sel, ok := v.Fun.(*ast.SelectorExpr)
		if !ok {
			return false
		}
		switch sel.Sel.Name {
		case "MustCompile", "MustParsePrefix", "MustParseAddr", "OnceValue", "OnceFunc", "NewReplacer", "Errorf", "New":
			return true
		}
	}
	return false
}

// writes finds assignments to names that the function does not declare itself.
func writes(f file) map[string]string {
	out := map[string]string{}
	if f.test {
		return out
	}
	for _, d := range f.ast.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		local := declared(fn)
		note := func(e ast.Expr) {
			if name := rootName(e); name != "" && !local[name] {
				out[name] = f.position(e)
			}
		}
		ast.Inspect(fn.Body, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				if n.Tok != token.DEFINE {
					for _, e := range n.Lhs {
						note(e)
					}
				}
			case *ast.IncDecStmt:
				note(n.X)
			case *ast.CallExpr:
				if id, ok := n.Fun.(*ast.Ident); ok && (id.Name == "delete" || id.Name == "clear") {
					note(n.Args[0])
				}
			}
			return true
		})
	}
	return out
}

func rootName(e ast.Expr) string {
	for {
		switch v := e.(type) {
		case *ast.Ident:
			return v.Name
		case *ast.IndexExpr:
			e = v.X
		case *ast.SelectorExpr:
			e = v.X
		case *ast.ParenExpr:
			e = v.X
		case *ast.StarExpr:
			e = v.X
		default:
			return ""
		}
	}
}

// declared lists parameters, results, receivers and every name the function declares.
func declared(fn *ast.FuncDecl) map[string]bool {
	local := map[string]bool{}
	ast.Inspect(fn, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field:
			for _, name := range n.Names {
				local[name.Name] = true
			}
		case *ast.AssignStmt:
			if n.Tok == token.DEFINE {
				for _, e := range n.Lhs {
					if id, ok := e.(*ast.Ident); ok {
						local[id.Name] = true
					}
				}
			}
		case *ast.RangeStmt:
			for _, e := range []ast.Expr{n.Key, n.Value} {
				if id, ok := e.(*ast.Ident); ok {
					local[id.Name] = true
				}
			}
		case *ast.ValueSpec:
			for _, name := range n.Names {
				local[name.Name] = true
			}
		}
		return true
	})
	return local
}
