/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Knobs: constants that the loader may set before the program is verified. The verifier removes the
 * branches that a knob rules out, so an unused feature costs nothing and a helper that an older
 * kernel lacks is never seen by it.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include <linux/types.h>

/* Reports each CPU may write per second. Set by: nobody yet; a flood of real sources needs few. */
const volatile __u64 events_budget = 4096;

/* 1: the program is loaded for packets of several buffers (jumbo frames), so the length is asked of
 * the kernel. Set by: the loader, on kernels from 5.18 on. */
const volatile __u8 xdp_frags = 0;

#endif
