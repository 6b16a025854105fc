// Command guest is init in the kernels that `make test-kernels` boots: it mounts what tests need, loads
// the modules, runs the test binaries one after another, sends what they say over the second serial
// line and turns the machine off. See package plan.
package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"

	"gabion/tools/kernels/plan"
)

func main() {
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "guest: this is the init of an emulated machine: use make test-kernels")
		os.Exit(2)
	}
	if err := run(); err != nil {
		fmt.Println("guest:", err) // to the console, the end of which is shown
	}
	unix.Sync()
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		fmt.Println("guest: turn the machine off:", err)
	}
	// An init that returns is a kernel panic, which ends the machine too.
}

func run() error {
	if err := mount(); err != nil {
		return err
	}
	text, err := os.ReadFile(plan.Path)
	if err != nil {
		return err
	}
	var p plan.Plan
	if err := json.Unmarshal(text, &p); err != nil {
		return fmt.Errorf("read plan: %w", err)
	}
	tty, err := openResults()
	if err != nil {
		return fmt.Errorf("open %s: %w", plan.Results, err)
	}
	defer tty.Close()
	return errors.Join(work(tty, p), unix.IoctlSetInt(int(tty.Fd()), unix.TCSBRK, 1)) // until all is sent
}

func work(tty *os.File, p plan.Plan) error {
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return fmt.Errorf("ask for the kernel's release: %w", err)
	}
	if err := plan.Mark(tty, p.Nonce, plan.Booted, unix.ByteSliceToString(uts.Release[:])); err != nil {
		return err
	}
	if err := prepare(p); err != nil {
		return plan.Mark(tty, p.Nonce, plan.Trouble, err.Error())
	}
	for _, t := range p.Tests {
		if err := runTest(tty, p.Nonce, t); err != nil {
			return err
		}
	}
	return plan.Mark(tty, p.Nonce, plan.Done)
}

// mount makes the file systems that a test may expect on any Linux machine.
func mount() error {
	for _, m := range []struct{ kind, dir string }{
		{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/tmp"}, {"tmpfs", "/run"},
		{"bpf", "/sys/fs/bpf"}, {"cgroup2", "/sys/fs/cgroup"},
	} {
		if err := os.MkdirAll(m.dir, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.kind, m.dir, m.kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.dir, err)
		}
	}
	return nil
}

// openResults opens the serial line and keeps the terminal driver from changing what is written.
func openResults() (*os.File, error) {
	tty, err := os.OpenFile(plan.Results, os.O_WRONLY|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	t, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		return nil, errors.Join(err, tty.Close())
	}
	t.Oflag &^= unix.OPOST
	if err := unix.IoctlSetTermios(int(tty.Fd()), unix.TCSETS, t); err != nil {
		return nil, errors.Join(err, tty.Close())
	}
	return tty, nil
}

func prepare(p plan.Plan) error {
	for _, path := range p.Modules {
		if err := load(path); err != nil {
			return fmt.Errorf("load module %s: %w", filepath.Base(path), err)
		}
	}
	if err := loopbackUp(); err != nil {
		return fmt.Errorf("set lo up: %w", err)
	}
	return nil
}

func load(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	return nil
}

// loopbackUp is what the network scripts of a distribution begin with.
func loopbackUp() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	ifreq, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifreq.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, ifreq)
}

func runTest(tty *os.File, nonce string, t plan.Test) error {
	if err := plan.Mark(tty, nonce, plan.Begin, t.Package); err != nil {
		return err
	}
	cmd := exec.Command(t.Binary, t.Args...)
	cmd.Dir = t.Dir
	cmd.Env = []string{"PATH=/bin", "HOME=/tmp", "TMPDIR=/tmp"}
	cmd.Stdout, cmd.Stderr = tty, tty
	how := plan.Succeeded
	if err := cmd.Run(); err != nil {
		how = err.Error()
	}
	if err := plan.Mark(tty, nonce, plan.End, t.Package, how); err != nil {
		return err
	}
	for _, name := range t.Collect {
		content, err := os.ReadFile(filepath.Join(t.Dir, name))
		if err != nil {
			return plan.Mark(tty, nonce, plan.Trouble, err.Error())
		}
		if err := plan.Mark(tty, nonce, plan.File, t.Package, name, base64.StdEncoding.EncodeToString(content)); err != nil {
			return err
		}
	}
	return nil
}
