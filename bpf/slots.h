/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The table of counters: set-associative, one cache line per key, no list and no lock.
 *
 * A line that is full of slots of the running window gives up the one with the lowest count; among
 * equals the key's hash decides, so that no slot is replaced more often than another. A count above
 * the newcomer's is only given up with a chance of one in that count: a flood of forged sources,
 * which come once, pushes out its own kind, and who comes again stays. Counts are exact from the
 * moment on at which a key has its slot; no count is ever taken over from another key.
 */
#ifndef SLOTS_H
#define SLOTS_H

#include <bpf/bpf_helpers.h>

#include "config.h"
#include "gabion.h"
#include "maps.h"

#define SLOT_KEY 0x7ffffffffULL /* fingerprint and window, once the count is shifted out */
#define WINDOWS	 0x7ff		/* mask of the window's number in a slot */
#define USED	 8		/* or-ed to the index of a slot that was found */
#define HEADROOM (1 << 24)	/* left in a full count, for all CPUs that add at once */

/* Hashes a key so that nobody without the secret can find two that meet: sums of products of secret
 * and key, then mixed. The low bits choose a line, the high ones are the fingerprint. */
static __always_inline __u64 hash_key16(__u64 high, __u64 low, __u32 salt)
{
	__u64 x;

	x = (__u64)(__u32)(high + hash_key[0]) * (__u32)((high >> 32) + (hash_key[0] >> 32));
	x += (__u64)(__u32)(low + hash_key[1]) * (__u32)((low >> 32) + (hash_key[1] >> 32));
	x += salt * hash_key[0];
	x ^= x >> 32;
	x *= hash_key[1];
	return x ^ x >> 29;
}

/* Returns USED and the index of the slot that has the tag (fingerprint and window), or 0. Without a
 * branch: which slot it is, the processor could not foresee. Two CPUs that enter a key at once may
 * give it two slots; then it is the last one that counts. */
static __always_inline __u32 find_slot(const struct meter_line *line, __u64 tag)
{
	__u32 where = 0;
	__u64 same;

#pragma unroll
	for (__u32 i = 0; i < SLOTS; i++) {
		same = *(volatile const __u64 *)&line->slot[i] ^ tag;
		same = same << 1 >> (SLOT_WINDOW + 1);
		same = (same - 1) >> 63; /* 1 when it was 0 */
		barrier_var(same);
		where += (USED + i - where) & (__u32)-same;
	}
	return where;
}

/* Returns the index of the slot that gives way to the tag's key, and the count that is lost. */
static __always_inline __u32 weakest_slot(const struct meter_line *line, __u64 tag, __u32 *lost)
{
	__u64 slot, current, rank, less, best = SLOT_COUNT << 4;
	__u32 tie = tag >> SLOT_PRINT & (SLOTS - 1);

#pragma unroll
	for (__u32 i = 0; i < SLOTS; i++) {
		slot = *(volatile const __u64 *)&line->slot[i];
		current = ((slot ^ tag) >> SLOT_WINDOW & WINDOWS) - 1;
		current = current >> 63; /* 1 when the windows are the same */
		barrier_var(current);
		rank = (slot & SLOT_COUNT & -current) << 3 | (i ^ tie);
		less = (__s64)(rank - best) >> 63;
		barrier_var(less);
		best += (rank - best) & less;
	}
	*lost = best >> 3;
	return (best & (SLOTS - 1)) ^ tie;
}

/* Returns a slot of the line. The index is masked where it is used: 5.10 forgets the bounds of a
 * number that was on the stack, "R4 max value is outside of the allowed memory range". */
static __always_inline __u64 *slot_at(struct meter_line *line, __u32 i)
{
	barrier_var(i);
	i &= SLOTS - 1;
	return &line->slot[i];
}

/* Says whether a newcomer of so many units may take the slot of somebody with that count. */
static __always_inline int admit(__u32 units, __u32 lost)
{
	if (lost <= units)
		return 1;
	return (__u64)bpf_get_prandom_u32() * lost >> 32 < units;
}

#endif
