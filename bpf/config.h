/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Knobs: constants that the loader may set before the program is verified. The verifier removes the
 * branches that a knob rules out, so an unused feature costs nothing and a helper that an older
 * kernel lacks is never seen by it.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include <linux/types.h>

/* Reports of sources that are proven real which each CPU may write per second. Set by: nobody yet;
 * a flood of real sources needs few. */
const volatile __u64 events_budget = 4096;

/* Likewise, other reports of each meter: their number is for who forges addresses to choose. All
 * meters together get as many as proven sources. Set by: nobody yet. */
const volatile __u64 unproven_budget = 256;

/* 1: the program is loaded for packets of several buffers (jumbo frames), so the length is asked of
 * the kernel. Set by: the loader, for the form of the program that such interfaces get. */
const volatile __u8 xdp_frags = 0;

/* Secret odd multipliers of all hashes, so that nobody can aim addresses at one place of a table.
 * Set by: the loader, at random when it makes the maps; they are kept in the map abi. */
const volatile __u64 hash_key[2] = {0x9e3779b97f4a7c15ULL, 0xd6e8feb86659fd93ULL};

/* jiffies64 >> tick_shift is a tick, the unit of a ban's end. Set by: the loader, so that a tick is
 * about a second. */
const volatile __u32 tick_shift = 8;

/* Ticks for which a source that completed a handshake is spared by meters that spare such. Set by:
 * nobody yet; ten minutes. */
const volatile __u32 proven_ticks = 600;

/* Words of one half of any6. Set by: the loader, as it has sized the map. */
const volatile __u32 any6_words = 1 << 18;

#endif
