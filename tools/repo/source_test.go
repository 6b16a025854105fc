package repo

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../.."

// file is one parsed Go file of the repository.
type file struct {
	path string // relative to the root
	pkg  string // import path below the module, such as userspace/bucket
	test bool
	gen  bool
	ast  *ast.File
	set  *token.FileSet
}

// position names a node as path:line.
func (f file) position(n ast.Node) string {
	p := f.set.Position(n.Pos())
	p.Filename = f.path
	return p.String()
}

func mustParse(t *testing.T) []file {
	t.Helper()
	var files []file
	set := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); rel != "." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "bin") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(rel, ".go") {
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(set, path, src, parser.ParseComments)
		if err != nil {
			return err
		}
		files = append(files, file{
			path: rel, pkg: filepath.ToSlash(filepath.Dir(rel)), test: strings.HasSuffix(rel, "_test.go"),
			gen: ast.IsGenerated(parsed), ast: parsed, set: set,
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 10 {
		t.Fatalf("found only %d Go files below %s", len(files), root)
	}
	return files
}

func imports(f file) map[string]*ast.ImportSpec {
	out := map[string]*ast.ImportSpec{}
	for _, spec := range f.ast.Imports {
		out[strings.Trim(spec.Path.Value, `"`)] = spec
	}
	return out
}
