package main

import (
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// modules is the modules of one kernel.
type modules struct {
	files   map[string]string // name -> file
	builtin map[string]bool   // by name: part of the kernel itself
}

// module is one to load into the guest.
type module struct {
	name    string
	content []byte // not compressed
}

func openModules(dir string) (*modules, error) {
	m := &modules{files: map[string]string{}, builtin: map[string]bool{}}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if name := moduleName(e.Name()); name != "" {
			m.files[name] = filepath.Join(dir, e.Name())
		}
	}
	builtin, err := os.ReadFile(filepath.Join(dir, "modules.builtin"))
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(builtin)) {
		if name := moduleName(filepath.Base(strings.TrimSpace(line))); name != "" {
			m.builtin[name] = true
		}
	}
	return m, nil
}

// moduleName returns the name under which the kernel knows a module's file, "" when it is none.
func moduleName(file string) string {
	for _, end := range []string{".ko", ".ko.xz", ".ko.zst"} {
		if name, ok := strings.CutSuffix(file, end); ok {
			return strings.ReplaceAll(name, "-", "_")
		}
	}
	return ""
}

// order returns the wanted modules and what they need, as they say themselves, in the order to load
// them in. What is part of the kernel is left out.
func (m *modules) order(ctx context.Context, want []string) ([]module, error) {
	var out []module
	seen := map[string]bool{}
	var visit func(name, by string) error
	visit = func(name, by string) error {
		name = strings.ReplaceAll(name, "-", "_")
		if seen[name] || m.builtin[name] {
			return nil
		}
		seen[name] = true
		file, ok := m.files[name]
		if !ok {
			return fmt.Errorf("the kernel has no module %s, which %s needs", name, by)
		}
		content, err := readModule(ctx, file)
		if err != nil {
			return fmt.Errorf("read module %s: %w", file, err)
		}
		needs, err := needsOf(content)
		if err != nil {
			return fmt.Errorf("read module %s: %w", file, err)
		}
		for _, need := range needs {
			if err := visit(need, name); err != nil {
				return err
			}
		}
		out = append(out, module{name, content})
		return nil
	}
	for _, name := range want {
		if err := visit(name, "a test"); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// needsOf reads the names of other modules that depmod makes modules.dep of.
func needsOf(ko []byte) ([]string, error) {
	f, err := elf.NewFile(bytes.NewReader(ko))
	if err != nil {
		return nil, err
	}
	section := f.Section(".modinfo")
	if section == nil {
		return nil, fmt.Errorf("it has no section .modinfo")
	}
	info, err := section.Data()
	if err != nil {
		return nil, err
	}
	for field := range strings.SplitSeq(string(info), "\x00") {
		if names, ok := strings.CutPrefix(field, "depends="); ok {
			return strings.FieldsFunc(names, func(r rune) bool { return r == ',' }), nil
		}
	}
	return nil, nil
}

func readModule(ctx context.Context, file string) ([]byte, error) {
	switch filepath.Ext(file) {
	case ".xz":
		return exec.CommandContext(ctx, "xz", "-dc", file).Output()
	case ".zst":
		return exec.CommandContext(ctx, "zstd", "-dc", file).Output()
	}
	return os.ReadFile(file)
}
