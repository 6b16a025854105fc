package rules

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// At returns a file or a folder on disk as a source. Where it lies inside a tree of the hub's
// layout, what its place says about the rules is kept: a single file of parsers/s01-parse is a
// parser of that stage. Messages name files as path does.
func At(path string) (Source, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Source{}, fmt.Errorf("read rules: %w", err)
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return Source{}, fmt.Errorf("read rules: %w", err)
	}
	root := absolute
	if dir := treeOf(absolute); dir != "" {
		root = dir
	} else if !info.IsDir() {
		root = filepath.Dir(absolute)
	}
	s := Source{Name: root, FS: os.DirFS(root)}
	if root == absolute {
		s.Name = filepath.ToSlash(path)
		return s, nil
	}
	only, err := filepath.Rel(root, absolute)
	if err != nil {
		return Source{}, fmt.Errorf("read rules: %w", err)
	}
	s.Only = filepath.ToSlash(only)
	if typed, ok := strings.CutSuffix(filepath.ToSlash(filepath.Clean(path)), s.Only); ok {
		s.Name = strings.TrimSuffix(typed, "/")
	}
	return s, nil
}

// treeOf returns the folder that holds the folder of a kind of rules which a path lies in, "" when
// there is none.
func treeOf(path string) string {
	parts := strings.Split(path, string(filepath.Separator))
	for i := len(parts) - 1; i > 0; i-- {
		if slices.Contains([]string{"parsers", "postoverflows", "scenarios"}, parts[i]) {
			return strings.Join(parts[:i], string(filepath.Separator))
		}
	}
	return ""
}
