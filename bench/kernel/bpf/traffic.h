/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The sources of the benchmark. Each address is a bijective function of an index, and the banned
 * ones are those of index 0..n-1: no list of addresses lies in memory and pushes the tables out of
 * the cache. bench/kernel/traffic computes the same in Go, to fill the tables and to know how many
 * packets of a run have to be found banned.
 */
#ifndef TRAFFIC_H
#define TRAFFIC_H

#include <linux/types.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* Which indexes are drawn. Of 2^32 draws, share fall in 0..banned-1, the others in
 * first_clean..2^32-1. */
struct draw {
	__u64 state; /* of the random numbers; not 0; goes on from run to run */
	__u64 share;
	__u64 banned;
	__u64 first_clean;
	__u32 clustered; /* 1: banned sources lie together, 0: all over */
	__u32 pad;
};

/* A run: what is asked for and, written by the program, what came of it. */
struct job {
	struct draw draw;
	__u32 rounds;	/* lookups */
	__u32 ifindex;	/* generator: where frames go; 0: dropped at once */
	__u32 checksum; /* generator: of the IPv4 header without its source, not folded */
	__u32 pad;
	__u64 found; /* lookups that said: banned */
	__u64 ns;    /* of all rounds */
};

/* key: 0 -> value: job. Written by user space, the results by the programs. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct job);
	__uint(max_entries, 1);
} jobs SEC(".maps");

static __always_inline struct job *this_job(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&jobs, &zero);
}

/* xorshift64*: the low half chooses the kind, the high half the index. */
static __always_inline __u64 next_random(__u64 *state)
{
	__u64 x = *state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * 0x2545f4914f6cdd1dULL;
}

/* Without a branch: one that is predicted badly would cost more than some lookups. */
static __always_inline __u32 next_index(struct draw *draw)
{
	__u64 random = next_random(&draw->state), high = random >> 32;
	__u64 is_banned = (__s64)((random & 0xffffffff) - draw->share) >> 63;
	__u64 base, span;

	barrier_var(is_banned);
	base = draw->first_clean & ~is_banned;
	span = (draw->banned & is_banned) | (((1ULL << 32) - draw->first_clean) & ~is_banned);
	return base + (high * span >> 32);
}

/* A permutation of 32 bits: each step can be undone. */
static __always_inline __u32 scatter(__u32 x)
{
	x ^= x >> 16;
	x *= 0x9e3779b1;
	x ^= x >> 15;
	x *= 0xb7e15163;
	x ^= x >> 16;
	return x;
}

/* A permutation, too: indexes in a row make 64 hosts of a /24 and 16 such networks of a /16, then
 * the next /16. */
static __always_inline __u32 cluster(__u32 x)
{
	__u32 host = (x & 63) | (x >> 30 << 6), net = x >> 6 & 15, wide = x >> 10 & 0xffff;

	host = host * 0x9d & 0xff;
	net = (net | (x >> 26 & 15) << 4) * 0x6b & 0xff;
	wide = wide * 0x9e3b & 0xffff;
	wide ^= wide >> 7;
	return wide << 16 | net << 8 | host;
}

/* Inverted first: both map 0 to 0, and no set can hold 0.0.0.0. */
static __always_inline __u32 place(const struct draw *draw, __u32 index)
{
	return draw->clustered ? cluster(~index) : scatter(~index);
}

/* An IPv4 source, host byte order. */
static __always_inline __u32 next_source4(struct draw *draw)
{
	return place(draw, next_index(draw));
}

/* An IPv6 source, host byte order, in 2000::/4. Random: one per /48, the worst case for a trie and
 * for a filter of /48s. Clustered: 4 hosts of each of 16 /64s of a /48. */
static __always_inline void next_source6(struct draw *draw, __u64 *high, __u64 *low)
{
	__u32 place32 = place(draw, next_index(draw));

	*high = 2ULL << 60;
	if (draw->clustered) {
		*high |= (__u64)(place32 >> 8) << 36 | (place32 & 15);
		*low = (place32 >> 4 & 15) + 1;
	} else {
		*high |= (__u64)place32 << 28 | (place32 & 0xffff);
		*low = place32 * 0x9e3779b97f4a7c15ULL;
	}
}

#endif
