package doctor

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"golang.org/x/sys/unix"

	"gabion/loader"
	"gabion/userspace/sockets"
)

// bpffs is where a bpffs is usually mounted.
const bpffs = "/sys/fs/bpf"

func checkKernel() Finding {
	var uts unix.Utsname
	release := "unknown"
	if unix.Uname(&uts) == nil {
		release = unix.ByteSliceToString(uts.Release[:])
	}
	const advice = "use Linux 5.10 or newer"
	v, err := features.LinuxVersionCode()
	if err != nil {
		return unknown("kernel", "%s: version not readable: %v", release, err)
	}
	if v < 5<<16|10<<8 {
		return Finding{LevelFail, "kernel", fmt.Sprintf("%s is too old", release), advice}
	}
	return okay("kernel", "%s", release)
}

func checkPrivileges() Finding {
	if err := loader.CheckSupport(); err != nil {
		return Finding{LevelFail, "programs", err.Error(), "the message says what is missing"}
	}
	return okay("programs", "everything the programs need is there")
}

func checkTypes() Finding {
	if _, err := os.Stat("/sys/kernel/btf/vmlinux"); err != nil {
		return Finding{LevelWarn, "BTF", "the kernel does not describe its types (CONFIG_DEBUG_INFO_BTF)",
			"gabion works without; bpftool shows less about the programs"}
	}
	return okay("BTF", "the kernel describes its types")
}

func checkTCX() Finding {
	v, err := features.LinuxVersionCode()
	if err == nil && v < 6<<16|6<<8 {
		return Finding{LevelOK, "tcx", "not in this kernel (6.6): tc ingress is reached through clsact", ""}
	}
	return okay("tcx", "tc ingress is reached through links")
}

// checkJIT loads a program that does nothing and asks what the kernel made of it: the setting is not
// visible in every network namespace and does not exist in a kernel without an interpreter.
func checkJIT() Finding {
	const subject = "JIT"
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "gabion_doctor", Type: ebpf.SocketFilter, License: "Dual BSD/GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
	})
	if err != nil {
		return unknown(subject, "no program can be loaded to see: %v", err)
	}
	defer prog.Close()
	info, err := prog.Info()
	if err != nil {
		return unknown(subject, "the kernel does not say what it makes of programs: %v", err)
	}
	if _, err := info.JitedSize(); err == nil {
		return okay(subject, "programs run as machine code (%s)", runtime.GOARCH)
	}
	// Only of a program that was translated is it known that the machine code is not just hidden.
	if n, err := info.TranslatedSize(); err != nil || n == 0 {
		return unknown(subject, "this user may not see what the kernel makes of programs")
	}
	return Finding{LevelWarn, subject, "programs are interpreted, which is several times slower", "sysctl -w net.core.bpf_jit_enable=1"}
}

func checkBPFFS(dir string) Finding {
	if onBPFFS(bpffs) {
		return okay("bpffs", "mounted at %s", bpffs)
	}
	return Finding{LevelWarn, "bpffs", "not mounted at " + bpffs,
		fmt.Sprintf("gabion mounts it when it needs it for %s; or: mount -t bpf bpf %s", dir, bpffs)}
}

// checkMemory matters for kernels before 5.11, which count maps against RLIMIT_MEMLOCK, and inside
// containers, whose memory limit holds the maps from then on.
func checkMemory() Finding {
	v, err := features.LinuxVersionCode()
	var limit unix.Rlimit
	if err == nil && v < 5<<16|11<<8 && unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit) == nil && limit.Cur != unix.RLIM_INFINITY {
		return Finding{LevelWarn, "memory", fmt.Sprintf("locked memory is limited to %d bytes and maps count as such", limit.Cur),
			"set LimitMEMLOCK=infinity in the unit, or ulimit -l unlimited"}
	}
	const needed = 256 << 20
	if n, path, ok := cgroupLimit(); ok {
		if n < needed {
			return Finding{LevelWarn, "memory", fmt.Sprintf("%s allows %d MiB; a million bans take about 140 MiB", path, n>>20),
				"raise MemoryMax, or lower kernel.max_bans"}
		}
		return okay("memory", "limited to %d MiB by %s", n>>20, path)
	}
	return okay("memory", "not limited")
}

// cgroupLimit reads the memory limit of this process's cgroup (version 2).
func cgroupLimit() (n uint64, path string, ok bool) {
	self, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return 0, "", false
	}
	for line := range strings.Lines(string(self)) {
		group, found := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !found {
			continue
		}
		path = "/sys/fs/cgroup" + group + "/memory.max"
		data, err := os.ReadFile(path)
		if err != nil {
			return 0, "", false
		}
		n, err := strconv.ParseUint(strings.TrimSpace(string(data)), 10, 64)
		return n, path, err == nil
	}
	return 0, "", false
}

// CheckClosing says whether the kernel can close the connections of sources that are banned, which
// kernel.close_connections wants or not.
func CheckClosing(wanted bool) Finding {
	const subject = "closing connections"
	err := sockets.Probe()
	switch {
	case err == nil && wanted:
		return okay(subject, "a ban closes the connections of its source")
	case err == nil:
		return okay(subject, "possible, and off (kernel.close_connections)")
	case !wanted:
		return okay(subject, "not possible here, and off (kernel.close_connections): %v", err)
	}
	f := Finding{LevelWarn, subject, "bans leave connections open: " + err.Error(), "or set kernel: {close_connections: false}"}
	if errors.Is(err, sockets.ErrNoDiag) {
		f.Advice = "reload gabion after that; name tcp_diag in /etc/modules-load.d/ to have it at every boot"
	}
	return f
}

// checkPinned also returns what is attached.
func checkPinned(dir string) (Finding, []loader.Attachment) {
	const subject = "data plane"
	p, err := loader.OpenReadOnly(dir)
	switch {
	case errors.Is(err, loader.ErrNotLoaded):
		return Finding{LevelWarn, subject, "nothing is pinned at " + dir, "start the daemon: gabion run"}, nil
	case err != nil:
		return Finding{LevelFail, subject, err.Error(), "the message says what to do"}, nil
	}
	defer p.Close()
	attached, err := p.Attachments()
	if err != nil {
		return Finding{LevelFail, subject, err.Error(), "restart the daemon"}, nil
	}
	var on []string
	for _, a := range attached {
		if a.Stale {
			return Finding{LevelWarn, subject, fmt.Sprintf("%s is pinned, but its attachment to %s is dead", dir, a.Interface),
				"the daemon renews it when the interface is back"}, attached
		}
		on = append(on, fmt.Sprintf("%s (%s)", a.Interface, a.Mode))
	}
	if len(on) == 0 {
		return Finding{LevelWarn, subject, dir + " is pinned, but attached to nothing", "start the daemon: gabion run"}, nil
	}
	return okay(subject, "%s on %s", dir, strings.Join(on, ", ")), attached
}

func onBPFFS(dir string) bool {
	var st unix.Statfs_t
	return unix.Statfs(dir, &st) == nil && st.Type == unix.BPF_FS_MAGIC
}
