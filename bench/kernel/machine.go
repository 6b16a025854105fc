package kernel

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"gabion/bench/kernel/report"
)

// thisMachine says where it is measured.
func thisMachine() (report.Machine, error) {
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return report.Machine{}, fmt.Errorf("read kernel version: %w", err)
	}
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return report.Machine{}, fmt.Errorf("read CPU model: %w", err)
	}
	m := report.Machine{Kernel: unix.ByteSliceToString(uts.Release[:]), CPU: runtime.GOARCH, Cores: runtime.NumCPU()}
	for line := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			m.CPU = strings.TrimSpace(value)
			break
		}
	}
	return m, nil
}
