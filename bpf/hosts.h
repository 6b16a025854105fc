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
	__u32 *hits4; /* of a slot4 */
	__u64 *hits;  /* of any other */
};

/* Compares all slots of a line without a branch, which the processor could not foresee: each would
 * cost more than the comparisons. At most one slot has the address, so they can be added up. An
 * empty slot looks like an entry for 0.0.0.0, with no expiry. */
static __always_inline __u32 match4(const struct line4 *line, __u32 addr, __u32 *at)
{
	__u64 slot, same, found = 0;
	__u32 where = 0;

#pragma unroll
	for (__u32 i = 0; i < SLOTS4; i++) {
		slot = *(volatile const __u64 *)&line->slot[i];
		same = (slot >> 32) ^ addr;
		same = (same - 1) >> 63; /* 1 when it was 0 */
		barrier_var(same);
		found |= slot & -same;
		where |= i & (__u32)-same;
	}
	*at = where;
	return found;
}

static __always_inline struct found find_host4(__u32 addr, struct view view)
{
	__u32 size = view.table, lines = 1U << (view.table & 31), index, at, first;
	struct found found = {};
	struct line4 *line;
	void *table;

	table = bpf_map_lookup_elem(&hosts4, &size);
	if (!table)
		return found;
	first = hash4(addr) >> (WORD_BITS - size);
#pragma unroll
	for (int i = 0; i < PROBES4; i++) {
		index = (first + i) & (lines - 1);
		line = bpf_map_lookup_elem(table, &index);
		if (!line)
			return found;
		found.entry = match4(line, addr, &at);
		if (found.entry & NO_END)
			break;
		found.entry = 0;
		if (!*(volatile const __u64 *)&line->slot[SLOTS4 - 1])
			return found;
	}
	if (!found.entry)
		return found;
	at += (index & 1) * SLOTS4;
	index = lines + index / 2;
	line = bpf_map_lookup_elem(table, &index);
	if (!line)
		return found;
	barrier_var(line); /* or it is added to before it is compared: "R7 pointer arithmetic on
			      map_value_or_null prohibited" */
	found.hits4 = &line->hits[at & (2 * SLOTS4 - 1)];
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
