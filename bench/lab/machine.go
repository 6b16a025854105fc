package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"gabion/bench/lab/topology"
	"gabion/loader"
)

// needs is what every message about a machine that cannot run the lab ends with.
const needs = "gabion lab needs root (or CAP_SYS_ADMIN, CAP_NET_ADMIN and CAP_BPF), network namespaces, veth and BPF; it makes all it uses inside namespaces of its own"

// checkMachine finds out early what would fail later with less to say about it.
func checkMachine() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("not running as root: %s: try sudo", needs)
	}
	if _, err := os.Stat("/proc/self/ns/net"); err != nil {
		return fmt.Errorf("this kernel has no network namespaces: %s", needs)
	}
	if _, err := os.Stat("/proc/sys/net/ipv6"); err != nil {
		return errors.New("this kernel runs without IPv6 (ipv6.disable=1?): the lab attacks over both families")
	}
	// BPF_PROG_LOAD without a program: EINVAL or EFAULT from a kernel that would, ENOSYS or EPERM else.
	const progLoad = 5
	_, _, errno := unix.Syscall(unix.SYS_BPF, progLoad, 0, 0)
	if errno == unix.ENOSYS || errno == unix.EPERM {
		return fmt.Errorf("the bpf system call is refused: %w: %s", errno, needs)
	}
	return nil
}

// removeStale removes what labs left whose process is dead: namespaces, pins, directories.
func (l *lab) removeStale() error {
	owners, err := topology.RemoveStale()
	errs := []error{err}
	for _, dir := range staleIn(bpffs) {
		owners = append(owners, dir.owner)
		errs = append(errs, loader.Remove(dir.path))
	}
	for _, dir := range staleIn(os.TempDir()) {
		owners = append(owners, dir.owner)
		errs = append(errs, removeDir(dir.path))
	}
	slices.Sort(owners)
	for _, pid := range slices.Compact(owners) {
		l.say("lab", "removed what the lab of the dead process %d had left behind", pid)
	}
	return errors.Join(errs...)
}

// removeDir deletes a working directory of a lab. It is the only place that deletes below the
// machine's temporary directory, and takes nothing that a lab has not made there.
func removeDir(path string) error {
	_, ours := topology.Owner(filepath.Base(path))
	if !ours || filepath.Dir(path) != filepath.Clean(os.TempDir()) {
		return fmt.Errorf("%s is no working directory of a lab: it is left alone", path)
	}
	return os.RemoveAll(path)
}

type staleDir struct {
	path  string
	owner int
}

// staleIn finds the directories of dead labs that belong to this user: in a directory that everybody
// may write to, a name alone proves nothing.
func staleIn(parent string) []staleDir {
	paths, _ := filepath.Glob(filepath.Join(parent, topology.Prefix+"*")) // the pattern is right
	var out []staleDir
	for _, path := range paths {
		pid, ok := topology.Owner(filepath.Base(path))
		if !ok || topology.Alive(pid) {
			continue
		}
		st, err := os.Lstat(path)
		if err != nil || !st.IsDir() {
			continue
		}
		if sys, ok := st.Sys().(*syscall.Stat_t); ok && int(sys.Uid) == os.Geteuid() {
			out = append(out, staleDir{path, pid})
		}
	}
	return out
}
