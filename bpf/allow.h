/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The allow lookup. It comes last, only for a packet that would be dropped or a source that would
 * be reported, and it always wins. */
#ifndef ALLOW_H
#define ALLOW_H

#include <bpf/bpf_helpers.h>

#include "gabion.h"
#include "maps.h"
#include "packet.h"

static __always_inline struct allow *find_allow(const struct packet *pkt)
{
	struct prefix4 key4 = {.prefixlen = 32};
	struct prefix6 key6 = {.prefixlen = 128};

	if (pkt->family == 4) {
		__builtin_memcpy(key4.addr, &pkt->saddr4, sizeof(key4.addr));
		return bpf_map_lookup_elem(&allow4, &key4);
	}
	__builtin_memcpy(key6.addr, pkt->saddr, sizeof(key6.addr));
	return bpf_map_lookup_elem(&allow6, &key6);
}

#endif
