package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// machine is the computer that qemu plays: no disk, no network device, two serial lines. The first has
// the kernel's messages, the second is that of package plan.
type machine struct {
	cpus              int
	kernel, initramfs string        // files
	console           string        // file that the first serial line is written to
	limit             time.Duration // after which it is turned off
}

// bootOptions make a kernel that is in trouble end at once, and turn off what costs an emulator much
// and tests nothing of ours: reading the HPET for the time, waiting out grace periods.
const bootOptions = "console=ttyS0 panic=-1 oops=panic mitigations=off nokaslr loglevel=5 tsc=reliable rcupdate.rcu_expedited=1"

// run boots the machine, gives its second serial line to s and returns when it is off.
func (m machine) run(ctx context.Context, s *session) error {
	limited, cancel := context.WithTimeout(ctx, m.limit)
	defer cancel()
	args := append(accelerator("/dev/kvm", "/sys/module"),
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-nic", "none", "-m", "3072", "-smp", strconv.Itoa(m.cpus),
		"-serial", "file:"+m.console, "-serial", "stdio",
		"-kernel", m.kernel, "-initrd", m.initramfs, "-append", bootOptions)
	cmd := exec.CommandContext(limited, "qemu-system-x86_64", args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the machine: %w", err)
	}
	readErr := s.read(ctx, out)
	if readErr != nil {
		cancel()
	}
	err = cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case readErr != nil:
		return readErr
	case limited.Err() != nil:
		err = fmt.Errorf("turned off after %s", m.limit)
	case err != nil:
		err = fmt.Errorf("qemu: %w", err)
	}
	return s.finish(err)
}

// accelerator returns qemu's options for the fastest way to run a kernel here. /dev/kvm alone says
// little: only with one of the two modules that use the processor's own means does it run a kernel
// that is not made for it. Emulated CPUs take turns in one thread: kernels patch their own code while
// another CPU runs it (text_poke), which emulation in several threads does not get right at all times.
func accelerator(kvm, modules string) []string {
	for _, name := range []string{"kvm_intel", "kvm_amd"} {
		if _, err := os.Stat(modules + "/" + name); err != nil {
			continue
		}
		f, err := os.OpenFile(kvm, os.O_RDWR, 0)
		if err != nil {
			break
		}
		f.Close()
		return []string{"-accel", "kvm", "-cpu", "host"}
	}
	return []string{"-accel", "tcg,thread=single"}
}

// complains says whether in a line a kernel says that something in it is wrong.
func complains(line string) bool {
	for _, sign := range []string{"WARNING: CPU:", "BUG: ", "Kernel panic", "Oops:"} {
		if strings.Contains(line, sign) {
			return true
		}
	}
	return false
}

// complaints returns all such lines.
func complaints(console string) []string {
	var out []string
	for line := range strings.Lines(console) {
		if complains(line) {
			out = append(out, strings.TrimSpace(line))
		}
	}
	return out
}

// ending returns what a kernel said from its first complaint on, which is nearest to the cause, or the
// last lines of one that has none.
func ending(console string) string {
	const most, last = 200, 40
	lines := slices.Collect(strings.Lines(console))
	if i := slices.IndexFunc(lines, complains); i >= 0 {
		return strings.Join(lines[i:min(len(lines), i+most)], "")
	}
	return strings.Join(lines[max(0, len(lines)-last):], "")
}

// readConsole returns what the kernel said; a machine that never started has said nothing.
func (m machine) readConsole() (string, error) {
	text, err := os.ReadFile(m.console)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	return string(text), err
}
