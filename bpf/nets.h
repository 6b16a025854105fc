/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The table of banned prefixes, which spares a long list of them the walk through the trie. */
#ifndef NETS_H
#define NETS_H

#include <bpf/bpf_helpers.h>

#include "gabion.h"
#include "maps.h"

/* The table in use, or NULL while there is none. */
static __always_inline void *net_table4(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&nets4, &zero);
}

static __always_inline __u32 leaf_at(void *table, __u32 at)
{
	__u32 index = at / LEAVES4;
	struct net4 *line = bpf_map_lookup_elem(table, &index);

	if (!line)
		return NET_ASK; /* cannot be; the trie is always right */
	return *(volatile const __u32 *)&line->leaf[at & (LEAVES4 - 1)];
}

/* Returns what the table says of an address: the number of its rule, 0 when no prefix covers it, or
 * NET_ASK with or without a rule when only the trie knows. */
static __always_inline __u32 find_leaf4(void *table, __u32 addr)
{
	__u32 leaf = leaf_at(table, addr >> 16);

	if (leaf & NET_BLOCK)
		leaf = leaf_at(table, (leaf & ~NET_BLOCK) * BLOCK4 + (addr >> 8 & (BLOCK4 - 1)));
	return leaf;
}

static __always_inline struct rule4 *rule_at(void *table, __u32 rule)
{
	__u32 index = rule / RULES4;
	struct net4 *line = bpf_map_lookup_elem(table, &index);

	if (!line)
		return NULL;
	barrier_var(line); /* or it is added to before it is compared: "R7 pointer arithmetic on
			      map_value_or_null prohibited" */
	return &line->rule[rule & (RULES4 - 1)];
}

#endif
