package main

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// series is a line of kernels that Debian maintains.
type series struct {
	name   string   // as in KERNELS
	suites []string // where it comes from, the first that offers it; -security has the latest of a release
	cpus   int
}

// allSeries is what `make test-kernels` boots, oldest first. 5.10 changes its own code for each test run
// of an XDP program (the dispatcher; since 5.13 only for repeated runs) and stops all processors for it:
// with two, emulated, 7 ms for what takes 0.3 ms with one.
var allSeries = []series{
	{"5.10", []string{"bullseye-security", "bullseye"}, 1},
	{"6.1", []string{"bookworm-security", "bookworm"}, 2},
	{"6.12", []string{"trixie-security", "trixie"}, 2},
	{newest, []string{"sid"}, 2},
}

// newest is the series without a number.
const newest = "newest"

// metaPackage depends on the kernel that a suite has by default, built for virtual machines: it is the
// smallest of Debian's, with everything that a data path meets.
const metaPackage = "linux-image-cloud-amd64"

// kernelPackage is what a kernel may be split into.
var kernelPackage = regexp.MustCompile(`^linux-(image|base|binary|modules)-[0-9]`)

// kernel is an unpacked kernel.
type kernel struct {
	version string // of the package
	cpus    int    // to give it
	image   string // file to boot
	modules string // directory with all modules, and modules.builtin
}

// fetch unpacks the kernel of a series into the directory dir, which it makes. Packages are kept below
// cache.
func fetch(ctx context.Context, cache string, m mirrors, s series, dir string, log io.Writer) (kernel, error) {
	var errs []error
	for _, suite := range s.suites {
		from := m.main
		if strings.HasSuffix(suite, "-security") {
			from = m.security
		}
		if from.uri == "" {
			continue
		}
		version, debs, err := download(ctx, filepath.Join(cache, suite), from, suite, s, log)
		if err == nil {
			k := kernel{version: version, cpus: s.cpus, image: filepath.Join(dir, "vmlinuz"), modules: filepath.Join(dir, "modules")}
			return k, k.unpack(ctx, debs)
		}
		if !errors.Is(err, errNotOffered) {
			return kernel{}, err
		}
		errs = append(errs, err)
	}
	return kernel{}, fmt.Errorf("get a kernel %s: %w", s.name, errors.Join(errs...))
}

// download returns the kernel that a suite has now and the files of its packages.
func download(ctx context.Context, dir string, m mirror, suite string, s series, log io.Writer) (version string, debs []string, err error) {
	a, err := openArchive(ctx, dir, m, suite, log)
	if err != nil {
		return "", nil, err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	packages, err := resolve(metaPackage, func(name string) (pkg, error) { return a.find(ctx, name) })
	if err != nil {
		return "", nil, err
	}
	version = packages[0].version
	if s.name != newest && !strings.HasPrefix(version, s.name+".") {
		return "", nil, fmt.Errorf("%s has Linux %s, not %s: %w", suite, version, s.name, errNotOffered)
	}
	for _, p := range packages {
		deb, err := a.download(ctx, p)
		if err != nil {
			return "", nil, fmt.Errorf("download %s: %w", p.name, err)
		}
		debs = append(debs, deb)
	}
	return version, debs, a.prune(debs)
}

// resolve returns a package and those parts of the kernel that it depends on, each once, the packages
// with a kernel's version in front.
func resolve(name string, find func(string) (pkg, error)) ([]pkg, error) {
	meta, err := find(name)
	if err != nil {
		return nil, err
	}
	var out []pkg
	seen := map[string]bool{}
	for todo := meta.depends; len(todo) > 0; {
		name, todo = todo[0], todo[1:]
		if seen[name] || !kernelPackage.MatchString(name) {
			continue
		}
		seen[name] = true
		p, err := find(name)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
		todo = append(todo, p.depends...)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s %s depends on no kernel", meta.name, meta.version)
	}
	return out, nil
}

// unpack makes the kernel's files out of its packages.
func (k kernel) unpack(ctx context.Context, debs []string) error {
	if err := os.MkdirAll(k.modules, 0o755); err != nil {
		return err
	}
	for _, deb := range debs {
		if err := unpackDeb(ctx, deb, filepath.Dir(k.image)); err != nil {
			return fmt.Errorf("unpack %s: %w", deb, err)
		}
	}
	if _, err := os.Stat(k.image); err != nil {
		return fmt.Errorf("the packages of Linux %s have no kernel: %w", k.version, err)
	}
	return nil
}

func unpackDeb(ctx context.Context, deb, dir string) error {
	cmd := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", deb)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = unpackTar(tar.NewReader(out), dir)
	if err == nil {
		_, err = io.Copy(io.Discard, out)
	}
	return errors.Join(err, cmd.Wait())
}

// unpackTar keeps the kernel, as vmlinuz, and its modules, without their directories.
func unpackTar(r *tar.Reader, dir string) error {
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		to := ""
		switch base := path.Base(h.Name); {
		case h.Typeflag != tar.TypeReg:
		case base == "vmlinuz" || strings.HasPrefix(base, "vmlinuz-"):
			to = "vmlinuz"
		case base == "modules.builtin" || moduleName(base) != "":
			to = filepath.Join("modules", base)
		}
		if to == "" {
			continue
		}
		f, err := os.Create(filepath.Join(dir, to))
		if err != nil {
			return err
		}
		_, err = io.Copy(f, r)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
}
