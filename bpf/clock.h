/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Time comes into the stages as a function, so that a test can say what time it is. */
#ifndef CLOCK_H
#define CLOCK_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

enum clock {
	CLOCK_JIFFIES, /* jiffies64: cheap, counts only while the machine is awake */
	CLOCK_BOOT,    /* ns of CLOCK_BOOTTIME: for what user space is told */
};

typedef __u64 (*clock_fn)(enum clock which);

/* The kernel's. */
static __always_inline __u64 system_clock(enum clock which)
{
	return which == CLOCK_JIFFIES ? bpf_jiffies64() : bpf_ktime_get_boot_ns();
}

#endif
