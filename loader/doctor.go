package loader

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Level says how bad a finding is.
type Level string

// Levels of findings.
const (
	LevelOK   Level = "ok"
	LevelWarn Level = "warn" // works, but slower or with less protection
	LevelFail Level = "fail" // does not work
)

// Finding is one thing that Doctor looked at.
type Finding struct {
	Level   Level  `json:"level"`
	Subject string `json:"subject"` // such as "kernel" or "eth0 driver"
	Detail  string `json:"detail"`
	Advice  string `json:"advice,omitempty"` // what to do; empty when all is well
}

// Doctor examines the machine and the given interfaces. It changes nothing and works while a daemon runs.
func Doctor(ifaces []string, dir string) []Finding {
	if dir == "" {
		dir = DefaultDir
	}
	out := []Finding{
		checkKernel(), checkPrivileges(), checkTypes(), checkTCX(), checkJIT(), checkBPFFS(dir), checkMemory(), checkPinned(dir),
	}
	for _, ifname := range ifaces {
		out = append(out, checkInterface(ifname, dir)...)
	}
	return out
}

func okay(subject, format string, args ...any) Finding {
	return Finding{Level: LevelOK, Subject: subject, Detail: fmt.Sprintf(format, args...)}
}

func checkKernel() Finding {
	var uts unix.Utsname
	release := "unknown"
	if unix.Uname(&uts) == nil {
		release = unix.ByteSliceToString(uts.Release[:])
	}
	const advice = "use Linux 5.10 or newer"
	v, err := features.LinuxVersionCode()
	if err != nil {
		return Finding{LevelWarn, "kernel", fmt.Sprintf("%s: version not readable: %v", release, err), advice}
	}
	if v < 5<<16|10<<8 {
		return Finding{LevelFail, "kernel", fmt.Sprintf("%s is too old", release), advice}
	}
	return okay("kernel", "%s", release)
}

func checkPrivileges() Finding {
	if err := checkSupport(); err != nil {
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

func checkJIT() Finding {
	const path = "/proc/sys/net/core/bpf_jit_enable"
	data, err := os.ReadFile(path)
	if err != nil {
		return Finding{LevelWarn, "JIT", fmt.Sprintf("cannot tell: %v", err), "look at " + path + " on the host"}
	}
	if strings.TrimSpace(string(data)) == "0" {
		return Finding{LevelWarn, "JIT", "programs are interpreted, which is several times slower",
			"sysctl -w net.core.bpf_jit_enable=1"}
	}
	return okay("JIT", "programs run as machine code (%s)", runtime.GOARCH)
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

func checkPinned(dir string) Finding {
	p, err := OpenReadOnly(dir)
	switch {
	case errors.Is(err, ErrNotLoaded):
		return Finding{LevelWarn, "data plane", "nothing is pinned at " + dir, "start the daemon: gabion run"}
	case err != nil:
		return Finding{LevelFail, "data plane", err.Error(), "the message says what to do"}
	}
	defer p.Close()
	attached, err := p.Attachments()
	if err != nil {
		return Finding{LevelFail, "data plane", err.Error(), "restart the daemon"}
	}
	var on []string
	for _, a := range attached {
		if a.Stale {
			return Finding{LevelWarn, "data plane", fmt.Sprintf("%s is pinned, but its attachment to %s is dead", dir, a.Interface),
				"the daemon renews it when the interface is back"}
		}
		on = append(on, fmt.Sprintf("%s (%s)", a.Interface, a.Mode))
	}
	if len(on) == 0 {
		return Finding{LevelWarn, "data plane", dir + " is pinned, but attached to nothing", "start the daemon: gabion run"}
	}
	return okay("data plane", "%s on %s", dir, strings.Join(on, ", "))
}

// ownPrograms returns the ids of the programs that gabion attached through dir.
func ownPrograms(dir string) map[uint32]bool {
	own := map[uint32]bool{}
	p := &Plane{dir: dir}
	pins, err := p.linkPins()
	if err != nil {
		return own
	}
	for _, pin := range pins {
		if pin.mode != ModeNative && pin.mode != ModeGeneric {
			continue
		}
		l, err := link.LoadPinnedLink(pin.path, &ebpf.LoadPinOptions{})
		if err != nil {
			continue
		}
		if info, err := l.Info(); err == nil {
			own[uint32(info.Program)] = true
		}
		l.Close()
	}
	return own
}
