/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Sources that completed a handshake with this machine lately. They are learned where this machine
 * sends on a connected socket, which nobody can forge from outside, and known for proven_ticks.
 */
#ifndef PROVEN_H
#define PROVEN_H

#include <bpf/bpf_helpers.h>

#include "config.h"
#include "gabion.h"
#include "look.h"
#include "maps.h"
#include "slots.h"

#define PROVEN_SALT  1
#define PROVEN_TICKS 28 /* bits of a tick in a slot */
#define TICK_MASK    0x0fffffffULL

static __always_inline struct proven_line *proven_line(__u64 hash)
{
	__u32 index = hash & (PROVEN_LINES - 1);

	return bpf_map_lookup_elem(&proven, &index);
}

/* Says how long ago, in ticks, something was sent to the source; more than TICK_MASK if never. At
 * is then the index of the slot that was used longest ago. */
static __always_inline __u64 last_seen(const struct proven_line *line, __u64 hash, __u64 tick,
				       __u32 *at)
{
	__u64 slot, age, same, less, seen = TICK_MASK + 1, oldest = 0;

#pragma unroll
	for (__u32 i = 0; i < SLOTS; i++) {
		slot = *(volatile const __u64 *)&line->slot[i];
		same = ((slot ^ hash) >> PROVEN_TICKS) - 1;
		same = (__s64)same >> 63; /* all ones when it was 0 */
		barrier_var(same);
		age = (tick - slot) & TICK_MASK;
		seen = (age & same) | (seen & ~same);
		/* the source's own slot counts as the oldest of all */
		age = (age | ((TICK_MASK + 1) & same)) << 3 | i;
		less = (__s64)(oldest - age) >> 63;
		barrier_var(less);
		oldest += (age - oldest) & less;
	}
	*at = oldest & (SLOTS - 1);
	return seen;
}

/* Remembers the source of a packet as proven. */
static __always_inline void learn_proven(const struct look *look)
{
	__u64 hash = hash_key16(look->high, look->low, PROVEN_SALT);
	__u64 tick = look->now >> tick_shift & TICK_MASK;
	struct proven_line *line = proven_line(hash);
	__u32 at;

	if (!line || !last_seen(line, hash, tick, &at))
		return; /* known, and no tick ago */
	barrier_var(at);
	at &= SLOTS - 1; /* see slot_at() */
	*(volatile __u64 *)&line->slot[at] = (hash & ~TICK_MASK) | tick;
}

static __always_inline int is_proven_source(const struct look *look)
{
	__u64 hash = hash_key16(look->high, look->low, PROVEN_SALT);
	struct proven_line *line = proven_line(hash);
	__u32 at;

	return line && last_seen(line, hash, look->now >> tick_shift, &at) <= proven_ticks;
}

#endif
