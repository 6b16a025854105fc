/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The tables of banned hosts: one or two cache lines for each lookup. */
#ifndef HOSTS_H
#define HOSTS_H

#include <bpf/bpf_helpers.h>

#include "bitmap.h"
#include "gabion.h"
#include "hash.h"
#include "maps.h"

/* An entry of a ban table, and where its packets are counted. */
struct found {
	__u32 entry;  /* class << CLASS_SHIFT | expiry; 0: there is none */
	__u32 *hits4; /* of a slot of hosts4 */
	__u64 *hits;  /* of any other */
};

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
static __always_inline __u32 match4(const __u64 *slots, __u32 addr, __u32 *at)
{
	const volatile __u32 *halves = (const volatile __u32 *)slots;
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
	slot = *(const volatile __u64 *)&slots[*at];
	return slot >> 32 == addr ? slot : 0;
}

/* Counting says that what is found will be counted: then that line is fetched together with the one
 * of the slots, since most who come this far are banned. */
static __always_inline struct found find_host4(__u32 addr, struct view view, int counting)
{
	__u32 size = view.table, lines = 1U << (view.table & 31), first, line, key, at;
	struct found found = {};
	struct pair4 *pair;
	void *table;

	table = bpf_map_lookup_elem(&hosts4, &size);
	if (!table || !addr) /* free slots look like entries for 0.0.0.0 */
		return found;
	first = hash4(addr) >> (WORD_BITS - size);
#pragma unroll
	for (int i = 0; i < PROBES4; i++) {
		line = (first + i) & (lines - 1);
		key = line / 2;
		line &= 1;
		pair = bpf_map_lookup_elem(table, &key);
		if (!pair)
			return found;
		if (counting)
			(void)*(volatile const __u32 *)pair->hits[line];
		found.entry = match4(pair->slot[line], addr, &at);
		if (found.entry & NO_END) {
			found.hits4 = &pair->hits[line][at & (SLOTS4 - 1)];
			return found;
		}
		found.entry = 0;
		if (!*(volatile const __u64 *)&pair->slot[line][SLOTS4 - 1])
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

static __always_inline struct found find_host6(struct address6 addr, struct view view)
{
	__u32 size = view.table, lines = 1U << (view.table & 31), index, first;
	struct found found = {};
	struct line6 *line;
	void *table;

	table = bpf_map_lookup_elem(&hosts6, &size);
	if (!table)
		return found;
	first = hash6(addr.high, addr.low) >> (WORD_BITS - size);
	for (int i = 0; i < PROBES6; i++) {
		index = (first + i) & (lines - 1);
		line = bpf_map_lookup_elem(table, &index);
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
