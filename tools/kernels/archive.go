package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// archive is one suite of a mirror with an apt state of its own: nothing of the machine's apt changes,
// and its signed list says what the packages must be.
type archive struct {
	dir   string // sources, lists, caches, and packages in debs
	suite string
	lock  *os.File // held: dir has one user at a time
}

// pkg is what the signed list says of a package.
type pkg struct {
	name, version, sha256 string
	file                  string // base name
	depends               []string
}

// openArchive waits until nobody else uses dir and fetches the suite's list into it. When that fails and
// an earlier list is there, it is used, and log is told.
func openArchive(ctx context.Context, dir string, m mirror, suite string, log io.Writer) (_ *archive, err error) {
	a := &archive{dir: dir, suite: suite}
	for _, sub := range []string{"debs", "lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	if a.lock, err = os.Create(filepath.Join(dir, "lock")); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()
	if err := unix.Flock(int(a.lock.Fd()), unix.LOCK_EX); err != nil {
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	line := fmt.Sprintf("deb [signed-by=%s target=Packages] %s %s main\n", m.keyring, m.uri, suite)
	if err := os.WriteFile(filepath.Join(dir, "sources.list"), []byte(line), 0o644); err != nil {
		return nil, err
	}
	if _, err := a.apt(ctx, "apt-get", "update", "-qq"); err != nil {
		old, _ := filepath.Glob(filepath.Join(dir, "lists", "*_Packages*"))
		if len(old) == 0 {
			return nil, fmt.Errorf("fetch the list of %s: %w: %w", suite, errNotOffered, err)
		}
		fmt.Fprintf(log, "using the list of %s from last time: %v\n", suite, err)
	}
	return a, nil
}

// close lets others use the directory.
func (a *archive) close() error { return a.lock.Close() }

// apt runs a command of apt on this state and returns its standard output.
func (a *archive) apt(ctx context.Context, name string, args ...string) (string, error) {
	options := []string{
		"-o", "Dir::Etc::SourceList=" + filepath.Join(a.dir, "sources.list"),
		"-o", "Dir::Etc::SourceParts=/dev/null",
		"-o", "Dir::State::Lists=" + filepath.Join(a.dir, "lists"),
		"-o", "Dir::State::status=/dev/null",
		"-o", "Dir::Cache=" + filepath.Join(a.dir, "cache"),
		"-o", "APT::Architecture=amd64", "-o", "APT::Architectures=amd64",
		"-o", "APT::Sandbox::User=root", // the cache may be where only its owner may go
		"-o", "APT::Update::Error-Mode=any",
		"-o", "APT::Get::AllowUnauthenticated=false",
		"-o", "Acquire::AllowInsecureRepositories=false",
	}
	cmd := exec.CommandContext(ctx, name, append(options, args...)...)
	cmd.Dir = filepath.Join(a.dir, "debs")
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(exit.Stderr)))
	}
	return string(out), err
}

// find returns the highest version of a package.
func (a *archive) find(ctx context.Context, name string) (pkg, error) {
	text, err := a.apt(ctx, "apt-cache", "--no-all-versions", "show", name)
	if err != nil {
		return pkg{}, fmt.Errorf("find %s in %s: %w: %w", name, a.suite, errNotOffered, err)
	}
	return parsePackage(text)
}

func parsePackage(text string) (pkg, error) {
	all := stanzas(text)
	if len(all) == 0 {
		return pkg{}, fmt.Errorf("read what apt-cache says: %w", errNotOffered)
	}
	f := all[0]
	p := pkg{name: f["package"], version: f["version"], sha256: f["sha256"], file: path.Base(f["filename"])}
	if p.name == "" || p.version == "" || len(p.sha256) != 2*sha256.Size || !strings.HasSuffix(p.file, ".deb") {
		return pkg{}, fmt.Errorf("read what apt-cache says of %q: a field is missing", p.name)
	}
	for dep := range strings.SplitSeq(f["depends"], ",") {
		first, _, _ := strings.Cut(dep, "|")
		first, _, _ = strings.Cut(first, "(")
		if first = strings.TrimSpace(first); first != "" {
			p.depends = append(p.depends, first)
		}
	}
	return p, nil
}

// download returns the package's file. One that is in the cache and is what the list says is not
// fetched again.
func (a *archive) download(ctx context.Context, p pkg) (string, error) {
	file := filepath.Join(a.dir, "debs", p.file)
	if checksum(file, p.sha256) == nil {
		return file, nil
	}
	if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	if _, err := a.apt(ctx, "apt-get", "download", "-qq", p.name+"="+p.version); err != nil {
		return "", err
	}
	return file, checksum(file, p.sha256)
}

// prune removes the packages of earlier kernels.
func (a *archive) prune(keep []string) error {
	all, err := filepath.Glob(filepath.Join(a.dir, "debs", "*.deb"))
	if err != nil {
		return err
	}
	for _, file := range all {
		if slices.Contains(keep, file) {
			continue
		}
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	return nil
}

func checksum(file, want string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		return fmt.Errorf("%s has the SHA-256 %s, the archive's signed list says %s", file, got, want)
	}
	return nil
}
