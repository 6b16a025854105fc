/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The filters in front of the tables: of most addresses they say that there is no entry. */
#ifndef FRONT_H
#define FRONT_H

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "gabion.h"
#include "hash.h"
#include "maps.h"

#define WORD_BITS 64

/* An IPv6 address as two numbers. */
struct address6 {
	__u64 high;
	__u64 low;
};

static __always_inline struct address6 address6(const __u32 words[4])
{
	return (struct address6){
		.high = (__u64)bpf_ntohl(words[0]) << 32 | bpf_ntohl(words[1]),
		.low = (__u64)bpf_ntohl(words[2]) << 32 | bpf_ntohl(words[3]),
	};
}

/* Reads how the tables of a family are to be read now: all of it at once. */
static __always_inline __u64 load_view(enum view_key family)
{
	return *(volatile const __u64 *)&control.view[family];
}

static __always_inline struct view view_of(__u64 raw)
{
	return (struct view){
		.scale = raw,
		.half = raw >> 8,
		.table = raw >> 16,
		.flags = raw >> 24,
		.lines = raw >> 32,
	};
}

static __always_inline int is_set(void *bitmap, __u32 word, __u32 bit)
{
	__u64 *bits = bpf_map_lookup_elem(bitmap, &word);

	return bits && *bits >> (bit & (WORD_BITS - 1)) & 1;
}

static __always_inline int marked4(__u32 addr, struct view view)
{
	__u32 word = (view.half & 1) * ANY4 + (addr >> (32 - view.scale));
	__u64 *bits = bpf_map_lookup_elem(&any4, &word), want;

	if (!bits)
		return 0;
	want = 1ULL << (addr >> (27 - view.scale) & 31) | 1ULL << 32 << hash4_bit(addr);
	return (*bits & want) == want;
}

static __always_inline int may_hold6(__u64 item, struct view view)
{
	__u64 hash = hash_item(item), want, *bits;
	__u32 word = (view.half & 1) * any6_words + (__u32)(hash >> (WORD_BITS - view.scale));

	bits = bpf_map_lookup_elem(&any6, &word);
	if (!bits)
		return 0;
	want = 1ULL << (hash & 63) | 1ULL << (hash >> 6 & 63) | 1ULL << (hash >> 12 & 63);
	return (*bits & want) == want;
}

static __always_inline int marked6(struct address6 addr, struct view view)
{
	if (view.flags & VIEW_WIDE || may_hold6(addr.high >> 16, view))
		return 1;
	if (!(view.flags & VIEW_MIDDLE))
		return 0;
	/* Worked out again: kept from the first time, it would take stack that the meters need. */
	barrier_var(view.scale);
	barrier_var(view.half);
	return may_hold6(addr.high >> 32 | 1ULL << 63, view);
}

#endif
