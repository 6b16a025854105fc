// Package doctor examines a machine on which gabion runs or is to run: kernel, rights, memory, network
// interfaces and their drivers. Each finding that is not good news says what to do.
package doctor

import (
	"fmt"

	"gabion/loader"
)

// Level says how bad a finding is.
type Level string

// Levels of findings.
const (
	LevelOK   Level = "ok"
	LevelWarn Level = "warn" // works, but slower or with less protection
	LevelFail Level = "fail" // does not work

	LevelUnknown Level = "unknown" // cannot be found out here, which is no reason for alarm
)

// Finding is one thing that Examine looked at.
type Finding struct {
	Level   Level  `json:"level"`
	Subject string `json:"subject"` // such as "kernel" or "eth0 driver"
	Detail  string `json:"detail"`
	Advice  string `json:"advice,omitempty"` // what to do; empty when all is well
}

// Examine looks at the machine, the data plane pinned below dir (empty: where the daemon pins) and the
// given interfaces. It changes nothing and works while a daemon runs.
func Examine(ifaces []string, dir string) []Finding {
	if dir == "" {
		dir = loader.DefaultDir
	}
	plane, attached := checkPinned(dir)
	out := []Finding{
		checkKernel(), checkPrivileges(), checkTypes(), checkTCX(), checkJIT(), checkBPFFS(dir), checkMemory(), plane,
	}
	for _, ifname := range ifaces {
		out = append(out, checkInterface(ifname, ifaces, attached)...)
	}
	return out
}

func okay(subject, format string, args ...any) Finding {
	return Finding{Level: LevelOK, Subject: subject, Detail: fmt.Sprintf(format, args...)}
}

func unknown(subject, format string, args ...any) Finding {
	return Finding{Level: LevelUnknown, Subject: subject, Detail: fmt.Sprintf(format, args...)}
}
