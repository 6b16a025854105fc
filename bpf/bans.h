/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The ban lookup: is the source of a packet banned, and what is done about it.
 *
 *   not in the filter?         -> clean: no clock, no table, no trie, no allow lookup
 *   host table                 -> a ban of just this address
 *   prefix bit set?  -> trie   -> bans of prefixes, and of hosts that found no slot in the table
 *   many IPv4 prefixes         -> first their table, which spares a banned source the trie
 *
 * An entry that is over, off or only counts must not hide a prefix that is banned, so the search
 * goes on behind it.
 */
#ifndef BANS_H
#define BANS_H

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "front.h"
#include "gabion.h"
#include "hosts.h"
#include "maps.h"
#include "nets.h"

#define COVERING 8 /* entries of the trie looked at, from the longest prefix to shorter ones */

/* What the bans say about a packet. */
enum judgement {
	CLEAN = 0,
	BANNED,	  /* would be dropped */
	SHADOWED, /* would be dropped if its class did more than count */
	EXPIRED,  /* bans matched, but none holds any more */
	DISABLED, /* bans matched, but their class is off */
};

/* The ban that decided. */
struct ruling {
	__u32 class;
	__u32 *hits4;
	__u64 *hits;
};

static __always_inline enum class_mode mode_of(__u32 class)
{
	if (class >= CLASSES)
		return MODE_OFF; /* no such class: treated as one that is off */
	return *(volatile const __u32 *)&control.class[class].mode;
}

/* A ban may be hit by several CPUs at once. 32 bits are full after a quarter of an hour of a flood
 * of 5 million packets a second: they stay full. */
static __always_inline void count_hit(const struct ruling *by)
{
	if (by->hits4) {
		if (*(volatile __u32 *)by->hits4 < HITS4_FULL)
			__sync_fetch_and_add(by->hits4, 1);
	} else if (by->hits) {
		__sync_fetch_and_add(by->hits, 1);
	}
}

/* Says what one entry does to a packet at the tick now. */
static __always_inline enum judgement weigh(__u32 class, __u32 expiry, __u64 now)
{
	enum class_mode mode = mode_of(class);

	if (mode != MODE_DROP && mode != MODE_SHADOW)
		return DISABLED;
	if (expiry != NO_END && now >= expiry)
		return EXPIRED;
	return mode == MODE_DROP ? BANNED : SHADOWED;
}

/* Adds what one more entry does, a shorter one than those before: the longest names the outcome,
 * but a ban beats everything and counting beats nothing. A ban that drops is counted by the caller,
 * since an allow entry may still win. */
static __always_inline enum judgement add(enum judgement before, enum judgement one,
					  const struct ruling *by)
{
	if (one == SHADOWED && before != SHADOWED)
		count_hit(by);
	if (before == CLEAN || one == SHADOWED || one == BANNED)
		return one;
	return before;
}

/* Weighs the entry of a host table, the first that is looked at. */
static __always_inline enum judgement judge_host(const struct found *host, __u64 now,
						 struct ruling *by)
{
	*by = (struct ruling){
		.class = host->entry >> CLASS_SHIFT, .hits4 = host->hits4, .hits = host->hits};
	return add(CLEAN, weigh(by->class, host->entry & NO_END, now), by);
}

static __always_inline struct ban *longest_ban4(__u32 addr, __u32 prefixlen)
{
	struct prefix4 key = {.prefixlen = prefixlen};

	addr = bpf_htonl(addr);
	__builtin_memcpy(key.addr, &addr, sizeof(key.addr));
	return bpf_map_lookup_elem(&bans4, &key);
}

static __always_inline struct ban *longest_ban6(struct address6 addr, __u32 prefixlen)
{
	struct prefix6 key = {.prefixlen = prefixlen};

	addr.high = bpf_cpu_to_be64(addr.high);
	addr.low = bpf_cpu_to_be64(addr.low);
	__builtin_memcpy(key.addr, &addr, sizeof(key.addr));
	return bpf_map_lookup_elem(&bans6, &key);
}

/* Weighs one entry of a trie. Returns the longest prefix that may still matter, or -1. */
static __always_inline int judge_prefix(struct ban *ban, __u32 prefixlen, __u64 now,
					enum judgement *result, struct ruling *by)
{
	*by = (struct ruling){.class = ban->class, .hits = &ban->hits};
	*result = add(*result, weigh(ban->class, ban->expiry ?: NO_END, now), by);
	/* An entry made by hand may say 0 or too much: then there is nothing to go on with. */
	if (*result == BANNED || ban->prefixlen == 0 || ban->prefixlen > prefixlen)
		return -1;
	return ban->prefixlen - 1;
}

/* Whether the trie has to be asked about an IPv4 source, for which no host ban was found that drops
 * it. When it has not, result and by are as if it had been. */
static __always_inline int needs_trie4(__u32 addr, __u64 now, enum judgement *result,
				       struct ruling *by)
{
	__u32 cell = addr >> 8, leaf, entry;
	struct rule4 *rule;
	void *table;

	if (!is_set(&cidr_bits4, cell / WORD_BITS, cell))
		return 0;
	table = net_table4();
	if (!table)
		return 1;
	leaf = find_leaf4(table, addr);
	if (!leaf || leaf & NET_ASK)
		return leaf;
	rule = rule_at(table, leaf);
	if (!rule)
		return 1;
	entry = *(volatile const __u64 *)&rule->state;
	if (weigh(entry >> CLASS_SHIFT, entry & NO_END, now) != BANNED)
		return 1; /* a shorter prefix may still drop it */
	*by = (struct ruling){.class = entry >> CLASS_SHIFT, .hits = &rule->hits};
	*result = BANNED;
	return 0;
}

/* Looks for the bans of an IPv4 source, in host order, at a time in jiffies, and names in by the
 * one that drops it. */
static __always_inline enum judgement judge4(__u32 addr, __u64 jiffies, const struct view *view,
					     struct ruling *by)
{
	__u64 now = jiffies >> tick_shift;
	struct found host = find_host4(addr, view);
	enum judgement result = CLEAN;
	struct ban *ban;
	int left = 32;

	if (host.entry)
		result = judge_host(&host, now, by);
	if (result == BANNED || !(view->flags & VIEW_PREFIXES) ||
	    !needs_trie4(addr, now, &result, by))
		return result;
	for (int i = 0; i < COVERING && left >= 0; i++) {
		ban = longest_ban4(addr, left);
		if (!ban)
			break;
		left = judge_prefix(ban, left, now, &result, by);
	}
	return result;
}

static __always_inline enum judgement judge6(struct address6 addr, __u64 jiffies,
					     const struct view *view, struct ruling *by)
{
	__u64 now = jiffies >> tick_shift;
	struct found host = find_host6(addr, view);
	enum judgement result = CLEAN;
	struct ban *ban;
	int left = 128;

	if (host.entry)
		result = judge_host(&host, now, by);
	if (result == BANNED || !(view->flags & VIEW_PREFIXES))
		return result;
	for (int i = 0; i < COVERING && left >= 0; i++) {
		ban = longest_ban6(addr, left);
		if (!ban)
			break;
		left = judge_prefix(ban, left, now, &result, by);
	}
	return result;
}

#endif
