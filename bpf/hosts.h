/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The tables of banned hosts: mostly one cache line for each lookup. */
#ifndef HOSTS_H
#define HOSTS_H

#include <bpf/bpf_helpers.h>

#include "front.h"
#include "gabion.h"
#include "hash.h"
#include "maps.h"

/* An entry of a ban table, and where its packets are counted. */
struct found {
	__u32 entry;  /* class << CLASS_SHIFT | expiry; 0: there is none */
	__u32 *hits4; /* of a slot of hosts4 */
	__u64 *hits;  /* of any other */
};

/* The line of the table in use where a hash, of which it gets the high half, is looked for first.
 */
static __always_inline __u32 first_line(__u32 hash, const struct view *view)
{
	return (__u64)hash * view->lines >> 32;
}

/* Returns a line of the table in use, or NULL. */
static __always_inline void *line_at(void *outer, __u32 line, const struct view *view)
{
	__u32 index = (view->table & 1) * CHUNKS + line / CHUNK;
	void *chunk = bpf_map_lookup_elem(outer, &index);

	if (!chunk)
		return NULL;
	index = line & (CHUNK - 1);
	return bpf_map_lookup_elem(chunk, &index);
}

static __always_inline __u32 next_line(__u32 line, const struct view *view)
{
	return line + 1 < view->lines ? line + 1 : 0;
}

/* The position of the only bit set in an 8-bit mask. A multiplication by a de Bruijn sequence moves
 * three bits to the top that differ for each position. */
static __always_inline __u32 position(__u32 mask)
{
	return 0x56374210U >> ((mask * 0x17 & 0xff) >> 5) * 4 & 7;
}

/* Returns class and expiry of the entry for an address, which is not 0, or 0. It compares the
 * address halves of all slots without a branch, which the processor could not foresee: each would
 * cost more than the comparisons. At most one has the address. Its slot is then read as a whole,
 * and may have changed since. */
static __always_inline __u32 match4(const struct line4 *line, __u32 addr, __u32 *at)
{
	const volatile __u32 *halves = (const volatile __u32 *)line->slot;
	__u64 differ, slot;
	__u32 mask = 0;

#pragma unroll
	for (int i = 0; i < SLOTS4; i++) {
		differ = halves[2 * i + 1] ^ addr;
		differ = (differ - 1) >> 63; /* 1 when it was 0 */
		barrier_var(differ);
		mask |= differ << i;
	}
	if (!mask)
		return 0;
	*at = position(mask);
	if (*at >= SLOTS4) /* cannot be */
		return 0;
	slot = *(const volatile __u64 *)&line->slot[*at];
	return slot >> 32 == addr ? slot : 0;
}

static __always_inline struct found find_host4(__u32 addr, const struct view *view)
{
	__u32 number = first_line(hash4(addr) >> 32, view), at;
	struct found found = {};
	struct line4 *line;

	if (!addr) /* free slots look like entries for 0.0.0.0 */
		return found;
	for (int i = 0; i < PROBES4; i++, number = next_line(number, view)) {
		line = line_at(&hosts4, number, view);
		if (!line)
			return found;
		found.entry = match4(line, addr, &at);
		if (found.entry & NO_END) {
			found.hits4 = &line->hits[at];
			return found;
		}
		found.entry = 0;
		if (!*(volatile const __u32 *)&line->more)
			return found;
	}
	return found;
}

/* Returns the entry when the slot holds the address now: what is compared is three words, and the
 * slot may get another address meanwhile. */
static __always_inline __u32 match6(const struct slot6 *slot, struct address6 addr)
{
	__u64 before = *(volatile const __u64 *)&slot->meta, after, differ;

	if (!(before & NO_END))
		return 0;
	differ = *(volatile const __u64 *)&slot->high ^ addr.high;
	differ |= *(volatile const __u64 *)&slot->low ^ addr.low;
	if (differ)
		return 0;
	after = *(volatile const __u64 *)&slot->meta;
	if ((before ^ after) >> 32 || !(after & NO_END))
		return 0;
	return after;
}

static __always_inline struct found find_host6(struct address6 addr, const struct view *view)
{
	__u32 number = first_line(hash6(addr.high, addr.low) >> 32, view);
	struct found found = {};
	struct line6 *line;

	for (int i = 0; i < PROBES6; i++, number = next_line(number, view)) {
		line = line_at(&hosts6, number, view);
		if (!line)
			return found;
#pragma unroll
		for (int j = 0; j < SLOTS6; j++) {
			found.entry = match6(&line->slot[j], addr);
			if (found.entry) {
				found.hits = &line->slot[j].hits;
				return found;
			}
		}
		if (!*(volatile const __u64 *)&line->slot[SLOTS6 - 1].meta)
			return found;
	}
	return found;
}

#endif
