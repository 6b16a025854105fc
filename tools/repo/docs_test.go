package repo

import (
	"bufio"
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	documented := map[string]bool{}
	for _, f := range mustParse(t) {
		if f.test {
			continue
		}
		if f.ast.Doc != nil && !f.gen {
			if !strings.HasPrefix(f.ast.Doc.Text(), "Package "+f.ast.Name.Name+" ") && f.ast.Name.Name != "main" {
				t.Errorf("%s: the package comment begins with something else than %q", f.path, "Package "+f.ast.Name.Name)
			}
			documented[f.pkg] = true
		} else if _, ok := documented[f.pkg]; !ok {
			documented[f.pkg] = false
		}
	}
	for pkg, ok := range documented {
		if !ok {
			t.Errorf("package %s has no package comment", pkg)
		}
	}
}

func TestEveryExportedNameIsDocumented(t *testing.T) {
	for _, f := range mustParse(t) {
		if f.test || f.gen {
			continue
		}
		for _, d := range f.ast.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && exportedReceiver(d) && d.Doc == nil {
					t.Errorf("%s: %s has no comment", f.position(d), d.Name.Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if ts, ok := spec.(*ast.TypeSpec); ok && ts.Name.IsExported() && d.Doc == nil && ts.Doc == nil {
						t.Errorf("%s: %s has no comment", f.position(ts), ts.Name.Name)
					}
				}
			}
		}
	}
}

func exportedReceiver(fn *ast.FuncDecl) bool {
	if fn.Recv == nil {
		return true
	}
	typ := fn.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	id, ok := typ.(*ast.Ident)
	return ok && id.IsExported()
}

func TestEveryDirectDependencyHasItsReasonInTheReadme(t *testing.T) {
	readme := mustRead(t, "README.md")
	scanner := bufio.NewScanner(strings.NewReader(mustRead(t, "go.mod")))
	requirement := regexp.MustCompile(`^\t(\S+) v\S+$`)
	n := 0
	for scanner.Scan() {
		m := requirement.FindStringSubmatch(scanner.Text())
		if m == nil {
			continue
		}
		n++
		if !strings.Contains(readme, m[1]) {
			t.Errorf("go.mod requires %s, and README.md does not say why", m[1])
		}
	}
	if n == 0 {
		t.Error("found no direct dependency in go.mod")
	}
}

func TestTheMakefileStaysATableOfContents(t *testing.T) {
	targets := regexp.MustCompile(`(?m)^[a-z-]+:`).FindAllString(mustRead(t, "Makefile"), -1)
	if len(targets) == 0 || len(targets) > 12 {
		t.Errorf("the Makefile has %d targets, want 1 to 12: %v", len(targets), targets)
	}
}

func mustRead(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
