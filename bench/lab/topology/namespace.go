package topology

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// namespaceDir is where named network namespaces live; `ip netns` looks there too.
const namespaceDir = "/run/netns"

// Namespace is one network namespace of the lab. Its methods are safe for concurrent use.
type Namespace struct {
	Name   string
	handle netns.NsHandle
	inode  uint64
}

// newNamespace creates a named namespace with its loopback up.
func newNamespace(name string) (*Namespace, error) {
	n := &Namespace{Name: name}
	err := onThread(func() error {
		var err error
		n.handle, err = netns.NewNamed(name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("create network namespace %s: %w", name, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(n.handle), &st); err != nil {
		return nil, fmt.Errorf("inspect network namespace %s: %w", name, err)
	}
	n.inode = st.Ino
	err = n.Do(func() error {
		if err := prepareIPv6(); err != nil {
			return err
		}
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(lo)
	})
	if err != nil {
		return nil, fmt.Errorf("prepare network namespace %s: %w", name, err)
	}
	return n, nil
}

// prepareIPv6 sets what links of the calling thread's namespace will begin with: IPv6 on, whatever
// the machine's own default, and no duplicate address detection. That would leave the link-local
// address unusable for a second or two, and with it neighbour discovery from a service's address.
func prepareIPv6() error {
	for _, v := range []struct{ key, value string }{
		{"all/disable_ipv6", "0"}, {"default/disable_ipv6", "0"}, {"default/accept_dad", "0"},
	} {
		if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+v.key, []byte(v.value), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Do runs fn on a thread inside the namespace. Sockets that fn creates stay in it.
func (n *Namespace) Do(fn func() error) error {
	return onThread(func() error {
		if err := netns.Set(n.handle); err != nil {
			return fmt.Errorf("enter network namespace %s: %w", n.Name, err)
		}
		return fn()
	})
}

// Path returns the file that names the namespace.
func (n *Namespace) Path() string { return filepath.Join(namespaceDir, n.Name) }

// Start starts cmd inside the namespace. The child gets SIGKILL when this process dies.
func (n *Namespace) Start(cmd *exec.Cmd) (*Process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	p := &Process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go n.runProcess(p, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s in %s: %w", filepath.Base(cmd.Path), n.Name, err)
	}
	return p, nil
}

// runProcess owns the thread that starts the child: the kernel sends Pdeathsig when that thread
// ends, so it is kept until the child has ended. It returns when the child has been reaped.
func (n *Namespace) runProcess(p *Process, started chan<- error) {
	defer close(p.done)
	running := false
	err := n.Do(func() error {
		if err := p.cmd.Start(); err != nil {
			return err
		}
		running = true
		started <- nil
		p.err = p.cmd.Wait()
		return nil
	})
	if !running {
		started <- err
	}
}

// links returns the names of the links in the namespace, without the loopback.
func (n *Namespace) links() ([]string, error) {
	var out []string
	err := n.Do(func() error {
		all, err := netlink.LinkList()
		if err != nil {
			return err
		}
		for _, l := range all {
			if l.Attrs().Name != "lo" {
				out = append(out, l.Attrs().Name)
			}
		}
		return nil
	})
	return out, err
}

// Processes returns the processes that live in the namespace, this one left out.
func (n *Namespace) Processes() []int { return processesIn(n.inode) }

// processesIn returns the processes whose network namespace has the inode, this one left out.
func processesIn(inode uint64) []int {
	want := fmt.Sprintf("net:[%d]", inode)
	var out []int
	for _, pid := range allProcesses() {
		at, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
		if err == nil && at == want && pid != os.Getpid() {
			out = append(out, pid)
		}
	}
	return out
}

// children returns the processes whose parent is this one, zombies included.
func children() []int {
	var out []int
	for _, pid := range allProcesses() {
		if fields, err := status(pid); err == nil && fields[1] == strconv.Itoa(os.Getpid()) {
			out = append(out, pid)
		}
	}
	return out
}

// status returns a process's state and its parent's number, and what follows them in its stat file.
func status(pid int) ([]string, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	// The command name is in parentheses and may hold anything: the state follows the last one.
	end := strings.LastIndex(string(stat), ")")
	fields := strings.Fields(string(stat[end+1:]))
	if len(fields) < 2 {
		return nil, fmt.Errorf("read state of process %d: %q", pid, stat)
	}
	return fields, nil
}

func allProcesses() []int {
	names, _ := filepath.Glob("/proc/[0-9]*")
	out := make([]int, 0, len(names))
	for _, name := range names {
		if pid, err := strconv.Atoi(filepath.Base(name)); err == nil {
			out = append(out, pid)
		}
	}
	return out
}

// onThread runs fn on a thread of its own choice of network namespace and puts the thread back
// afterwards. When that fails the thread stays locked and ends with its goroutine.
func onThread(fn func() error) error {
	errc := make(chan error, 1)
	go runOnThread(fn, errc)
	return <-errc
}

// runOnThread owns one thread for the time of fn; it returns when fn does.
func runOnThread(fn func() error, errc chan<- error) {
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		errc <- fmt.Errorf("find own network namespace: %w", err)
		return
	}
	defer home.Close()
	err = fn()
	if netns.Set(home) == nil {
		runtime.UnlockOSThread()
	}
	errc <- err
}
