/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The allow lookup. It comes last, only for a packet that would be dropped or a source that would
 * be reported, and it always wins. */
#ifndef ALLOW_H
#define ALLOW_H

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "front.h"
#include "gabion.h"
#include "maps.h"
#include "packet.h"

#define ALLOW6_FIRST (ALLOW_WORDS / 2)

static __always_inline struct allow *find_allow4(__u32 addr)
{
	__u32 cell = addr >> 16;
	struct prefix4 key = {.prefixlen = 32};

	if (!is_set(&allow_bits, cell / WORD_BITS, cell))
		return NULL;
	addr = bpf_htonl(addr);
	__builtin_memcpy(key.addr, &addr, sizeof(key.addr));
	return bpf_map_lookup_elem(&allow4, &key);
}

static __always_inline struct allow *find_allow6(struct address6 addr, const struct view *view)
{
	__u64 hash = hash_item(addr.high >> 32);
	struct prefix6 key = {.prefixlen = 128};

	if (!(view->flags & VIEW_ALLOW_WIDE) &&
	    !is_set(&allow_bits, ALLOW6_FIRST + (hash >> 54), hash >> 48))
		return NULL;
	addr.high = bpf_cpu_to_be64(addr.high);
	addr.low = bpf_cpu_to_be64(addr.low);
	__builtin_memcpy(key.addr, &addr, sizeof(key.addr));
	return bpf_map_lookup_elem(&allow6, &key);
}

static __always_inline struct allow *find_allow(const struct packet *pkt)
{
	struct view view;

	if (pkt->family == 4)
		return find_allow4(bpf_ntohl(pkt->saddr4));
	view = view_of(load_view(VIEW6));
	return find_allow6(address6(pkt->saddr_words), &view);
}

#endif
