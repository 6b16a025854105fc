package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"

	"gabion/tools/kernels/plan"
)

// tested is a package whose tests run in every kernel.
type tested struct {
	pkg    string // directory in the repository
	record string // file that its flag -update rewrites
}

// allTested is every package with tests that load programs or make interfaces, and nothing else: what
// does not depend on the kernel is tested on the host.
var allTested = []tested{
	{pkg: "loader", record: "testdata/verifier.txt"},
	{pkg: "loader/stack"},
	{pkg: "loader/doctor"},
	{pkg: "userspace/daemon/links"},
	{pkg: "userspace/enforce"},
	{pkg: "userspace/sockets"},
}

// wantedModules is what those tests use that a kernel may have as modules. What these need in turn
// they say themselves.
var wantedModules = []string{"veth", "dummy", "8021q", "bonding", "sch_ingress", "cls_bpf", "act_bpf", "tcp_diag"}

// suite is the built test binaries.
type suite struct {
	root   string // of the repository
	bin    string // directory of the binaries
	run    string // which tests, as go test -run; "" is all
	update bool   // also rewrite the records
}

// build compiles the tests and the guest's init for the guest: no C library, no symbols.
func build(ctx context.Context, s suite) (*suite, error) {
	if err := s.compile(ctx, "build", "init", "./tools/kernels/guest"); err != nil {
		return nil, err
	}
	for _, t := range allTested {
		if err := s.compile(ctx, "test", binaryOf(t), "-c", "./"+t.pkg); err != nil {
			return nil, err
		}
	}
	return &s, nil
}

func binaryOf(t tested) string { return path.Base(t.pkg) + ".test" }

func (s *suite) compile(ctx context.Context, verb, to string, args ...string) error {
	args = append([]string{verb, "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(s.bin, to)}, args...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = s.root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go %s %s: %w", verb, args[len(args)-1], err)
	}
	return nil
}

// pack writes the initramfs of a kernel and returns the plan in it.
func (s *suite) pack(ctx context.Context, k kernel, file string) (p plan.Plan, err error) {
	all, err := openModules(k.modules)
	if err != nil {
		return p, err
	}
	load, err := all.order(ctx, wantedModules)
	if err != nil {
		return p, err
	}
	f, err := os.Create(file)
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	a := newInitramfs(f)
	p.Nonce = rand.Text()
	if err := a.addFile("/init", filepath.Join(s.bin, "init")); err != nil {
		return p, err
	}
	for _, m := range load {
		name := "/modules/" + m.name + ".ko"
		p.Modules = append(p.Modules, name)
		if err := a.add(name, 0o644, m.content); err != nil {
			return p, err
		}
	}
	for _, t := range allTested {
		step, err := s.packTest(a, t)
		if err != nil {
			return p, err
		}
		p.Tests = append(p.Tests, step)
	}
	text, err := json.Marshal(p)
	if err != nil {
		return p, err
	}
	return p, errors.Join(a.add(plan.Path, 0o644, text), a.close())
}

// packTest adds a binary with its package's testdata, where go test would run it.
func (s *suite) packTest(a *initramfs, t tested) (plan.Test, error) {
	step := plan.Test{
		Package: "gabion/" + t.pkg, Dir: path.Join("/src", t.pkg), Binary: path.Join("/src", t.pkg, binaryOf(t)),
		Args: []string{"-test.v=test2json", "-test.timeout=25m", "-test.run=" + s.run},
	}
	if s.update && t.record != "" {
		step.Args = append(step.Args, "-update")
		step.Collect = []string{t.record}
	}
	if err := a.addFile(step.Binary, filepath.Join(s.bin, binaryOf(t))); err != nil {
		return step, err
	}
	data := filepath.Join(s.root, t.pkg, "testdata")
	if _, err := os.Stat(data); errors.Is(err, os.ErrNotExist) {
		return step, nil
	}
	return step, a.addTree(path.Join(step.Dir, "testdata"), data)
}

// keep puts records that a guest has rewritten into the repository.
func (s *suite) keep(files map[string][]byte) error {
	for _, t := range allTested {
		content, ok := files["gabion/"+t.pkg+"/"+t.record]
		if !ok {
			continue
		}
		if err := os.WriteFile(filepath.Join(s.root, t.pkg, t.record), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
