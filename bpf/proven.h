/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Sources that completed a handshake with this machine lately. They are learned where this machine
 * sends on a connected socket, which nobody can forge from outside, and known for proven_ticks.
 *
 * An address proves no more than itself: were its network the key, one handshake would let a flood
 * in the name of all of that network through. But whoever has an IPv6 network can complete
 * handshakes with 2^64 addresses. So those of a /64 share NET_LINES lines, and have no more than
 * NET_SLOTS in each: a /64 leaves half of every line to others, and of its own addresses the 32
 * that were sent to last are known, or somewhat fewer, as their hashes fall. What this does not
 * bound is who has many networks: the /64s of a /48 are as many as the table has slots.
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
#define PROVEN_HOST  24 /* bits of the fingerprint that are the address's, not the network's */
#define NET_LINES    8	/* power of two */
#define NET_SLOTS    (SLOTS / 2)

#define PROVEN_NET (PROVEN_TICKS + PROVEN_HOST) /* first bit of the network's */

/* Where a source is. */
struct proven_place {
	struct proven_line *line;
	__u64 print; /* fingerprint of network and address, where it is in a slot */
};

/* The network of an IPv4 address is itself. */
static __always_inline struct proven_place proven_place(const struct look *look)
{
	__u64 low = look->pkt.family == 6 ? 0 : look->low;
	__u64 net = hash_key16(look->high, low, PROVEN_SALT);
	__u64 host = hash_key16(look->high, look->low, PROVEN_SALT);
	__u32 index = (net ^ (host & (NET_LINES - 1))) & (PROVEN_LINES - 1);

	host >>= 64 - PROVEN_HOST;
	return (struct proven_place){
		.line = bpf_map_lookup_elem(&proven, &index),
		.print = net >> PROVEN_NET << PROVEN_NET | host << PROVEN_TICKS,
	};
}

/* Returns all ones when x is 0, else 0. Without a branch: see find_slot(). */
static __always_inline __u64 ones_if_zero(__u64 x)
{
	x = (x | -x) >> 63;
	barrier_var(x);
	return x - 1;
}

/* Says how long ago, in ticks, something was sent to the source; more than TICK_MASK if never. */
static __always_inline __u64 last_sent(const struct proven_place *place, __u64 tick)
{
	__u64 slot, same, seen = TICK_MASK + 1;

#pragma unroll
	for (__u32 i = 0; i < SLOTS; i++) {
		slot = *(volatile const __u64 *)&place->line->slot[i];
		same = ones_if_zero((slot ^ place->print) >> PROVEN_TICKS);
		seen = (((tick - slot) & TICK_MASK) & same) | (seen & ~same);
	}
	return seen;
}

/* Returns how many slots of the line the source's network has. */
static __always_inline __u64 slots_of_net(const struct proven_place *place)
{
	__u64 slot, sum = 0;

#pragma unroll
	for (__u32 i = 0; i < SLOTS; i++) {
		slot = *(volatile const __u64 *)&place->line->slot[i];
		sum -= ones_if_zero((slot ^ place->print) >> PROVEN_NET);
	}
	return sum;
}

/* Returns the index of the slot for the source: its own, or the one that was sent to longest ago,
 * of its network when that has all it may have. */
static __always_inline __u32 proven_slot(const struct proven_place *place, __u64 tick)
{
	__u64 slot, own, net, rank, less, first = 0;
	__u64 crowded = (TICK_MASK + 1) & ~((__s64)(slots_of_net(place) - NET_SLOTS) >> 63);

#pragma unroll
	for (__u32 i = 0; i < SLOTS; i++) {
		slot = *(volatile const __u64 *)&place->line->slot[i];
		own = ones_if_zero((slot ^ place->print) >> PROVEN_TICKS);
		net = ones_if_zero((slot ^ place->print) >> PROVEN_NET);
		rank = (tick - slot) & TICK_MASK;
		rank |= (net & crowded) | (own & (TICK_MASK + 1) << 1);
		rank = rank << 3 | i;
		less = (__s64)(first - rank) >> 63;
		barrier_var(less);
		first += (rank - first) & less;
	}
	return first & (SLOTS - 1);
}

/* Remembers the source of a packet as proven. */
static __always_inline void learn_proven(const struct look *look)
{
	struct proven_place place = proven_place(look);
	__u64 tick = look->now >> tick_shift & TICK_MASK;
	__u32 at;

	if (!place.line || !last_sent(&place, tick))
		return; /* known, and no tick ago */
	at = proven_slot(&place, tick);
	barrier_var(at);
	at &= SLOTS - 1; /* see slot_at() */
	*(volatile __u64 *)&place.line->slot[at] = place.print | tick;
}

static __always_inline int is_proven_source(const struct look *look)
{
	struct proven_place place = proven_place(look);

	return place.line && last_sent(&place, look->now >> tick_shift) <= proven_ticks;
}

#endif
