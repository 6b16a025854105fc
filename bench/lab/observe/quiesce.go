package observe

import (
	"time"

	"golang.org/x/sys/unix"
)

// membarrierGlobal is MEMBARRIER_CMD_GLOBAL, which waits for an RCU grace period.
const membarrierGlobal = 1

// Quiesce returns when every packet that was in the kernel's receive path at the time of the call
// has left it. A packet that XDP judged just before a ban was written is stamped a moment later, on
// its way into the stack: receiving runs inside an RCU read section, so after a grace period there
// is no such packet left, and what arrives then was judged with the ban in the map.
func Quiesce() {
	if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, membarrierGlobal, 0, 0); errno != 0 {
		time.Sleep(50 * time.Millisecond) // a kernel without it: far longer than a packet's way
	}
}
