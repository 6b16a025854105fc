package topology

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Prefix begins the name of everything the lab makes, followed by the number of its process.
const Prefix = "gabion-lab-"

func namespaceName(pid int, role string) string {
	return Prefix + strconv.Itoa(pid) + "-" + role
}

// Leftovers counts what is still there of a topology.
type Leftovers struct {
	Namespaces int `json:"namespaces"`
	Links      int `json:"links"`
	Pins       int `json:"pins"`
	Processes  int `json:"processes"`
}

// Total returns the sum of all counts.
func (l Leftovers) Total() int { return l.Namespaces + l.Links + l.Pins + l.Processes }

// Close kills what still runs in the namespaces, deletes the links and the namespaces' names. The
// namespaces themselves end with the last socket in them; Leftovers stays usable until Release.
func (t *Topology) Close() error {
	var errs []error
	for _, n := range t.all() {
		killAll(n.inode)
		errs = append(errs, n.deleteLinks())
		if err := netns.DeleteNamed(n.Name); err != nil {
			errs = append(errs, fmt.Errorf("delete network namespace %s: %w", n.Name, err))
		}
	}
	return errors.Join(errs...)
}

// Release closes the last handles of a closed topology.
func (t *Topology) Release() {
	for _, n := range t.all() {
		_ = n.handle.Close()
	}
}

func (t *Topology) all() []*Namespace {
	var out []*Namespace
	if t.Server != nil {
		out = append(out, t.Server)
	}
	for _, n := range t.Spokes {
		out = append(out, n)
	}
	return out
}

func (n *Namespace) deleteLinks() error {
	names, err := n.links()
	if err != nil {
		return fmt.Errorf("list links of %s: %w", n.Name, err)
	}
	return n.Do(func() error {
		var errs []error
		for _, name := range names {
			l, err := netlink.LinkByName(name)
			if err == nil {
				err = netlink.LinkDel(l)
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("delete %s in %s: %w", name, n.Name, err))
			}
		}
		return errors.Join(errs...)
	})
}

// Leftovers looks for what a closed topology left: namespace names, links (in its own namespaces
// and in the caller's), processes in the namespaces and children of this process.
func (t *Topology) Leftovers() (Leftovers, error) {
	var out Leftovers
	names, err := filepath.Glob(filepath.Join(namespaceDir, namespaceName(os.Getpid(), "*")))
	if err != nil {
		return out, err
	}
	out.Namespaces = len(names)
	pids := map[int]bool{}
	for _, pid := range children() {
		pids[pid] = true
	}
	ours := map[string]bool{ServerEnd: true}
	for _, name := range t.Interfaces {
		ours[name] = true
	}
	for _, n := range t.all() {
		links, err := n.links()
		if err != nil {
			return out, err
		}
		out.Links += len(links)
		for _, pid := range n.Processes() {
			pids[pid] = true
		}
	}
	out.Processes = len(pids)
	here, err := netlink.LinkList()
	if err != nil {
		return out, fmt.Errorf("list links: %w", err)
	}
	for _, l := range here {
		if ours[l.Attrs().Name] {
			out.Links++
		}
	}
	return out, nil
}

// RemoveStale removes the namespaces of earlier labs whose process is dead, with all that still
// runs in them, and returns the process numbers of those labs. Everything under the number of
// this process is stale too: call it before Build.
func RemoveStale() ([]int, error) {
	paths, err := filepath.Glob(filepath.Join(namespaceDir, Prefix+"*"))
	if err != nil {
		return nil, err
	}
	var owners []int
	var errs []error
	for _, path := range paths {
		pid, ok := Owner(filepath.Base(path))
		if !ok || Alive(pid) {
			continue
		}
		if len(owners) == 0 || owners[len(owners)-1] != pid {
			owners = append(owners, pid)
		}
		errs = append(errs, removeNamespace(path))
	}
	return owners, errors.Join(errs...)
}

// removeNamespace takes only the names that labs give, and only where namespaces are named.
func removeNamespace(path string) error {
	if _, ours := Owner(filepath.Base(path)); !ours || filepath.Dir(path) != namespaceDir {
		return fmt.Errorf("%s is no network namespace of a lab: it is left alone", path)
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err == nil {
		killAll(st.Ino)
	}
	// EINVAL: the name was never mounted on. ENOENT: another lab removed it just now.
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && err != unix.EINVAL && err != unix.ENOENT {
		return fmt.Errorf("unmount %s: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// Owner returns the process number in a name that begins with Prefix.
func Owner(name string) (int, bool) {
	rest, ok := strings.CutPrefix(name, Prefix)
	if !ok {
		return 0, false
	}
	number, _, _ := strings.Cut(rest, "-")
	pid, err := strconv.Atoi(number)
	return pid, err == nil && pid > 0
}

// Alive reports whether another process with the number runs. One that has ended and that nobody
// waits for, as below a careless first process of a container, does not.
func Alive(pid int) bool {
	if pid == os.Getpid() {
		return false
	}
	fields, err := status(pid)
	return err == nil && fields[0] != "Z" && fields[0] != "X"
}

// killAll kills the processes in a namespace and waits a little for their end. Never those in the
// machine's or the caller's own, whatever the name of a stale namespace was put on.
func killAll(inode uint64) {
	for _, of := range []string{"1", "thread-self"} { // the first thread of self may be inside a namespace
		var st unix.Stat_t
		if err := unix.Stat("/proc/"+of+"/ns/net", &st); err == nil && st.Ino == inode {
			return
		}
	}
	for range 50 {
		pids := processesIn(inode)
		if len(pids) == 0 {
			return
		}
		for _, pid := range pids {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
